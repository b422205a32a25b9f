//! Plain Debian bases, built from packages when their registry cannot be reached.
//!
//! A machine that reaches only a package mirror still gets `debian:bookworm` and its kin: the same
//! packages, put together here, from the mirror and with the keys that this machine's apt uses.

mod bootstrap;
mod packages;
#[cfg(test)]
#[path = "tests.rs"]
mod real;
mod sources;

use oci_spec::image::ImageConfiguration;
use serde_json::json;

use crate::digest::Digest;
use crate::progress::Reporter;
use crate::store::{
    Descriptor, LayerRecord, Manifest, OCI_CONFIG, OCI_LAYER_GZIP, OCI_MANIFEST, Source,
    platform_architecture,
};
use crate::{Error, Image, Images, Reference};

/// Release names, newest first, with the numbers that tags use for them.
const RELEASES: [(&str, &[&str]); 4] = [
    ("trixie", &["13", "latest", "stable"]),
    ("bookworm", &["12", "oldstable"]),
    ("bullseye", &["11", "oldoldstable"]),
    ("sid", &["unstable"]),
];
const PATH: &str = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// A base image that packages can give.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Base {
    suite: &'static str,
    /// Without documentation and translations.
    slim: bool,
}

impl Base {
    /// The base that a name means, if it is a plain Debian image by tag.
    pub(crate) fn of(reference: &Reference) -> Option<Self> {
        if (reference.registry(), reference.repository()) != ("docker.io", "library/debian")
            || reference.digest().is_some()
        {
            return None;
        }
        let tag = reference.tag()?;
        let (release, slim) = tag.strip_suffix("-slim").map_or((tag, false), |release| (release, true));
        let (suite, _) =
            RELEASES.into_iter().find(|(suite, names)| *suite == release || names.contains(&release))?;
        Some(Self { suite, slim })
    }

    fn tag(&self) -> String {
        format!("{}{}", self.suite, if self.slim { "-slim" } else { "" })
    }
}

/// Gives the base image that `reference` means; `why` the registry was of no use.
pub(crate) async fn build(
    images: &Images,
    reference: &Reference,
    base: &Base,
    why: &Error,
    reporter: &Reporter,
) -> Result<Image, Error> {
    let _alone = images.exclusive(&format!("debian:{}", base.tag())).await;
    let canonical = Reference::parse(&format!("debian:{}", base.tag()))?;
    let present = images.find(reference).or_else(|| images.find(&canonical));
    if let Some(image) = present {
        reporter.note(format!("{why}. Using the `{}` that is already here", reference.familiar()));
        images.tag(&image, reference)?;
        return images.find(reference).ok_or_else(|| vanished(reference));
    }
    reporter
        .note(format!("{why}. Building `{}` from the package mirror of this machine", reference.familiar()));
    let mut pins = images.pins();
    let name = format!("debian:{}", base.tag());
    let recipe =
        bootstrap::Recipe { name: &name, suite: base.suite, slim: base.slim, packages: &[], finish: "" };
    let layer = bootstrap::bootstrap(images, recipe, reporter).await?;
    pins.add(&layer.digest);
    pins.add(&layer.diff_id);
    let image = describe(images, recipe, &layer, &[canonical, reference.clone()])?;
    reporter
        .note(format!("`{}` was built from packages; it is not the registry's image", reference.familiar()));
    Ok(image)
}

fn describe(
    images: &Images,
    recipe: bootstrap::Recipe<'_>,
    layer: &LayerRecord,
    names: &[Reference],
) -> Result<Image, Error> {
    let created = jiff::Timestamp::now().to_string();
    let (mut environment, mut made_by) =
        (vec![PATH], format!("mmdebstrap --variant=minbase {}", recipe.suite));
    if !recipe.packages.is_empty() {
        environment.push("LANG=C.UTF-8");
        made_by.push_str(&format!(" --include={}", recipe.packages.join(",")));
    }
    let config = json!({
        "created": created,
        "architecture": platform_architecture(),
        "os": "linux",
        "config": {"Env": environment, "Cmd": ["bash"]},
        "rootfs": {"type": "layers", "diff_ids": [layer.diff_id.as_str()]},
        "history": [{
            "created": created,
            "created_by": made_by,
            "comment": "built from the package mirror of the machine",
        }],
    });
    let config = serde_json::to_vec(&config).map_err(|e| Error::malformed("the image's configuration", e))?;
    debug_assert!(serde_json::from_slice::<ImageConfiguration>(&config).is_ok());
    let mut pins = images.pins();
    pins.add(&Digest::of(&config));
    let digest = images.put_blob(&config)?;
    let manifest = Manifest {
        schema_version: 2,
        media_type: Some(OCI_MANIFEST.into()),
        config: Descriptor::new(OCI_CONFIG, digest, config.len() as u64),
        layers: vec![Descriptor::new(OCI_LAYER_GZIP, layer.digest.clone(), layer.size)],
        annotations: [("org.opencontainers.image.base.name".to_owned(), "packages".to_owned())].into(),
    };
    images.add_image(&manifest.to_bytes()?, names, Source::Packages)
}

fn vanished(reference: &Reference) -> Error {
    Error::NotFound { reference: reference.to_string(), registry: None }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn base(name: &str) -> Option<String> {
        Base::of(&Reference::parse(name).unwrap()).map(|base| base.tag())
    }

    #[test]
    fn only_plain_debian_tags_are_bases() {
        assert_eq!(base("debian:bookworm").as_deref(), Some("bookworm"));
        assert_eq!(base("docker.io/library/debian:12-slim").as_deref(), Some("bookworm-slim"));
        assert_eq!(base("debian").as_deref(), Some("trixie"));
        assert_eq!(base("debian:trixie-slim").as_deref(), Some("trixie-slim"));
        for other in
            ["debian:bookworm-20250520", "me/debian:bookworm", "hub.lan/library/debian:12", "ubuntu:24.04"]
        {
            assert_eq!(base(other), None, "{other}");
        }
        assert_eq!(base(&format!("debian@sha256:{}", "0".repeat(64))), None);
    }
}
