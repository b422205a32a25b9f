//! The engine's scripts, run in pods. A trait, so that tests bring scripts of their own.

use std::time::Duration;

use async_trait::async_trait;
use kube::Client;
use sealos_db_engines::scripts::SCRIPTS_DIR;
use sealos_kit::exec::{self, Target};
use tokio::io::{AsyncRead, AsyncWrite};

use crate::Error;

/// A stream to read.
pub(crate) type Source = Box<dyn AsyncRead + Send + Unpin>;
/// A stream to write.
pub(crate) type Sink = Box<dyn AsyncWrite + Send + Unpin>;

/// What runs scripts.
#[async_trait]
pub(crate) trait Shell: Send + Sync {
    /// Runs a script to its end and gives what it wrote.
    async fn run(&self, pod: &Target, script: &[&str], limit: Duration) -> Result<Vec<u8>, Error>;

    /// Runs a script with its streams connected; returns when it has ended well. As long as it takes.
    async fn pour(&self, pod: &Target, script: &[&str], input: Source, output: Sink) -> Result<(), Error>;
}

/// Runs them by the API's exec.
pub(crate) struct Exec(pub(crate) Client);

/// A script's path (a program with a path of its own keeps it) and its arguments.
fn command(script: &[&str]) -> Vec<String> {
    let name = script.first().copied().unwrap_or_default();
    let path = if name.starts_with('/') { name.to_owned() } else { format!("{SCRIPTS_DIR}/{name}") };
    std::iter::once(path).chain(script.iter().skip(1).map(|s| (*s).to_owned())).collect()
}

#[async_trait]
impl Shell for Exec {
    async fn run(&self, pod: &Target, script: &[&str], limit: Duration) -> Result<Vec<u8>, Error> {
        let command = command(script);
        let command: Vec<_> = command.iter().map(String::as_str).collect();
        Ok(pod.ok(&self.0, &command, b"", limit).await?)
    }

    async fn pour(
        &self,
        pod: &Target,
        script: &[&str],
        input: Source,
        mut output: Sink,
    ) -> Result<(), Error> {
        let command = command(script);
        let command: Vec<_> = command.iter().map(String::as_str).collect();
        let process = pod.start(&self.0, &command).await?;
        let (code, stderr) = pod.carry(&command, process, input, &mut output).await?;
        if code == 0 {
            return Ok(());
        }
        let program = command.first().copied().unwrap_or_default().to_owned();
        Err(exec::Error::Failed { program, pod: pod.pod.clone(), code, stderr }.into())
    }
}

#[cfg(test)]
pub(crate) mod fake {
    //! Scripts that say what a test wants, and a record of what they were given.

    use std::collections::HashMap;
    use std::sync::Mutex;
    use std::time::Duration;

    use async_trait::async_trait;
    use sealos_kit::exec::{self, Target};
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::{Shell, Sink, Source};
    use crate::Error;

    type Said = Result<Vec<Vec<u8>>, String>;

    /// Answers by script; a line of the record is the script with its arguments, and what it read.
    #[derive(Default)]
    pub(crate) struct Fake {
        answers: Mutex<HashMap<String, Said>>,
        record: Mutex<Vec<(String, Vec<u8>)>>,
    }

    /// Some pod.
    pub(crate) fn pod() -> Target {
        Target { namespace: "default".into(), pod: "shop-postgresql-0".into(), container: "db".into() }
    }

    impl Fake {
        pub(crate) fn says(&self, script: &str, pieces: &[&[u8]]) {
            let pieces = pieces.iter().map(|p| p.to_vec()).collect();
            self.answers.lock().expect("no test panicked").insert(script.into(), Ok(pieces));
        }

        pub(crate) fn fails(&self, script: &str, why: &str) {
            self.answers.lock().expect("no test panicked").insert(script.into(), Err(why.into()));
        }

        pub(crate) fn record(&self) -> Vec<(String, Vec<u8>)> {
            std::mem::take(&mut *self.record.lock().expect("no test panicked"))
        }

        fn answer(&self, script: &[&str]) -> Said {
            let answers = self.answers.lock().expect("no test panicked");
            let whole = answers.get(&script.join(" ")).or_else(|| answers.get(script[0]));
            whole.cloned().unwrap_or_else(|| Ok(Vec::new()))
        }

        fn done(&self, script: &[&str], read: Vec<u8>) {
            self.record.lock().expect("no test panicked").push((script.join(" "), read));
        }
    }

    fn failed(script: &[&str], stderr: String) -> Error {
        exec::Error::Failed { program: script.join(" "), pod: pod().pod, code: 1, stderr }.into()
    }

    #[async_trait]
    impl Shell for Fake {
        async fn run(&self, _: &Target, script: &[&str], _: Duration) -> Result<Vec<u8>, Error> {
            self.done(script, Vec::new());
            self.answer(script).map(|pieces| pieces.concat()).map_err(|why| failed(script, why))
        }

        async fn pour(
            &self,
            _: &Target,
            script: &[&str],
            mut from: Source,
            mut to: Sink,
        ) -> Result<(), Error> {
            let mut read = Vec::new();
            from.read_to_end(&mut read).await.map_err(|e| failed(script, e.to_string()))?;
            self.done(script, read);
            for piece in self.answer(script).map_err(|why| failed(script, why))? {
                to.write_all(&piece).await.map_err(|e| failed(script, e.to_string()))?;
            }
            to.shutdown().await.map_err(|e| failed(script, e.to_string()))
        }
    }
}
