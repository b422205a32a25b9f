//! Taking a backup: out of a pod, through compression and seal, into the repository. Knows no Kubernetes.

use sealos_kit::exec::Target;

use crate::Error;
use crate::repo::{Manifest, Moved, Repo};
use crate::shell::Shell;

/// What is on its way between the script and the repository, in bytes.
const WINDOW: usize = 1 << 20;

/// Takes a backup. `manifest` says what it is of; `prefix` is where it goes. The backup is whole once this
/// returns well; before that, nothing counts as one.
pub(crate) async fn take(
    shell: &dyn Shell,
    repo: &Repo,
    source: &Target,
    manifest: Manifest,
    prefix: &str,
    moved: &Moved,
) -> Result<Manifest, Error> {
    // What an attempt before this one left.
    repo.remove(&manifest_path(prefix)).await?;
    let pending = pour(shell, repo, source, &["backup.sh"], &manifest.data, moved).await?;
    let manifest = manifest.with(pending.finish().await?);
    let manifest = Manifest { stopped_at: jiff::Timestamp::now().to_string(), ..manifest };
    if manifest.size == 0 {
        return Err(Error::Answer { script: "backup.sh", answer: String::new() });
    }
    manifest.write(repo, &manifest_path(prefix)).await?;
    Ok(manifest)
}

/// The object whose presence makes a backup whole.
pub(crate) fn manifest_path(prefix: &str) -> String {
    format!("{prefix}/manifest")
}

/// The object with the data.
pub(crate) fn data_path(prefix: &str) -> String {
    format!("{prefix}/data")
}

/// Streams what a script writes into an object, which becomes visible only if the script ends well.
pub(crate) async fn pour(
    shell: &dyn Shell,
    repo: &Repo,
    source: &Target,
    script: &[&str],
    path: &str,
    moved: &Moved,
) -> Result<crate::repo::Pending, Error> {
    let (read, write) = tokio::io::duplex(WINDOW);
    let script = shell.pour(source, script, Box::new(tokio::io::empty()), Box::new(write));
    let (script, stored) = tokio::join!(script, repo.write(path, read, moved));
    match (script, stored) {
        (Ok(()), Ok(pending)) => Ok(pending),
        // A store that fails breaks the script's pipe: the store's word counts.
        (_, Err(error)) => Err(error),
        (Err(error), Ok(pending)) => {
            pending.abort().await;
            Err(error)
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use object_store::memory::InMemory;
    use serde_json::json;

    use super::{data_path, manifest_path, take};
    use crate::format::Key;
    use crate::repo::{Manifest, Moved, Repo};
    use crate::shell::fake::{Fake, pod};

    fn manifest(prefix: &str) -> Manifest {
        serde_json::from_value(json!({
            "version": 1, "backup": "b", "namespace": "default", "cluster": "shop", "clusterUid": "u",
            "component": "postgresql", "engine": "postgresql", "engineVersion": "17", "method": "pg-basebackup",
            "startedAt": "", "stoppedAt": "", "data": data_path(prefix), "size": 0, "stored": 0, "sha256": "",
            "keyId": "", "clusterSnapshot": {},
        }))
        .expect("a manifest")
    }

    #[tokio::test]
    async fn a_backup_is_whole_only_if_its_script_ends_well() {
        let repo = Repo::new(Arc::new(InMemory::new()), Key::random());
        let shell = Fake::default();
        shell.says("backup.sh", &[vec![1; 3 << 20].as_slice()]);
        let moved = Moved::default();
        let done = take(&shell, &repo, &pod(), manifest("p"), "p", &moved).await.expect("it is taken");
        assert_eq!((done.size, moved.bytes()), (3 << 20, 3 << 20));
        assert_eq!(Manifest::read(&repo, &manifest_path("p")).await.expect("it is whole"), done);

        shell.fails("backup.sh", "disk is full");
        let error = take(&shell, &repo, &pod(), manifest("p"), "p", &moved).await.expect_err("it failed");
        assert!(error.to_string().contains("disk is full"), "{error}");
        assert!(Manifest::read(&repo, &manifest_path("p")).await.is_err(), "the former manifest is gone too");
    }

    #[tokio::test]
    async fn a_script_that_says_nothing_makes_no_backup() {
        let repo = Repo::new(Arc::new(InMemory::new()), Key::random());
        let shell = Fake::default();
        shell.says("backup.sh", &[]);
        let taken = take(&shell, &repo, &pod(), manifest("p"), "p", &Moved::default()).await;
        assert!(taken.is_err());
    }
}
