//! What stands before the operations: the host name, CORS, websites, and bodies that never end.

mod body;
mod cors;
mod host;
mod website;

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use http::{HeaderValue, Method, Request, Response};
use hyper::body::Incoming;
use s3s::service::{S3Service, S3ServiceBuilder};
use s3s::{Body, HttpError};

use self::body::Patient;
pub(crate) use self::body::STALLED;
use self::host::{Hosts, Place};
use crate::access::{Gate, Peer};
use crate::api::Api;
use crate::auth::Secrets;
use crate::core::Core;

/// The whole service as a function from requests to answers.
#[derive(Clone)]
pub(crate) struct Front {
    core: Arc<Core>,
    s3: S3Service,
    hosts: Arc<Hosts>,
    requests: Arc<AtomicU64>,
}

impl Front {
    pub(crate) fn new(core: &Arc<Core>) -> Self {
        let hosts = Arc::new(Hosts::new(&core.config.domains));
        let mut builder = S3ServiceBuilder::new(Api(Arc::clone(core)));
        builder.set_auth(Secrets(Arc::clone(core)));
        builder.set_access(Gate(Arc::clone(core)));
        builder.set_host(Hosts::clone(&hosts));
        // What tells this start's requests from those of the one before.
        let start = crate::time::seconds(std::time::SystemTime::now()) << 24;
        Self { core: Arc::clone(core), s3: builder.build(), hosts, requests: Arc::new(AtomicU64::new(start)) }
    }

    pub(crate) async fn answer(
        self,
        request: Request<Incoming>,
        peer: IpAddr,
    ) -> Result<Response<Body>, HttpError> {
        let stall = self.core.config.stall;
        let mut request = request.map(|body| Body::http_body_unsync(Patient::new(body, stall)));
        request.extensions_mut().insert(Peer(peer));
        let id = format!("{:016X}", self.requests.fetch_add(1, Ordering::Relaxed));
        let mut response = self.route(request, peer).await?;
        let headers = response.headers_mut();
        if let Ok(id) = HeaderValue::try_from(id) {
            headers.insert("x-amz-request-id", id);
        }
        headers.insert("server", HeaderValue::from_static("Sealos"));
        Ok(response)
    }

    async fn route(&self, request: Request<Body>, peer: IpAddr) -> Result<Response<Body>, HttpError> {
        let place = self.hosts.place(&request);
        if let Place::Website(bucket) = &place {
            return website::serve(&self.core, &self.s3, bucket, request, peer).await;
        }
        let bucket = place.bucket();
        if request.method() == Method::OPTIONS {
            return Ok(cors::preflight(&self.core, bucket.as_deref(), request.headers()).await);
        }
        let asked = cors::Asked::of(request.method(), request.headers());
        let mut response = self.s3.call(request).await?;
        if let (Some(asked), Some(bucket)) = (asked, bucket) {
            cors::allow(&self.core, &bucket, &asked, response.headers_mut()).await;
        }
        Ok(response)
    }
}
