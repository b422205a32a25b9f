//! The local certificate authority, the server's certificate, client certificates, and the key that
//! signs service account tokens.

use std::fs;
use std::io::Write as _;
use std::net::IpAddr;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer,
    KeyPair, KeyUsagePurpose, PublicKeyData, SanType, SerialNumber,
};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

use crate::error::Error;

/// Ten years: as long as anyone keeps a data directory.
const CA_DAYS: i64 = 3650;
const LEAF_DAYS: i64 = 365;
/// A server certificate is replaced when less than this is left.
const RENEW_DAYS: i64 = 30;

/// The authority and where its files are.
pub(crate) struct Pki {
    dir: PathBuf,
    ca_pem: String,
    issuer: Issuer<'static, KeyPair>,
    token_key: KeyPair,
}

/// A certificate with its key, as PEM.
pub(crate) struct Leaf {
    pub(crate) certificate: String,
    pub(crate) key: String,
}

impl Pki {
    /// Reads the authority from `dir`, or makes it.
    pub(crate) fn open(dir: &Path) -> Result<Self, Error> {
        fs::create_dir_all(dir).map_err(|source| Error::File { path: dir.to_owned(), source })?;
        let ca_key = key(&dir.join("ca.key"))?;
        let ca_path = dir.join("ca.crt");
        let ca_pem = match read(&ca_path)? {
            Some(pem) => pem,
            None => {
                let pem = ca_params()?.self_signed(&ca_key)?.pem();
                write(&ca_path, &pem, 0o644)?;
                pem
            }
        };
        if !is_pair(&ca_pem, &ca_key.serialize_pem()) {
            let reason = "it does not belong to ca.key".to_owned();
            return Err(Error::Key { path: ca_path, reason });
        }
        // The name in the certificate is always the same, so the issuer needs only the key.
        let issuer = Issuer::new(ca_params()?, ca_key);
        let token_key = key(&dir.join("sa.key"))?;
        Ok(Self { dir: dir.to_owned(), ca_pem, issuer, token_key })
    }

    /// The authority's certificate, as PEM.
    pub(crate) fn ca_pem(&self) -> &str {
        &self.ca_pem
    }

    pub(crate) fn token_key(&self) -> &KeyPair {
        &self.token_key
    }

    /// The authority's certificate for TLS.
    pub(crate) fn ca_der(&self) -> Result<CertificateDer<'static>, Error> {
        CertificateDer::from_pem_slice(self.ca_pem.as_bytes())
            .map_err(|error| Error::Key { path: self.dir.join("ca.crt"), reason: error.to_string() })
    }

    /// A server certificate for `names`; the one on disk while it still fits.
    pub(crate) fn server(&self, names: &[String]) -> Result<Leaf, Error> {
        if let Some(leaf) = self.kept("server", names)? {
            return Ok(leaf);
        }
        let mut params = CertificateParams::default();
        params.subject_alt_names = alt_names(names)?;
        let leaf = self.leaf(params, "kube-apiserver", &[], ExtendedKeyUsagePurpose::ServerAuth)?;
        self.keep("server", &leaf)?;
        Ok(leaf)
    }

    /// The administrator's client certificate; the one on disk while it lasts.
    pub(crate) fn admin(&self) -> Result<Leaf, Error> {
        if let Some(leaf) = self.kept("admin", &[])? {
            return Ok(leaf);
        }
        let leaf = self.client("kubernetes-admin", &["system:masters"])?;
        self.keep("admin", &leaf)?;
        Ok(leaf)
    }

    /// The certificate and key on disk, if they are good for `names` and belong together. Others can
    /// be made anew at any time.
    fn kept(&self, file: &str, names: &[String]) -> Result<Option<Leaf>, Error> {
        let (crt, key) = self.files(file);
        let (Some(certificate), Some(key)) = (read(&crt)?, read(&key)?) else { return Ok(None) };
        let is_good = still_good(&certificate, names) && is_pair(&certificate, &key);
        Ok(is_good.then_some(Leaf { certificate, key }))
    }

    fn keep(&self, file: &str, leaf: &Leaf) -> Result<(), Error> {
        let (crt, key) = self.files(file);
        write(&key, &leaf.key, 0o600)?;
        write(&crt, &leaf.certificate, 0o644)
    }

    fn files(&self, file: &str) -> (PathBuf, PathBuf) {
        (self.dir.join(format!("{file}.crt")), self.dir.join(format!("{file}.key")))
    }

    /// A client certificate: the name is the user, the organisations are the groups.
    pub(crate) fn client(&self, user: &str, groups: &[&str]) -> Result<Leaf, Error> {
        self.leaf(CertificateParams::default(), user, groups, ExtendedKeyUsagePurpose::ClientAuth)
    }

    fn leaf(
        &self,
        mut params: CertificateParams,
        name: &str,
        organisations: &[&str],
        usage: ExtendedKeyUsagePurpose,
    ) -> Result<Leaf, Error> {
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, name);
        for organisation in organisations {
            params.distinguished_name.push(DnType::OrganizationName, *organisation);
        }
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![usage];
        params.use_authority_key_identifier_extension = true;
        params.serial_number = Some(serial());
        lifetime(&mut params, LEAF_DAYS);
        let key = KeyPair::generate()?;
        let certificate = params.signed_by(&key, &self.issuer)?;
        Ok(Leaf { certificate: certificate.pem(), key: key.serialize_pem() })
    }
}

impl Leaf {
    pub(crate) fn chain(&self) -> Result<Vec<CertificateDer<'static>>, Error> {
        CertificateDer::pem_slice_iter(self.certificate.as_bytes())
            .collect::<Result<_, _>>()
            .map_err(|error| Error::Tls(error.into()))
    }

    pub(crate) fn private_key(&self) -> Result<PrivateKeyDer<'static>, Error> {
        PrivateKeyDer::from_pem_slice(self.key.as_bytes()).map_err(|error| Error::Tls(error.into()))
    }
}

fn ca_params() -> Result<CertificateParams, Error> {
    let mut params = CertificateParams::new(Vec::<String>::new())?;
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, "kubernetes");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages =
        vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign, KeyUsagePurpose::DigitalSignature];
    params.serial_number = Some(serial());
    lifetime(&mut params, CA_DAYS);
    Ok(params)
}

/// Positive and at most 16 bytes, so that every client accepts it.
fn serial() -> SerialNumber {
    let mut bytes: [u8; 16] = rand::random();
    bytes[0] = (bytes[0] & 0x3f) | 0x40;
    SerialNumber::from_slice(&bytes)
}

/// Begins an hour ago: clocks of clients may be a little behind.
fn lifetime(params: &mut CertificateParams, days: i64) {
    let now = std::time::SystemTime::now();
    params.not_before = (now - std::time::Duration::from_secs(3600)).into();
    params.not_after = (now + std::time::Duration::from_secs(days.unsigned_abs() * 86400)).into();
}

fn alt_names(names: &[String]) -> Result<Vec<SanType>, Error> {
    let mut found = Vec::with_capacity(names.len());
    for name in names {
        found.push(match name.parse::<IpAddr>() {
            Ok(address) => SanType::IpAddress(address),
            Err(_) => SanType::DnsName(name.as_str().try_into()?),
        });
    }
    Ok(found)
}

/// Whether a certificate lasts long enough and names everything in `names`.
fn still_good(pem: &str, names: &[String]) -> bool {
    let Ok((_, pem)) = x509_parser::pem::parse_x509_pem(pem.as_bytes()) else { return false };
    let Ok(certificate) = pem.parse_x509() else { return false };
    let left = certificate.validity().time_to_expiration();
    if left.is_none_or(|left| left.whole_days() < RENEW_DAYS) {
        return false;
    }
    let Ok(Some(alternatives)) = certificate.subject_alternative_name() else { return names.is_empty() };
    let known: Vec<String> = alternatives.value.general_names.iter().filter_map(alt_text).collect();
    names.iter().all(|name| known.contains(name))
}

/// Whether the key is the one whose public half the certificate carries.
fn is_pair(certificate: &str, key: &str) -> bool {
    let Ok((_, pem)) = x509_parser::pem::parse_x509_pem(certificate.as_bytes()) else { return false };
    let Ok(certificate) = pem.parse_x509() else { return false };
    KeyPair::from_pem(key).is_ok_and(|key| key.subject_public_key_info() == certificate.public_key().raw)
}

fn alt_text(name: &x509_parser::extensions::GeneralName<'_>) -> Option<String> {
    use x509_parser::extensions::GeneralName;
    match name {
        GeneralName::DNSName(name) => Some((*name).to_owned()),
        GeneralName::IPAddress(bytes) => match bytes.len() {
            4 => <[u8; 4]>::try_from(*bytes).ok().map(|bytes| IpAddr::from(bytes).to_string()),
            16 => <[u8; 16]>::try_from(*bytes).ok().map(|bytes| IpAddr::from(bytes).to_string()),
            _ => None,
        },
        _ => None,
    }
}

/// The key at `path`, made when there is none.
fn key(path: &Path) -> Result<KeyPair, Error> {
    if let Some(pem) = read(path)? {
        return KeyPair::from_pem(&pem)
            .map_err(|error| Error::Key { path: path.to_owned(), reason: error.to_string() });
    }
    let key = KeyPair::generate()?;
    write(path, &key.serialize_pem(), 0o600)?;
    Ok(key)
}

fn read(path: &Path) -> Result<Option<String>, Error> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(Error::File { path: path.to_owned(), source }),
    }
}

/// Whole or not at all, and readable by others only where `mode` says so.
fn write(path: &Path, text: &str, mode: u32) -> Result<(), Error> {
    let fresh = path.with_extension("new");
    let attempt = || {
        let mut options = fs::OpenOptions::new();
        let mut file = options.write(true).create(true).truncate(true).mode(mode).open(&fresh)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        fs::rename(&fresh, path)
    };
    attempt().map_err(|source| Error::File { path: path.to_owned(), source })
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::{Error, Pki, is_pair};

    #[test]
    fn what_can_be_made_anew_is_made_anew() {
        let dir = tempfile::tempdir().expect("a directory");
        let pki = Pki::open(dir.path()).expect("made");
        let names = ["localhost".to_owned()];
        let first = pki.server(&names).expect("made");
        assert_eq!(pki.server(&names).expect("kept").key, first.key);
        for (file, content) in [("server.key", "junk"), ("server.key", ""), ("server.crt", "junk")] {
            fs::write(dir.path().join(file), content).expect("damaged");
            let leaf = pki.server(&names).expect("made anew");
            assert!(is_pair(&leaf.certificate, &leaf.key));
        }
        fs::write(dir.path().join("admin.key"), &first.key).expect("another key");
        let admin = pki.admin().expect("made anew");
        assert!(is_pair(&admin.certificate, &admin.key));
    }

    #[test]
    fn a_damaged_authority_is_named() {
        let dir = tempfile::tempdir().expect("a directory");
        drop(Pki::open(dir.path()).expect("made"));
        for content in ["junk", &Pki::open(dir.path()).expect("kept").admin().expect("made").certificate] {
            fs::write(dir.path().join("ca.crt"), content).expect("damaged");
            let error = Pki::open(dir.path()).err().expect("refused");
            assert!(matches!(&error, Error::Key { path, .. } if path.ends_with("ca.crt")), "{error}");
            fs::remove_file(dir.path().join("ca.crt")).expect("removed");
        }
    }
}
