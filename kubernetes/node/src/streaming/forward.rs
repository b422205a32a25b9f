//! A pod's ports, carried to the client: also those that listen on the pod's loopback only.

use std::collections::HashMap;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream as StdStream};
use std::path::PathBuf;
use std::time::Duration;

use axum::extract::{Path, Request, State};
use axum::response::Response;
use bytes::{Bytes, BytesMut};
use futures::StreamExt as _;
use nix::sched::{CloneFlags, setns};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::net::tcp::OwnedWriteHalf;
use tokio::sync::{mpsc, oneshot};

use super::handshake::{self, Wanted, WebSocket};
use super::spdy::{Connection, Stream};
use super::websocket::{self, Codec, Sender, V4, V4_BASE64};
use super::{Context, Params, Refusal};

const SPDY: &str = "portforward.k8s.io";
const TUNNEL: &str = "SPDY/3.1+portforward.k8s.io";
const CONNECT: Duration = Duration::from_secs(10);
const CHUNK: usize = 32 * 1024;

/// A pod whose ports are forwarded.
#[derive(Clone)]
struct Pod {
    name: String,
    netns: Option<PathBuf>,
}

pub(crate) async fn serve(
    State(context): State<Context>,
    Path((namespace, name)): Path<(String, String)>,
    mut request: Request,
) -> Result<Response, Refusal> {
    let netns = context.pods.network(&namespace, &name).await?;
    let pod = Pod { name: format!("{namespace}/{name}"), netns };
    let wanted = handshake::wanted(request.headers())?;
    let ports = ports(&Params::of(&request)?)?;
    match wanted {
        Wanted::Spdy { protocols } => {
            let protocol = handshake::choose(&protocols, &[SPDY])?;
            let promise = handshake::take(&mut request)?;
            tokio::spawn(async move {
                let Ok(upgraded) = promise.await else { return };
                forward_streams(hyper_util::rt::TokioIo::new(upgraded), pod).await;
            });
            Ok(handshake::accept_spdy(protocol))
        }
        Wanted::WebSocket { key, protocols } => {
            let protocol = handshake::choose(&protocols, &[TUNNEL, V4, V4_BASE64])?;
            if protocol != TUNNEL && ports.is_empty() {
                return Err(Refusal::bad_request("query parameter \"ports\" is required"));
            }
            let promise = handshake::take(&mut request)?;
            tokio::spawn(async move {
                let Ok(socket) = handshake::websocket(promise).await else { return };
                match protocol {
                    TUNNEL => forward_streams(websocket::tunnel(socket), pod).await,
                    channels => forward_channels(socket, Codec::of(channels), pod, ports).await,
                }
            });
            Ok(handshake::accept_websocket(&key, protocol))
        }
    }
}

fn ports(params: &Params) -> Result<Vec<u16>, Refusal> {
    let texts = params.all("ports");
    let parse = |text: &str| match text.parse::<u16>() {
        Ok(port) if port > 0 => Ok(port),
        _ => Err(Refusal::bad_request(format!("`{text}` is not a port"))),
    };
    texts.iter().flat_map(|list| list.split(',')).filter(|text| !text.is_empty()).map(parse).collect()
}

/// Every forwarded connection is a pair of streams: one for data, one for what went wrong.
async fn forward_streams(io: impl AsyncRead + AsyncWrite + Send + 'static, pod: Pod) {
    let mut connection = Connection::serve(io);
    let mut waiting: HashMap<String, Stream> = HashMap::new();
    while let Some(stream) = connection.accept().await {
        let request = stream.header("requestid").unwrap_or_default().to_owned();
        let Some(first) = waiting.remove(&request) else {
            waiting.insert(request, stream);
            continue;
        };
        let pair = match (first.header("streamtype"), stream.header("streamtype")) {
            (Some("error"), Some("data")) => Some((first, stream)),
            (Some("data"), Some("error")) => Some((stream, first)),
            _ => None,
        };
        if let Some((error, data)) = pair {
            tokio::spawn(forward_pair(pod.clone(), error, data));
        }
    }
}

async fn forward_pair(pod: Pod, error: Stream, mut data: Stream) {
    let result = match data.header("port").and_then(|port| port.parse().ok()) {
        None => Err("the stream names no port".to_owned()),
        Some(port) => match pod.connect(port).await {
            Err(problem) => Err(problem),
            Ok(socket) => {
                exchange(socket, &mut data).await;
                Ok(())
            }
        },
    };
    if let Err(problem) = result {
        let _gone = error.send(Bytes::from(problem)).await;
    }
    data.finish().await;
    error.finish().await;
}

/// Copies both ways until both sides have ended.
async fn exchange(socket: TcpStream, data: &mut Stream) {
    let (mut read, mut write) = socket.into_split();
    let mut incoming = data.take_receiver();
    let upward = async {
        while let Some(bytes) = incoming.recv().await {
            if write.write_all(&bytes).await.is_err() {
                return;
            }
        }
        let _closed = write.shutdown().await;
    };
    let downward = async {
        let mut buffer = BytesMut::new();
        loop {
            buffer.reserve(CHUNK);
            match read.read_buf(&mut buffer).await {
                Ok(length) if length > 0 => {
                    if data.send(buffer.split().freeze()).await.is_err() {
                        return;
                    }
                }
                _ => break,
            }
        }
        // The client must learn of the end before it ends its own half.
        data.finish().await;
    };
    tokio::join!(upward, downward);
}

/// Two channels per port, numbered in the order of the ports: data, and what went wrong.
async fn forward_channels(socket: WebSocket, codec: Codec, pod: Pod, ports: Vec<u16>) {
    let (sink, mut stream) = socket.split();
    let mut sender = Sender::new(sink, codec);
    let (outgoing, mut queue) = mpsc::channel::<(u8, Bytes)>(64);
    let mut writers: Vec<Option<OwnedWriteHalf>> = Vec::new();
    for (channel, port) in (0..=u8::MAX).step_by(2).zip(ports) {
        // Both channels begin with the port's number.
        for channel in [channel, channel + 1] {
            if sender.send(channel, &port.to_le_bytes()).await.is_err() {
                return;
            }
        }
        match pod.connect(port).await {
            Ok(socket) => {
                let (read, write) = socket.into_split();
                writers.push(Some(write));
                tokio::spawn(read_channel(read, channel, outgoing.clone()));
            }
            Err(problem) => {
                writers.push(None);
                let _full = outgoing.try_send((channel + 1, Bytes::from(problem)));
            }
        }
    }
    drop(outgoing);
    let receive = async {
        while let Some(Ok(message)) = stream.next().await {
            if message.is_close() {
                return;
            }
            let Some((channel, payload)) = codec.decode(message) else { continue };
            let Some(writer) = writers.get_mut(usize::from(channel / 2)) else { continue };
            let failed = match writer {
                Some(writer) if channel % 2 == 0 => writer.write_all(&payload).await.is_err(),
                _ => false,
            };
            if failed {
                *writer = None;
            }
        }
    };
    let send = async {
        while let Some((channel, bytes)) = queue.recv().await {
            if sender.send(channel, &bytes).await.is_err() {
                return;
            }
        }
    };
    tokio::select! {
        () = receive => {}
        () = send => {}
    }
    sender.close().await;
}

async fn read_channel(mut read: impl AsyncRead + Unpin, channel: u8, outgoing: mpsc::Sender<(u8, Bytes)>) {
    let mut buffer = BytesMut::new();
    loop {
        buffer.reserve(CHUNK);
        match read.read_buf(&mut buffer).await {
            Ok(length) if length > 0 => {
                if outgoing.send((channel, buffer.split().freeze())).await.is_err() {
                    return;
                }
            }
            _ => return,
        }
    }
}

impl Pod {
    /// Connects from inside the pod, so that its loopback is the one meant.
    async fn connect(&self, port: u16) -> Result<TcpStream, String> {
        let words = |problem: &dyn std::fmt::Display| {
            format!("error forwarding port {port} to pod {}: {problem}", self.name)
        };
        let (answer, connected) = oneshot::channel();
        let netns = self.netns.clone();
        // A thread of its own: it never leaves the network namespace that it enters.
        std::thread::spawn(move || {
            let _asker_left = answer.send(connect_inside(netns, port));
        });
        let stream = match connected.await {
            Ok(result) => result.map_err(|error| words(&error))?,
            Err(_) => return Err(words(&"the connecting thread died")),
        };
        TcpStream::from_std(stream).map_err(|error| words(&error))
    }
}

fn connect_inside(netns: Option<PathBuf>, port: u16) -> io::Result<StdStream> {
    if let Some(path) = netns {
        setns(std::fs::File::open(path)?, CloneFlags::CLONE_NEWNET)?;
    }
    let over_4 = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let over_6 = SocketAddr::from((Ipv6Addr::LOCALHOST, port));
    let stream = StdStream::connect_timeout(&over_4, CONNECT)
        .or_else(|error| StdStream::connect_timeout(&over_6, CONNECT).map_err(|_| error))?;
    stream.set_nonblocking(true)?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(pairs: &[(&str, &str)]) -> Result<Vec<u16>, String> {
        let pairs = pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        ports(&Params(pairs)).map_err(|refusal| refusal.message)
    }

    #[test]
    fn ports_repeat_or_are_listed() {
        assert_eq!(check(&[("ports", "80,443"), ("ports", "8080")]).unwrap(), [80, 443, 8080]);
        assert_eq!(check(&[("ports", "0")]).unwrap_err(), "`0` is not a port");
        assert!(check(&[("ports", "http")]).is_err());
    }

    #[tokio::test]
    async fn connects_to_a_listener_on_loopback() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let pod = Pod { name: "shop/web".into(), netns: None };
        let mut stream = pod.connect(port).await.unwrap();
        let (mut accepted, _) = listener.accept().await.unwrap();
        stream.write_all(b"x").await.unwrap();
        assert_eq!(accepted.read_u8().await.unwrap(), b'x');
        drop(listener);
        let error = pod.connect(port).await.unwrap_err();
        assert!(error.starts_with(&format!("error forwarding port {port} to pod shop/web: ")), "{error}");
    }
}
