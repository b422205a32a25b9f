//! What a newcomer does: deploy, open, look, change, delete; and what happens when the input is bad.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use sealos_tests::{Check, Cloud, Kept, Suite, app_context, busybox_context, get, until};
use tokio_tungstenite::tungstenite::{self, Message};

const LIMIT: Duration = Duration::from_secs(60);

fn main() -> ExitCode {
    let checks: Vec<Check<Cloud>> = vec![
        ("hello_is_built_deployed_and_answers_at_once", hello),
        ("an_app_is_scaled_stopped_started_and_restarted", life_of_an_app),
        ("status_and_lists_are_for_programs_too", programs),
        ("logs_and_exec_reach_the_app", logs_and_exec),
        ("storage_files_and_variables_arrive", storage_files_variables),
        ("a_tcp_port_is_reached_at_a_port_of_the_machine", tcp_port),
        ("images_are_listed_saved_loaded_and_pruned", images),
        ("no_request_fails_during_a_rollout", rollout_under_load),
        ("websockets_grpc_and_tls_pass_the_gateway", protocols),
        ("error_pages_say_what_is_the_matter", error_pages),
        ("bad_input_gets_one_clear_message", bad_input),
        ("slow_and_large_requests_are_refused", hostile_clients),
    ];
    Suite::new(checks).main(|| {
        let cloud = Cloud::start()?;
        let serve = "COPY serve /bin/serve\nEXPOSE 8080\nCMD [\"/bin/sh\", \"/bin/serve\"]";
        let context = busybox_context(cloud.scratch(), serve)?;
        let script = "echo \"${VERSION:-1} $(hostname)\" > /www/index.html\necho serving\nexec httpd -f -p 8080 -h /www\n";
        std::fs::write(context.join("serve"), script)?;
        Ok(cloud)
    })
}

fn has(text: &str, needle: &str) -> Result<()> {
    ensure!(text.contains(needle), "`{needle}` is missing in:\n{text}");
    Ok(())
}

/// The directory of the small server.
fn server(cloud: &Cloud) -> String {
    cloud.scratch().join("busybox").display().to_string()
}

/// The directory of the app that echoes.
fn test_app(cloud: &Cloud) -> Result<String> {
    let program = Path::new(env!("CARGO_BIN_EXE_test-app"));
    Ok(app_context(cloud.scratch(), program)?.display().to_string())
}

fn host(name: &str) -> String {
    format!("{name}-default.localhost")
}

fn hello(cloud: &Cloud) -> Result<()> {
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/../examples/hello");
    let url = cloud.sealos(&["deploy", source])?.ok()?;
    ensure!(
        url == format!("http://hello-default.localhost:{}", cloud.http_port()),
        "only the URL is printed: {url}"
    );
    let answer = get(cloud.http_port(), &host("hello"), "/")?;
    ensure!(answer.status == 200, "{} {}", answer.status, answer.body);
    let pod = cloud
        .kubectl(&["get", "pods", "-l", "app=hello", "-o", "jsonpath={.items[0].metadata.name}"])?
        .ok()?;
    has(&answer.body, &pod)?;
    let again = Instant::now();
    cloud.sealos(&["build", source])?.ok()?;
    ensure!(again.elapsed() < Duration::from_secs(5), "an unchanged build takes {:?}", again.elapsed());
    cloud.sealos(&["delete", "hello"])?.ok().map(drop)
}

/// The small server speaks HTTP, which is TCP too.
fn tcp_port(cloud: &Cloud) -> Result<()> {
    let url = cloud.sealos(&["deploy", &server(cloud), "--name", "raw", "--port", "8080/tcp"])?.ok()?;
    let port = url.strip_prefix("tcp://localhost:").with_context(|| format!("a TCP address: {url}"))?;
    let answer = until(LIMIT, || get(port.parse()?, "localhost", "/"))?;
    ensure!(answer.status == 200, "{answer:?}");
    has(&cloud.sealos(&["apps"])?.ok()?, &url)?;
    has(&cloud.sealos(&["status", "raw"])?.ok()?, &url)?;
    let said = cloud.sealos(&["--workspace", "nowhere", "apps"])?.err()?;
    has(&said, "there is no workspace `nowhere`")?;
    cloud.sealos(&["delete", "raw"])?.ok().map(drop)
}

fn life_of_an_app(cloud: &Cloud) -> Result<()> {
    cloud
        .sealos(&[
            "deploy",
            &server(cloud),
            "--name",
            "web",
            "--replicas",
            "2",
            "--cpu",
            "500m",
            "--memory",
            "64Mi",
        ])?
        .ok()?;
    let pods = || cloud.sealos_json(&["status", "web", "-o", "json"]);
    ensure!(pods()?["replicas"]["ready"] == 2);
    cloud.sealos(&["scale", "web", "3"])?.ok()?;
    until(LIMIT, || {
        ensure!(pods()?["replicas"]["ready"] == 3, "not scaled yet");
        Ok(())
    })?;
    cloud.sealos(&["stop", "web"])?.ok()?;
    until(LIMIT, || {
        let app = pods()?;
        ensure!(app["phase"] == "stopped" && app["pods"].as_array().is_some_and(Vec::is_empty), "{app}");
        Ok(())
    })?;
    cloud.sealos(&["start", "web"])?.ok()?;
    until(LIMIT, || {
        let app = pods()?;
        ensure!(app["phase"] == "running" && app["replicas"]["ready"] == 3, "{app}");
        Ok(())
    })?;
    let before = pods()?["pods"][0]["name"].clone();
    cloud.sealos(&["restart", "web"])?.ok()?;
    until(LIMIT, || {
        let app = pods()?;
        let old = app["pods"].as_array().context("pods")?.iter().any(|p| p["name"] == before);
        ensure!(app["phase"] == "running" && !old, "{app}");
        Ok(())
    })?;
    // A new deployment without a number keeps the number.
    cloud.sealos(&["deploy", &server(cloud), "--name", "web", "--env", "VERSION=2"])?.ok()?;
    ensure!(pods()?["replicas"]["ready"] == 3);
    has(&get(cloud.http_port(), &host("web"), "/")?.body, "2 web-")?;
    cloud.sealos(&["delete", "web"])?.ok()?;
    until(LIMIT, || {
        let left =
            cloud.kubectl(&["get", "all,ingress,endpointslices", "-l", "app=web", "-o", "name"])?.ok()?;
        ensure!(left.is_empty(), "{left}");
        Ok(())
    })
}

fn programs(cloud: &Cloud) -> Result<()> {
    let status = cloud.sealos_json(&["status", "-o", "json"])?;
    for key in ["api", "console", "http", "https", "domain", "kubeconfig", "ready"] {
        ensure!(status.get(key).is_some(), "`{key}` is missing in {status}");
    }
    ensure!(status["ready"] == true);
    ensure!(cloud.sealos(&["kubeconfig"])?.ok()? == status["kubeconfig"].as_str().unwrap_or_default());
    cloud.sealos(&["apps"])?.ok()?;
    ensure!(cloud.sealos_json(&["apps", "-o", "json"])?.is_array());
    has(&cloud.sealos(&["completion", "bash"])?.ok()?, "_sealos")?;
    has(&cloud.sealos(&["man"])?.ok()?, ".TH")?;
    has(&cloud.sealos(&["console"])?.ok()?, "/login?token=")
}

fn logs_and_exec(cloud: &Cloud) -> Result<()> {
    cloud.sealos(&["deploy", &server(cloud), "--name", "talk"])?.ok()?;
    has(&cloud.sealos(&["logs", "talk"])?.ok()?, "serving")?;
    ensure!(cloud.sealos(&["exec", "talk", "cat", "/www/index.html"])?.ok()?.starts_with("1 talk-"));
    ensure!(
        cloud.sealos(&["exec", "talk", "--", "sh", "-c", "exit 5"])?.code == 5,
        "the command's exit code"
    );
    cloud.sealos(&["delete", "talk"])?.ok().map(drop)
}

fn storage_files_variables(cloud: &Cloud) -> Result<()> {
    let file = cloud.scratch().join("app.conf");
    std::fs::write(&file, "answer=42")?;
    let mount = format!("{}:/etc/app.conf", file.display());
    let deploy = [
        "deploy",
        &server(cloud),
        "--name",
        "full",
        "--storage",
        "/data:64Mi",
        "--file",
        &mount,
        "--env",
        "A=b c",
    ];
    cloud.sealos(&deploy)?.ok()?;
    let say = "cat /etc/app.conf; echo $A; echo kept > /data/x";
    has(&cloud.sealos(&["exec", "full", "--", "sh", "-c", say])?.ok()?, "answer=42")?;
    cloud.sealos(&["restart", "full"])?.ok()?;
    until(LIMIT, || {
        ensure!(cloud.sealos(&["exec", "full", "cat", "/data/x"])?.ok()? == "kept");
        ensure!(cloud.sealos_json(&["status", "full", "-o", "json"])?["phase"] == "running");
        Ok(())
    })?;
    cloud.sealos(&["delete", "full", "--yes"])?.ok()?;
    until(LIMIT, || {
        let left = cloud.kubectl(&["get", "pvc,pv", "-o", "name"])?.ok()?;
        ensure!(left.is_empty(), "{left}");
        Ok(())
    })
}

fn images(cloud: &Cloud) -> Result<()> {
    let name = "sealos.local/test/saved:1";
    cloud.sealos(&["build", &server(cloud), "--tag", name])?.ok()?;
    has(&cloud.sealos(&["image", "ls"])?.ok()?, name)?;
    let archive = cloud.scratch().join("saved.tar").display().to_string();
    cloud.sealos(&["image", "save", name, "--file", &archive])?.ok()?;
    cloud.sealos(&["image", "rm", name])?.ok()?;
    ensure!(!cloud.sealos(&["image", "ls"])?.ok()?.contains(name));
    has(&cloud.sealos(&["image", "load", &archive])?.ok()?, name)?;
    has(&cloud.sealos(&["image", "ls"])?.ok()?, name)?;
    std::fs::write(&archive, "this is no archive")?;
    cloud.sealos(&["image", "load", &archive])?.err()?;
    cloud.sealos(&["image", "prune"])?.ok().map(drop)
}

/// One client: what it does again and again, with a number for each time.
type Step = Box<dyn FnMut(usize) -> Result<()> + Send>;

/// Clients that ask again and again until told to stop.
struct Load {
    stop: Arc<AtomicBool>,
    done: Arc<AtomicUsize>,
    clients: Vec<std::thread::JoinHandle<Vec<String>>>,
}

impl Load {
    fn start(steps: Vec<Step>) -> Self {
        let (stop, done) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let client = |mut step: Step| {
            let (stop, done) = (stop.clone(), done.clone());
            std::thread::spawn(move || {
                let mut failures = Vec::new();
                while !stop.load(Ordering::Relaxed) {
                    let number = done.fetch_add(1, Ordering::Relaxed);
                    failures.extend(step(number).err().map(|error| format!("{error:#}")));
                }
                failures
            })
        };
        let clients = steps.into_iter().map(client).collect();
        Self { stop, done, clients }
    }

    /// How many requests were made, and what failed.
    fn end(self) -> (usize, Vec<String>) {
        self.stop.store(true, Ordering::Relaxed);
        let failures = self.clients.into_iter().flat_map(|c| c.join().unwrap_or_default()).collect();
        (self.done.load(Ordering::Relaxed), failures)
    }
}

/// A client that always connects anew.
fn new_connections(port: u16, host: String) -> Step {
    Box::new(move |_| {
        let answer = get(port, &host, "/")?;
        ensure!(answer.status == 200, "GET: {} {}", answer.status, answer.body);
        Ok(())
    })
}

/// A client that keeps its connection; the body it sends must come back.
fn kept_connection(port: u16, host: &str, method: &'static str, path: &'static str, size: usize) -> Step {
    let mut client = Kept::new(port, host);
    Box::new(move |number| {
        let body = format!("{number} ").repeat(size / 4);
        let body = if method == "GET" { "" } else { &body };
        let answer =
            client.send(method, path, body.as_bytes()).with_context(|| format!("{method} {path}"))?;
        ensure!(answer.status == 200, "{method} {path}: {} {}", answer.status, answer.body);
        ensure!(answer.body.ends_with(body), "{method} {path}: the body came back changed");
        Ok(())
    })
}

fn rollout_under_load(cloud: &Cloud) -> Result<()> {
    let app = test_app(cloud)?;
    cloud.sealos(&["deploy", &app, "--name", "steady", "--replicas", "2"])?.ok()?;
    let (port, host) = (cloud.http_port(), host("steady"));
    let kept = |method, path, size| kept_connection(port, &host, method, path, size);
    let load = Load::start(vec![
        new_connections(port, host.clone()),
        new_connections(port, host.clone()),
        kept("GET", "/", 0),
        kept("GET", "/", 0),
        kept("POST", "/", 100),
        kept("POST", "/", 100_000),
        // In flight when their pods are told to end.
        kept("POST", "/slow", 100),
        kept("POST", "/slow", 100),
    ]);
    for version in ["2", "3", "4"] {
        let version = format!("VERSION={version}");
        cloud.sealos(&["deploy", &app, "--name", "steady", "--env", &version])?.ok()?;
    }
    cloud.sealos(&["restart", "steady"])?.ok()?;
    cloud.kubectl(&["rollout", "status", "deploy/steady", "--timeout=60s"])?.ok()?;
    let (requests, failures) = load.end();
    ensure!(requests > 200, "only {requests} requests were made");
    ensure!(failures.is_empty(), "{} of {requests} requests failed: {:?}", failures.len(), failures.first());
    ensure!(get(port, &host, "/")?.body.starts_with("4 "), "the last version answers");
    cloud.sealos(&["delete", "steady"])?.ok().map(drop)
}

/// `curl` to an app of this cloud.
fn curl(cloud: &Cloud, host: &str, scheme: &str, flags: &[&str]) -> Result<sealos_tests::Outcome> {
    let port = if scheme == "https" { cloud.https_port() } else { cloud.http_port() };
    let resolve = format!("{host}:{port}:127.0.0.1");
    let mut command = std::process::Command::new("curl");
    command.args(["-sSk", "--max-time", "60", "--resolve", &resolve]).args(flags);
    sealos_tests::run(command.arg(format!("{scheme}://{host}:{port}/")))
}

fn protocols(cloud: &Cloud) -> Result<()> {
    cloud.sealos(&["deploy", &test_app(cloud)?, "--name", "safe"])?.ok()?;
    let name = host("safe");
    ensure!(curl(cloud, &name, "https", &[])?.ok()? == "1", "the app answers over TLS");
    let version = ["-o", "/dev/null", "-w", "%{http_version}"];
    ensure!(curl(cloud, &name, "https", &version)?.ok()? == "2", "HTTP/2 over TLS");
    web_socket(cloud, &name)?;
    grpc(cloud)?;
    cloud.sealos(&["delete", "safe"])?.ok().map(drop)
}

fn web_socket(cloud: &Cloud, host: &str) -> Result<()> {
    let stream = TcpStream::connect(("127.0.0.1", cloud.http_port()))?;
    stream.set_read_timeout(Some(Duration::from_secs(30)))?;
    let (mut socket, _) = tungstenite::client(format!("ws://{host}/chat"), stream)
        .map_err(|error| anyhow::anyhow!("open a WebSocket: {error}"))?;
    for text in ["hello", &"long ".repeat(50_000)] {
        socket.send(Message::text(text)).context("send")?;
        ensure!(socket.read().context("an echo")?.into_text()?.as_str() == text, "another text came back");
    }
    socket.close(None).context("close")?;
    ensure!(matches!(socket.read(), Ok(Message::Close(_))), "the app says goodbye");
    Ok(())
}

/// An Ingress that announces gRPC. What curl does not show, the trailers, the tests of the gateway check.
fn grpc(cloud: &Cloud) -> Result<()> {
    cloud.apply(
        "---\n{apiVersion: networking.k8s.io/v1, kind: Ingress, metadata: {name: grpc, annotations: \
         {nginx.ingress.kubernetes.io/backend-protocol: GRPC}}, spec: {rules: [{host: grpc.example.com, http: \
         {paths: [{path: /, pathType: Prefix, backend: {service: {name: safe, port: {number: 8080}}}}]}}]}}",
    )?;
    let flags = ["-i", "-H", "Content-Type: application/grpc", "-H", "TE: trailers", "--data", "said"];
    for (scheme, version) in [("https", "--http2"), ("http", "--http2-prior-knowledge")] {
        until(LIMIT, || {
            let flags = [&[version], flags.as_slice()].concat();
            let answer = curl(cloud, "grpc.example.com", scheme, &flags)?.ok()?;
            has(&answer, "HTTP/2 200")?;
            has(&answer, "said")
        })?;
    }
    cloud.kubectl(&["delete", "ingress", "grpc"])?.ok().map(drop)
}

fn error_pages(cloud: &Cloud) -> Result<()> {
    let unknown = get(cloud.http_port(), "nobody-default.localhost", "/")?;
    ensure!(unknown.status == 404, "{}", unknown.status);
    cloud.sealos(&["deploy", &server(cloud), "--name", "sleepy"])?.ok()?;
    cloud.sealos(&["stop", "sleepy"])?.ok()?;
    until(LIMIT, || {
        let stopped = get(cloud.http_port(), &host("sleepy"), "/")?;
        ensure!(stopped.status == 503, "{}", stopped.status);
        has(&stopped.body.to_lowercase(), "stopped")
    })?;
    cloud.sealos(&["delete", "sleepy"])?.ok().map(drop)
}

fn bad_input(cloud: &Cloud) -> Result<()> {
    let refuse = |args: &[&str], words: &[&str]| {
        let said = cloud.sealos(args)?.err()?;
        ensure!(!said.contains("panicked"), "{said}");
        words.iter().try_for_each(|word| has(&said, word)).with_context(|| format!("{args:?}"))
    };
    refuse(&["deploy", "nginx", "--name", "Bad_Name"], &["name", "not a valid app name"])?;
    refuse(&["deploy", "./nowhere"], &["no directory or file"])?;
    refuse(&["deploy", "nginx", "--cpu", "fast"], &["not an amount of CPU"])?;
    refuse(&["deploy", "nginx", "--port", "99999"], &["65535"])?;
    refuse(&["scale", "ghost", "2"], &["no app `ghost`"])?;
    refuse(&["deploy", "127.0.0.1:1/none:1", "--name", "lost", "--timeout", "30"], &["cannot be"])?;
    cloud.sealos(&["delete", "lost"])?.ok()?;
    refuse(&["deploy", "sealos.local/none/none:1", "--name", "gone", "--timeout", "30"], &["cannot be had"])?;
    cloud.sealos(&["delete", "gone"])?.ok()?;
    let crash = ["deploy", &server(cloud), "--name", "crash", "--timeout", "40", "--", "-c", "exit 3"];
    refuse(&crash, &["crash", "3"])?;
    cloud.sealos(&["delete", "crash"])?.ok()?;
    refuse(&["deploy", &server(cloud), "--name", "deaf", "--port", "81", "--timeout", "5"], &["port 81"])?;
    cloud.sealos(&["delete", "deaf"])?.ok()?;
    broken_files(cloud, &refuse)?;
    cloud.kubectl(&["create", "deployment", "taken", "--image", "x"])?.ok()?;
    refuse(&["deploy", "nginx", "--name", "taken"], &["taken"])?;
    cloud.kubectl(&["delete", "deployment", "taken"])?.ok()?;
    let data = cloud.data_dir().display().to_string();
    refuse(&["up", "--data-dir", &data], &["already up"])?;
    let other = cloud.scratch().join("other").display().to_string();
    let port = cloud.http_port().to_string();
    refuse(&["up", "--data-dir", &other, "--http-port", &port], &["in use", "--http-port"])
}

/// Runs a command that must fail with these words.
type Refuse<'a> = &'a dyn Fn(&[&str], &[&str]) -> Result<()>;

fn broken_files(cloud: &Cloud, refuse: Refuse<'_>) -> Result<()> {
    let dir = cloud.scratch().join("broken");
    std::fs::create_dir_all(&dir)?;
    let path = dir.display().to_string();
    refuse(&["deploy", &path], &["no Dockerfile"])?;
    std::fs::write(dir.join("Dockerfile"), "FROM scratch\nFLY away\n")?;
    refuse(&["deploy", &path], &["Dockerfile:2", "FLY"])?;
    std::fs::write(dir.join("Dockerfile"), "FROM scratch\nCOPY nothing /\n")?;
    refuse(&["deploy", &path], &["Dockerfile:2", "nothing"])?;
    std::fs::write(dir.join("sealos.yaml"), "name: x\nimage: y\nreplicsa: 2\n")?;
    refuse(&["deploy", &path], &["sealos.yaml", "replicsa"])
}

fn hostile_clients(cloud: &Cloud) -> Result<()> {
    cloud.sealos(&["deploy", &test_app(cloud)?, "--name", "calm"])?.ok()?;
    // A client that never finishes its headers is cut off.
    let mut slow = TcpStream::connect(("127.0.0.1", cloud.http_port()))?;
    slow.set_read_timeout(Some(Duration::from_secs(60)))?;
    write!(slow, "GET / HTTP/1.1\r\nHost: {}\r\nX-Slow: ", host("calm"))?;
    let mut rest = Vec::new();
    slow.read_to_end(&mut rest).context("the gateway closes the connection")?;
    // An endless body is refused by the gateway, which takes 32 MB for an app, and by the API.
    let endless = ["-o", "/dev/null", "-w", "%{http_code}", "-X", "POST", "-T", "/dev/zero", "-H", "Expect:"];
    for version in ["--http1.1", "--http2"] {
        let flags = [&[version], endless.as_slice()].concat();
        for scheme in ["http", "https"] {
            ensure!(curl(cloud, &host("calm"), scheme, &flags)?.stdout == "413", "{scheme} with {version}");
        }
        let mut api = std::process::Command::new("curl");
        let url = format!("https://127.0.0.1:{}/api/v1/namespaces/default/configmaps", cloud.api_port());
        let code = sealos_tests::run(api.args(["-sSk", "--max-time", "60"]).args(&flags).arg(&url))?.stdout;
        ensure!(code == "403", "the API answers {code} with {version}");
    }
    has(&get(cloud.http_port(), &host("calm"), "/")?.body, "1 ")?;
    cloud.sealos(&["delete", "calm"])?.ok().map(drop)
}
