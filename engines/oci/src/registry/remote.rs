//! One conversation with one registry about one image.

use std::sync::Once;
use std::time::Duration;

use futures::future::BoxFuture;
use futures::stream::BoxStream;
use futures::{FutureExt, TryFutureExt};
use oci_client::client::{ClientConfig, ClientProtocol};
use oci_client::errors::{OciDistributionError, OciErrorCode};
use oci_client::manifest::OciDescriptor;
use oci_client::secrets::RegistryAuth;
use oci_client::{Client, RegistryOperation};

use super::endpoint::Endpoint;
use crate::digest::Digest;
use crate::store::Descriptor;
use crate::{Error, Reference};

const CONNECT: Duration = Duration::from_secs(4);
/// A registry that is there answers the first question at once.
const FIRST_ANSWER: Duration = Duration::from_secs(10);
/// How long a registry may fall silent in the middle of an answer.
const SILENCE: Duration = Duration::from_secs(30);
const RETRIES: [Duration; 2] = [Duration::from_millis(300), Duration::from_millis(1500)];
const MANIFESTS: [&str; 4] = [
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
    "application/vnd.docker.distribution.manifest.v2+json",
];

#[derive(Clone)]
pub(super) struct Remote {
    client: Client,
    image: oci_client::Reference,
    auth: RegistryAuth,
    endpoint: Endpoint,
    reference: Reference,
}

type Answer<'a, T> = BoxFuture<'a, Result<T, OciDistributionError>>;

/// The bytes of a blob as they arrive.
pub(super) type BlobStream = BoxStream<'static, std::io::Result<bytes::Bytes>>;

impl Remote {
    /// Reaches the registry and signs in.
    pub(super) async fn connect(
        reference: &Reference,
        endpoint: Endpoint,
        auth: RegistryAuth,
    ) -> Result<Self, Error> {
        let image = oci_reference(reference, &endpoint);
        let client = client(&endpoint)?;
        let remote = Self { client, image, auth, endpoint, reference: reference.clone() };
        let sign_in = remote.retrying(|| {
            remote.client.auth(&remote.image, &remote.auth, RegistryOperation::Pull).map_ok(|_| ()).boxed()
        });
        let signed_in = tokio::time::timeout(FIRST_ANSWER, sign_in).await;
        let silent = || Error::Unreachable {
            registry: remote.endpoint.host.clone(),
            reason: format!("it accepts connections but gave no answer for {} s", FIRST_ANSWER.as_secs()),
        };
        signed_in.unwrap_or_else(|_| Err(silent()))?;
        Ok(remote)
    }

    pub(super) fn host(&self) -> &str {
        &self.endpoint.host
    }

    /// The manifest or index that the image's name or the given digest means, as the registry sent it.
    pub(super) async fn manifest(&self, digest: Option<&Digest>) -> Result<Vec<u8>, Error> {
        let image = match digest {
            Some(digest) => self.image.clone_with_digest(digest.to_string()),
            None => self.image.clone(),
        };
        let (bytes, _) =
            self.retrying(|| self.client.pull_manifest_raw(&image, &self.auth, &MANIFESTS).boxed()).await?;
        if let Some(digest) = digest {
            digest.expect(&Digest::of(&bytes), || format!("the manifest of `{}`", self.reference))?;
        }
        Ok(bytes.to_vec())
    }

    pub(super) async fn blob(&self, descriptor: &Descriptor) -> Result<BlobStream, Error> {
        let wanted = OciDescriptor {
            media_type: descriptor.media_type.clone(),
            digest: descriptor.digest.to_string(),
            size: i64::try_from(descriptor.size).unwrap_or(i64::MAX),
            ..Default::default()
        };
        let sized = self.retrying(|| self.client.pull_blob_stream(&self.image, &wanted).boxed()).await?;
        Ok(sized.stream)
    }

    /// Asks again when the fault may pass by itself.
    async fn retrying<'a, T>(&self, ask: impl Fn() -> Answer<'a, T>) -> Result<T, Error> {
        for pause in RETRIES {
            match ask().await {
                Err(error) if is_transient(&error) => {
                    tracing::debug!(registry = self.host(), %error, "asking again");
                    tokio::time::sleep(pause).await;
                }
                other => return other.map_err(|e| self.explain(e)),
            }
        }
        ask().await.map_err(|e| self.explain(e))
    }

    fn explain(&self, error: OciDistributionError) -> Error {
        use OciDistributionError as E;
        let not_found = || Error::NotFound {
            reference: self.reference.to_string(),
            registry: Some(self.endpoint.host.clone()),
        };
        match error {
            E::RequestError(e) => self.unreachable(&e),
            E::UnauthorizedError { .. } | E::ServerError { code: 401 | 403, .. } => {
                self.unauthorized(match self.auth {
                    RegistryAuth::Anonymous => "it wants a user name and a password",
                    _ => "the user name or the password is wrong, or may not read this image",
                })
            }
            E::AuthenticationFailure(_) => self.unauthorized("the user name or the password is wrong"),
            E::ImageManifestNotFoundError(_) | E::ServerError { code: 404, .. } => not_found(),
            E::RegistryError { envelope, .. } => {
                let has = |codes: &[OciErrorCode]| envelope.errors.iter().any(|e| codes.contains(&e.code));
                use OciErrorCode as C;
                if has(&[
                    C::ManifestUnknown,
                    C::NameUnknown,
                    C::NotFound,
                    C::BlobUnknown,
                    C::ManifestBlobUnknown,
                ]) {
                    not_found()
                } else if has(&[C::Unauthorized, C::Denied]) {
                    self.unauthorized("this user may not read this image")
                } else {
                    let said: Vec<_> =
                        envelope.errors.iter().map(|e| format!("{:?} {}", e.code, e.message)).collect();
                    self.failed(said.join("; ").trim())
                }
            }
            E::DigestError(e) => self.failed(&format!("{e}; the content is damaged or was tampered with")),
            E::ServerError { code, .. } => self.failed(&format!("HTTP status {code}")),
            other => self.failed(&other.to_string()),
        }
    }

    fn unreachable(&self, error: &dyn std::error::Error) -> Error {
        let mut reason = root_cause(error);
        if reason.contains("InvalidContentType") {
            reason =
                "it does not speak TLS. If it is meant to be plain HTTP, list it as an insecure registry"
                    .into();
        }
        Error::Unreachable { registry: self.endpoint.host.clone(), reason }
    }

    fn unauthorized(&self, reason: &str) -> Error {
        Error::Unauthorized {
            registry: self.endpoint.host.clone(),
            reference: self.reference.to_string(),
            reason: reason.to_owned(),
        }
    }

    fn failed(&self, reason: &str) -> Error {
        Error::Registry {
            registry: self.endpoint.host.clone(),
            reference: self.reference.to_string(),
            reason: reason.to_owned(),
        }
    }
}

fn oci_reference(reference: &Reference, endpoint: &Endpoint) -> oci_client::Reference {
    let (registry, repository) = (reference.registry().to_owned(), reference.repository().to_owned());
    let mut image = match (reference.digest(), reference.tag()) {
        (Some(digest), _) => oci_client::Reference::with_digest(registry, repository, digest.to_owned()),
        (None, tag) => {
            oci_client::Reference::with_tag(registry, repository, tag.unwrap_or("latest").to_owned())
        }
    };
    if endpoint.is_mirror {
        image.set_mirror_registry(endpoint.host.clone());
    }
    image
}

fn client(endpoint: &Endpoint) -> Result<Client, Error> {
    static PROVIDER: Once = Once::new();
    PROVIDER.call_once(|| {
        // Another part of the program may have installed it before: the same one.
        drop(rustls::crypto::ring::default_provider().install_default());
    });
    let config = ClientConfig {
        protocol: if endpoint.plain_http { ClientProtocol::Http } else { ClientProtocol::Https },
        connect_timeout: Some(CONNECT),
        read_timeout: Some(SILENCE),
        user_agent: concat!("sealos/", env!("CARGO_PKG_VERSION")),
        ..Default::default()
    };
    Client::try_from(config).map_err(|e| Error::Unreachable {
        registry: endpoint.host.clone(),
        reason: format!("TLS cannot be set up: {}. Is `ca-certificates` installed?", root_cause(&e)),
    })
}

/// Faults of the moment. A registry that cannot be connected to at all is given up at once, so that
/// the user hears of it within seconds.
fn is_transient(error: &OciDistributionError) -> bool {
    match error {
        OciDistributionError::RequestError(e) => !e.is_connect() && !e.is_timeout() && !e.is_builder(),
        OciDistributionError::ServerError { code, .. } => *code == 429 || *code >= 500,
        OciDistributionError::RegistryError { envelope, .. } => {
            envelope.errors.iter().any(|e| e.code == OciErrorCode::Toomanyrequests)
        }
        _ => false,
    }
}

/// The innermost error says what happened; the outer ones only where.
fn root_cause(error: &dyn std::error::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}
