//! One database under test, through kubectl as a user would see it, and its processes as the host does.

use std::collections::BTreeSet;
use std::fs;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use sealos_tests::{Cloud, until};
use serde_json::Value;

use crate::client::Login;

/// How long creating may take, with the image built from packages.
const CREATE: Duration = Duration::from_secs(420);

/// One pod of a database.
#[derive(Debug)]
pub(crate) struct Member {
    pub(crate) name: String,
    pub(crate) role: String,
    ready: bool,
    started: String,
}

/// One database.
pub(crate) struct Database<'a> {
    cloud: &'a Cloud,
    name: String,
}

/// Process ids in the name, so that no other cloud on this machine has pods of the same.
fn unique(name: &str) -> String {
    format!("{name}{}", std::process::id())
}

impl<'a> Database<'a> {
    /// Creates a database and waits until all its pods have a role.
    pub(crate) fn create(cloud: &'a Cloud, name: &str, replicas: usize, sync: bool) -> Result<()> {
        let mode = if sync { "sync" } else { "async" };
        let name = unique(name);
        cloud.apply(&format!(
            r#"
apiVersion: apps.kubeblocks.io/v1alpha1
kind: Cluster
metadata:
  name: {name}
  annotations: {{databases.sealos.io/replication: {mode}}}
spec:
  clusterDefinitionRef: postgresql
  clusterVersionRef: postgresql-15.7.0
  terminationPolicy: WipeOut
  componentSpecs:
    - name: postgresql
      componentDefRef: postgresql
      replicas: {replicas}
      resources:
        limits: {{cpu: "1", memory: 512Mi}}
        requests: {{cpu: 50m, memory: 64Mi}}
      volumeClaimTemplates:
        - name: data
          spec: {{accessModes: [ReadWriteOnce], resources: {{requests: {{storage: 1Gi}}}}}}
"#
        ))?;
        Self { cloud, name }.settled(replicas, CREATE)
    }

    pub(crate) fn find(cloud: &'a Cloud, name: &str) -> Result<Self> {
        let name = unique(name);
        cloud.kubectl(&["get", "cluster", &name])?.ok()?;
        Ok(Self { cloud, name })
    }

    pub(crate) fn delete(&self) -> Result<()> {
        self.cloud.kubectl(&["delete", "cluster", &self.name, "--timeout=90s"])?.ok().map(drop)
    }

    fn json(&self, args: &[&str]) -> Result<Value> {
        let text = self.cloud.kubectl(&[args, &["-o", "json"]].concat())?.ok()?;
        serde_json::from_str(&text).context("read JSON")
    }

    pub(crate) fn pods(&self) -> Result<Vec<Member>> {
        let list = self.json(&["get", "pods", "-l", &format!("app.kubernetes.io/instance={}", self.name)])?;
        let text = |pod: &Value, pointer: &str| {
            pod.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned()
        };
        let member = |pod: &Value| Member {
            name: text(pod, "/metadata/name"),
            role: text(pod, "/metadata/labels/kubeblocks.io~1role"),
            ready: pod.pointer("/status/containerStatuses/0/ready").and_then(Value::as_bool) == Some(true)
                && pod.pointer("/metadata/deletionTimestamp").is_none(),
            started: text(pod, "/status/containerStatuses/0/state/running/startedAt"),
        };
        Ok(list["items"].as_array().into_iter().flatten().map(member).collect())
    }

    /// The pod that is called the primary.
    pub(crate) fn primary(&self) -> Result<String> {
        let leaders: Vec<_> = self.pods()?.into_iter().filter(|pod| pod.role == "primary").collect();
        ensure!(leaders.len() == 1, "one pod is to lead, not {leaders:?}");
        Ok(leaders.into_iter().map(|pod| pod.name).collect())
    }

    /// Waits until all pods are ready, one leads and the others follow.
    pub(crate) fn settled(&self, replicas: usize, limit: Duration) -> Result<()> {
        until(limit, || {
            let pods = self.pods()?;
            let with = |role: &str| pods.iter().filter(|pod| pod.ready && pod.role == role).count();
            let well = pods.len() == replicas && with("primary") == 1 && with("secondary") == replicas - 1;
            ensure!(well, "{pods:?}; {}", self.cluster_says());
            Ok(())
        })
    }

    fn cluster_says(&self) -> String {
        let cluster = self.json(&["get", "cluster", &self.name]).unwrap_or_default();
        cluster["status"].to_string()
    }

    /// Waits until no pod has started within the last seconds.
    pub(crate) fn steady(&self, limit: Duration) -> Result<()> {
        let begun: Vec<String> = self.pods()?.into_iter().map(|pod| pod.started).collect();
        let since = Instant::now();
        until(limit, || {
            let now: Vec<String> = self.pods()?.into_iter().map(|pod| pod.started).collect();
            ensure!(now == begun, "pods restart");
            ensure!(since.elapsed() > Duration::from_secs(6), "they have been up for {:?}", since.elapsed());
            Ok(())
        })
    }

    pub(crate) fn annotation(&self, name: &str) -> Result<String> {
        let cluster = self.json(&["get", "cluster", &self.name])?;
        let pointer = format!("/metadata/annotations/databases.sealos.io~1{name}");
        Ok(cluster.pointer(&pointer).and_then(Value::as_str).unwrap_or_default().to_owned())
    }

    pub(crate) fn switch_to(&self, pod: &str) -> Result<()> {
        let wish = format!("databases.sealos.io/switchover-to={pod}");
        self.cloud.kubectl(&["annotate", "cluster", &self.name, &wish, "--overwrite"])?.ok().map(drop)
    }

    pub(crate) fn login(&self) -> Result<Login> {
        let service = format!("{}-postgresql", self.name);
        let host = ["get", "service", &service, "-o", "jsonpath={.spec.clusterIP}"];
        let secret = format!("{}-conn-credential", self.name);
        let password = ["get", "secret", &secret, "-o", "go-template={{.data.password | base64decode}}"];
        Ok(Login { host: self.cloud.kubectl(&host)?.ok()?, password: self.cloud.kubectl(&password)?.ok()? })
    }

    /// Whether every acknowledged row is there.
    pub(crate) fn has_all(&self, acknowledged: &[u64]) -> Result<()> {
        let text = until(Duration::from_secs(30), || self.login()?.sql("select id from numbered"))?;
        let kept: BTreeSet<u64> = text.lines().filter_map(|line| line.parse().ok()).collect();
        let lost: Vec<_> = acknowledged.iter().filter(|id| !kept.contains(id)).collect();
        ensure!(
            lost.is_empty(),
            "{} of {} acknowledged rows are lost: {lost:?}",
            lost.len(),
            acknowledged.len()
        );
        ensure!(acknowledged.len() > 10, "the checker wrote only {} rows", acknowledged.len());
        Ok(())
    }

    /// Whether exactly one server takes writes, by what the servers say themselves.
    pub(crate) fn one_leads(&self, replicas: usize) -> Result<()> {
        let mut leaders = 0;
        let pods = self.pods()?;
        ensure!(pods.len() == replicas, "{pods:?}");
        for pod in pods {
            let ask = "psql -XAtq -h /var/run/postgresql -U postgres -c 'select pg_is_in_recovery()'";
            let follows = self.cloud.kubectl(&["exec", &pod.name, "--", "bash", "-c", ask])?.ok()?;
            leaders += usize::from(follows == "f");
        }
        ensure!(leaders == 1, "{leaders} servers take writes");
        Ok(())
    }

    /// Sends a signal to the first process of a pod's container; when that was.
    pub(crate) fn signal(&self, pod: &str, signal: Signal) -> Result<Instant> {
        let first = processes(pod)?.into_iter().find(|process| process.first);
        let first = first.with_context(|| format!("find the first process of {pod}"))?;
        kill(first.pid, signal).with_context(|| format!("signal {pod}"))?;
        Ok(Instant::now())
    }

    /// Sends a signal to all processes of a pod's container.
    pub(crate) fn signal_all(&self, pod: &str, signal: Signal) -> Result<Instant> {
        for process in processes(pod)? {
            // Some end by themselves in between.
            kill(process.pid, signal).ok();
        }
        Ok(Instant::now())
    }
}

struct Process {
    pid: Pid,
    /// Whether it is number 1 in its container.
    first: bool,
}

/// The host's view of the processes that have a pod's name in their environment.
fn processes(pod: &str) -> Result<Vec<Process>> {
    let mine = format!("POD_NAME={pod}");
    let look = |pid: i32| {
        let environment = fs::read(format!("/proc/{pid}/environ")).ok()?;
        environment.split(|byte| *byte == 0).find(|variable| *variable == mine.as_bytes())?;
        // The ids in each namespace from the host's inward (proc(5)).
        let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
        let ids: Vec<&str> =
            status.lines().find_map(|line| line.strip_prefix("NSpid:"))?.split_whitespace().collect();
        (ids.len() > 1).then(|| Process { pid: Pid::from_raw(pid), first: ids.last() == Some(&"1") })
    };
    let entries = fs::read_dir("/proc").context("list processes")?.flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    Ok(pids.filter_map(look).collect())
}
