//! Runs the steps of an image build in the node's own containers.

use async_trait::async_trait;
use sealos_container::{ContainerSpec, Error as RuntimeError, Mount, Namespace, Rootfs, Runtime, User};
use sealos_oci::build::{OutputSink, Run, RunStep};
use sealos_oci::progress::Stream;
use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};

use crate::pod::labels::BUILD;

/// Build steps as containers with the network of the host.
#[derive(Clone, Debug)]
pub struct BuildRunner {
    runtime: Runtime,
}

impl BuildRunner {
    pub fn new(runtime: Runtime) -> Self {
        Self { runtime }
    }

    async fn follow(&self, id: &str, output: &OutputSink) -> Result<i32, RuntimeError> {
        // Output comes as long as the session is held.
        let mut session = self.runtime.attach(id).await?;
        let (stdout, stderr) = (session.stdout.take(), session.stderr.take());
        let read = async {
            tokio::join!(pass_on(stdout, Stream::Stdout, output), pass_on(stderr, Stream::Stderr, output),)
        };
        let (_, exit) = tokio::join!(read, self.runtime.wait(id));
        exit.map(|exit| exit.code)
    }
}

#[async_trait]
impl Run for BuildRunner {
    async fn run(&self, step: RunStep) -> Result<i32, sealos_oci::Error> {
        let failed = |error: RuntimeError| sealos_oci::Error::Run(error.to_string());
        let id = format!("build-{:016x}", rand::random::<u64>());
        let removal = Removal { runtime: self.runtime.clone(), id: Some(id.clone()) };
        let output = step.output.clone();
        let spec = container(id.clone(), step);
        let code = match self.runtime.start(&spec).await {
            Ok(_) => self.follow(&id, &output).await.map_err(failed),
            // What a shell says of a command it cannot find is an answer of the step, not of ours.
            Err(RuntimeError::Start { failure, reason, .. }) => {
                output(Stream::Stderr, &reason);
                Ok(failure.into())
            }
            Err(error) => Err(failed(error)),
        };
        removal.now().await.map_err(failed)?;
        code
    }
}

fn container(id: String, step: RunStep) -> ContainerSpec {
    let rootfs = Rootfs::Overlay { lower: step.lower, upper: step.upper, work: step.work };
    let mut spec = ContainerSpec::new(id, rootfs, step.args);
    spec.env = step.env;
    spec.cwd = step.cwd;
    spec.user =
        User { uid: step.user.uid, gid: step.user.gid, additional_gids: step.user.groups, umask: None };
    spec.uts = Namespace::Host;
    let files = ["/etc/hosts", "/etc/resolv.conf"].into_iter();
    let present = files.filter(|file| std::path::Path::new(file).exists());
    spec.mounts = present.map(|file| Mount::bind(file, file).read_only()).collect();
    spec.hold_output = true;
    spec.labels.insert(BUILD.to_owned(), "true".to_owned());
    spec
}

/// Hands output on line by line.
async fn pass_on(stream: Option<impl AsyncRead + Unpin>, kind: Stream, output: &OutputSink) {
    let Some(stream) = stream else { return };
    let mut reader = BufReader::new(stream);
    let mut line = Vec::new();
    while matches!(reader.read_until(b'\n', &mut line).await, Ok(length) if length > 0) {
        let text = String::from_utf8_lossy(&line);
        output(kind, text.trim_end_matches(['\n', '\r']));
        line.clear();
    }
}

/// Removes a step's container, also when nobody waits for the step any more.
struct Removal {
    runtime: Runtime,
    id: Option<String>,
}

impl Removal {
    async fn now(mut self) -> Result<(), RuntimeError> {
        match self.id.take() {
            Some(id) => self.runtime.remove(&id).await,
            None => Ok(()),
        }
    }
}

impl Drop for Removal {
    fn drop(&mut self) {
        let Some(id) = self.id.take() else { return };
        let runtime = self.runtime.clone();
        tokio::spawn(async move {
            if let Err(error) = runtime.remove(&id).await {
                tracing::warn!(%id, %error, "remove an abandoned build step");
            }
        });
    }
}
