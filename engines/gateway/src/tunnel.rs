//! Connections that change their protocol, as WebSockets do: bytes pass in both directions until one
//! side ends.

use http::Response;
use hyper::body::Incoming;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tracing::debug;

use crate::endpoint::Busy;
use crate::metrics::Active;
use crate::watch::InService;

/// What counts a tunnel while it lasts.
#[derive(Debug)]
pub(crate) struct Guards {
    pub(crate) active: Active,
    pub(crate) _busy: Busy,
    pub(crate) _service: InService,
}

/// Connects the client with the app once both have changed over.
pub(crate) fn start(client: OnUpgrade, app: Response<Incoming>, guards: Guards) {
    tokio::spawn(async move {
        let (client, app) = match tokio::try_join!(client, hyper::upgrade::on(app)) {
            Ok(both) => both,
            Err(error) => {
                debug!(%error, "a protocol change failed");
                return;
            }
        };
        let (mut client, mut app) = (TokioIo::new(client), TokioIo::new(app));
        // Either side may just vanish; that is how many WebSockets end.
        match tokio::io::copy_bidirectional(&mut client, &mut app).await {
            Ok((up, down)) => {
                let counters = guards.active.counters();
                counters.receive(up);
                counters.send(down);
            }
            Err(error) => debug!(%error, "a tunnel ended early"),
        }
        drop(guards);
    });
}
