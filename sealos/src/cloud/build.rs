//! Building images for `sealos build` and `sealos deploy DIR`.

use std::path::PathBuf;

use sealos_node::BuildRunner;
use sealos_oci::build::Context;
use sealos_oci::{Credentials, Error, Image, ProgressSink, Reference};

use super::start::Cloud;
use crate::commands::images::{BuildRequest, Built};

/// Builds a directory. The image gets the name asked for, and one with its digest that stays with it.
pub(crate) async fn build(
    cloud: &Cloud,
    request: BuildRequest,
    progress: ProgressSink,
) -> Result<Built, Error> {
    let tag = Reference::parse(&request.tag)?;
    let context = Context {
        dir: request.dir,
        dockerfile: request.dockerfile.map(PathBuf::from),
        args: request.args,
        target: request.target,
        tag: Some(tag),
        no_cache: request.no_cache,
        pull: cloud.registries.pull_options(Credentials::none(), Some(progress.clone())),
    };
    let runner = BuildRunner::new(cloud.runtime.clone());
    let image = sealos_oci::build::build(&cloud.images, context, &runner, Some(progress)).await?;
    let pinned = pinned_name(&request.tag, &image)?;
    cloud.images.tag(&image, &pinned)?;
    Ok(Built { reference: pinned.to_string(), ports: exposed(&image) })
}

/// `name:<12 hex digits of the digest>`, so that a new build rolls out and an old one can be named.
fn pinned_name(tag: &str, image: &Image) -> Result<Reference, Error> {
    let digest: String = image.digest.trim_start_matches("sha256:").chars().take(12).collect();
    let repository = match tag.rsplit_once(':') {
        Some((repository, after)) if !after.contains('/') => repository,
        _ => tag,
    };
    Reference::parse(&format!("{repository}:{digest}"))
}

/// The TCP ports that an image exposes.
fn exposed(image: &Image) -> Vec<u16> {
    let ports = image.config.config().as_ref().and_then(|c| c.exposed_ports().clone()).unwrap_or_default();
    let tcp = ports.iter().filter(|p| !p.ends_with("/udp"));
    tcp.filter_map(|p| p.split('/').next()?.parse().ok()).collect()
}
