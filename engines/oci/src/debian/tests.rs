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
