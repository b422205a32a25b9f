//! Small images made in memory, and pushing them.

use std::io::Write;

use oci_client::client::{ClientConfig, ClientProtocol};
use oci_client::secrets::RegistryAuth;
use oci_client::{Client, RegistryOperation};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

pub(crate) const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
pub(crate) const INDEX: &str = "application/vnd.oci.image.index.v1+json";

/// An image as the bytes that a registry would keep.
#[derive(Clone)]
pub(crate) struct TestImage {
    pub(crate) manifest: Vec<u8>,
    pub(crate) config: Vec<u8>,
    pub(crate) layers: Vec<Vec<u8>>,
}

pub(crate) fn digest(bytes: &[u8]) -> String {
    format!("sha256:{}", hex::encode(Sha256::digest(bytes)))
}

/// A layer's archive with these files.
pub(crate) fn tar(files: &[(&str, &str)]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for (name, content) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        builder.append_data(&mut header, name, content.as_bytes()).unwrap();
    }
    builder.into_inner().unwrap()
}

impl TestImage {
    /// Layers bottom first; every other one is compressed with zstd instead of gzip.
    pub(crate) fn new(layers: &[&[(&str, &str)]]) -> Self {
        let tars: Vec<Vec<u8>> = layers.iter().map(|files| tar(files)).collect();
        Self::from_tars(&tars)
    }

    pub(crate) fn from_tars(tars: &[Vec<u8>]) -> Self {
        let diff_ids: Vec<String> = tars.iter().map(|tar| digest(tar)).collect();
        let config = json!({
            "architecture": if cfg!(target_arch = "x86_64") { "amd64" } else { "arm64" },
            "os": "linux",
            "config": {"Cmd": ["/hello"], "Env": ["A=b"]},
            "rootfs": {"type": "layers", "diff_ids": diff_ids},
        });
        let config = serde_json::to_vec(&config).unwrap();
        let layers: Vec<Vec<u8>> =
            tars.iter().enumerate().map(|(i, tar)| compress(tar, i % 2 == 0)).collect();
        let described: Vec<Value> = layers
            .iter()
            .enumerate()
            .map(|(i, layer)| {
                let kind = if i % 2 == 0 { "gzip" } else { "zstd" };
                let media_type = format!("application/vnd.oci.image.layer.v1.tar+{kind}");
                json!({"mediaType": media_type, "digest": digest(layer), "size": layer.len()})
            })
            .collect();
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": {
                "mediaType": "application/vnd.oci.image.config.v1+json",
                "digest": digest(&config),
                "size": config.len(),
            },
            "layers": described,
        });
        Self { manifest: serde_json::to_vec(&manifest).unwrap(), config, layers }
    }

    pub(crate) fn digest(&self) -> String {
        digest(&self.manifest)
    }

    pub(crate) async fn push(&self, registry: &str, name: &str, auth: &RegistryAuth) {
        drop(rustls::crypto::ring::default_provider().install_default());
        let config = ClientConfig { protocol: ClientProtocol::Http, ..Default::default() };
        let client = Client::try_from(config).unwrap();
        let image: oci_client::Reference = format!("{registry}/{name}").parse().unwrap();
        client.auth(&image, auth, RegistryOperation::Push).await.unwrap();
        for blob in self.layers.iter().chain([&self.config]) {
            client.push_blob(&image, blob.clone(), &digest(blob)).await.unwrap();
        }
        let media_type = http::HeaderValue::from_static(MANIFEST);
        client.push_manifest_raw(&image, self.manifest.clone(), media_type).await.unwrap();
    }
}

fn compress(tar: &[u8], gzip: bool) -> Vec<u8> {
    if gzip {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        encoder.write_all(tar).unwrap();
        encoder.finish().unwrap()
    } else {
        zstd::encode_all(tar, 3).unwrap()
    }
}
