//! Archives from and for other tools: Skopeo copies them in every direction.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test stops at the first surprise")]

mod support;

use std::collections::HashSet;
use std::path::Path;
use std::process::Command;

use oci_client::secrets::RegistryAuth;
use sealos_oci::{Error, Image, Images, PullOptions, Reference, Stack};
use support::image::{TestImage, digest, tar};
use support::registry::Registry;
use support::{ensure, store};

const SKOPEO: &str = "/usr/bin/skopeo";

fn skopeo(args: &[&str]) -> String {
    ensure(SKOPEO, "skopeo");
    let output = Command::new(SKOPEO).arg("--insecure-policy").args(args).output().unwrap();
    assert!(output.status.success(), "skopeo {args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

async fn load(images: &Images, file: &Path) -> Result<Vec<Image>, Error> {
    images.load(tokio::fs::File::open(file).await.unwrap()).await
}

fn hello(image: &Image) -> Vec<u8> {
    Stack::new(image.layers.clone()).read(Path::new("hello")).unwrap().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn archives_go_to_and_come_from_other_tools() {
    let registry = Registry::start(false);
    // Gzip only: the Docker archive format of that age knows no zstd.
    let pushed = TestImage::new(&[&[("hello", "hi")]]);
    pushed.push(&registry.host, "team/app:1", &RegistryAuth::Anonymous).await;
    let (dir, images) = store();
    let reference = Reference::parse(&format!("{}/team/app:1", registry.host)).unwrap();
    let image = images.pull(&reference, &PullOptions::default()).await.unwrap();
    let path = |name: &str| dir.path().join(name).display().to_string();

    let saved = path("saved.tar");
    images
        .save(std::slice::from_ref(&reference), tokio::fs::File::create(&saved).await.unwrap())
        .await
        .unwrap();
    let inspected = skopeo(&["inspect", &format!("oci-archive:{saved}")]);
    assert!(inspected.contains(&pushed.digest()), "{inspected}");
    skopeo(&["inspect", &format!("docker-archive:{saved}")]);

    for (kind, name) in [("oci-archive", "oci.tar"), ("docker-archive", "docker.tar")] {
        let target = path(name);
        skopeo(&[
            "copy",
            &format!("docker-archive:{saved}"),
            &format!("{kind}:{target}:other.example/app:2"),
        ]);
        let (_other, fresh) = store();
        let loaded = load(&fresh, Path::new(&target)).await.unwrap();
        assert_eq!(loaded.len(), 1);
        assert_eq!(loaded[0].names, ["other.example/app:2"], "{kind}");
        assert_eq!(hello(&loaded[0]), b"hi");
        assert_eq!(loaded[0].config.rootfs(), image.config.rootfs());
    }

    // Compressed as a whole, as `docker save | gzip` gives it.
    assert!(Command::new("gzip").arg(&saved).status().unwrap().success());
    let (_other, fresh) = store();
    assert_eq!(load(&fresh, Path::new(&path("saved.tar.gz"))).await.unwrap()[0].digest, image.digest);
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_archives_are_refused() {
    let check = async |bytes: Vec<u8>, expected: &str| {
        let (dir, images) = store();
        let file = dir.path().join("x.tar");
        std::fs::write(&file, bytes).unwrap();
        let error = load(&images, &file).await.unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
        assert!(images.list().is_empty());
    };
    check(b"no archive at all".repeat(100), "it is not a tar archive, or a damaged one").await;
    check(tar(&[("readme", "x")]), "it is neither an OCI layout nor a `docker save` archive").await;
    let whole = tar(&[("index.json", r#"{"schemaVersion":2,"manifests":[]}"#)]);
    check(whole[..600].to_vec(), "").await;
    let lying = format!("blobs/sha256/{}", &digest(b"this")[7..]);
    check(tar(&[(&lying, "that")]), "is damaged or was tampered with").await;
    let dangling = r#"[{"Config":"c.json","RepoTags":["a:1"],"Layers":["../../etc/passwd"]}]"#;
    check(tar(&[("manifest.json", dangling), ("c.json", "{}")]), "climbs out of the archive's root").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn names_come_and_go_and_what_is_used_stays() {
    let registry = Registry::start(false);
    let (one, two) =
        (TestImage::new(&[&[("hello", "one")], &[("a", "a")]]), TestImage::new(&[&[("hello", "one")]]));
    one.push(&registry.host, "app:1", &RegistryAuth::Anonymous).await;
    two.push(&registry.host, "app:2", &RegistryAuth::Anonymous).await;
    let (_dir, images) = store();
    let name = |tag: &str| Reference::parse(&format!("{}/app:{tag}", registry.host)).unwrap();
    let first = images.pull(&name("1"), &PullOptions::default()).await.unwrap();
    let second = images.pull(&name("2"), &PullOptions::default()).await.unwrap();
    assert_eq!(first.layers[1], second.layers[0], "equal layers are one directory");

    let nobody = HashSet::new();
    let running = HashSet::from([first.digest.clone()]);
    let local = Reference::local("mine", "1").unwrap();
    images.tag(&first, &local).unwrap();
    assert_eq!(images.find(&local).unwrap().digest, first.digest);
    assert!(images.remove(&name("1"), &nobody).unwrap().images.is_empty(), "it has another name");
    assert!(matches!(images.remove(&local, &running), Err(Error::InUse { .. })));
    images.untag(&local).unwrap();
    assert!(images.find(&local).is_none() && images.find_id(&first.digest).is_some());
    assert!(images.prune(&running).unwrap().images.is_empty());
    assert_eq!(images.prune(&nobody).unwrap().images.len(), 1);
    assert!(!first.layers[0].exists() && first.layers[1].exists(), "the shared layer stays");
    assert_eq!(hello(&images.find(&name("2")).unwrap()), b"one");
    assert!(matches!(images.remove(&name("9"), &nobody), Err(Error::NotFound { .. })));
    images.prune_unused(&nobody).unwrap();
    assert!(images.list().is_empty());
    for dir in ["blobs/sha256", "layers"] {
        assert_eq!(std::fs::read_dir(images.dir().join(dir)).unwrap().count(), 0, "{dir}");
    }
}
