//! What users get to read when something is wrong.

use expect_test::{Expect, expect};
use serde_json::{Value, json};

use crate::catalogue::by_plural;
use crate::resource::Part;

fn defaulted(group: &str, plural: &str, mut object: Value) -> Value {
    if object["metadata"].is_null() {
        object["metadata"] = json!({"name": "x", "namespace": "default"});
    }
    by_plural(group, "v1", plural).expect("a built-in kind").default(&mut object);
    object
}

fn check(group: &str, plural: &str, object: Value, expected: Expect) {
    let resource = by_plural(group, "v1", plural).expect("a built-in kind");
    let errors = resource.validate_create(&defaulted(group, plural, object));
    expected.assert_eq(&errors.0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"));
}

fn check_update(group: &str, plural: &str, old: Value, change: impl Fn(&mut Value), expected: Expect) {
    let resource = by_plural(group, "v1", plural).expect("a built-in kind");
    let old = defaulted(group, plural, old);
    let mut new = old.clone();
    change(&mut new);
    let errors = resource.validate_update(&new, &old, Part::Main);
    expected.assert_eq(&errors.0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"));
}

fn deployment(containers: Value) -> Value {
    json!({"spec": {"selector": {"matchLabels": {"app": "x"}}, "template": {
        "metadata": {"labels": {"app": "x"}}, "spec": {"containers": containers}}}})
}

#[test]
fn a_good_deployment_passes() {
    check("apps", "deployments", deployment(json!([{"name": "a", "image": "nginx"}])), expect![""]);
}

#[test]
fn containers() {
    check(
        "apps",
        "deployments",
        deployment(json!([])),
        expect!["spec.template.spec.containers: Required value"],
    );
    check(
        "apps",
        "deployments",
        deployment(json!([{"name": "A_", "ports": [{"containerPort": 99999}]}])),
        expect![[r#"
        spec.template.spec.containers[0].name: Invalid value: "A_": a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')
        spec.template.spec.containers[0].image: Required value
        spec.template.spec.containers[0].ports[0].containerPort: Invalid value: 99999: must be between 1 and 65535, inclusive"#]],
    );
    check(
        "apps",
        "deployments",
        deployment(json!([
            {"name": "a", "image": "x", "volumeMounts": [{"name": "v", "mountPath": "/d"}],
             "resources": {"requests": {"cpu": "2"}, "limits": {"cpu": "1"}}, "env": [{"name": "A="}]},
            {"name": "a", "image": "x", "imagePullPolicy": "Sometimes", "livenessProbe": {}}
        ])),
        expect![[r#"
            spec.template.spec.containers[0].env[0].name: Invalid value: "A=": a valid environment variable name must consist only of printable ASCII characters other than '='
            spec.template.spec.containers[0].volumeMounts[0].name: Not found: "v"
            spec.template.spec.containers[0].resources.requests: Invalid value: "2": must be less than or equal to cpu limit of 1
            spec.template.spec.containers[1].name: Duplicate value: "a"
            spec.template.spec.containers[1].imagePullPolicy: Unsupported value: "Sometimes": supported values: "Always", "IfNotPresent", "Never"
            spec.template.spec.containers[1].livenessProbe: Required value: must specify a handler type"#]],
    );
}

#[test]
fn selectors() {
    check(
        "apps",
        "deployments",
        json!({"spec": {"selector": {"matchLabels": {"app": "y"}}, "template": {
            "metadata": {"labels": {"app": "x"}}, "spec": {"restartPolicy": "Never", "containers": [{"name": "a", "image": "x"}]}}}}),
        expect![[r#"
            spec.template.metadata.labels: Invalid value: {"app":"x"}: `selector` does not match template `labels`
            spec.template.spec.restartPolicy: Unsupported value: "Never": supported values: "Always""#]],
    );
    check_update(
        "apps",
        "deployments",
        deployment(json!([{"name": "a", "image": "x"}])),
        |new| {
            new["spec"]["selector"]["matchLabels"]["b"] = "c".into();
            new["spec"]["template"]["metadata"]["labels"]["b"] = "c".into();
        },
        expect![[r#"spec.selector: Invalid value: {"matchLabels":{"app":"x","b":"c"}}: field is immutable"#]],
    );
}

#[test]
fn metadata() {
    check(
        "",
        "configmaps",
        json!({"metadata": {"name": "Bad_Name", "labels": {"a b": "c d"}}}),
        expect![[r#"
        metadata.name: Invalid value: "Bad_Name": a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')
        metadata.namespace: Required value
        metadata.labels: Invalid value: "a b": name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')
        metadata.labels: Invalid value: "c d": a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')"#]],
    );
    check(
        "",
        "configmaps",
        json!({"metadata": {"namespace": "d"}, "data": {"a/b": "c"}}),
        expect![[r#"
        metadata.name: Required value: name or generateName is required
        data[a/b]: Invalid value: "a/b": a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  or 'KEY_NAME',  or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')"#]],
    );
    check(
        "",
        "namespaces",
        json!({"metadata": {"name": "a.b", "namespace": "c"}}),
        expect![[r#"
        metadata.name: Invalid value: "a.b": a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')
        metadata.namespace: Forbidden: not allowed on this type"#]],
    );
}

#[test]
fn services() {
    check(
        "",
        "services",
        json!({"spec": {"ports": [{"port": 80}, {"port": 80}]}}),
        expect![[r#"
        spec.ports[0].name: Required value
        spec.ports[1].name: Required value
        spec.ports[1]: Duplicate value: {"port":80,"protocol":"TCP","targetPort":80}"#]],
    );
    check(
        "",
        "services",
        json!({"spec": {"type": "Weird", "ports": [{"port": 0}]}}),
        expect![[r#"
        spec.type: Unsupported value: "Weird": supported values: "ClusterIP", "ExternalName", "LoadBalancer", "NodePort"
        spec.ports[0].port: Invalid value: 0: must be between 1 and 65535, inclusive
        spec.ports[0].targetPort: Invalid value: 0: must be between 1 and 65535, inclusive"#]],
    );
    check_update(
        "",
        "services",
        json!({"spec": {"clusterIP": "10.0.0.1", "ports": [{"port": 80}]}}),
        |new| new["spec"]["clusterIP"] = "10.0.0.2".into(),
        expect![[r#"spec.clusterIP: Invalid value: "10.0.0.2": may not change once set"#]],
    );
}

#[test]
fn ingresses() {
    let rule = |path: Value| json!({"spec": {"rules": [{"host": "a.localhost", "http": {"paths": [path]}}]}});
    let backend = json!({"service": {"name": "web", "port": {"number": 80}}});
    check(
        "networking.k8s.io",
        "ingresses",
        rule(json!({"path": "/", "pathType": "Prefix", "backend": backend})),
        expect![""],
    );
    check(
        "networking.k8s.io",
        "ingresses",
        rule(json!({"path": "x", "backend": {}})),
        expect![[r#"
        spec.rules[0].http.paths[0].pathType: Required value: pathType must be specified
        spec.rules[0].http.paths[0].path: Invalid value: "x": must be an absolute path
        spec.rules[0].http.paths[0].backend: Required value: resource or service backend is required"#]],
    );
}

#[test]
fn claims() {
    check(
        "",
        "persistentvolumeclaims",
        json!({"spec": {}}),
        expect![[r#"
        spec.accessModes: Required value: at least 1 access mode is required
        spec.resources[storage]: Required value"#]],
    );
    let claim = json!({"spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "2Gi"}}},
                       "status": {"phase": "Bound"}});
    let resize =
        |to: &'static str| move |new: &mut Value| new["spec"]["resources"]["requests"]["storage"] = to.into();
    check_update("", "persistentvolumeclaims", claim.clone(), resize("3Gi"), expect![""]);
    check_update(
        "",
        "persistentvolumeclaims",
        claim,
        resize("1Gi"),
        expect!["spec.resources.requests.storage: Forbidden: field can not be less than previous value"],
    );
}

#[test]
fn pods_hardly_change() {
    let pod = json!({"spec": {"containers": [{"name": "a", "image": "x"}]}});
    check_update(
        "",
        "pods",
        pod.clone(),
        |new| new["spec"]["containers"][0]["image"] = "y".into(),
        expect![""],
    );
    check_update(
        "",
        "pods",
        pod,
        |new| new["spec"]["hostNetwork"] = true.into(),
        expect![
            "spec: Forbidden: pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)"
        ],
    );
}

#[test]
fn jobs_and_schedules() {
    let pod = json!({"spec": {"restartPolicy": "Always", "containers": [{"name": "a", "image": "x"}]}});
    check(
        "batch",
        "cronjobs",
        json!({"spec": {"schedule": "* * 99 * *", "jobTemplate": {"spec": {"template": pod}}}}),
        expect![[r#"
        spec.schedule: Invalid value: "* * 99 * *": failed to parse 99: values are from 1 to 31
        spec.jobTemplate.spec.template.spec.restartPolicy: Required value: valid values: "OnFailure", "Never""#]],
    );
}

#[test]
fn roles() {
    check(
        "rbac.authorization.k8s.io",
        "roles",
        json!({"rules": [{"verbs": []}]}),
        expect![[r#"
        rules[0].verbs: Required value: verbs must contain at least one value
        rules[0].apiGroups: Required value: resource rules must supply at least one api group
        rules[0].resources: Required value: resource rules must supply at least one resource"#]],
    );
    let binding = json!({"roleRef": {"kind": "Rolle", "name": ""}, "subjects": [{"kind": "ServiceAccount", "name": "a"}]});
    check(
        "rbac.authorization.k8s.io",
        "rolebindings",
        binding,
        expect![[r#"
        roleRef.kind: Unsupported value: "Rolle": supported values: "ClusterRole", "Role"
        roleRef.name: Required value
        subjects[0].namespace: Required value"#]],
    );
}

#[test]
fn a_config_map_is_checked_in_microseconds() {
    let resource = by_plural("", "v1", "configmaps").expect("built in");
    let object = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "x", "namespace": "d"}, "data": {"a": "b".repeat(1000)}});
    let rounds = 2000;
    let start = std::time::Instant::now();
    for _ in 0..rounds {
        let mut copy = object.clone();
        resource.decode(&mut copy, crate::decode::FieldValidation::Strict).expect("decodes");
        resource.default(&mut copy);
        resource.prepare_create(&mut copy);
        assert!(resource.validate_create(&copy).is_empty());
    }
    // Generous: an unoptimised build on a busy machine.
    assert!(start.elapsed().as_micros() / rounds < 500, "{:?} each", start.elapsed() / 2000);
}
