//! The roles and bindings every cluster begins with.

use serde_json::{Value, json};

const READ: &[&str] = &["get", "list", "watch"];
const WRITE: &[&str] = &["create", "delete", "deletecollection", "patch", "update"];
const ALL: &[&str] = &["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"];
const RBAC: &str = "rbac.authorization.k8s.io";

/// Objects of a namespace that carry no secrets: group and resources.
const ORDINARY: &[(&str, &[&str])] = &[
    (
        "",
        &[
            "configmaps",
            "endpoints",
            "persistentvolumeclaims",
            "persistentvolumeclaims/status",
            "pods",
            "replicationcontrollers",
            "replicationcontrollers/scale",
            "serviceaccounts",
            "services",
            "services/status",
        ],
    ),
    (
        "apps",
        &[
            "controllerrevisions",
            "daemonsets",
            "daemonsets/status",
            "deployments",
            "deployments/scale",
            "deployments/status",
            "replicasets",
            "replicasets/scale",
            "replicasets/status",
            "statefulsets",
            "statefulsets/scale",
            "statefulsets/status",
        ],
    ),
    ("autoscaling", &["horizontalpodautoscalers", "horizontalpodautoscalers/status"]),
    ("batch", &["cronjobs", "cronjobs/status", "jobs", "jobs/status"]),
    ("discovery.k8s.io", &["endpointslices"]),
    ("networking.k8s.io", &["ingresses", "ingresses/status", "networkpolicies"]),
    ("policy", &["poddisruptionbudgets", "poddisruptionbudgets/status"]),
];
/// Readable by all who may read a namespace.
const FACTS: &[&str] = &[
    "bindings",
    "events",
    "limitranges",
    "namespaces",
    "namespaces/status",
    "pods/log",
    "pods/status",
    "replicationcontrollers/status",
    "resourcequotas",
    "resourcequotas/status",
];

pub(crate) fn all() -> Vec<Value> {
    let mut all = vec![
        role("cluster-admin", vec![rule(&["*"], &["*"], &["*"]), paths(&["*"], &["*"])]),
        aggregate("admin", admin()),
        aggregate("edit", edit()),
        aggregate("view", view()),
    ];
    all.extend(everyone());
    all.extend(components());
    all.extend([
        binding("cluster-admin", "cluster-admin", &[("Group", "system:masters")]),
        binding("system:basic-user", "system:basic-user", &[("Group", "system:authenticated")]),
        binding("system:discovery", "system:discovery", &[("Group", "system:authenticated")]),
        binding(
            "system:public-info-viewer",
            "system:public-info-viewer",
            &[("Group", "system:authenticated"), ("Group", "system:unauthenticated")],
        ),
        binding(
            "system:service-account-issuer-discovery",
            "system:service-account-issuer-discovery",
            &[("Group", "system:serviceaccounts")],
        ),
        binding("system:node", "system:node", &[("Group", "system:nodes")]),
        binding("system:kube-scheduler", "system:kube-scheduler", &[("User", "system:kube-scheduler")]),
        binding(
            "system:kube-controller-manager",
            "system:kube-controller-manager",
            &[("User", "system:kube-controller-manager")],
        ),
    ]);
    all
}

fn everyone() -> Vec<Value> {
    let reviews = vec![
        rule(
            &["authorization.k8s.io"],
            &["selfsubjectaccessreviews", "selfsubjectrulesreviews"],
            &["create"],
        ),
        rule(&["authentication.k8s.io"], &["selfsubjectreviews"], &["create"]),
    ];
    let discovery = [
        "/api",
        "/api/*",
        "/apis",
        "/apis/*",
        "/healthz",
        "/livez",
        "/openapi",
        "/openapi/*",
        "/readyz",
        "/version",
        "/version/",
    ];
    let keys = [
        "/.well-known/openid-configuration",
        "/.well-known/openid-configuration/",
        "/openid/v1/jwks",
        "/openid/v1/jwks/",
    ];
    let health = ["/healthz", "/livez", "/livez/*", "/readyz", "/readyz/*", "/version", "/version/"];
    vec![
        role("system:basic-user", reviews),
        role("system:discovery", vec![paths(&discovery, &["get"])]),
        role("system:public-info-viewer", vec![paths(&health, &["get"])]),
        role("system:service-account-issuer-discovery", vec![paths(&keys, &["get"])]),
        role(
            "system:auth-delegator",
            vec![
                rule(&["authentication.k8s.io"], &["tokenreviews"], &["create"]),
                rule(&["authorization.k8s.io"], &["subjectaccessreviews"], &["create"]),
            ],
        ),
    ]
}

fn view() -> Vec<Value> {
    let mut rules: Vec<Value> =
        ORDINARY.iter().map(|(group, resources)| rule(&[group], resources, READ)).collect();
    rules.push(rule(&[""], FACTS, READ));
    rules.push(rule(&["events.k8s.io"], &["events"], READ));
    rules.push(rule(&["metrics.k8s.io"], &["pods"], READ));
    rules
}

fn edit() -> Vec<Value> {
    let mut rules = view();
    let status = |name: &&str| !name.ends_with("/status");
    for (group, resources) in ORDINARY {
        let resources: Vec<&str> = resources.iter().copied().filter(status).collect();
        rules.push(rule(&[group], &resources, WRITE));
    }
    rules.push(rule(&[""], &["secrets"], ALL));
    rules.push(rule(&[""], &["events"], WRITE));
    rules.push(rule(&[""], &["serviceaccounts"], &["impersonate"]));
    rules.push(rule(&[""], &["serviceaccounts/token", "pods/eviction"], &["create"]));
    let streams = ["pods/attach", "pods/exec", "pods/portforward", "pods/proxy", "services/proxy"];
    rules.push(rule(&[""], &streams, ALL));
    rules.push(rule(&[""], &["pods/ephemeralcontainers", "pods/resize"], &["get", "patch", "update"]));
    rules.push(rule(&["coordination.k8s.io"], &["leases"], ALL));
    rules
}

fn admin() -> Vec<Value> {
    let mut rules = edit();
    rules.push(rule(&[RBAC], &["roles", "rolebindings"], ALL));
    rules.push(rule(&["authorization.k8s.io"], &["localsubjectaccessreviews"], &["create"]));
    rules
}

fn components() -> Vec<Value> {
    let events = || rule(&["", "events.k8s.io"], &["events"], &["create", "patch", "update"]);
    let leases = || rule(&["coordination.k8s.io"], &["leases"], ALL);
    let reviews = || {
        rule(
            &["authentication.k8s.io", "authorization.k8s.io"],
            &["tokenreviews", "subjectaccessreviews"],
            &["create"],
        )
    };
    let node = vec![
        rule(&[""], &["nodes"], ALL),
        rule(
            &[""],
            &["nodes/status", "pods/status", "persistentvolumeclaims/status"],
            &["get", "patch", "update"],
        ),
        rule(&[""], &["pods"], &["create", "delete", "get", "list", "patch", "watch"]),
        rule(&[""], &["pods/eviction", "serviceaccounts/token"], &["create"]),
        rule(
            &[""],
            &[
                "configmaps",
                "endpoints",
                "namespaces",
                "persistentvolumeclaims",
                "persistentvolumes",
                "secrets",
                "serviceaccounts",
                "services",
            ],
            READ,
        ),
        rule(&["discovery.k8s.io"], &["endpointslices"], READ),
        rule(&["networking.k8s.io"], &["networkpolicies"], READ),
        rule(&["storage.k8s.io"], &["*"], READ),
        rule(&["node.k8s.io"], &["runtimeclasses"], READ),
        rule(&["metrics.k8s.io"], &["pods", "nodes"], READ),
        leases(),
        events(),
        reviews(),
    ];
    let scheduler = vec![
        rule(&[""], &["pods"], &["delete", "get", "list", "watch", "patch"]),
        rule(&[""], &["pods/binding", "bindings"], &["create"]),
        rule(&[""], &["pods/status"], &["patch", "update"]),
        rule(&[""], &["namespaces", "nodes", "replicationcontrollers", "services"], READ),
        rule(
            &[""],
            &["persistentvolumeclaims", "persistentvolumes"],
            &["get", "list", "patch", "update", "watch"],
        ),
        rule(&["apps"], &["replicasets", "statefulsets"], READ),
        rule(&["policy"], &["poddisruptionbudgets"], READ),
        rule(&["scheduling.k8s.io"], &["priorityclasses"], READ),
        rule(&["storage.k8s.io"], &["*"], READ),
        leases(),
        events(),
        reviews(),
    ];
    // Controllers create, collect and finalise objects of every kind, custom ones included.
    let controllers = vec![rule(&["*"], &["*"], ALL), paths(&["*"], &["get"])];
    vec![
        role("system:node", node),
        role("system:kube-scheduler", scheduler),
        role("system:kube-controller-manager", controllers),
    ]
}

fn rule(groups: &[&str], resources: &[&str], verbs: &[&str]) -> Value {
    json!({ "apiGroups": groups, "resources": resources, "verbs": verbs })
}

fn paths(paths: &[&str], verbs: &[&str]) -> Value {
    json!({ "nonResourceURLs": paths, "verbs": verbs })
}

fn role(name: &str, rules: Vec<Value>) -> Value {
    json!({
        "apiVersion": format!("{RBAC}/v1"), "kind": "ClusterRole",
        "metadata": { "name": name, "labels": { "kubernetes.io/bootstrapping": "rbac-defaults" } },
        "rules": rules,
    })
}

/// A role that also has the rules of all roles labelled for it.
fn aggregate(name: &str, rules: Vec<Value>) -> Value {
    let mut role = role(name, rules);
    role["aggregationRule"] = json!({ "clusterRoleSelectors": [
        { "matchLabels": { (format!("{RBAC}/aggregate-to-{name}")): "true" } },
    ] });
    role
}

fn binding(name: &str, role: &str, subjects: &[(&str, &str)]) -> Value {
    let subjects: Vec<Value> =
        subjects.iter().map(|(kind, name)| json!({ "kind": kind, "name": name, "apiGroup": RBAC })).collect();
    json!({
        "apiVersion": format!("{RBAC}/v1"), "kind": "ClusterRoleBinding",
        "metadata": { "name": name, "labels": { "kubernetes.io/bootstrapping": "rbac-defaults" } },
        "roleRef": { "apiGroup": RBAC, "kind": "ClusterRole", "name": role },
        "subjects": subjects,
    })
}
