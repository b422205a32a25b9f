//! Building an image from a directory with a `Dockerfile`.

mod context;

use async_trait::async_trait;

use crate::progress::{ProgressSink, Stream};
use crate::users::User;
use crate::{Error, Image, Images};
pub use context::Context;
use std::path::PathBuf;
use std::sync::Arc;

/// Runs a build step in a real container.
#[async_trait]
pub trait Run: Send + Sync {
    /// Runs the step to its end and returns its exit code. When the returned future is dropped, the
    /// step must be killed.
    async fn run(&self, step: RunStep) -> Result<i32, Error>;
}

/// A line of output, without its line break.
pub type OutputSink = Arc<dyn Fn(Stream, &str) + Send + Sync>;

/// One `RUN` instruction, ready to be run.
///
/// The root file system is an overlay of `lower` (top first), `upper` and `work`, mounted with
/// `redirect_dir=off,metacopy=off`; after the step, `upper` is what becomes the layer. The step gets
/// the network of the host, including its `/etc/hosts` and `/etc/resolv.conf` (bind mounts, so that
/// they do not end up in the layer), and root's usual container capabilities.
#[derive(Clone)]
pub struct RunStep {
    pub lower: Vec<PathBuf>,
    pub upper: PathBuf,
    pub work: PathBuf,
    pub args: Vec<String>,
    pub env: Vec<(String, String)>,
    pub cwd: PathBuf,
    pub user: User,
    pub output: OutputSink,
}

/// Builds the image and names it `ctx.tag`.
pub async fn build(
    images: &Images,
    ctx: Context,
    runner: &dyn Run,
    progress: Option<ProgressSink>,
) -> Result<Image, Error> {
    let _ = (images, ctx, runner, progress);
    Err(Error::Run("not ready".into()))
}
