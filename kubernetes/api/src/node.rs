//! What the node answers: logs, exec, attach, port-forward. And proxies to pods and Services.

use std::net::IpAddr;
use std::sync::Arc;

use axum::body::Body;
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderValue, Request, Response, Uri, header};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpStream;
use tower::ServiceExt;

use crate::call::{self, Call};
use crate::server::Parts;
use crate::status::Status;

/// How long a pod may take to accept a proxied connection.
const CONNECT: std::time::Duration = std::time::Duration::from_secs(10);

/// Whether a subresource is handled by the node, or by the pod itself.
pub(crate) fn forwards(call: &Call) -> bool {
    call.resource.group.is_empty()
        && matches!(
            (&*call.resource.plural, call.asked.subresource.as_str()),
            ("pods", "log" | "exec" | "attach" | "portforward" | "proxy") | ("services" | "nodes", "proxy")
        )
}

pub(crate) async fn forward(call: &Call, request: Request<Body>) -> Result<Response<Body>, Status> {
    match (&*call.resource.plural, call.asked.subresource.as_str()) {
        ("nodes", _) => {
            call.entry()?;
            let path = format!("/{}", call.asked.rest);
            to_node(&call.parts, request, &path, call).await
        }
        ("services", _) => {
            let address = service_address(call)?;
            to_address(call, request, address).await
        }
        (_, "proxy") => {
            let address = pod_address(call)?;
            to_address(call, request, address).await
        }
        (_, sub) => {
            let path = node_path(call, sub)?;
            to_node(&call.parts, request, &path, call).await
        }
    }
}

/// Asks the node.
pub(crate) async fn send(parts: &Parts, request: Request<Body>) -> Result<Response<Body>, Status> {
    let node = parts.node.load_full().ok_or_else(|| Status::unavailable("the node is not running yet"))?;
    match Arc::unwrap_or_clone(node).oneshot(request).await {
        Ok(response) => Ok(response),
        Err(never) => match never {},
    }
}

async fn to_node(
    parts: &Parts,
    mut request: Request<Body>,
    path: &str,
    call: &Call,
) -> Result<Response<Body>, Status> {
    *request.uri_mut() = with_path(path, request.uri())?;
    request.headers_mut().remove(header::AUTHORIZATION);
    request.extensions_mut().insert(call.identity.clone());
    send(parts, request).await
}

fn with_path(path: &str, old: &Uri) -> Result<Uri, Status> {
    let encoded: String = path
        .bytes()
        .map(|byte| match byte {
            b'a'..=b'z'
            | b'A'..=b'Z'
            | b'0'..=b'9'
            | b'/'
            | b'-'
            | b'.'
            | b'_'
            | b'~'
            | b':'
            | b'@'
            | b'!'
            | b'$'
            | b'&'
            | b'\''
            | b'('
            | b')'
            | b'*'
            | b'+'
            | b','
            | b';'
            | b'=' => char::from(byte).to_string(),
            other => format!("%{other:02X}"),
        })
        .collect();
    let whole = match old.query() {
        Some(query) => format!("{encoded}?{query}"),
        None => encoded,
    };
    let path: PathAndQuery =
        whole.parse().map_err(|_| Status::bad_request("the path cannot be forwarded"))?;
    Ok(Uri::from(path))
}

fn node_path(call: &Call, sub: &str) -> Result<String, Status> {
    let pod = call::read(&call.entry()?)?;
    let (namespace, name) = (&call.asked.namespace, &call.asked.name);
    if pod.pointer("/spec/nodeName").and_then(Value::as_str).unwrap_or("").is_empty() {
        return Err(Status::bad_request(format!("pod {name} does not have a host assigned")));
    }
    if sub == "portforward" {
        return Ok(format!("/portForward/{namespace}/{name}"));
    }
    let container = container(&pod, call.query.text("container"))?;
    let door = if sub == "log" { "containerLogs" } else { sub };
    Ok(format!("/{door}/{namespace}/{name}/{container}"))
}

fn names<'a>(pod: &'a Value, list: &str) -> Vec<&'a str> {
    let all = pod.get("spec").and_then(|spec| spec.get(list)).and_then(Value::as_array);
    all.into_iter().flatten().filter_map(|own| own.get("name").and_then(Value::as_str)).collect()
}

/// The container asked for, or the only one.
fn container(pod: &Value, wanted: Option<&str>) -> Result<String, Status> {
    let name = crate::encode::meta(pod, "name");
    let main = names(pod, "containers");
    let others: Vec<&str> =
        ["initContainers", "ephemeralContainers"].iter().flat_map(|list| names(pod, list)).collect();
    match wanted {
        Some(wanted) if main.contains(&wanted) || others.contains(&wanted) => Ok(wanted.to_owned()),
        Some(wanted) => Err(Status::bad_request(format!("container {wanted} is not valid for pod {name}"))),
        None => match main.as_slice() {
            [only] => Ok((*only).to_owned()),
            _ => {
                let init = if others.is_empty() {
                    String::new()
                } else {
                    format!(" or one of the init containers: [{}]", others.join(" "))
                };
                Err(Status::bad_request(format!(
                    "a container name must be specified for pod {name}, choose one of: [{}]{init}",
                    main.join(" ")
                )))
            }
        },
    }
}

/// `[scheme:]name[:port]`, as proxies name their target.
fn split_target(target: &str) -> (&str, &str) {
    match target.split(':').collect::<Vec<_>>().as_slice() {
        [name] => (name, ""),
        ["http" | "https" | "", name, port] | [name, port] => (name, port),
        _ => (target, ""),
    }
}

fn address(ip: &str, port: u16) -> Option<(IpAddr, u16)> {
    Some((ip.parse().ok()?, port))
}

fn pod_address(call: &Call) -> Result<(IpAddr, u16), Status> {
    let (name, port) = split_target(&call.asked.name);
    let pod = call::read(&call.named(&call.asked.namespace, name).entry()?)?;
    let containers = pod.pointer("/spec/containers").and_then(Value::as_array);
    let ports = containers.into_iter().flatten().filter_map(|own| own.get("ports")?.as_array()).flatten();
    let own = |own: &&Value| port.is_empty() || own.get("name").and_then(Value::as_str) == Some(port);
    let named = ports.filter(own).find_map(|own| own.get("containerPort")?.as_u64());
    let number = port.parse().ok().or(named.and_then(|number| u16::try_from(number).ok()));
    let number = number.or(port.is_empty().then_some(80));
    let ip = pod.pointer("/status/podIP").and_then(Value::as_str).unwrap_or("");
    let found = number.and_then(|number| address(ip, number));
    found.ok_or_else(|| Status::unavailable(format!("no address for pod {name}, port {port:?}")))
}

/// A ready endpoint of the Service.
fn service_address(call: &Call) -> Result<(IpAddr, u16), Status> {
    let (name, port) = split_target(&call.asked.name);
    let service = call::read(&call.named(&call.asked.namespace, name).entry()?)?;
    let ports = service.pointer("/spec/ports").and_then(Value::as_array);
    let text = |own: &Value, key: &str| own.get(key).and_then(Value::as_str).unwrap_or("").to_owned();
    let fits = |own: &&Value| {
        port.is_empty()
            || text(own, "name") == port
            || own.get("port").and_then(Value::as_u64).is_some_and(|number| number.to_string() == port)
    };
    let none = || Status::unavailable(format!("no endpoints available for service \"{name}\""));
    let port_name = ports.into_iter().flatten().find(fits).map(|own| text(own, "name")).ok_or_else(none)?;
    let prefix = format!("endpointslices.discovery.k8s.io/{}/", call.asked.namespace);
    for entry in call.parts.store.list(&prefix, None, 0).entries {
        let slice = call::read(&entry)?;
        let owner = slice.pointer("/metadata/labels/kubernetes.io~1service-name").and_then(Value::as_str);
        if owner != Some(name) {
            continue;
        }
        let ports = slice.get("ports").and_then(Value::as_array);
        let port = ports.into_iter().flatten().find(|own| text(own, "name") == port_name);
        let Some(port) =
            port.and_then(|own| own.get("port")?.as_u64()).and_then(|port| u16::try_from(port).ok())
        else {
            continue;
        };
        let endpoints = slice.get("endpoints").and_then(Value::as_array);
        let ready = |own: &&Value| own.pointer("/conditions/ready").and_then(Value::as_bool) != Some(false);
        let ips: Vec<&str> = endpoints
            .into_iter()
            .flatten()
            .filter(ready)
            .filter_map(|own| own.pointer("/addresses/0").and_then(Value::as_str))
            .collect();
        if let Some(found) = ips.get(rand::random::<u16>() as usize % ips.len().max(1)) {
            return address(found, port).ok_or_else(none);
        }
    }
    Err(none())
}

/// Sends the request to an address in the cluster, upgrades included.
async fn to_address(
    call: &Call,
    mut request: Request<Body>,
    to: (IpAddr, u16),
) -> Result<Response<Body>, Status> {
    let failed = |error: &dyn std::fmt::Display| {
        Status::unavailable(format!("error trying to reach {}: {error}", call.asked.name))
    };
    let stream = tokio::time::timeout(CONNECT, TcpStream::connect(to)).await;
    let stream = stream.map_err(|_| failed(&"it does not answer"))?.map_err(|error| failed(&error))?;
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(|error| failed(&error))?;
    tokio::spawn(async move {
        if let Err(error) = connection.with_upgrades().await {
            tracing::debug!(%error, "a proxied connection ended");
        }
    });
    *request.uri_mut() = with_path(&format!("/{}", call.asked.rest), request.uri())?;
    *request.version_mut() = http::Version::HTTP_11;
    let upgrade = hyper::upgrade::on(&mut request);
    clean(request.headers_mut(), to)?;
    let mut response = sender.send_request(request).await.map_err(|error| failed(&error))?;
    if response.status() == http::StatusCode::SWITCHING_PROTOCOLS {
        let far = hyper::upgrade::on(&mut response);
        tokio::spawn(async move {
            if let (Ok(near), Ok(far)) = (upgrade.await, far.await) {
                let copied =
                    tokio::io::copy_bidirectional(&mut TokioIo::new(near), &mut TokioIo::new(far)).await;
                tracing::debug!(ok = copied.is_ok(), "a proxied connection ended");
            }
        });
    }
    Ok(response.map(Body::new))
}

/// The caller's credentials are for this server only.
fn clean(headers: &mut HeaderMap, to: (IpAddr, u16)) -> Result<(), Status> {
    headers.remove(header::AUTHORIZATION);
    if !headers.contains_key(header::UPGRADE) {
        headers.remove(header::CONNECTION);
    }
    let host = std::net::SocketAddr::from(to).to_string();
    let host = HeaderValue::from_str(&host).map_err(|error| Status::internal(error.to_string()))?;
    headers.insert(header::HOST, host);
    Ok(())
}
