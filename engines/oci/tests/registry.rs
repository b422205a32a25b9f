//! Pulling from a real registry, and from one that misbehaves.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test stops at the first surprise")]

mod support;

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use expect_test::{Expect, expect};
use oci_client::secrets::RegistryAuth;
use sealos_oci::progress::LayerState;
use sealos_oci::{Credentials, Error, Image, Images, Progress, PullOptions, Reference, Source, Stack};
use serde_json::json;
use support::fake::Fake;
use support::image::{TestImage, digest, tar};
use support::registry::{Registry, free_port};
use support::{Events, store};

fn name(text: &str) -> Reference {
    Reference::parse(text).unwrap()
}

async fn pull(images: &Images, text: &str) -> Result<Image, Error> {
    images.pull(&name(text), &PullOptions::default()).await
}

fn two_layers() -> TestImage {
    TestImage::new(&[
        &[("etc/low", "low"), ("etc/both", "old"), ("gone", "x")],
        &[("etc/both", "new"), (".wh.gone", ""), ("hello", "hi")],
    ])
}

fn read(image: &Image, path: &str) -> Option<String> {
    let content = Stack::new(image.layers.clone()).read(Path::new(path)).unwrap();
    content.map(|bytes| String::from_utf8(bytes).unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn images_are_pulled_by_tag_and_digest() {
    let registry = Registry::start(false);
    let pushed = two_layers();
    pushed.push(&registry.host, "team/app:1", &RegistryAuth::Anonymous).await;
    let (_dir, images) = store();
    let events = Events::default();
    let options = PullOptions { progress: events.sink(), ..PullOptions::default() };
    let tagged = name(&format!("{}/team/app:1", registry.host));
    let image = images.pull(&tagged, &options).await.unwrap();

    assert_eq!((image.digest.as_str(), image.source), (pushed.digest().as_str(), Source::Registry));
    assert_eq!(image.id, digest(&pushed.config));
    assert_eq!(read(&image, "etc/both").as_deref(), Some("new"));
    assert_eq!(read(&image, "etc/low").as_deref(), Some("low"));
    assert_eq!(read(&image, "gone"), None);
    assert_eq!(image.names, [tagged.to_string()]);
    let by_digest = tagged.at_digest(&pushed.digest()).unwrap();
    assert_eq!(images.find(&by_digest).unwrap().digest, image.digest);
    assert_eq!(images.find_id(&image.id[7..19]).unwrap().digest, image.digest);
    let ready = |state| {
        events.all().iter().filter(|e| matches!(e, Progress::Layer { state: s, .. } if *s == state)).count()
    };
    assert_eq!(ready(LayerState::Ready), 2);

    // The store is all there is: a new process finds the same, and a second pull fetches nothing.
    let reopened = Images::open(images.dir()).unwrap();
    assert_eq!(reopened.find(&tagged).unwrap().layers, image.layers);
    events.all().clear();
    reopened.pull(&by_digest, &options).await.unwrap();
    assert_eq!((ready(LayerState::Ready), ready(LayerState::Present)), (0, 2));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_store_is_noticed_and_mended() {
    let fake = Fake::start().await;
    let pushed = two_layers();
    fake.add("1", &pushed);
    let text = format!("{}/app:1", fake.host);
    let (_dir, images) = store();
    let image = pull(&images, &text).await.unwrap();
    let dir = images.dir().to_owned();
    drop(images);

    // What a crash in the middle of work leaves behind, and a lost layer.
    fs::create_dir_all(dir.join("tmp/half/tree/etc")).unwrap();
    fs::write(dir.join("tmp/blob"), "half").unwrap();
    fs::remove_dir_all(&image.layers[0]).unwrap();
    let images = Images::open(&dir).unwrap();
    assert_eq!(fs::read_dir(dir.join("tmp")).unwrap().count(), 0);
    assert!(images.find(&name(&text)).is_none());
    let again = pull(&images, &text).await.unwrap();
    assert_eq!(read(&again, "hello").as_deref(), Some("hi"));
    assert_eq!(fake.requests(&format!("/blobs/{}", digest(&pushed.layers[1]))), 1, "it was unpacked again");

    fs::write(dir.join("index.json"), "{").unwrap();
    let error = Images::open(&dir).unwrap_err().to_string();
    assert!(error.contains("index.json") && error.contains("move it away"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn passwords_are_asked_for_and_checked() {
    let registry = Registry::start(true);
    let auth = RegistryAuth::Basic("user".into(), "secret".into());
    two_layers().push(&registry.host, "app:1", &auth).await;
    let (_dir, images) = store();
    let text = format!("{}/app:1", registry.host);
    let with = async |user: &str, password: &str| {
        let mut credentials = Credentials::none();
        credentials.set(&registry.host, user, password);
        images.pull(&name(&text), &PullOptions { credentials, ..PullOptions::default() }).await
    };
    let check = |result: Result<Image, Error>, expected: Expect| {
        let error = result.unwrap_err();
        assert!(matches!(error, Error::Unauthorized { .. }), "{error:?}");
        expected.assert_eq(&error.to_string().replace(&registry.host, "HOST"));
    };
    check(
        pull(&images, &text).await,
        expect![
            "registry `HOST` refused access to `HOST/app:1`: it wants a user name and a password. Check that the image exists, and the user name and password"
        ],
    );
    check(
        with("user", "wrong").await,
        expect![
            "registry `HOST` refused access to `HOST/app:1`: the user name or the password is wrong, or may not read this image. Check that the image exists, and the user name and password"
        ],
    );
    assert!(images.list().is_empty());
    with("user", "secret").await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_there_is_said_plainly() {
    let registry = Registry::start(false);
    two_layers().push(&registry.host, "app:1", &RegistryAuth::Anonymous).await;
    let (_dir, images) = store();
    for missing in ["app:2", "nothing:1"] {
        let error = pull(&images, &format!("{}/{missing}", registry.host)).await.unwrap_err();
        assert!(matches!(error, Error::NotFound { .. }), "{error:?}");
        let host = &registry.host;
        let expected = format!(
            "image `{host}/{missing}` does not exist in registry `{host}`: check the name and the tag"
        );
        assert_eq!(error.to_string(), expected);
    }
    let error = pull(&images, "sealos.local/shop:1").await.unwrap_err();
    assert!(matches!(error, Error::NotFoundLocally { .. }), "{error:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn tampered_content_is_refused_and_not_kept() {
    let registry = Registry::start(false);
    let image = two_layers();
    image.push(&registry.host, "app:1", &RegistryAuth::Anonymous).await;
    let blob = registry.blob(&digest(&image.layers[1]));
    let mut bytes = fs::read(&blob).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    fs::write(&blob, bytes).unwrap();
    let (_dir, images) = store();
    let error = pull(&images, &format!("{}/app:1", registry.host)).await.unwrap_err();
    assert!(matches!(error, Error::DigestMismatch { .. }), "{error:?}");
    assert!(images.list().is_empty());
    let kept = images.dir().join("blobs/sha256").join(&digest(&image.layers[1])[7..]);
    assert!(!kept.exists());
    // The other layer may still be on its way to disk.
    let limit = Instant::now() + Duration::from_secs(10);
    while fs::read_dir(images.dir().join("tmp")).unwrap().count() > 0 {
        assert!(Instant::now() < limit, "work in progress stays behind");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_layer_that_is_not_what_the_configuration_says_is_refused() {
    let fake = Fake::start().await;
    let honest = two_layers();
    let mut config: serde_json::Value = serde_json::from_slice(&honest.config).unwrap();
    config["rootfs"]["diff_ids"][0] = json!(digest(b"something else"));
    let config = serde_json::to_vec(&config).unwrap();
    let mut manifest: serde_json::Value = serde_json::from_slice(&honest.manifest).unwrap();
    manifest["config"]["digest"] = json!(digest(&config));
    manifest["config"]["size"] = json!(config.len());
    fake.add("1", &TestImage { manifest: serde_json::to_vec(&manifest).unwrap(), config, ..honest });
    let (_dir, images) = store();
    let error = pull(&images, &format!("{}/app:1", fake.host)).await.unwrap_err();
    assert!(matches!(error, Error::DigestMismatch { .. }), "{error:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn layers_that_climb_out_are_refused() {
    let mut evil = tar(&[("placeholder-long-enough", "x")]);
    let climbing = b"../../../../tmp/sealos-evil";
    evil[..100].fill(0);
    evil[..climbing.len()].copy_from_slice(climbing);
    evil[148..156].fill(b' ');
    let sum: u32 = evil[..512].iter().map(|b| u32::from(*b)).sum();
    evil[148..155].copy_from_slice(format!("{sum:06o}\0").as_bytes());
    let fake = Fake::start().await;
    fake.add("1", &TestImage::from_tars(&[evil]));
    let (_dir, images) = store();
    let error = pull(&images, &format!("{}/app:1", fake.host)).await.unwrap_err();
    let expected =
        "the archive was refused: entry `../../../../tmp/sealos-evil` climbs out of the archive's root";
    assert_eq!(error.to_string(), expected);
    assert!(!Path::new("/tmp/sealos-evil").exists());
    assert_eq!(fs::read_dir(images.dir().join("layers")).unwrap().count(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn unreachable_registries_are_given_up_within_seconds() {
    let (_dir, images) = store();
    let begin = Instant::now();
    let host = format!("127.0.0.1:{}", free_port());
    let error = pull(&images, &format!("{host}/app:1")).await.unwrap_err().to_string();
    assert!(error.starts_with(&format!("registry `{host}` cannot be reached: ")), "{error}");
    assert!(error.contains("refused"), "{error}");
    assert!(begin.elapsed() < Duration::from_secs(5));

    let error = pull(&images, "no-such-host.invalid/app:1").await.unwrap_err();
    assert!(matches!(error, Error::Unreachable { .. }), "{error:?}");

    let fake = Fake::start().await;
    fake.be_silent();
    let begin = Instant::now();
    let error = pull(&images, &format!("{}/app:1", fake.host)).await.unwrap_err();
    assert!(matches!(error, Error::Unreachable { .. }), "{error:?}");
    assert!(begin.elapsed() < Duration::from_secs(15));
}

#[tokio::test(flavor = "multi_thread")]
async fn mirrors_are_asked_first_and_failing_ones_are_skipped() {
    let fake = Fake::start().await;
    let image = two_layers();
    fake.add("1", &image);
    let (_dir, images) = store();
    let dead = format!("127.0.0.1:{}", free_port());
    let mirrors = [("hub.invalid".to_owned(), vec![dead, format!("http://{}", fake.host)])].into();
    let events = Events::default();
    let options = PullOptions { mirrors, progress: events.sink(), ..PullOptions::default() };
    let pulled = images.pull(&name("hub.invalid/team/app:1"), &options).await.unwrap();
    assert_eq!(pulled.names, ["hub.invalid/team/app:1"]);
    assert_eq!(fake.requests("/v2/team/app/manifests/1?ns=hub.invalid"), 1);
    let notes = events
        .all()
        .iter()
        .filter(|e| matches!(e, Progress::Note { text } if text.contains("was of no help")))
        .count();
    assert_eq!(notes, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn token_registries_work() {
    let fake = Fake::start().await;
    fake.add("1", &two_layers());
    fake.want_token();
    let (_dir, images) = store();
    let text = format!("{}/app:1", fake.host);
    let error = pull(&images, &text).await.unwrap_err();
    assert!(matches!(error, Error::Unauthorized { .. }), "{error:?}");
    let json = json!({"auths": {&fake.host: {"username": "user", "password": "secret"}}});
    let credentials = Credentials::from_docker_config(json.to_string().as_bytes()).unwrap();
    images.pull(&name(&text), &PullOptions { credentials, ..PullOptions::default() }).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn passing_faults_are_survived() {
    let fake = Fake::start().await;
    fake.add("1", &two_layers());
    fake.fail_blobs(2);
    let (_dir, images) = store();
    pull(&images, &format!("{}/app:1", fake.host)).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_platform_of_this_machine_is_chosen() {
    let fake = Fake::start().await;
    let image = two_layers();
    fake.add("1", &image);
    let here = if cfg!(target_arch = "x86_64") { "amd64" } else { "arm64" };
    let entry = |os: &str, arch: &str, of: &str| json!({"mediaType": support::image::MANIFEST, "digest": of, "size": 1, "platform": {"os": os, "architecture": arch}});
    let other = digest(b"other");
    let index = |entries: Vec<serde_json::Value>| json!({"schemaVersion": 2, "manifests": entries});
    fake.add_index(
        "multi",
        &index(vec![
            entry("unknown", "unknown", &other),
            entry("linux", "s390x", &other),
            entry("linux", here, &image.digest()),
        ]),
    );
    fake.add_index("foreign", &index(vec![entry("linux", "s390x", &other), entry("windows", here, &other)]));
    let (_dir, images) = store();
    assert_eq!(pull(&images, &format!("{}/app:multi", fake.host)).await.unwrap().digest, image.digest());
    let error = pull(&images, &format!("{}/app:foreign", fake.host)).await.unwrap_err().to_string();
    let expected = format!(
        "image `{}/app:foreign` has no variant for linux/{here}: it is made for linux/s390x, windows/{here}",
        fake.host
    );
    assert_eq!(error, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn concurrent_pulls_share_one_download() {
    let fake = Fake::start().await;
    let image = two_layers();
    fake.add("1", &image);
    fake.add("2", &image);
    let (_dir, images) = store();
    let pulls = (0..8).map(|i| {
        let (images, text) = (images.clone(), format!("{}/app{}:{}", fake.host, i % 4, 1 + i % 2));
        tokio::spawn(async move { pull(&images, &text).await.unwrap().digest })
    });
    for digest in futures::future::join_all(pulls).await {
        assert_eq!(digest.unwrap(), image.digest());
    }
    for layer in &image.layers {
        assert_eq!(fake.requests(&format!("/blobs/{}", digest(layer))), 1);
    }
}
