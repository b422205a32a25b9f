//! Building a base for real, from the mirror this machine uses.

use std::path::Path;
use std::sync::Arc;

use parking_lot::Mutex;

use super::*;
use crate::{Progress, Stack};

#[tokio::test(flavor = "multi_thread")]
async fn a_base_is_built_from_the_package_mirror_once() {
    let dir = tempfile::tempdir().unwrap();
    let images = Images::open(dir.path()).unwrap();
    let notes = Arc::new(Mutex::new(Vec::new()));
    let heard = notes.clone();
    let reporter = Reporter::new(Some(Arc::new(move |event| {
        if let Progress::Note { text } = event {
            heard.lock().push(text);
        }
    })));
    let why = Error::Unreachable { registry: "docker.io".into(), reason: "no route".into() };
    let (one, two) = ("debian:bookworm-slim", "debian:12-slim");
    let build = async |name: &str| {
        let reference = Reference::parse(name).unwrap();
        let base = Base::of(&reference).unwrap();
        super::build(&images, &reference, &base, &why, &reporter).await.unwrap()
    };
    let (first, second) = tokio::join!(build(one), build(two));
    assert_eq!(first.digest, second.digest);
    assert_eq!(first.source, Source::Packages);
    let built = notes.lock().iter().filter(|text| text.contains("was built from packages")).count();
    assert_eq!(built, 1, "{:?}", notes.lock());

    let stack = Stack::new(first.layers);
    let os = String::from_utf8(stack.read(Path::new("/etc/os-release")).unwrap().unwrap()).unwrap();
    assert!(os.contains("VERSION_CODENAME=bookworm"), "{os}");
    let dpkg = stack.read(Path::new("/etc/dpkg/dpkg.cfg.d/99mmdebstrap")).unwrap().unwrap();
    assert!(String::from_utf8(dpkg).unwrap().contains("path-exclude=/usr/share/man/*"));
    let sources = stack.find(Path::new("/etc/apt/sources.list.d")).unwrap();
    let lists = stack.list(&sources).unwrap().len();
    let main = stack.read(Path::new("/etc/apt/sources.list")).unwrap().unwrap_or_default();
    assert!(lists > 0 || !main.is_empty(), "apt-get works in the image");
    assert!(stack.find(Path::new("/usr/bin/apt-get")).unwrap().host().is_some());
    assert!(stack.find(Path::new("/dev/null")).unwrap().host().is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn images_of_programs_are_built_from_packages_once() {
    let dir = tempfile::tempdir().unwrap();
    let reference = Reference::parse("sealos.local/hello:1").unwrap();
    let finish =
        "hello -g finished > /etc/hello\n[ -z \"$(ls /usr/share/man)\" ] || ls /usr/share/man > /etc/man";
    {
        let images = Images::open(dir.path()).unwrap();
        let build = || images.from_packages(&reference, "bookworm", &["hello"], finish, None);
        let (first, second) = tokio::join!(build(), build());
        assert_eq!(first.unwrap().digest, second.unwrap().digest);
    }
    // After a restart it is still there: what is asked for now would fail if it were built again.
    let images = Images::open(dir.path()).unwrap();
    let again = images.from_packages(&reference, "no-such-suite", &["no-such-package"], "false", None);
    let stack = Stack::new(again.await.unwrap().layers);
    assert_eq!(stack.read(Path::new("/etc/hello")).unwrap().unwrap(), b"finished\n");
    assert!(
        stack.find(Path::new("/etc/man")).is_err()
            || stack.find(Path::new("/etc/man")).unwrap().host().is_none()
    );

    let missing = Reference::parse("sealos.local/missing:1").unwrap();
    let error = images.from_packages(&missing, "bookworm", &["no-such-package"], "", None).await.unwrap_err();
    assert!(error.to_string().contains("no-such-package"), "{error}");
    assert!(images.find(&missing).is_none());
    let foreign = Reference::parse("docker.io/library/hello:1").unwrap();
    assert!(images.from_packages(&foreign, "bookworm", &["hello"], "", None).await.is_err());
}
