//! Images of programs, made from the distribution's packages on this machine.

use super::{bootstrap, describe};
use crate::progress::Reporter;
use crate::{Error, Image, Images, ProgressSink, Reference};

impl Images {
    /// The image of that local name; if it is not there, it is made of `packages` of the Debian release
    /// `suite`, from the mirrors that this machine's apt uses. `finish` is bash that runs in the new root at
    /// the end. No registry is asked. Callers who want the same image wait for one another.
    pub async fn from_packages(
        &self,
        reference: &Reference,
        suite: &str,
        packages: &[&str],
        finish: &str,
        progress: Option<ProgressSink>,
    ) -> Result<Image, Error> {
        if !reference.is_local() {
            let reason = "images from packages have names that begin with `sealos.local/`".to_owned();
            return Err(Error::Base { image: reference.to_string(), reason });
        }
        let _alone = self.exclusive(&reference.key()).await;
        if let Some(image) = self.find(reference) {
            return Ok(image);
        }
        let reporter = Reporter::new(progress);
        let name = reference.familiar();
        reporter.note(format!("building `{name}` from the package mirror of this machine"));
        let recipe = bootstrap::Recipe { name: &name, suite, slim: true, packages, finish };
        let mut pins = self.pins();
        let layer = bootstrap::bootstrap(self, recipe, &reporter).await?;
        pins.add(&layer.digest);
        pins.add(&layer.diff_id);
        describe(self, recipe, &layer, std::slice::from_ref(reference))
    }
}
