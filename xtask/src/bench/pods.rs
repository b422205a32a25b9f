//! How fast pods come and go, with the image present.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use bytes::Bytes;
use http_body_util::BodyExt as _;
use hyper::Method;
use serde_json::{Value, json};

use super::cloud::BenchCloud;
use super::connection::Target;
use super::report::{Report, percentile};

const IMAGE: &str = "sealos.local/bench/busybox:1";
const BUSYBOX: &str = "/bin/busybox";
/// A program that ends when it is told to, as servers do; otherwise the grace period is measured.
const OBEDIENT: &str = "trap 'exit 0' TERM; sleep 100000 & wait";
/// How many pods the Deployment has.
const REPLICAS: usize = 50;
/// How many single pods are started.
const PODS: usize = 11;

/// Measures single pods and a Deployment of 50.
pub(crate) async fn measure(cloud: &BenchCloud, target: &Target, report: &mut Report) -> Result<()> {
    image(cloud)?;
    let mut times = Vec::new();
    for i in 0..PODS {
        times.push(single(target, &format!("single-{i}")).await?);
    }
    times.sort_by(f64::total_cmp);
    let (p50, max) = (percentile(&times, 0.5), percentile(&times, 1.0));
    report.add("pod from creation to Ready", "", format!("median {p50:.0} ms, longest {max:.0} ms"));
    let begun = Instant::now();
    let replicas = format!("--replicas={REPLICAS}");
    let create = ["create", "deployment", "many", "--image", IMAGE, &replicas, "--", "sh", "-c", OBEDIENT];
    cloud.kubectl(&create)?;
    cloud.kubectl(&[
        "wait",
        "deploy/many",
        &format!("--for=jsonpath={{.status.availableReplicas}}={REPLICAS}"),
        "--timeout=300s",
    ])?;
    report.add("Deployment of 50 replicas to Available", "", seconds(begun));
    let begun = Instant::now();
    cloud.kubectl(&["delete", "deploy/many"])?;
    until_gone(target).await?;
    report.add("the same, deleted", "", seconds(begun));
    Ok(())
}

/// Asks until no pod is left; `kubectl wait` looks at one pod after another and takes seconds itself.
async fn until_gone(target: &Target) -> Result<()> {
    let mut connection = target.connect().await?;
    let path = "/api/v1/namespaces/default/pods?labelSelector=app%3Dmany&limit=1";
    loop {
        let list: Value = serde_json::from_slice(&connection.send(Method::GET, path, Bytes::new()).await?)?;
        if list["items"].as_array().is_none_or(Vec::is_empty) {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

fn seconds(begun: Instant) -> String {
    format!("{:.2} s", begun.elapsed().as_secs_f64())
}

fn image(cloud: &BenchCloud) -> Result<()> {
    ensure!(Path::new(BUSYBOX).exists(), "install busybox first: apt-get install busybox-static");
    let dir = cloud.scratch().join("image");
    std::fs::create_dir_all(&dir)?;
    std::fs::copy(BUSYBOX, dir.join("busybox")).context("copy busybox")?;
    let dockerfile =
        "FROM scratch\nCOPY busybox /bin/busybox\nRUN [\"/bin/busybox\", \"--install\", \"-s\", \"/bin\"]\n";
    std::fs::write(dir.join("Dockerfile"), dockerfile)?;
    cloud.sealos(&["build", &dir.display().to_string(), "--tag", IMAGE]).map(drop)
}

/// Milliseconds from the request that creates a pod to the event that says it is Ready.
async fn single(target: &Target, name: &str) -> Result<f64> {
    let path = "/api/v1/namespaces/default/pods";
    let mut watch = target.connect().await?;
    let watch_path = format!("{path}?watch=1&fieldSelector=metadata.name%3D{name}");
    let mut events = watch.open(Method::GET, &watch_path, Bytes::new()).await?.into_body();
    let pod = json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": { "name": name },
        "spec": { "terminationGracePeriodSeconds": 0, "containers": [
            { "name": "main", "image": IMAGE, "command": ["sleep", "100000"] }] },
    });
    let mut writer = target.connect().await?;
    let begun = Instant::now();
    writer.send(Method::POST, path, pod.to_string().into()).await?;
    let mut lines = Vec::new();
    loop {
        let frame = events.frame().await.context("the watch ended")??;
        lines.extend_from_slice(frame.data_ref().map_or(&[], |d| d));
        let took = begun.elapsed();
        while let Some(end) = lines.iter().position(|b| *b == b'\n') {
            let event: Value = serde_json::from_slice(&lines.drain(..=end).collect::<Vec<_>>())?;
            let conditions = event["object"]["status"]["conditions"].as_array();
            if conditions.is_some_and(|all| all.iter().any(|c| c["type"] == "Ready" && c["status"] == "True"))
            {
                writer.send(Method::DELETE, &format!("{path}/{name}"), Bytes::new()).await?;
                return Ok(took.as_secs_f64() * 1e3);
            }
        }
    }
}
