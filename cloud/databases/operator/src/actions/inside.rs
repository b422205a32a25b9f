//! What is asked of the engine itself, by its scripts.

use std::collections::BTreeMap;
use std::time::Duration;

use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;
use sealos_db_engines::{names, scripts};
use sealos_kit::exec::Target;
use serde_json::Value;

use super::view::{Answer, Metrics};
use super::{Databases, instance, wanted};
use crate::Error;
use crate::observe::{has_role, is_ready};

/// How long the small scripts may take.
const QUICK: Duration = Duration::from_secs(15);
/// How long a query of the console may take.
const QUERY: Duration = Duration::from_secs(60);

/// The path of a script.
pub(crate) fn script(name: &str) -> String {
    format!("{}/{name}", scripts::SCRIPTS_DIR)
}

impl Databases {
    /// The container of the primary.
    pub async fn primary(&self, name: &str) -> Result<Target, Error> {
        let wanted = wanted(&self.cluster(name).await?)?;
        let pods = self.all::<Pod>(&instance(name)).await?;
        let usable = pods.iter().find(|pod| is_ready(pod) && has_role(pod, names::PRIMARY));
        let pod = usable.ok_or_else(|| {
            Error::Conflict(format!(
                "database `{name}` has no primary that is ready; `sealos db status {name}` says why"
            ))
        })?;
        Ok(Target { namespace: self.workspace.clone(), pod: pod.name_any(), container: wanted.component })
    }

    /// The container of a certain pod of the database.
    pub async fn member(&self, name: &str, pod: &str) -> Result<Target, Error> {
        let wanted = wanted(&self.cluster(name).await?)?;
        let pods = self.all::<Pod>(&instance(name)).await?;
        if !pods.iter().any(|p| p.name_any() == pod) {
            let all: Vec<_> = pods.iter().map(ResourceExt::name_any).collect();
            return Err(Error::Conflict(format!(
                "database `{name}` has no pod `{pod}`; it has {}",
                if all.is_empty() { "none now".to_owned() } else { all.join(", ") }
            )));
        }
        Ok(Target { namespace: self.workspace.clone(), pod: pod.into(), container: wanted.component })
    }

    /// Numbers of each pod that answers, for charts.
    pub async fn metrics(&self, name: &str) -> Result<BTreeMap<String, Metrics>, Error> {
        let wanted = wanted(&self.cluster(name).await?)?;
        let pods = self.all::<Pod>(&instance(name)).await?;
        let asked = pods.iter().filter(|pod| is_ready(pod)).map(|pod| {
            let pod = pod.name_any();
            let target = Target {
                namespace: self.workspace.clone(),
                pod: pod.clone(),
                container: wanted.component.clone(),
            };
            async move { (pod, self.numbers(name, &target).await) }
        });
        let all = futures::future::join_all(asked).await;
        // A pod that does not answer just now has no numbers; its state is told elsewhere.
        Ok(all.into_iter().filter_map(|(pod, numbers)| Some((pod, numbers.ok()?))).collect())
    }

    async fn numbers(&self, name: &str, target: &Target) -> Result<Metrics, Error> {
        let Value::Object(all) = self.ask(name, target, "metrics.sh", &[], b"", QUICK).await? else {
            return Ok(Metrics::new());
        };
        Ok(all.into_iter().filter_map(|(key, value)| Some((key, value.as_f64()?))).collect())
    }

    /// The slowest statements that the primary knows.
    pub async fn slow(&self, name: &str) -> Result<Vec<Value>, Error> {
        let target = self.primary(name).await?;
        let answer = self.ask(name, &target, "slow.sh", &[], b"", QUICK).await?;
        Ok(answer.as_array().cloned().unwrap_or_default())
    }

    /// Runs statements (or commands) on the primary.
    pub async fn query(&self, name: &str, database: Option<&str>, text: &str) -> Result<Answer, Error> {
        let target = self.primary(name).await?;
        let args: Vec<_> = database.filter(|d| !d.is_empty()).into_iter().collect();
        let answer = self.ask(name, &target, "query.sh", &args, text.as_bytes(), QUERY).await?;
        serde_json::from_value(answer).map_err(|source| Error::Answer {
            script: "query.sh",
            name: name.into(),
            source,
        })
    }

    async fn ask(
        &self,
        name: &str,
        target: &Target,
        what: &'static str,
        args: &[&str],
        input: &[u8],
        limit: Duration,
    ) -> Result<Value, Error> {
        let path = script(what);
        let command: Vec<_> = std::iter::once(path.as_str()).chain(args.iter().copied()).collect();
        let out = target.ok(&self.client, &command, input, limit).await?;
        serde_json::from_slice(&out).map_err(|source| Error::Answer {
            script: what,
            name: name.into(),
            source,
        })
    }
}
