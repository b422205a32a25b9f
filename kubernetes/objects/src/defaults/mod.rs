//! Defaults per kind: what Kubernetes fills in when a user leaves a field out.

mod autoscaler;
mod extension;
mod pod;
mod service;
mod storage;
mod workload;

use serde_json::{Map, Value};

use crate::resource::Resource;
use crate::value::fill_text;

pub(crate) use autoscaler::{to_v1 as autoscaler_to_v1, to_v2 as autoscaler_to_v2};

type Object = Map<String, Value>;

/// Fills the defaults of a built-in kind into `object`.
pub(crate) fn apply(resource: &Resource, object: &mut Value) {
    let Some(object) = object.as_object_mut() else { return };
    match (resource.group.as_ref(), resource.kind.as_ref()) {
        ("", kind) => core(kind, object),
        ("apps", "Deployment") => workload::deployment(object),
        ("apps", "ReplicaSet") => workload::replica_set(object),
        ("apps", "StatefulSet") => workload::stateful_set(object),
        ("apps", "DaemonSet") => workload::daemon_set(object),
        ("batch", "Job") => workload::job(object),
        ("batch", "CronJob") => workload::cron_job(object),
        ("autoscaling", _) => autoscaler::apply(&resource.version, object),
        ("networking.k8s.io", "IngressClass") => service::ingress_class(object),
        ("networking.k8s.io", "NetworkPolicy") => service::network_policy(object),
        ("discovery.k8s.io", "EndpointSlice") => service::endpoint_slice(object),
        ("rbac.authorization.k8s.io", kind) => access(kind, object),
        ("storage.k8s.io", kind) => storage::class(kind, object),
        ("scheduling.k8s.io", "PriorityClass") => {
            fill_text(object, "preemptionPolicy", "PreemptLowerPriority")
        }
        ("apiextensions.k8s.io", "CustomResourceDefinition") => extension::definition(object),
        ("admissionregistration.k8s.io", _) => extension::webhooks(object),
        ("apiregistration.k8s.io", "APIService") => extension::api_service(object),
        _ => {}
    }
}

fn core(kind: &str, object: &mut Object) {
    match kind {
        "Pod" => {
            if let Some(spec) = crate::value::child(object, "spec") {
                pod::spec(spec);
                pod::standalone(spec);
            }
        }
        "PodTemplate" => pod::template(object),
        "ReplicationController" => workload::replication_controller(object),
        "Service" => service::service(object),
        "Endpoints" => service::endpoints(object),
        "Secret" => secret(object),
        "Namespace" => namespace(object),
        "PersistentVolume" => storage::volume(object),
        "PersistentVolumeClaim" => storage::claim(object),
        "LimitRange" => storage::limit_range(object),
        _ => {}
    }
}

/// `stringData` is write-only: it lands in `data`, encoded.
fn secret(object: &mut Object) {
    use base64::Engine as _;
    fill_text(object, "type", "Opaque");
    let Some(Value::Object(plain)) = object.remove("stringData") else { return };
    let Some(data) = crate::value::child(object, "data") else { return };
    for (key, value) in plain {
        let encoded = base64::engine::general_purpose::STANDARD.encode(value.as_str().unwrap_or_default());
        data.insert(key, encoded.into());
    }
}

/// The label every namespace carries.
fn namespace(object: &mut Object) {
    let name = object.get("metadata").and_then(|meta| meta.get("name")).cloned();
    if let (Some(name), Some(meta)) = (name, crate::value::child(object, "metadata"))
        && let Some(labels) = crate::value::child(meta, "labels")
    {
        labels.insert("kubernetes.io/metadata.name".to_owned(), name);
    }
}

fn access(kind: &str, object: &mut Object) {
    const GROUP: &str = "rbac.authorization.k8s.io";
    if !kind.ends_with("Binding") {
        return;
    }
    if let Some(role) = crate::value::child_if(object, "roleRef") {
        fill_text(role, "apiGroup", GROUP);
    }
    for subject in crate::value::items_mut(object, "subjects") {
        let group = match subject.get("kind").and_then(Value::as_str) {
            Some("User" | "Group") => GROUP,
            _ => continue,
        };
        fill_text(subject, "apiGroup", group);
    }
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};
    use serde_json::json;

    use crate::catalogue::by_plural;

    fn check(group: &str, version: &str, plural: &str, mut object: serde_json::Value, expected: Expect) {
        let resource = by_plural(group, version, plural).expect("a built-in kind");
        resource.default(&mut object);
        expected.assert_eq(&serde_json::to_string_pretty(&object).unwrap_or_default());
        let once = object.clone();
        resource.default(&mut object);
        assert_eq!(object, once, "defaulting twice changes nothing more");
    }

    #[test]
    fn pods() {
        let pod = json!({"spec": {"containers": [{
            "name": "a", "image": "nginx", "ports": [{"containerPort": 80}],
            "livenessProbe": {"httpGet": {"port": 80}},
            "resources": {"limits": {"cpu": "1"}},
            "env": [{"name": "N", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}]
        }], "volumes": [{"name": "c", "configMap": {"name": "x"}}, {"name": "e"}]}});
        check(
            "",
            "v1",
            "pods",
            pod,
            expect![[r#"
            {
              "spec": {
                "containers": [
                  {
                    "env": [
                      {
                        "name": "N",
                        "valueFrom": {
                          "fieldRef": {
                            "apiVersion": "v1",
                            "fieldPath": "metadata.name"
                          }
                        }
                      }
                    ],
                    "image": "nginx",
                    "imagePullPolicy": "Always",
                    "livenessProbe": {
                      "failureThreshold": 3,
                      "httpGet": {
                        "path": "/",
                        "port": 80,
                        "scheme": "HTTP"
                      },
                      "periodSeconds": 10,
                      "successThreshold": 1,
                      "timeoutSeconds": 1
                    },
                    "name": "a",
                    "ports": [
                      {
                        "containerPort": 80,
                        "protocol": "TCP"
                      }
                    ],
                    "resources": {
                      "limits": {
                        "cpu": "1"
                      },
                      "requests": {
                        "cpu": "1"
                      }
                    },
                    "terminationMessagePath": "/dev/termination-log",
                    "terminationMessagePolicy": "File"
                  }
                ],
                "dnsPolicy": "ClusterFirst",
                "enableServiceLinks": true,
                "restartPolicy": "Always",
                "schedulerName": "default-scheduler",
                "securityContext": {},
                "terminationGracePeriodSeconds": 30,
                "volumes": [
                  {
                    "configMap": {
                      "defaultMode": 420,
                      "name": "x"
                    },
                    "name": "c"
                  },
                  {
                    "emptyDir": {},
                    "name": "e"
                  }
                ]
              }
            }"#]],
        );
    }

    #[test]
    fn deployments() {
        let deployment = json!({"spec": {
            "selector": {"matchLabels": {"a": "b"}},
            "template": {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": []}}
        }});
        check(
            "apps",
            "v1",
            "deployments",
            deployment,
            expect![[r#"
            {
              "spec": {
                "progressDeadlineSeconds": 600,
                "replicas": 1,
                "revisionHistoryLimit": 10,
                "selector": {
                  "matchLabels": {
                    "a": "b"
                  }
                },
                "strategy": {
                  "rollingUpdate": {
                    "maxSurge": "25%",
                    "maxUnavailable": "25%"
                  },
                  "type": "RollingUpdate"
                },
                "template": {
                  "metadata": {
                    "labels": {
                      "a": "b"
                    }
                  },
                  "spec": {
                    "containers": [],
                    "dnsPolicy": "ClusterFirst",
                    "restartPolicy": "Always",
                    "schedulerName": "default-scheduler",
                    "securityContext": {},
                    "terminationGracePeriodSeconds": 30
                  }
                }
              }
            }"#]],
        );
    }

    #[test]
    fn services() {
        check(
            "",
            "v1",
            "services",
            json!({"spec": {"ports": [{"port": 80}]}}),
            expect![[r#"
            {
              "spec": {
                "internalTrafficPolicy": "Cluster",
                "ports": [
                  {
                    "port": 80,
                    "protocol": "TCP",
                    "targetPort": 80
                  }
                ],
                "sessionAffinity": "None",
                "type": "ClusterIP"
              }
            }"#]],
        );
        check(
            "",
            "v1",
            "services",
            json!({"spec": {"type": "LoadBalancer", "ports": []}}),
            expect![[r#"
            {
              "spec": {
                "allocateLoadBalancerNodePorts": true,
                "externalTrafficPolicy": "Cluster",
                "internalTrafficPolicy": "Cluster",
                "ports": [],
                "sessionAffinity": "None",
                "type": "LoadBalancer"
              }
            }"#]],
        );
    }

    #[test]
    fn stateful_sets() {
        let set = json!({"spec": {"volumeClaimTemplates": [{"spec": {}}]}});
        check(
            "apps",
            "v1",
            "statefulsets",
            set,
            expect![[r#"
            {
              "spec": {
                "persistentVolumeClaimRetentionPolicy": {
                  "whenDeleted": "Retain",
                  "whenScaled": "Retain"
                },
                "podManagementPolicy": "OrderedReady",
                "replicas": 1,
                "revisionHistoryLimit": 10,
                "serviceName": "",
                "template": {
                  "spec": {
                    "dnsPolicy": "ClusterFirst",
                    "restartPolicy": "Always",
                    "schedulerName": "default-scheduler",
                    "securityContext": {},
                    "terminationGracePeriodSeconds": 30
                  }
                },
                "updateStrategy": {
                  "rollingUpdate": {
                    "partition": 0
                  },
                  "type": "RollingUpdate"
                },
                "volumeClaimTemplates": [
                  {
                    "apiVersion": "v1",
                    "kind": "PersistentVolumeClaim",
                    "spec": {
                      "resources": {},
                      "volumeMode": "Filesystem"
                    },
                    "status": {
                      "phase": "Pending"
                    }
                  }
                ]
              }
            }"#]],
        );
    }

    #[test]
    fn jobs() {
        let job = json!({"spec": {"template": {"spec": {"restartPolicy": "Never"}}}});
        check(
            "batch",
            "v1",
            "jobs",
            job,
            expect![[r#"
            {
              "metadata": {},
              "spec": {
                "backoffLimit": 6,
                "completionMode": "NonIndexed",
                "completions": 1,
                "manualSelector": false,
                "parallelism": 1,
                "podReplacementPolicy": "TerminatingOrFailed",
                "suspend": false,
                "template": {
                  "spec": {
                    "dnsPolicy": "ClusterFirst",
                    "restartPolicy": "Never",
                    "schedulerName": "default-scheduler",
                    "securityContext": {},
                    "terminationGracePeriodSeconds": 30
                  }
                }
              }
            }"#]],
        );
    }

    #[test]
    fn secrets() {
        check(
            "",
            "v1",
            "secrets",
            json!({"stringData": {"a": "b"}}),
            expect![[r#"
            {
              "data": {
                "a": "Yg=="
              },
              "type": "Opaque"
            }"#]],
        );
    }
}
