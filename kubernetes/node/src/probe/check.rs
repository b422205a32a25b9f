//! What probes and lifecycle hooks do: run a command, ask over HTTP, TCP or gRPC, or wait.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, ToSocketAddrs};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Request, header};
use http_body_util::Empty;
use k8s_openapi::api::core::v1::{
    Container, GRPCAction, HTTPGetAction, LifecycleHandler, Probe, TCPSocketAction,
};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::http as client;
use crate::command::Commands;

/// Something that either works or gives a reason why not.
#[derive(Clone, Debug)]
pub(crate) enum Action {
    Exec(Vec<String>),
    Http {
        to: SocketAddr,
        tls: bool,
        request: HttpRequest,
    },
    Tcp(SocketAddr),
    Grpc {
        to: SocketAddr,
        service: String,
    },
    Sleep(Duration),
    /// Nothing was asked for.
    Nothing,
}

#[derive(Clone, Debug)]
pub(crate) struct HttpRequest {
    url: String,
    headers: Vec<(String, String)>,
}

/// Where the actions of one container go.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Subject<'a> {
    pub container: &'a Container,
    pub pod_ip: Ipv4Addr,
}

impl Subject<'_> {
    pub(crate) fn probe(&self, probe: &Probe) -> Result<Action, String> {
        if let Some(exec) = &probe.exec {
            return Ok(Action::Exec(exec.command.clone().unwrap_or_default()));
        }
        if let Some(http) = &probe.http_get {
            return self.http(http);
        }
        if let Some(tcp) = &probe.tcp_socket {
            return self.tcp(tcp);
        }
        probe.grpc.as_ref().map_or(Ok(Action::Nothing), |grpc| self.grpc(grpc))
    }

    pub(crate) fn hook(&self, hook: &LifecycleHandler) -> Result<Action, String> {
        if let Some(exec) = &hook.exec {
            return Ok(Action::Exec(exec.command.clone().unwrap_or_default()));
        }
        if let Some(http) = &hook.http_get {
            return self.http(http);
        }
        if let Some(sleep) = &hook.sleep {
            return Ok(Action::Sleep(Duration::from_secs(sleep.seconds.try_into().unwrap_or(0))));
        }
        hook.tcp_socket.as_ref().map_or(Ok(Action::Nothing), |tcp| self.tcp(tcp))
    }

    fn http(&self, action: &HTTPGetAction) -> Result<Action, String> {
        let tls = action.scheme.as_deref() == Some("HTTPS");
        let to = self.address(action.host.as_deref(), &action.port)?;
        let path = action.path.as_deref().unwrap_or("/");
        let slash = if path.starts_with('/') { "" } else { "/" };
        let scheme = if tls { "https" } else { "http" };
        let headers = action.http_headers.iter().flatten();
        let headers = headers.map(|h| (h.name.clone(), h.value.clone())).collect();
        let request = HttpRequest { url: format!("{scheme}://{to}{slash}{path}"), headers };
        Ok(Action::Http { to, tls, request })
    }

    fn tcp(&self, action: &TCPSocketAction) -> Result<Action, String> {
        Ok(Action::Tcp(self.address(action.host.as_deref(), &action.port)?))
    }

    fn grpc(&self, action: &GRPCAction) -> Result<Action, String> {
        let to = self.address(None, &IntOrString::Int(action.port))?;
        Ok(Action::Grpc { to, service: action.service.clone().unwrap_or_default() })
    }

    fn address(&self, host: Option<&str>, port: &IntOrString) -> Result<SocketAddr, String> {
        let port = self.port(port)?;
        let Some(host) = host.filter(|host| !host.is_empty()) else {
            return Ok(SocketAddr::new(IpAddr::V4(self.pod_ip), port));
        };
        if let Ok(ip) = host.parse::<IpAddr>() {
            return Ok(SocketAddr::new(ip, port));
        }
        let mut found = (host, port).to_socket_addrs().map_err(|e| format!("look up {host}: {e}"))?;
        found.next().ok_or_else(|| format!("{host} has no address"))
    }

    /// A port by number, or by its name in the container.
    fn port(&self, port: &IntOrString) -> Result<u16, String> {
        let number = match port {
            IntOrString::Int(number) => Some(*number),
            IntOrString::String(name) => {
                let mut ports = self.container.ports.iter().flatten();
                let named = ports.find(|p| p.name.as_deref() == Some(name)).map(|p| p.container_port);
                named.or_else(|| name.parse().ok())
            }
        };
        number.and_then(|n| u16::try_from(n).ok()).filter(|n| *n > 0).ok_or_else(|| match port {
            IntOrString::Int(number) => format!("{number} is no port"),
            IntOrString::String(name) => format!("the container has no port named {name}"),
        })
    }
}

/// Performs the action within `limit`. The error is what people read in events.
pub(crate) async fn perform(action: &Action, commands: &Commands, limit: Duration) -> Result<(), String> {
    match action {
        Action::Nothing => Ok(()),
        Action::Sleep(time) => {
            tokio::time::sleep((*time).min(limit)).await;
            Ok(())
        }
        Action::Exec(argv) => command(argv, commands, limit).await,
        Action::Tcp(to) => within(limit, client::connect(*to)).await.map(drop),
        Action::Http { to, tls, request } => http(*to, *tls, request, limit).await,
        Action::Grpc { to, service } => grpc(*to, service, limit).await,
    }
}

async fn within<T>(limit: Duration, work: impl Future<Output = Result<T, String>>) -> Result<T, String> {
    let late = |_| Err(format!("timeout: no answer within {limit:?}"));
    tokio::time::timeout(limit, work).await.unwrap_or_else(late)
}

async fn command(argv: &[String], commands: &Commands, limit: Duration) -> Result<(), String> {
    let done = commands.run(argv, limit).await?;
    if done.code == 0 { Ok(()) } else { Err(done.output) }
}

async fn http(to: SocketAddr, tls: bool, request: &HttpRequest, limit: Duration) -> Result<(), String> {
    let asked = build(to, request)?;
    let status = within(limit, client::status(to, tls, asked)).await;
    let status = status.map_err(|error| format!("Get \"{}\": {error}", request.url))?;
    if status.as_u16() < 400 {
        return Ok(());
    }
    Err(format!("HTTP probe failed with statuscode: {}", status.as_u16()))
}

fn build(to: SocketAddr, request: &HttpRequest) -> Result<Request<Empty<Bytes>>, String> {
    let url: http::Uri = request.url.parse().map_err(|e| format!("`{}` is no URL: {e}", request.url))?;
    let path = url.path_and_query().map_or("/", |path| path.as_str()).to_owned();
    let mut asked = Request::get(path).body(Empty::new()).map_err(|e| e.to_string())?;
    let headers = asked.headers_mut();
    headers.insert(header::USER_AGENT, HeaderValue::from_static("kube-probe/1.37"));
    headers.insert(header::ACCEPT, HeaderValue::from_static("*/*"));
    headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
    let host = HeaderValue::from_str(&to.to_string()).map_err(|e| e.to_string())?;
    headers.insert(header::HOST, host);
    for (name, value) in &request.headers {
        let name: HeaderName = name.parse().map_err(|_| format!("`{name}` is no header name"))?;
        let value = value.parse().map_err(|_| format!("`{value}` is no header value"))?;
        if name == header::HOST {
            headers.insert(name, value);
        } else {
            headers.append(name, value);
        }
    }
    Ok(asked)
}

async fn grpc(to: SocketAddr, service: &str, limit: Duration) -> Result<(), String> {
    let mut message = Vec::new();
    if !service.is_empty() {
        message.extend([0x0a, u8::try_from(service.len()).map_err(|_| "the service name is too long")?]);
        message.extend(service.as_bytes());
    }
    let call = client::grpc(to, "/grpc.health.v1.Health/Check", message);
    let (answer, status) = within(limit, call).await?;
    match status.as_str() {
        "0" => {}
        "12" => return Err("this server does not implement the grpc health protocol".into()),
        "5" => return Err(format!("service \"{service}\" is unknown to the server")),
        other => return Err(format!("the health check ended with gRPC status {other}")),
    }
    // One frame: flag, length, then field 1 as a varint. An absent field is 0, "unknown".
    match answer.get(5..7) {
        Some([0x08, 1]) => Ok(()),
        Some([0x08, 2]) => Err("service unhealthy (responded with \"NOT_SERVING\")".into()),
        Some([0x08, 3]) => Err("service unhealthy (responded with \"SERVICE_UNKNOWN\")".into()),
        _ => Err("service unhealthy (responded with \"UNKNOWN\")".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn container() -> Container {
        serde_json::from_value(json!({"name": "c", "ports": [{"name": "web", "containerPort": 8080}]}))
            .unwrap()
    }

    #[test]
    fn ports_are_found_by_name() {
        let container = container();
        let subject = Subject { container: &container, pod_ip: Ipv4Addr::new(10, 1, 2, 3) };
        let probe: Probe =
            serde_json::from_value(json!({"httpGet": {"port": "web", "path": "healthz"}})).unwrap();
        let Ok(Action::Http { to, tls, request }) = subject.probe(&probe) else { panic!("not http") };
        assert_eq!((to.to_string().as_str(), tls), ("10.1.2.3:8080", false));
        assert_eq!(request.url, "http://10.1.2.3:8080/healthz");
        let probe: Probe = serde_json::from_value(json!({"tcpSocket": {"port": "nope"}})).unwrap();
        assert_eq!(subject.probe(&probe).unwrap_err(), "the container has no port named nope");
    }

    #[test]
    fn headers_may_replace_the_host() {
        let request = HttpRequest {
            url: "http://10.1.2.3:80/x?y=1".into(),
            headers: vec![("Host".into(), "shop.example".into()), ("X-A".into(), "1".into())],
        };
        let asked = build("10.1.2.3:80".parse().unwrap(), &request).unwrap();
        assert_eq!(asked.uri().to_string(), "/x?y=1");
        assert_eq!(asked.headers()["host"], "shop.example");
        assert_eq!(asked.headers()["x-a"], "1");
    }

    #[tokio::test]
    async fn a_closed_port_is_refused() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let to = listener.local_addr().unwrap();
        drop(listener);
        let error = client::connect(to).await.unwrap_err();
        assert!(error.ends_with("connection refused"), "{error}");
    }

    /// Answers one connection with what `answer` makes of its bytes.
    async fn answering(text: &'static str) -> SocketAddr {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let to = listener.local_addr().unwrap();
        tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut asked = [0; 1024];
            let _read = stream.read(&mut asked).await;
            stream.write_all(text.as_bytes()).await.unwrap();
        });
        to
    }

    #[tokio::test]
    async fn answers_become_verdicts() {
        let check = async |text: &'static str, expected: Result<(), &str>| {
            let to = answering(text).await;
            let request = HttpRequest { url: format!("http://{to}/ok"), headers: Vec::new() };
            let result = http(to, false, &request, Duration::from_secs(5)).await;
            let expected = expected.map_err(|e| e.replace("TO", &to.to_string()));
            assert_eq!(result, expected, "{text}");
        };
        check("HTTP/1.1 204 No Content\r\n\r\n", Ok(())).await;
        check("HTTP/1.0 302 Found\r\n\r\n", Ok(())).await;
        check("HTTP/1.0 503 No\r\n\r\n", Err("HTTP probe failed with statuscode: 503")).await;
        check("", Err("Get \"http://TO/ok\": EOF")).await;
    }

    #[tokio::test]
    async fn grpc_health_is_understood() {
        use hyper_util::rt::{TokioExecutor, TokioIo};
        let serve = async |body: &'static [u8], status: &'static str| {
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
            let to = listener.local_addr().unwrap();
            tokio::spawn(async move {
                let (stream, _) = listener.accept().await.unwrap();
                let answer = hyper::service::service_fn(move |_| async move {
                    let body = http_body_util::Full::new(Bytes::from_static(body));
                    http::Response::builder().header("grpc-status", status).body(body)
                });
                let server = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
                server.serve_connection(TokioIo::new(stream), answer).await.ok();
            });
            grpc(to, "web", Duration::from_secs(5)).await
        };
        assert_eq!(serve(&[0, 0, 0, 0, 2, 8, 1], "0").await, Ok(()));
        let down = serve(&[0, 0, 0, 0, 2, 8, 2], "0").await;
        assert!(down.unwrap_err().contains("NOT_SERVING"));
        assert!(serve(&[], "12").await.unwrap_err().contains("does not implement"));
    }
}
