//! Buckets: made by command and by manifest, used by pods and by people, limited, shared, rotated, deleted.

use std::path::PathBuf;
use std::process::{Command, ExitCode};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use nix::sys::signal::Signal;
use sealos_tests::{Answer, Check, Cloud, Suite, busybox_context, get, run_with_input, until};
use serde_json::Value;

const LIMIT: Duration = Duration::from_secs(60);
/// Where pods reach the store.
const INTERNAL: &str = "object-storage.sealos-system.svc.cluster.local";

fn main() -> ExitCode {
    let checks: Vec<Check<Cloud>> = vec![
        ("a_bucket_is_made_by_command_and_by_manifest", made),
        ("files_are_copied_both_ways", copied),
        ("a_pod_reads_and_writes_with_the_secret", from_a_pod),
        ("a_public_bucket_is_read_without_a_key", public),
        ("a_new_key_ends_the_old_one", rotated),
        ("a_lost_secret_comes_back_as_it_was", lost_secret),
        ("a_full_workspace_takes_no_more", full),
        ("bad_input_gets_one_clear_message", bad_input),
        ("everything_outlives_a_killed_daemon", killed),
        ("deleting_leaves_nothing", deleted),
    ];
    Suite::new(checks).main(Cloud::start)
}

fn has(text: &str, needle: &str) -> Result<()> {
    ensure!(text.contains(needle), "`{needle}` is missing in:\n{text}");
    Ok(())
}

/// A file of this many bytes that are not all the same.
fn file(cloud: &Cloud, name: &str, size: usize) -> Result<PathBuf> {
    let path = cloud.scratch().join(name);
    let bytes: Vec<u8> = (0..size).map(|i| (i % 251) as u8).collect();
    std::fs::write(&path, bytes).context("write a file")?;
    Ok(path)
}

fn text(path: &std::path::Path) -> String {
    path.display().to_string()
}

/// Follows a link to the store, whose name need not be known to the machine.
fn follow(url: &str) -> Result<Answer> {
    let (host, path) = url.strip_prefix("http://").and_then(|rest| rest.split_once('/')).context("a link")?;
    let port = host.rsplit_once(':').and_then(|(_, port)| port.parse().ok()).context("a port")?;
    get(port, host, &format!("/{path}"))
}

fn public_url(cloud: &Cloud, path: &str) -> String {
    format!("http://s3.localhost:{}/{path}", cloud.http_port())
}

fn bucket(cloud: &Cloud, name: &str) -> Result<Value> {
    let all = cloud.sealos_json(&["bucket", "ls", "-o", "json"])?;
    let found = all.as_array().into_iter().flatten().find(|bucket| bucket["name"] == name);
    found.cloned().with_context(|| format!("{name} in {all}"))
}

fn made(cloud: &Cloud) -> Result<()> {
    ensure!(cloud.sealos(&["bucket", "create", "photos"])?.ok()? == "s3://photos");
    let photos = bucket(cloud, "photos")?;
    ensure!(photos["ready"] == true && photos["bucket"] == "default-photos" && photos["policy"] == "private");
    cloud.apply(
        "apiVersion: objectstorage.sealos.io/v1\nkind: ObjectStorageBucket\nmetadata: { name: videos }\nspec: { policy: publicRead }",
    )?;
    let condition = ["wait", "objectstoragebucket/videos", "--for=condition=Ready", "--timeout=30s"];
    cloud.kubectl(&condition)?.ok()?;
    let table = cloud.kubectl(&["get", "objectstoragebuckets,objectstorageusers"])?.ok()?;
    for word in ["POLICY", "publicRead", "default-videos", "QUOTA", "21474836480"] {
        has(&table, word)?;
    }
    let user = cloud.sealos_json(&["bucket", "keys", "-o", "json"])?;
    let one = cloud.sealos_json(&["bucket", "keys", "videos", "-o", "json"])?;
    ensure!(user["accessKey"] == "default" && one["bucket"] == "default-videos", "{user} {one}");
    ensure!(user["secretKey"].as_str().is_some_and(|key| key.len() == 16), "{user}");
    ensure!(one["internal"] == format!("http://{INTERNAL}"), "{one}");
    let status = cloud.sealos_json(&["status", "-o", "json"])?;
    let port = status["s3"].as_str().and_then(|url| url.rsplit(':').next()?.parse::<u16>().ok());
    let answer = get(port.context("a port")?, "localhost", "/default-photos")?;
    ensure!(answer.status == 403, "nobody may list it: {} {}", answer.status, answer.body);
    Ok(())
}

fn copied(cloud: &Cloud) -> Result<()> {
    let large = file(cloud, "large.bin", (20 << 20) + 7)?;
    cloud.sealos(&["cp", &text(&large), "s3://photos/deep/"])?.ok()?;
    let back = cloud.scratch().join("back.bin");
    cloud.sealos(&["cp", "s3://photos/deep/large.bin", &text(&back)])?.ok()?;
    ensure!(std::fs::read(&large)? == std::fs::read(&back)?, "what comes back is what went");
    let mut send = cloud_command(cloud, &["cp", "-", "s3://photos/hello.txt"])?;
    run_with_input(&mut send, "hello\n")?.ok()?;
    ensure!(cloud.sealos(&["cp", "s3://photos/hello.txt", "-"])?.ok()? == "hello");
    let tree = cloud.scratch().join("tree");
    std::fs::create_dir_all(tree.join("sub"))?;
    std::fs::write(tree.join("a.txt"), "a")?;
    std::fs::write(tree.join("sub/b c.txt"), "b")?;
    cloud.sealos(&["cp", "-r", &text(&tree), "s3://photos/tree"])?.ok()?;
    cloud.sealos(&["cp", "-r", "s3://photos/tree", "s3://videos/copy"])?.ok()?;
    let again = cloud.scratch().join("again");
    cloud.sealos(&["cp", "-r", "s3://videos/copy", &text(&again)])?.ok()?;
    ensure!(std::fs::read_to_string(again.join("sub/b c.txt"))? == "b");
    let listed = cloud.sealos(&["bucket", "ls", "photos"])?.ok()?;
    for word in ["deep/", "tree/", "hello.txt", "6 B"] {
        has(&listed, word)?;
    }
    let below = cloud.sealos(&["bucket", "ls", "photos/tree", "-r"])?.ok()?;
    has(&below, "tree/sub/b c.txt")?;
    until(LIMIT, || {
        let photos = bucket(cloud, "photos")?;
        ensure!(photos["objects"] == 4 && photos["size"].as_u64() > Some(20 << 20), "{photos}");
        Ok(())
    })
}

/// A `sealos` that can be given an input.
fn cloud_command(cloud: &Cloud, args: &[&str]) -> Result<Command> {
    let own = std::env::current_exe().context("find the test binary")?;
    let dir = own.ancestors().find(|dir| dir.join("sealos").is_file()).context("the sealos binary")?;
    let mut command = Command::new(dir.join("sealos"));
    command.args(args).env("SEALOS_DATA_DIR", cloud.data_dir());
    Ok(command)
}

fn from_a_pod(cloud: &Cloud) -> Result<()> {
    let context = busybox_context(cloud.scratch(), "")?;
    cloud.sealos(&["build", &text(&context), "--tag", "sealos.local/shell:1"])?.ok()?;
    cloud.apply(
        "apiVersion: v1\nkind: Pod\nmetadata: { name: shell }\nspec:\n  containers:\n  - name: shell\n    image: sealos.local/shell:1\n    imagePullPolicy: Never\n    command: [sleep, \"3600\"]\n    envFrom: [{ secretRef: { name: object-storage-key-default-photos } }]",
    )?;
    cloud.kubectl(&["wait", "pod/shell", "--for=condition=Ready", "--timeout=60s"])?.ok()?;
    let seen =
        cloud.kubectl(&["exec", "shell", "--", "sh", "-c", "echo $internal $bucket $accessKey"])?.ok()?;
    ensure!(seen == format!("{INTERNAL} default-photos default.photos"), "{seen}");
    let put = cloud.sealos(&["bucket", "share", "photos/from-pod.txt", "--upload", "--internal"])?.ok()?;
    has(&ask(cloud, "PUT", &put, "written inside")?, "200 OK")?;
    ensure!(cloud.sealos(&["cp", "s3://photos/from-pod.txt", "-"])?.ok()? == "written inside");
    let read = cloud.sealos(&["bucket", "share", "photos/hello.txt", "--internal"])?.ok()?;
    has(&ask(cloud, "GET", &read, "")?, "hello")
}

/// What the store answers a pod; the static busybox knows no names, bash does.
fn ask(cloud: &Cloud, method: &str, url: &str, body: &str) -> Result<String> {
    let path = url.strip_prefix(&format!("http://{INTERNAL}")).context("an internal link")?;
    let script = format!(
        "exec 3<>/dev/tcp/{INTERNAL}/80; printf '%s' '{method} {} HTTP/1.0' >&3; \
         printf '\\r\\nHost: {INTERNAL}\\r\\nContent-Length: {}\\r\\n\\r\\n{body}' >&3; cat <&3",
        path,
        body.len()
    );
    cloud.kubectl(&["exec", "shell", "--", "bash", "-c", &script])?.ok()
}

fn public(cloud: &Cloud) -> Result<()> {
    let url = public_url(cloud, "default-photos/hello.txt");
    ensure!(follow(&url)?.status == 403, "it is private");
    cloud.sealos(&["bucket", "policy", "photos", "publicRead"])?.ok()?;
    let answer = follow(&url)?;
    ensure!(answer.status == 200 && answer.body == "hello\n", "{} {}", answer.status, answer.body);
    has(&answer.head.to_ascii_lowercase(), "content-type: text/plain")?;
    let host = format!("default-photos.s3.localhost:{}", cloud.http_port());
    ensure!(get(cloud.http_port(), &host, "/hello.txt")?.body == "hello\n", "the bucket is a host too");
    ensure!(cloud.sealos(&["bucket", "policy", "photos"])?.ok()? == "publicRead");
    cloud.sealos(&["bucket", "policy", "photos", "private"])?.ok()?;
    ensure!(follow(&url)?.status == 403, "it is private again");
    Ok(())
}

fn rotated(cloud: &Cloud) -> Result<()> {
    let link = cloud.sealos(&["bucket", "share", "photos/hello.txt", "--expires", "10m"])?.ok()?;
    ensure!(follow(&link)?.body == "hello\n", "the link works");
    let before = cloud.sealos_json(&["bucket", "keys", "photos", "-o", "json"])?;
    let after = cloud.sealos_json(&["bucket", "rotate", "photos", "-o", "json"])?;
    ensure!(
        before["secretKey"] != after["secretKey"] && before["accessKey"] == after["accessKey"],
        "{after}"
    );
    ensure!(follow(&link)?.status == 403, "a link of the old key works no more");
    let user = cloud.sealos_json(&["bucket", "keys", "-o", "json"])?;
    // As tools written for Sealos do it.
    let patch = [
        "patch",
        "objectstorageuser",
        "default",
        "--type=merge",
        "-p",
        "{\"spec\":{\"secretKeyVersion\":7}}",
    ];
    cloud.kubectl(&patch)?.ok()?;
    until(LIMIT, || {
        let now = cloud.sealos_json(&["bucket", "keys", "-o", "json"])?;
        ensure!(now["secretKey"] != user["secretKey"], "not rotated yet");
        Ok(())
    })
}

fn lost_secret(cloud: &Cloud) -> Result<()> {
    let keys = || cloud.sealos_json(&["bucket", "keys", "photos", "-o", "json"]);
    let before = keys()?;
    cloud.kubectl(&["delete", "secret", "object-storage-key-default-photos"])?.ok()?;
    until(LIMIT, || {
        ensure!(keys()? == before, "another key");
        Ok(())
    })
}

fn full(cloud: &Cloud) -> Result<()> {
    cloud.apply(
        "apiVersion: v1\nkind: Namespace\nmetadata: { name: ns-small }\n---\napiVersion: v1\nkind: ResourceQuota\nmetadata: { name: quota-ns-small, namespace: ns-small }\nspec: { hard: { objectstorage/size: 1Mi } }",
    )?;
    cloud.sealos(&["bucket", "create", "box", "-w", "ns-small"])?.ok()?;
    let (small, large) = (file(cloud, "small.bin", 600_000)?, file(cloud, "larger.bin", 700_000)?);
    cloud.sealos(&["cp", &text(&small), "s3://box/one", "-w", "ns-small"])?.ok()?;
    let said = cloud.sealos(&["cp", &text(&large), "s3://box/two", "-w", "ns-small"])?.err()?;
    has(&said, "quota")?;
    cloud
        .kubectl(&[
            "patch",
            "quota",
            "quota-ns-small",
            "-n",
            "ns-small",
            "--type=merge",
            "-p",
            "{\"spec\":{\"hard\":{\"objectstorage/size\":\"5Mi\"}}}",
        ])?
        .ok()?;
    until(LIMIT, || cloud.sealos(&["cp", &text(&large), "s3://box/two", "-w", "ns-small"])?.ok())?;
    cloud.kubectl(&["delete", "namespace", "ns-small", "--timeout=60s"])?.ok().map(drop)
}

fn bad_input(cloud: &Cloud) -> Result<()> {
    for (args, why) in [
        (&["bucket", "create", "Photos"][..], "`P` is not allowed"),
        (&["bucket", "create", "photos"], "exists already"),
        (&["bucket", "create", &"x".repeat(60)], "at most 55"),
        (&["bucket", "ls", "nothing"], "there is no bucket `nothing`"),
        (&["bucket", "share", "photos/nothing"], "there is no such object"),
        (&["bucket", "share", "photos/hello.txt", "--expires", "9d"], "seven days"),
        (&["cp", "s3://photos/nothing", "/tmp/nothing"], "no object `nothing` in bucket"),
        (&["cp", "/nowhere", "s3://photos/x"], "/nowhere"),
        (&["cp", "/tmp", "s3://photos/x"], "--recursive"),
        (&["cp", "a", "b"], "neither side is a bucket"),
    ] {
        let said = cloud.sealos(args)?.err()?;
        has(&said, why)?;
        ensure!(said.lines().count() == 1, "one message: {said}");
    }
    cloud.apply(&format!(
        "apiVersion: objectstorage.sealos.io/v1\nkind: ObjectStorageBucket\nmetadata: {{ name: {} }}",
        "x".repeat(62)
    ))?;
    let message = ["get", "objectstoragebuckets", "-o", "jsonpath={.items[*].status.conditions[*].message}"];
    until(LIMIT, || has(&cloud.kubectl(&message)?.ok()?, "longer than 63"))?;
    cloud.kubectl(&["delete", "objectstoragebucket", &"x".repeat(62), "--timeout=30s"])?.ok().map(drop)
}

fn killed(cloud: &Cloud) -> Result<()> {
    let keys = cloud.sealos_json(&["bucket", "keys", "photos", "-o", "json"])?;
    cloud.end(Signal::SIGKILL)?;
    cloud.up(&[])?;
    ensure!(cloud.sealos_json(&["bucket", "keys", "photos", "-o", "json"])? == keys, "the keys stay");
    ensure!(cloud.sealos(&["cp", "s3://photos/hello.txt", "-"])?.ok()? == "hello");
    let back = cloud.scratch().join("after.bin");
    cloud.sealos(&["cp", "s3://photos/deep/large.bin", &text(&back)])?.ok()?;
    ensure!(std::fs::read(cloud.scratch().join("large.bin"))? == std::fs::read(&back)?, "the data stays");
    // The pod of before reaches it too.
    let read = cloud.sealos(&["bucket", "share", "photos/hello.txt", "--internal"])?.ok()?;
    until(LIMIT, || has(&ask(cloud, "GET", &read, "")?, "hello"))
}

fn deleted(cloud: &Cloud) -> Result<()> {
    ensure!(cloud.sealos(&["bucket", "rm", "photos"])?.err()?.contains("--yes"), "it asks first");
    cloud.sealos(&["bucket", "rm", "videos/copy/a.txt"])?.ok()?;
    cloud.sealos(&["bucket", "rm", "photos", "videos", "--yes"])?.ok()?;
    until(LIMIT, || {
        let secrets = cloud.kubectl(&["get", "secrets", "-o", "name"])?.ok()?;
        ensure!(!secrets.contains("object-storage-key-default"), "{secrets}");
        Ok(())
    })?;
    cloud.sealos(&["bucket", "create", "photos"])?.ok()?;
    let listed = cloud.sealos_json(&["bucket", "ls", "photos", "-r", "-o", "json"])?;
    ensure!(listed == Value::Array(Vec::new()), "a new bucket is empty: {listed}");
    cloud.sealos(&["bucket", "rm", "photos", "--yes"])?.ok()?;
    cloud.kubectl(&["delete", "objectstorageuser", "default", "--timeout=30s"])?.ok().map(drop)
}
