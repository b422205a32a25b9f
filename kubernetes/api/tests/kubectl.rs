//! The stock kubectl against the TLS port.

mod support;

use support::Cluster;

const EVERYTHING: &str = r#"
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, labels: {app: web}}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers: [{name: web, image: "nginx:1.27", ports: [{containerPort: 80}]}]
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {type: NodePort, selector: {app: web}, ports: [{port: 80}]}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: conf}
data: {a: "1"}
---
apiVersion: v1
kind: Secret
metadata: {name: key}
stringData: {p: hello}
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: web}
spec:
  rules:
  - host: web.localhost
    http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: web, port: {number: 80}}}}]}
---
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: db}
spec:
  serviceName: db
  selector: {matchLabels: {app: db}}
  template:
    metadata: {labels: {app: db}}
    spec: {containers: [{name: db, image: redis}]}
  volumeClaimTemplates:
  - metadata: {name: data}
    spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}
"#;

#[tokio::test(flavor = "multi_thread")]
async fn applies_changes_and_deletes() {
    let cluster = Cluster::start().await;
    let file = cluster.write("all.yaml", EVERYTHING);
    let created = cluster.kubectl(&["apply", "-f", &file]).await;
    assert_eq!(created.lines().filter(|line| line.ends_with("created")).count(), 6, "{created}");
    let again = cluster.kubectl(&["apply", "-f", &file]).await;
    // `stringData` and claim templates look different from what is stored, here as in any cluster.
    assert_eq!(again.lines().filter(|line| line.ends_with("unchanged")).count(), 4, "{again}");

    cluster.kubectl(&["scale", "deploy", "web", "--replicas", "3"]).await;
    cluster.kubectl(&["set", "image", "deploy/web", "web=nginx:1.28"]).await;
    cluster.kubectl(&["label", "deploy", "web", "tier=front"]).await;
    cluster.kubectl(&["patch", "deploy", "web", "--type", "json", "-p", r#"[{"op":"add","path":"/spec/paused","value":true},{"op":"add","path":"/metadata/annotations/x","value":"y"}]"#]).await;
    cluster.kubectl(&["patch", "deploy", "web", "-p", r#"{"spec":{"template":{"spec":{"containers":[{"name":"web","env":[{"name":"A","value":"b"}]}]}}}}"#]).await;
    let path = "{.spec.replicas} {.spec.template.spec.containers[*].image} {.metadata.labels.tier} {.metadata.generation}";
    let shown = cluster.kubectl(&["get", "deploy", "web", "-o", &format!("jsonpath={path}")]).await;
    assert_eq!(shown, "3 nginx:1.28 front 5");
    let wide = cluster.kubectl(&["get", "deploy,svc,sts,ing", "-l", "app=web", "-o", "wide"]).await;
    assert!(wide.contains("deployment.apps/web") && !wide.contains("statefulset"), "{wide}");
    let described = cluster.kubectl(&["describe", "svc", "web"]).await;
    assert!(described.contains("NodePort") && described.contains("10.96."), "{described}");
}

#[tokio::test(flavor = "multi_thread")]
async fn explains_what_is_wrong() {
    let cluster = Cluster::start().await;
    let file = cluster.write("typo.yaml", &EVERYTHING.replace("replicas: 2", "replicaz: 2"));
    let error = cluster.kubectl_fails(&["apply", "-f", &file]).await;
    assert!(error.contains(r#"unknown field "spec.replicaz""#), "{error}");
    let file = cluster.write("type.yaml", &EVERYTHING.replace("replicas: 2", "replicas: two"));
    let error = cluster.kubectl_fails(&["apply", "-f", &file]).await;
    assert!(error.contains("spec.replicas"), "{error}");
    let error = cluster.kubectl_fails(&["get", "pods", "nothing"]).await;
    assert_eq!(error.trim(), r#"Error from server (NotFound): pods "nothing" not found"#);
    let error = cluster.kubectl_fails(&["-n", "nowhere", "create", "cm", "x"]).await;
    assert!(error.contains(r#"namespaces "nowhere" not found"#), "{error}");
    let error = cluster.kubectl_fails(&["create", "ns", "Bad_Name"]).await;
    assert!(error.contains("is invalid: metadata.name"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn speaks_protobuf() {
    let cluster = Cluster::start().await;
    for command in [
        "create deployment d --image nginx --replicas 2 --port 80",
        "create cm c --from-literal a=b",
        "create secret generic s --from-literal a=b",
        "create job j --image busybox -- true",
        "create role r --verb get,list --resource pods",
        "create rolebinding rb --role r --user bob",
        "create sa robot",
        "create quota q --hard pods=10",
        "create pdb p --selector app=d --min-available 1",
        "create ingress i --rule example.com/*=d:80",
        "create priorityclass high --value 5",
        "create ns blue",
        "autoscale deploy d --max 3",
        "expose deploy d --port 80",
        "create token robot",
        "run one --image nginx",
    ] {
        cluster.kubectl(&command.split(' ').collect::<Vec<_>>()).await;
    }
    let path = "jsonpath={.spec.replicas} {.spec.template.spec.containers[0].ports[0].containerPort} {.spec.strategy.type}";
    assert_eq!(cluster.kubectl(&["get", "deploy", "d", "-o", path]).await, "2 80 RollingUpdate");
    assert_eq!(cluster.kubectl(&["get", "secret", "s", "-o", "jsonpath={.data.a}"]).await, "Yg==");
    assert_eq!(cluster.kubectl(&["auth", "can-i", "create", "pods"]).await.trim(), "yes");
    assert_eq!(cluster.kubectl(&["auth", "can-i", "list", "pods", "--as", "bob"]).await.trim(), "yes");
    let refused = cluster.kubectl_fails(&["auth", "can-i", "delete", "pods", "--as", "bob"]).await;
    assert_eq!(refused.trim(), "");
    let me = cluster.kubectl(&["auth", "whoami", "-o", "jsonpath={.status.userInfo.username}"]).await;
    assert_eq!(me, "kubernetes-admin");
}

#[tokio::test(flavor = "multi_thread")]
async fn takes_over_fields_by_apply() {
    let cluster = Cluster::start().await;
    let file = cluster
        .write("cm.yaml", "{apiVersion: v1, kind: ConfigMap, metadata: {name: m}, data: {a: '1', b: '2'}}");
    cluster.kubectl(&["apply", "--server-side", "--field-manager", "one", "-f", &file]).await;
    let file =
        cluster.write("cm2.yaml", "{apiVersion: v1, kind: ConfigMap, metadata: {name: m}, data: {a: '9'}}");
    let conflict =
        cluster.kubectl_fails(&["apply", "--server-side", "--field-manager", "two", "-f", &file]).await;
    assert!(conflict.contains(r#"conflict with "one": .data.a"#), "{conflict}");
    cluster
        .kubectl(&["apply", "--server-side", "--field-manager", "two", "--force-conflicts", "-f", &file])
        .await;
    let file = cluster.write("cm3.yaml", "{apiVersion: v1, kind: ConfigMap, metadata: {name: m}, data: {}}");
    cluster.kubectl(&["apply", "--server-side", "--field-manager", "one", "-f", &file]).await;
    assert_eq!(cluster.kubectl(&["get", "cm", "m", "-o", "jsonpath={.data}"]).await, r#"{"a":"9"}"#);
}

const DEFINITION: &str = r#"
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: widgets.example.com}
spec:
  group: example.com
  scope: Namespaced
  names: {plural: widgets, singular: widget, kind: Widget, shortNames: [wd]}
  versions:
  - name: v1
    served: true
    storage: true
    subresources: {status: {}, scale: {specReplicasPath: .spec.replicas, statusReplicasPath: .status.replicas}}
    additionalPrinterColumns: [{name: Size, type: integer, jsonPath: .spec.size}]
    schema: &schema
      openAPIV3Schema:
        type: object
        properties:
          spec: {type: object, required: [size], properties: {size: {type: integer, minimum: 1}, replicas: {type: integer, default: 2}}}
          status: {type: object, properties: {replicas: {type: integer}}}
  - name: v1beta1
    served: true
    storage: false
    schema: *schema
"#;

#[tokio::test(flavor = "multi_thread")]
async fn serves_custom_resources() {
    let cluster = Cluster::start().await;
    let definition = cluster.write("crd.yaml", DEFINITION);
    let widget = cluster
        .write("w.yaml", "{apiVersion: example.com/v1, kind: Widget, metadata: {name: w}, spec: {size: 3}}");
    cluster.kubectl(&["apply", "-f", &definition]).await;
    cluster
        .kubectl(&["wait", "--for", "condition=established", "crd/widgets.example.com", "--timeout", "5s"])
        .await;
    cluster.kubectl(&["apply", "-f", &widget]).await;
    let table = cluster.kubectl(&["get", "wd"]).await;
    assert_eq!(table.split_whitespace().collect::<Vec<_>>(), ["NAME", "SIZE", "w", "3"]);
    cluster.kubectl(&["scale", "widget", "w", "--replicas", "4"]).await;
    let old = cluster
        .kubectl(&[
            "get",
            "widgets.v1beta1.example.com",
            "w",
            "-o",
            "jsonpath={.apiVersion} {.spec.replicas}",
        ])
        .await;
    assert_eq!(old, "example.com/v1beta1 4");
    let bad = cluster.write(
        "bad.yaml",
        "{apiVersion: example.com/v1, kind: Widget, metadata: {name: x}, spec: {size: 0}}",
    );
    let error = cluster.kubectl_fails(&["apply", "-f", &bad]).await;
    assert!(error.contains("spec.size in body should be greater than or equal to 1"), "{error}");
    assert!(cluster.kubectl(&["explain", "widget.spec"]).await.contains("replicas"));
    cluster.kubectl(&["delete", "crd", "widgets.example.com", "--timeout", "10s"]).await;
    cluster.kubectl_fails(&["get", "wd"]).await;
    cluster.kubectl(&["apply", "-f", &definition]).await;
    assert_eq!(cluster.kubectl(&["get", "widgets"]).await, "", "its objects went with it");
}
