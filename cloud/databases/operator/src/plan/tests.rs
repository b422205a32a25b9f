//! Clusters as public templates and Sealos's own database page write them, and the objects they become.

use serde_json::{Value, json};

use super::{Facts, credentials, export, plan, revision};
use crate::model::Cluster;
use crate::wanted::Wanted;

fn cluster(yaml: &str) -> Cluster {
    let mut cluster: Cluster = serde_yaml_ng::from_str(yaml).expect("a Cluster");
    cluster.metadata.namespace = Some("ns-a".into());
    cluster.metadata.uid = Some("u-1".into());
    cluster
}

fn wanted(yaml: &str) -> Wanted {
    Wanted::of(&cluster(yaml)).expect("it can be had")
}

fn refused(yaml: &str) -> String {
    Wanted::of(&cluster(yaml)).expect_err("it cannot be had")
}

fn objects(wanted: &Wanted) -> Vec<Value> {
    plan(wanted, &Facts { image: "db:1".into(), note: None, replicas: wanted.replicas })
}

fn names(objects: &[Value]) -> Vec<String> {
    let text = |v: &Value| v.as_str().unwrap_or_default().to_owned();
    objects.iter().map(|o| format!("{} {}", text(&o["kind"]), text(&o["metadata"]["name"]))).collect()
}

const POSTGRES: &str = r"
metadata:
  name: shop-pg
  finalizers: [cluster.kubeblocks.io/finalizer]
  labels: { clusterdefinition.kubeblocks.io/name: postgresql, clusterversion.kubeblocks.io/name: postgresql-14.8.0 }
spec:
  affinity: { nodeLabels: {}, podAntiAffinity: Preferred, tenancy: SharedNode, topologyKeys: [] }
  clusterDefinitionRef: postgresql
  clusterVersionRef: postgresql-14.8.0
  terminationPolicy: Delete
  tolerations: [{ key: kb-data, operator: Equal, value: 'true', effect: NoSchedule }]
  componentSpecs:
    - componentDefRef: postgresql
      monitor: true
      name: postgresql
      replicas: 2
      resources: { limits: { cpu: 1000m, memory: 1024Mi }, requests: { cpu: 100m, memory: 102Mi } }
      serviceAccountName: shop-pg
      switchPolicy: { type: Noop }
      volumeClaimTemplates:
        - name: data
          spec: { accessModes: [ReadWriteOnce], resources: { requests: { storage: 3Gi } }, storageClassName: openebs-backup }
";

const REDIS: &str = r"
metadata: { name: cache }
spec:
  clusterDefinitionRef: redis
  topology: replication
  terminationPolicy: Delete
  componentSpecs:
    - { componentDef: redis-7, name: redis, serviceVersion: 7.2.7, replicas: 1,
        resources: { limits: { cpu: 500m, memory: 512Mi } },
        volumeClaimTemplates: [{ name: data, spec: { resources: { requests: { storage: 1Gi } } } }] }
    - { componentDef: redis-sentinel-7, name: redis-sentinel, serviceVersion: 7.2.7, replicas: 1 }
";

const MYSQL: &str = r"
metadata: { name: blog }
spec:
  clusterDefinitionRef: apecloud-mysql
  clusterVersionRef: ac-mysql-8.0.30-1
  componentSpecs: [{ componentDefRef: mysql, name: mysql, replicas: 1 }]
";

const MONGO: &str = r"
metadata: { name: docs }
spec:
  terminationPolicy: WipeOut
  componentSpecs: [{ componentDef: mongodb, name: mongodb, serviceVersion: 8.0.4, replicas: 1 }]
";

#[test]
fn a_postgresql_of_a_template_becomes_its_objects() {
    let wanted = wanted(POSTGRES);
    let objects = objects(&wanted);
    let expected = [
        "ConfigMap shop-pg-postgresql-scripts",
        "ConfigMap shop-pg-postgresql-config",
        "Service shop-pg-postgresql",
        "Service shop-pg-postgresql-headless",
        "StatefulSet shop-pg-postgresql",
    ];
    assert_eq!(names(&objects), expected);
    for object in &objects {
        let meta = &object["metadata"];
        assert_eq!(meta["labels"]["app.kubernetes.io/instance"], "shop-pg");
        assert_eq!(meta["labels"]["app.kubernetes.io/managed-by"], "kubeblocks");
        assert_eq!(meta["labels"]["apps.kubeblocks.io/component-name"], "postgresql");
        assert_eq!(meta["ownerReferences"][0]["uid"], "u-1");
    }
    assert_eq!(objects[2]["spec"]["selector"]["kubeblocks.io/role"], "primary");
    assert_eq!(objects[3]["spec"]["clusterIP"], "None");
    let spec = &objects[4]["spec"];
    assert_eq!(spec["podManagementPolicy"], "Parallel");
    assert_eq!(spec["replicas"], 2);
    assert_eq!(spec["volumeClaimTemplates"][0]["spec"]["storageClassName"], "openebs-backup");
    let pod = &spec["template"]["spec"];
    assert_eq!(pod["tolerations"][0]["key"], "kb-data");
    assert_eq!(pod["automountServiceAccountToken"], false);
    let term = &pod["affinity"]["podAntiAffinity"]["preferredDuringSchedulingIgnoredDuringExecution"][0];
    assert_eq!(term["podAffinityTerm"]["topologyKey"], "kubernetes.io/hostname");
    let container = &pod["containers"][0];
    assert_eq!(container["name"], "postgresql");
    assert_eq!(container["command"], json!(["/sealos/scripts/start.sh"]));
    assert_eq!(container["resources"]["requests"], json!({ "cpu": "100m", "memory": "102Mi" }));
}

#[test]
fn pods_are_told_what_their_scripts_read() {
    let wanted = wanted(POSTGRES);
    let objects = objects(&wanted);
    let env =
        objects[4]["spec"]["template"]["spec"]["containers"][0]["env"].as_array().cloned().expect("env");
    let of = |name: &str| env.iter().find(|e| e["name"] == name).cloned().unwrap_or_default();
    assert_eq!(of("ENGINE_VERSION")["value"], "14.8.0");
    assert_eq!(of("PRIMARY_HOST")["value"], "shop-pg-postgresql");
    assert_eq!(of("MEMORY_LIMIT")["value"], "1073741824");
    assert_eq!(of("REPLICATION_MODE")["value"], "async");
    assert_eq!(of("DB_PASSWORD")["valueFrom"]["secretKeyRef"]["name"], "shop-pg-conn-credential");
    assert_eq!(
        of("REPLICATION_PASSWORD")["valueFrom"]["secretKeyRef"]["name"],
        "shop-pg-postgresql-internal"
    );
    assert_eq!(of("RESTORE"), Value::Null);
}

#[test]
fn requests_are_a_tenth_where_none_are_given() {
    let redis = wanted(REDIS);
    assert_eq!((redis.requests.0.millis(), redis.requests.1.get()), (50, (512 << 20) / 10));
}

#[test]
fn a_redis_of_either_shape_has_both_names_and_needs_no_sentinel() {
    let wanted = wanted(REDIS);
    assert_eq!(wanted.idle, ["redis-sentinel"]);
    assert_eq!(wanted.version.number(), "7.2.7");
    let all = names(&objects(&wanted));
    for name in ["Service cache-redis", "Service cache-redis-redis", "StatefulSet cache-redis"] {
        assert!(all.iter().any(|n| n == name), "{name} in {all:?}");
    }
    let secrets = credentials(&wanted, "default", "pw");
    assert_eq!(secrets[1]["metadata"]["name"], "cache-redis-account-default");
}

#[test]
fn mysql_and_mongodb_are_read_from_their_own_shapes() {
    let mysql = wanted(MYSQL);
    assert_eq!((mysql.engine.name, mysql.version.number()), ("mysql", "8.0.30-1"));
    let mongo = wanted(MONGO);
    assert_eq!((mongo.engine.name, mongo.version.number()), ("mongodb", "8.0.4"));
    let secrets = credentials(&mongo, mongo.engine.user, "pw");
    assert_eq!(names(&secrets), ["Secret docs-conn-credential", "Secret docs-mongodb-account-root"]);
    let plain = wanted(
        r"{ metadata: { name: m }, spec: { clusterDefinitionRef: mariadb,
        componentSpecs: [{ name: mariadb, componentDefRef: mariadb }] } }",
    );
    assert_eq!((plain.engine.name, plain.replicas), ("mariadb", 1));
}

#[test]
fn credentials_have_every_key_that_clients_read() {
    let [full, _] = credentials(&wanted(POSTGRES), "postgres", "pw");
    let expected = json!({
        "username": "postgres", "password": "pw",
        "host": "shop-pg-postgresql", "port": "5432", "endpoint": "shop-pg-postgresql:5432",
        "headlessHost": "shop-pg-postgresql-0.shop-pg-postgresql-headless", "headlessPort": "5432",
        "headlessEndpoint": "shop-pg-postgresql-0.shop-pg-postgresql-headless:5432",
    });
    assert_eq!(full["stringData"], expected);
}

#[test]
fn the_way_in_selects_as_the_reference_does() {
    let service = export(&wanted(POSTGRES));
    assert_eq!(service["metadata"]["name"], "shop-pg-export");
    assert_eq!(
        service["spec"]["selector"],
        json!({ "app.kubernetes.io/instance": "shop-pg", "kubeblocks.io/role": "primary" })
    );
}

#[test]
fn what_cannot_be_had_is_named() {
    let of = |definition: &str, version: &str| {
        refused(&format!(
            "{{ metadata: {{ name: x }}, spec: {{ clusterDefinitionRef: {definition}, clusterVersionRef: {version},
                componentSpecs: [{{ name: x, componentDefRef: x }}] }} }}"
        ))
    };
    assert!(of("milvus", "milvus-2.4.5").contains("no database engine `milvus`"));
    assert!(of("postgresql", "postgresql-9.6.0").contains("no version"));
    let two = "{ metadata: { name: x }, spec: { clusterDefinitionRef: postgresql,
        componentSpecs: [{ name: a }, { name: b }] } }";
    assert!(refused(two).contains("a, b cannot be run together"));
    let small = POSTGRES.replace("memory: 1024Mi", "memory: 1Mi");
    assert!(refused(&small).contains("needs at least"));
    let parameter = POSTGRES.replace(
        "  name: shop-pg\n",
        "  name: shop-pg\n  annotations: { databases.sealos.io/parameters: '{\"work_mem\":\"much\"}' }\n",
    );
    assert!(refused(&parameter).contains("work_mem"));
}

#[test]
fn only_what_needs_a_restart_changes_the_revision() {
    let before = wanted(POSTGRES);
    let with = |line: &str| {
        let yaml =
            POSTGRES.replace("  name: shop-pg\n", &format!("  name: shop-pg\n  annotations: {line}\n"));
        revision(&wanted(&yaml), "db:1")
    };
    let same = revision(&before, "db:1");
    assert_eq!(same, with("{ databases.sealos.io/parameters: '{\"work_mem\":\"8MB\"}' }"));
    assert_eq!(
        same,
        with("{ kubeblocks.io/restore-from-backup: '{}' }"),
        "the end of a restore restarts nothing"
    );
    assert_ne!(same, with("{ databases.sealos.io/restarted-at: '2026-01-01T00:00:00Z' }"));
    assert_ne!(same, with("{ databases.sealos.io/replication: sync }"));
    assert_ne!(same, revision(&before, "db:2"));
}
