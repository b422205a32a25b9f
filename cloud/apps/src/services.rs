//! What an app may lean on: a managed database and a bucket. They are objects of their own kinds
//! (`apps.kubeblocks.io` Cluster, `objectstorage.sealos.io` ObjectStorageBucket), made beside the app and
//! tied to it by Secrets only. Pure: requests in, objects and variables out.

use sealos_kit::labels;
use sealos_kit::quantity::{Bytes, Cpu};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::app::App;
use crate::plan::Place;

/// The database of an app: an engine's name, or more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Database {
    /// The engine alone, as in `postgres`.
    Engine(String),
    /// The engine and more.
    Detailed(DatabaseDetails),
}

/// All that a database may be told.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub struct DatabaseDetails {
    /// `postgres`, `mysql`, `mariadb`, `redis` or `mongodb`.
    pub engine: String,
    /// Its own name; `<app>-db` if none is given. One that exists is used as it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The engine's version; the platform's default if none is given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// How many copies run; one of them takes writes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replicas: Option<u32>,
    /// The most CPU each copy may use.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpu: Option<Cpu>,
    /// The most memory each copy may use.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory: Option<Bytes>,
    /// How much each copy may store.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub storage: Option<Bytes>,
    /// `true` for a backup a night, or a cron expression.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub backup: Option<Backup>,
}

/// When a database is backed up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Backup {
    /// Every night, or never.
    Nightly(bool),
    /// By a cron expression, in UTC.
    Cron(String),
}

/// The bucket of an app: a name, or more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Bucket {
    /// The name alone; the bucket is private.
    Name(String),
    /// The name and more.
    Detailed(BucketDetails),
}

/// All that a bucket may be told.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub struct BucketDetails {
    /// The name.
    pub name: String,
    /// Who may read and write without a key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub policy: Option<Policy>,
}

/// Who may use a bucket without a key.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Policy {
    /// Nobody.
    #[default]
    Private,
    /// Everybody may read.
    PublicRead,
    /// Everybody may read and write.
    PublicReadwrite,
}

impl From<Database> for DatabaseDetails {
    fn from(database: Database) -> Self {
        match database {
            Database::Engine(engine) => Self { engine, ..Self::default() },
            Database::Detailed(details) => details,
        }
    }
}

impl From<Bucket> for BucketDetails {
    fn from(bucket: Bucket) -> Self {
        match bucket {
            Bucket::Name(name) => Self { name, ..Self::default() },
            Bucket::Detailed(details) => details,
        }
    }
}

/// What a client must know of an engine. The names are KubeBlocks'.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Engine {
    names: &'static [&'static str],
    definition: &'static str,
    component: &'static str,
    version_prefix: &'static str,
    scheme: &'static str,
    /// The database that is there from the beginning; a path of the URL.
    database: &'static str,
}

const ENGINES: [Engine; 5] = [
    Engine {
        names: &["postgres", "postgresql", "pg"],
        definition: "postgresql",
        component: "postgresql",
        version_prefix: "postgresql-",
        scheme: "postgresql",
        database: "postgres",
    },
    Engine {
        names: &["mysql"],
        definition: "mysql",
        component: "mysql",
        version_prefix: "mysql-",
        scheme: "mysql",
        database: "mysql",
    },
    Engine {
        names: &["mariadb"],
        definition: "mariadb",
        component: "mariadb",
        version_prefix: "mariadb-",
        scheme: "mysql",
        database: "mysql",
    },
    Engine {
        names: &["redis", "valkey"],
        definition: "redis",
        component: "redis",
        version_prefix: "redis-",
        scheme: "redis",
        database: "0",
    },
    Engine {
        names: &["mongodb", "mongo"],
        definition: "mongodb",
        component: "mongodb",
        version_prefix: "mongodb-",
        scheme: "mongodb",
        database: "admin",
    },
];

impl Engine {
    /// The engine that a person means.
    pub(crate) fn of(name: &str) -> Option<&'static Self> {
        ENGINES.iter().find(|engine| engine.names.contains(&name.to_ascii_lowercase().as_str()))
    }

    /// Their names, for messages.
    pub(crate) fn known() -> String {
        ENGINES.iter().filter_map(|engine| engine.names.first().copied()).collect::<Vec<_>>().join(", ")
    }
}

/// A checked database of an app.
#[derive(Debug, Clone)]
pub(crate) struct AppDatabase {
    pub(crate) engine: &'static Engine,
    pub(crate) name: String,
    pub(crate) asked: DatabaseDetails,
}

const DATABASE_VARIABLES: [&str; 6] =
    ["DATABASE_HOST", "DATABASE_PORT", "DATABASE_USER", "DATABASE_PASSWORD", "DATABASE_NAME", "DATABASE_URL"];
const BUCKET_VARIABLES: [&str; 8] = [
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "S3_BUCKET",
    "S3_HOST",
    "S3_PUBLIC_HOST",
    "AWS_ENDPOINT_URL_S3",
    "AWS_REGION",
    "AWS_DEFAULT_REGION",
];
const DEFAULT_CPU: Cpu = Cpu::from_millis(500);
const DEFAULT_MEMORY: Bytes = Bytes::new(512 << 20);
const DEFAULT_STORAGE: Bytes = Bytes::new(3 << 30);
const NIGHTLY: &str = "0 2 * * *";

impl AppDatabase {
    /// Whether a Cluster's definition is that of this engine.
    pub(crate) fn is_engine(&self, definition: &str) -> bool {
        definition == self.engine.definition
            || self.engine.names.contains(&definition)
            || (self.engine.definition == "mysql" && definition == "apecloud-mysql")
    }

    fn cluster(&self) -> Value {
        let engine = self.engine;
        let mut spec = json!({
            "clusterDefinitionRef": engine.definition,
            "terminationPolicy": "Delete",
            "componentSpecs": [self.component()],
        });
        if let Some(version) = &self.asked.version {
            spec["clusterVersionRef"] = json!(format!("{}{version}", engine.version_prefix));
        }
        let cron = match &self.asked.backup {
            Some(Backup::Cron(cron)) => Some(cron.as_str()),
            Some(Backup::Nightly(true)) => Some(NIGHTLY),
            Some(Backup::Nightly(false)) | None => None,
        };
        if let Some(cron) = cron {
            spec["backup"] = json!({ "enabled": true, "cronExpression": cron, "retentionPeriod": "7d", "pitrEnabled": true });
        }
        json!({
            "apiVersion": "apps.kubeblocks.io/v1alpha1", "kind": "Cluster",
            "metadata": { "name": self.name, "labels": { "clusterdefinition.kubeblocks.io/name": engine.definition } },
            "spec": spec,
        })
    }

    fn component(&self) -> Value {
        let (cpu, memory) =
            (self.asked.cpu.unwrap_or(DEFAULT_CPU), self.asked.memory.unwrap_or(DEFAULT_MEMORY));
        let storage = self.asked.storage.unwrap_or(DEFAULT_STORAGE);
        json!({
            "componentDefRef": self.engine.component,
            "name": self.engine.component,
            "replicas": self.asked.replicas.unwrap_or(1),
            "resources": {
                "limits": { "cpu": cpu, "memory": memory },
                "requests": { "cpu": Cpu::from_millis(cpu.millis() / 10), "memory": Bytes::new(memory.get() / 10) },
            },
            "volumeClaimTemplates": [{ "name": "data", "spec": {
                "accessModes": ["ReadWriteOnce"], "resources": { "requests": { "storage": storage } } } }],
        })
    }

    /// The variables by which the app finds it; later ones refer to earlier ones.
    fn variables(&self) -> Vec<Value> {
        let secret = format!("{}-conn-credential", self.name);
        let engine = self.engine;
        let url = format!(
            "{}://$(DATABASE_USER):$(DATABASE_PASSWORD)@$(DATABASE_HOST):$(DATABASE_PORT)/{}",
            engine.scheme, engine.database
        );
        vec![
            from_secret("DATABASE_HOST", &secret, "host"),
            from_secret("DATABASE_PORT", &secret, "port"),
            from_secret("DATABASE_USER", &secret, "username"),
            from_secret("DATABASE_PASSWORD", &secret, "password"),
            json!({ "name": "DATABASE_NAME", "value": engine.database }),
            json!({ "name": "DATABASE_URL", "value": url }),
        ]
    }
}

fn bucket_object(bucket: &BucketDetails) -> Value {
    json!({
        "apiVersion": "objectstorage.sealos.io/v1", "kind": "ObjectStorageBucket",
        "metadata": { "name": bucket.name },
        "spec": { "policy": bucket.policy.unwrap_or_default() },
    })
}

/// The Secret with the key of one bucket. A workspace `ns-abc` owns its buckets as `abc`.
pub(crate) fn bucket_secret(workspace: &str, bucket: &str) -> String {
    format!("object-storage-key-{}-{bucket}", workspace.strip_prefix("ns-").unwrap_or(workspace))
}

/// The names that the AWS SDKs and command line read by themselves, and two of ours.
fn bucket_variables(bucket: &BucketDetails, place: &Place) -> Vec<Value> {
    let secret = bucket_secret(&place.workspace, &bucket.name);
    vec![
        from_secret("AWS_ACCESS_KEY_ID", &secret, "accessKey"),
        from_secret("AWS_SECRET_ACCESS_KEY", &secret, "secretKey"),
        from_secret("S3_BUCKET", &secret, "bucket"),
        from_secret("S3_HOST", &secret, "internal"),
        from_secret("S3_PUBLIC_HOST", &secret, "external"),
        json!({ "name": "AWS_ENDPOINT_URL_S3", "value": "http://$(S3_HOST)" }),
        json!({ "name": "AWS_REGION", "value": "us-east-1" }),
        json!({ "name": "AWS_DEFAULT_REGION", "value": "us-east-1" }),
    ]
}

fn from_secret(name: &str, secret: &str, key: &str) -> Value {
    json!({ "name": name, "valueFrom": { "secretKeyRef": { "name": secret, "key": key } } })
}

/// The objects of the services that an app leans on.
pub(crate) fn services(app: &App) -> Vec<Value> {
    let database = app.database.as_ref().map(AppDatabase::cluster);
    let bucket = app.bucket.as_ref().map(bucket_object);
    database.into_iter().chain(bucket).collect()
}

/// The variables that lead the app to its services.
pub(crate) fn variables(app: &App, place: &Place) -> Vec<Value> {
    let database = app.database.iter().flat_map(AppDatabase::variables);
    let bucket = app.bucket.iter().flat_map(|bucket| bucket_variables(bucket, place));
    database.chain(bucket).collect()
}

/// The names of the variables that services give.
pub(crate) fn variable_names(database: Option<&Database>, bucket: Option<&Bucket>) -> Vec<&'static str> {
    let database = database.map_or(&[][..], |_| &DATABASE_VARIABLES);
    let bucket = bucket.map_or(&[][..], |_| &BUCKET_VARIABLES);
    database.iter().chain(bucket).copied().collect()
}

/// Annotations from which the request can be read back.
pub(crate) fn annotations(app: &App) -> Vec<(&'static str, String)> {
    let text = |value: Value| value.to_string();
    let database = app.database.as_ref().map(|d| (labels::DATABASE, text(json!(d.asked))));
    let bucket = app.bucket.as_ref().map(|b| (labels::BUCKET, text(json!(b))));
    database.into_iter().chain(bucket).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{BUCKET_VARIABLES, Bucket, DATABASE_VARIABLES, Database, variables};
    use crate::app::App;
    use crate::draft::Draft;
    use crate::plan::{Place, plan};

    fn place() -> Place {
        Place {
            workspace: "ns-abc".into(),
            domain: "localhost".into(),
            cert_secret: None,
            restart_time: "20260101000000".into(),
        }
    }

    fn shop(database: &str, bucket: &str) -> Draft {
        let read = |text: &str| serde_json::from_str::<Value>(text).expect("JSON");
        serde_json::from_value(json!({
            "name": "shop", "image": "shop:1", "port": 8000,
            "database": read(database), "bucket": read(bucket),
        }))
        .expect("a draft")
    }

    #[test]
    fn two_words_become_a_cluster_and_a_bucket() {
        let app = App::check(shop("\"postgres\"", "\"photos\"")).expect("checked");
        let plan = plan(&app, &place());
        let kinds: Vec<_> =
            plan.services.iter().map(|o| (o["kind"].as_str(), o["metadata"]["name"].as_str())).collect();
        assert_eq!(
            kinds,
            [(Some("Cluster"), Some("shop-db")), (Some("ObjectStorageBucket"), Some("photos"))]
        );
        let component = &plan.services[0]["spec"]["componentSpecs"][0];
        assert_eq!(component["componentDefRef"], "postgresql");
        assert_eq!(component["resources"]["requests"], json!({ "cpu": "50m", "memory": "53687091" }));
        let names: Vec<_> = variables(&app, &place())
            .iter()
            .map(|v| v["name"].as_str().unwrap_or_default().to_owned())
            .collect();
        let known: Vec<_> = DATABASE_VARIABLES.into_iter().chain(BUCKET_VARIABLES).collect();
        assert_eq!(names, known, "what is read back is what was written");
    }

    #[test]
    fn details_are_passed_on() {
        let database =
            r#"{"engine":"pg","name":"main","version":"16.4.0","replicas":3,"storage":"10Gi","backup":true}"#;
        let app = App::check(shop(database, r#"{"name":"photos","policy":"publicRead"}"#)).expect("checked");
        let services = plan(&app, &place()).services;
        assert_eq!(services[0]["metadata"]["name"], "main");
        assert_eq!(services[0]["spec"]["clusterVersionRef"], "postgresql-16.4.0");
        assert_eq!(services[0]["spec"]["backup"]["enabled"], true);
        assert_eq!(services[0]["spec"]["componentSpecs"][0]["replicas"], 3);
        assert_eq!(services[1]["spec"]["policy"], "publicRead");
    }

    #[test]
    fn an_own_variable_takes_the_place_of_a_linked_one() {
        let mut draft = shop("\"postgres\"", "\"photos\"");
        draft.env.insert("DATABASE_URL".into(), crate::draft::EnvValue::Text("mine".into()));
        let app = App::check(draft).expect("checked");
        let workload =
            plan(&app, &place()).objects.into_iter().find(|o| o["kind"] == "Deployment").expect("one");
        let env =
            workload["spec"]["template"]["spec"]["containers"][0]["env"].as_array().cloned().expect("env");
        let urls: Vec<_> = env.iter().filter(|v| v["name"] == "DATABASE_URL").collect();
        assert_eq!(urls, [&json!({ "name": "DATABASE_URL", "value": "mine" })]);
    }

    #[test]
    fn what_cannot_be_is_named() {
        let draft = shop(r#"{"engine":"oracle","replicas":0,"version":"new"}"#, "\"No Bucket\"");
        let problems = App::check(draft).expect_err("problems").0;
        let fields: Vec<_> = problems.iter().map(|p| p.field.as_str()).collect();
        assert_eq!(fields, ["database.replicas", "database.version", "database.engine", "bucket.name"]);
    }

    #[test]
    fn short_forms_stay_short() {
        let draft = shop("\"postgres\"", "\"photos\"");
        assert_eq!(draft.database, Some(Database::Engine("postgres".into())));
        assert_eq!(draft.bucket, Some(Bucket::Name("photos".into())));
    }
}
