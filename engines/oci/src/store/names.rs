//! Giving images names and taking them away.

use std::collections::HashSet;

use super::{Freed, Images};
use crate::digest::Digest;
use crate::{Error, Image, Reference};

impl Images {
    /// Gives the image one more name; the name moves if another image had it.
    pub fn tag(&self, image: &Image, name: &Reference) -> Result<(), Error> {
        let digest: Digest = image.digest.parse()?;
        self.update_index(|index| {
            if !index.images.contains_key(&digest) {
                return Err(Error::NotFound { reference: image.digest.clone(), registry: None });
            }
            index.names.insert(name.key(), digest.clone());
            Ok(())
        })?
    }

    /// Takes the name away; the image stays until it is pruned.
    pub fn untag(&self, name: &Reference) -> Result<(), Error> {
        self.update_index(|index| index.names.remove(&name.key()))?
            .map(|_| ())
            .ok_or_else(|| Error::NotFound { reference: name.to_string(), registry: None })
    }

    /// Takes the name away and, if that was the image's last one, removes the image. `in_use` has the
    /// digests, ids or names of images that something runs from.
    pub fn remove(&self, name: &Reference, in_use: &HashSet<String>) -> Result<Freed, Error> {
        let image =
            self.find(name).ok_or_else(|| Error::NotFound { reference: name.to_string(), registry: None })?;
        if image.names.iter().any(|other| *other != name.key()) {
            self.untag(name)?;
            return Ok(Freed::default());
        }
        self.remove_image(&image, in_use)
    }

    /// Removes the image with all its names.
    pub fn remove_image(&self, image: &Image, in_use: &HashSet<String>) -> Result<Freed, Error> {
        if image.is_in_use(in_use) {
            let reference = image.names.first().unwrap_or(&image.digest).clone();
            return Err(Error::InUse { reference });
        }
        let digest: Digest = image.digest.parse()?;
        self.update_index(|index| index.drop_image(&digest))?;
        let mut freed = self.collect(in_use)?;
        freed.images.push(image.names.first().unwrap_or(&image.digest).clone());
        Ok(freed)
    }
}

impl Image {
    /// Whether one of `in_use` (digests, ids or names) means this image.
    pub fn is_in_use(&self, in_use: &HashSet<String>) -> bool {
        in_use.contains(&self.digest)
            || in_use.contains(&self.id)
            || self.names.iter().chain(&self.repo_digests).any(|name| in_use.contains(name))
    }
}
