//! Certificates: those that were given, and for the rest ones of the cloud's own authority.

use std::collections::HashMap;
use std::fs;
use std::io::{self, Write};
use std::net::IpAddr;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::{ClientConfig, DigitallySignedStruct, ServerConfig, SignatureScheme};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;
use tracing::warn;

use crate::Error;
use crate::routes::Certificate;

/// Own certificates are valid for a year and renewed well before.
const RENEW_AFTER: Duration = Duration::from_secs(180 * 24 * 3600);
/// The name on the certificate for clients that name no host of ours.
const NOBODY: &str = "gateway.sealos.local";

fn provider() -> Arc<CryptoProvider> {
    static PROVIDER: std::sync::LazyLock<Arc<CryptoProvider>> =
        std::sync::LazyLock::new(|| Arc::new(ring::default_provider()));
    Arc::clone(&PROVIDER)
}

/// Chooses the certificate for a client by the host it names.
pub(crate) struct Certificates {
    given: ArcSwap<Given>,
    authority: Authority,
    own: Mutex<HashMap<String, (Instant, Arc<CertifiedKey>)>>,
}

#[derive(Default)]
struct Given {
    exact: HashMap<String, Arc<CertifiedKey>>,
    wildcard: HashMap<String, Arc<CertifiedKey>>,
    /// Hosts that have routes: only for them own certificates are made.
    hosts: Vec<String>,
}

impl Certificates {
    pub(crate) fn new(authority: Authority) -> Self {
        Self { given: ArcSwap::default(), authority, own: Mutex::default() }
    }

    /// Replaces what was given. A certificate that is no use is left out, and said so.
    pub(crate) fn set(&self, certificates: &[Certificate], hosts: Vec<String>) {
        let mut given = Given { hosts, ..Given::default() };
        for certificate in certificates {
            let key = match read(certificate) {
                Ok(key) => Arc::new(key),
                Err(error) => {
                    warn!(%error, hosts = ?certificate.hosts, "a certificate is not usable");
                    continue;
                }
            };
            for host in &certificate.hosts {
                let host = host.to_ascii_lowercase();
                match host.strip_prefix("*.") {
                    Some(suffix) => given.wildcard.insert(suffix.to_owned(), Arc::clone(&key)),
                    None => given.exact.insert(host, Arc::clone(&key)),
                };
            }
        }
        self.given.store(Arc::new(given));
    }

    fn find(&self, name: Option<&str>) -> Option<Arc<CertifiedKey>> {
        let given = self.given.load();
        let name = name.map(str::to_ascii_lowercase).unwrap_or_default();
        let suffix = name.split_once('.').map(|(_, suffix)| suffix);
        if let Some(key) = given.exact.get(&name).or_else(|| given.wildcard.get(suffix?)) {
            return Some(Arc::clone(key));
        }
        let covers =
            |host: &String| *host == name || host.strip_prefix("*.").is_some_and(|s| Some(s) == suffix);
        let known = given.hosts.iter().any(covers);
        self.own(if known { &name } else { NOBODY })
    }

    fn own(&self, name: &str) -> Option<Arc<CertifiedKey>> {
        let mut own = self.own.lock();
        if let Some((made, key)) = own.get(name)
            && made.elapsed() < RENEW_AFTER
        {
            return Some(Arc::clone(key));
        }
        let key =
            self.authority.issue(name).inspect_err(|error| warn!(%error, name, "no certificate")).ok()?;
        let key = Arc::new(key);
        own.insert(name.to_owned(), (Instant::now(), Arc::clone(&key)));
        Some(key)
    }
}

impl std::fmt::Debug for Certificates {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Certificates").finish_non_exhaustive()
    }
}

impl ResolvesServerCert for Certificates {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.find(hello.server_name())
    }
}

fn read(certificate: &Certificate) -> Result<CertifiedKey, Box<dyn std::error::Error + Send + Sync>> {
    let chain = CertificateDer::pem_slice_iter(&certificate.chain).collect::<Result<Vec<_>, _>>()?;
    let key = PrivateKeyDer::from_pem_slice(&certificate.key)?;
    Ok(CertifiedKey::from_der(chain, key, &provider())?)
}

/// The cloud's own certificate authority.
pub(crate) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    certificate: CertificateDer<'static>,
}

impl Authority {
    /// Loads the authority below `dir`, or makes one. Without a directory it lives as long as we do.
    pub(crate) fn open(dir: Option<&Path>) -> Result<Self, Error> {
        let Some(dir) = dir else { return Ok(Self::from_key(KeyPair::generate()?)?.0) };
        let (key_path, certificate_path) = (dir.join("gateway-ca.key"), dir.join("gateway-ca.crt"));
        let file = |attempt, path: &Path| {
            let path = path.to_owned();
            move |source| Error::File { attempt, path, source }
        };
        let key = match fs::read_to_string(&key_path) {
            Ok(text) => KeyPair::from_pem(&text)
                .map_err(|error| Error::Damaged { path: key_path.clone(), reason: error.to_string() })?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                fs::create_dir_all(dir).map_err(file("create", dir))?;
                let key = KeyPair::generate()?;
                write_private(&key_path, &key.serialize_pem()).map_err(file("write", &key_path))?;
                key
            }
            Err(error) => return Err(file("read", &key_path)(error)),
        };
        let (authority, pem) = Self::from_key(key)?;
        if !certificate_path.exists() {
            fs::write(&certificate_path, pem).map_err(file("write", &certificate_path))?;
        }
        Ok(authority)
    }

    /// The authority is all in its key: the certificate can be made again at any time.
    fn from_key(key: KeyPair) -> Result<(Self, String), Error> {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, "Sealos local authority");
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        params.not_before = rcgen::date_time_ymd(2025, 1, 1);
        params.not_after = rcgen::date_time_ymd(2055, 1, 1);
        let certificate = params.self_signed(&key)?;
        let pem = certificate.pem();
        let certificate = certificate.der().clone();
        Ok((Self { issuer: Issuer::new(params, key), certificate }, pem))
    }

    fn issue(&self, name: &str) -> Result<CertifiedKey, Error> {
        let key = KeyPair::generate()?;
        let mut params = CertificateParams::new(vec![name.to_owned()])?;
        params.distinguished_name.push(DnType::CommonName, name);
        params.use_authority_key_identifier_extension = true;
        params.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ServerAuth];
        let day = |date: jiff::civil::Date| {
            rcgen::date_time_ymd(date.year().into(), date.month().unsigned_abs(), date.day().unsigned_abs())
        };
        let today = jiff::Timestamp::now().to_zoned(jiff::tz::TimeZone::UTC).date();
        params.not_before = day(today.saturating_sub(jiff::Span::new().days(1)));
        params.not_after = day(today.saturating_add(jiff::Span::new().days(365)));
        let leaf = params.signed_by(&key, &self.issuer)?;
        let chain = vec![leaf.der().clone(), self.certificate.clone()];
        let key = PrivateKeyDer::try_from(key.serialize_der())
            .map_err(|reason| Error::Tls(rustls::Error::General(reason.to_owned())))?;
        Ok(CertifiedKey::from_der(chain, key, &provider())?)
    }
}

fn write_private(path: &Path, text: &str) -> io::Result<()> {
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

/// TLS for clients: HTTP/2 and HTTP/1.1 by ALPN.
pub(crate) fn server_config(certificates: Arc<Certificates>) -> Result<Arc<ServerConfig>, Error> {
    let mut config = ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_cert_resolver(certificates);
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

/// TLS to an app. Its certificate is its own business: the way there is our own network.
pub(crate) async fn connect(
    stream: TcpStream,
    address: IpAddr,
    protocol: &[u8],
) -> io::Result<TlsStream<TcpStream>> {
    let builder = ClientConfig::builder_with_provider(provider());
    let builder = builder.with_safe_default_protocol_versions().map_err(io::Error::other)?;
    let mut config = builder
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(AnyCertificate(provider())))
        .with_no_client_auth();
    config.alpn_protocols = vec![protocol.to_vec()];
    tokio_rustls::TlsConnector::from(Arc::new(config)).connect(ServerName::from(address), stream).await
}

#[derive(Debug)]
struct AnyCertificate(Arc<CryptoProvider>);

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
