//! Building real images: files are copied, steps run in a chroot, results are looked at and loaded again.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test stops at the first surprise")]

mod support;

use std::collections::HashSet;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;
use std::time::{Duration, Instant};

use sealos_oci::build::{Context, build};
use sealos_oci::{Error, Image, Images, Progress, Reference, Stack};
use support::{Chroot, Events, ensure, store};

const BUSYBOX: &str = "/bin/busybox";

struct Project {
    dir: tempfile::TempDir,
    _store: tempfile::TempDir,
    images: Images,
    events: Events,
}

impl Project {
    fn new(files: &[(&str, &str)]) -> Self {
        ensure(BUSYBOX, "busybox-static");
        let (store_dir, images) = store();
        let project =
            Self { dir: tempfile::tempdir().unwrap(), _store: store_dir, images, events: Events::default() };
        fs::copy(BUSYBOX, project.dir.path().join("busybox")).unwrap();
        for (name, content) in files {
            project.write(name, content);
        }
        project
    }

    fn write(&self, name: &str, content: &str) {
        let path = self.dir.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    fn context(&self) -> Context {
        Context {
            dir: self.dir.path().to_owned(),
            tag: Some(Reference::parse("sealos.local/test:1").unwrap()),
            ..Context::default()
        }
    }

    async fn build(&self) -> Result<Image, Error> {
        self.build_with(self.context()).await
    }

    async fn build_with(&self, context: Context) -> Result<Image, Error> {
        self.events.all().clear();
        let (images, events) = (self.images.clone(), self.events.clone());
        // In a task of its own, as a server does it.
        tokio::spawn(async move { build(&images, context, &Chroot, events.sink()).await }).await.unwrap()
    }
}

fn read(image: &Image, path: &str) -> String {
    let content = Stack::new(image.layers.clone()).read(Path::new(path)).unwrap();
    String::from_utf8(content.unwrap_or_else(|| panic!("no {path}"))).unwrap()
}

fn metadata(image: &Image, path: &str) -> fs::Metadata {
    let found = Stack::new(image.layers.clone()).find_link(Path::new(path)).unwrap();
    fs::symlink_metadata(found.host().unwrap_or_else(|| panic!("no {path}"))).unwrap()
}

fn exists(image: &Image, path: &str) -> bool {
    Stack::new(image.layers.clone()).find_link(Path::new(path)).unwrap().host().is_some()
}

const SHELL: &str = "FROM scratch AS shell\nCOPY busybox /bin/busybox\nSHELL [\"/bin/busybox\", \"sh\", \"-c\"]\n\
                     RUN /bin/busybox --install -s /bin\nSHELL [\"/bin/sh\", \"-ec\"]\n";

#[tokio::test(flavor = "multi_thread")]
async fn a_whole_dockerfile_is_built_and_cached() {
    let dockerfile = format!(
        "ARG GREETING=hello\n{SHELL}\
         RUN mkdir -p /data/old /etc && echo old > /data/old/file && echo keep > /data/keep && ln -s data /link\n\
         FROM shell AS unused\nRUN exit 1\n\
         FROM shell\nARG GREETING\nARG VERSION=1\nENV NAME=world PATH=/bin:/sbin\n\
         WORKDIR /srv/app\nCOPY . .\nCOPY --chown=7:8 --chmod=600 --from=shell /data/keep /link/copied\n\
         RUN echo \"$GREETING $NAME $VERSION\" > greeting && rm -r /data/old && mkdir /data/old && touch /data/old/new\n\
         COPY <<EOF /etc/motd\nto $NAME\nEOF\n\
         USER 7\nEXPOSE 8080 53/udp\nVOLUME /data\nLABEL a=\"b c\"\nSTOPSIGNAL SIGINT\n\
         ENTRYPOINT [\"/bin/sh\"]\nCMD [\"-c\", \"cat greeting\"]\n"
    );
    let project = Project::new(&[
        ("Dockerfile", &dockerfile),
        (".dockerignore", "secret*\n!secret.ok\n"),
        ("src/main.py", "print(1)"),
        ("secret.txt", "x"),
        ("secret.ok", "y"),
    ]);
    symlink("src/main.py", project.dir.path().join("main")).unwrap();
    fs::set_permissions(project.dir.path().join("src/main.py"), fs::Permissions::from_mode(0o751)).unwrap();
    let image = project.build().await.unwrap();

    assert_eq!(read(&image, "/srv/app/greeting"), "hello world 1\n");
    assert_eq!(read(&image, "/etc/motd"), "to world\n");
    assert_eq!(read(&image, "/data/copied"), "keep\n");
    let copied = metadata(&image, "/data/copied");
    assert_eq!((copied.uid(), copied.gid(), copied.mode() & 0o777), (7, 8, 0o600));
    assert_eq!(metadata(&image, "/srv/app/src/main.py").mode() & 0o777, 0o751);
    assert!(metadata(&image, "/srv/app/main").is_symlink());
    assert!(exists(&image, "/srv/app/secret.ok") && !exists(&image, "/srv/app/secret.txt"));
    assert!(exists(&image, "/data/old/new") && !exists(&image, "/data/old/file"));
    assert!(!exists(&image, "/proc/self") && metadata(&image, "/").mode() & 0o777 == 0o755);
    let config = serde_json::to_value(&image.config).unwrap();
    assert_eq!(config["config"]["WorkingDir"], "/srv/app");
    assert_eq!(config["config"]["Cmd"], serde_json::json!(["-c", "cat greeting"]));
    assert_eq!(config["config"]["ExposedPorts"], serde_json::json!({"8080/tcp": {}, "53/udp": {}}));
    assert_eq!(config["config"]["Labels"]["a"], "b c");
    assert_eq!(config["config"]["Env"], serde_json::json!(["NAME=world", "PATH=/bin:/sbin"]));
    assert_eq!(image.names, ["sealos.local/test:1"]);

    let begin = Instant::now();
    let again = project.build().await.unwrap();
    assert!(begin.elapsed() < Duration::from_secs(1), "took {:?}", begin.elapsed());
    assert_eq!(again.digest, image.digest);
    let (all, cached) = project.events.steps();
    assert_eq!(all - cached, 2, "only the two FROMs are not from the cache");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_cache_goes_by_content() {
    let dockerfile = format!(
        "{SHELL}ARG WHO=a\nCOPY app /app\nRUN cat /proc/sys/kernel/random/uuid > /stamp; echo $WHO >> /stamp\n"
    );
    let project = Project::new(&[("Dockerfile", &dockerfile), ("app/x", "1")]);
    let stamp = async |context: Context| read(&project.build_with(context).await.unwrap(), "/stamp");
    let first = stamp(project.context()).await;

    project.write("app/x", "1");
    project.write("other", "not copied");
    assert_eq!(stamp(project.context()).await, first, "same content, newer file");
    project.write("app/x", "2");
    let second = stamp(project.context()).await;
    assert_ne!(second, first, "other content");
    project.write("app/x", "1");
    assert_eq!(stamp(project.context()).await, first, "the first content again");
    let args = [("WHO".to_owned(), "b".to_owned())].into();
    assert_ne!(stamp(Context { args, ..project.context() }).await, first, "another argument");
    assert_ne!(stamp(Context { no_cache: true, ..project.context() }).await, first, "without the cache");
}

#[tokio::test(flavor = "multi_thread")]
async fn failing_steps_say_where_and_why() {
    let dockerfile = format!("{SHELL}\nRUN echo one; \\\n  echo two >&2; exit 3\n");
    let project = Project::new(&[("Dockerfile", &dockerfile)]);
    match project.build().await.unwrap_err() {
        Error::Step { file, line, code, last_lines, .. } => {
            assert_eq!((file.as_str(), line, code), ("Dockerfile", 7, 3));
            assert_eq!(last_lines.iter().collect::<HashSet<_>>().len(), 2, "{last_lines:?}");
        }
        other => panic!("{other}"),
    }
    let output =
        project.events.all().iter().any(|e| matches!(e, Progress::Output { text, .. } if text == "one"));
    assert!(output);
    assert!(project.images.list().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_change_twice_is_one_directory() {
    let steps = "COPY app /app\nRUN echo x >/x\nCOPY app /app\n";
    let project = Project::new(&[("Dockerfile", &format!("{SHELL}{steps}")), ("app/a", "1")]);
    let image = project.build().await.unwrap();
    let different: HashSet<_> = image.layers.iter().collect();
    assert_eq!(different.len(), image.layers.len(), "overlayfs refuses a directory given twice");
    assert_eq!(image.config.rootfs().diff_ids().len(), image.layers.len() + 1);
    assert_eq!((read(&image, "/app/a").as_str(), read(&image, "/x").as_str()), ("1", "x\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn mistakes_are_found_with_their_line() {
    let check = async |rest: &str, expected: &str| {
        let project = Project::new(&[("Dockerfile", &format!("FROM scratch\n{rest}"))]);
        let error = project.build().await.unwrap_err().to_string();
        assert_eq!(error, expected);
    };
    check("RUNN x", "Dockerfile:2: unknown instruction `RUNN`; did you mean `RUN`?").await;
    check("COPY nope /x", "Dockerfile:2: `nope` is not in the build context").await;
    check(
        "COPY ../x /x",
        "Dockerfile:2: `../x` is outside of the build context: only files below it can be copied",
    )
    .await;
    check(
        "COPY busybox Dockerfile /x",
        "Dockerfile:2: `/x`: several sources need a directory as destination: end it with a slash",
    )
    .await;
    check("COPY busybox /a\nCOPY busybox /a/b", "Dockerfile:3: writing `/a/b`: `/a` is not a directory")
        .await;
    check("EXPOSE http", "Dockerfile:2: `http` is not a port such as 8080, 53/udp or 7000-7005").await;
    check(
        "USER nobody\nRUN true",
        "Dockerfile:3: user `nobody` cannot be used: the image has no user `nobody` in /etc/passwd",
    )
    .await;
    let project = Project::new(&[]);
    let error = project.build().await.unwrap_err().to_string();
    assert!(error.contains("it has no `Dockerfile`: write one"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn add_unpacks_local_archives() {
    let project =
        Project::new(&[("Dockerfile", "FROM scratch\nADD x.tar.gz notes.txt /in/\nCOPY x.tar.gz /raw/\n")]);
    project.write("notes.txt", "n");
    project.write("tree/deep/file", "content");
    let dir = project.dir.path();
    let tar = std::process::Command::new("tar")
        .args(["-czf", "x.tar.gz", "-C", "tree", "."])
        .current_dir(dir)
        .status();
    assert!(tar.unwrap().success());
    let image = project.build().await.unwrap();
    assert_eq!(read(&image, "/in/deep/file"), "content");
    assert_eq!(read(&image, "/in/notes.txt"), "n");
    assert!(!exists(&image, "/in/x.tar.gz") && exists(&image, "/raw/x.tar.gz"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_built_image_survives_saving_and_loading() {
    let dockerfile = format!(
        "{SHELL}RUN mkdir -p /a/b && echo x > /a/b/c && ln /a/b/c /a/d\nRUN rm /a/b/c\nCMD [\"x\"]\n"
    );
    let project = Project::new(&[("Dockerfile", &dockerfile)]);
    let image = project.build().await.unwrap();
    let archive = project.dir.path().join("image.tar");
    let name = Reference::parse("sealos.local/test:1").unwrap();
    let file = tokio::fs::File::create(&archive).await.unwrap();
    project.images.save(std::slice::from_ref(&name), file).await.unwrap();

    let (_other_dir, other) = store();
    let loaded = other.load(tokio::fs::File::open(&archive).await.unwrap()).await.unwrap();
    assert_eq!(loaded[0].digest, image.digest);
    assert_eq!(loaded[0].names, image.names);
    let found = other.find(&name).unwrap();
    assert_eq!(read(&found, "/a/d"), "x\n");
    assert!(!exists(&found, "/a/b/c"));
    let freed = other.remove(&name, &HashSet::new()).unwrap();
    assert!(freed.bytes > 100_000 && other.list().is_empty());
}
