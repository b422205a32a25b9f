//! Building an image from a directory with a `Dockerfile`.
//!
//! The text is parsed and checked as a whole first, so that a mistake in the last line is found before
//! the first step runs. Steps that make layers are remembered by what goes into them: the layers
//! below, the instruction, and the content of copied files. Running `RUN` steps is somebody else's
//! business: see [`Run`].

mod archive;
mod config;
mod context;
mod copy;
mod copying;
mod execute;
mod fault;
mod glob;
mod ignore;
mod instruction;
mod lines;
mod plan;
mod run;
mod tree;
mod words;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;

pub use self::context::Context;
use self::execute::Builder;
use self::plan::Wishes;
use crate::progress::{Progress, ProgressSink, Reporter, Stream};
use crate::store::platform_architecture;
use crate::users::User;
use crate::{Error, Image, Images};

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
    let source = ctx.dockerfile()?;
    ctx.ignore()?;
    let file = instruction::parse(&source.text).map_err(|fault| fault.in_file(&source.name))?;
    let platform_args = platform_args();
    let wishes = Wishes { args: &ctx.args, target: ctx.target.as_deref(), platform_args: &platform_args };
    let plan = plan::plan(&file, &wishes).map_err(|fault| fault.in_file(&source.name))?;
    let steps: usize = plan.stages.values().map(|stage| stage.instructions.len() + 1).sum();
    let reporter = Reporter::new(progress);
    let builder = Builder {
        images,
        context: &ctx,
        runner,
        reporter: reporter.clone(),
        source: &source,
        escape: file.escape,
        plan: &plan,
        pins: images.pins(),
        done: BTreeMap::new(),
        step: 0,
        of: u32::try_from(steps).unwrap_or(u32::MAX),
        used_args: plan.global_args.keys().cloned().collect::<BTreeSet<_>>(),
    };
    let image = Box::pin(builder.build()).await?;
    reporter.send(Progress::Done { digest: image.digest.clone(), names: image.names.clone() });
    Ok(image)
}

/// What every build knows about the machine it is for.
fn platform_args() -> BTreeMap<String, String> {
    let arch = platform_architecture();
    let mut args = BTreeMap::new();
    for side in ["TARGET", "BUILD"] {
        args.insert(format!("{side}PLATFORM"), format!("linux/{arch}"));
        args.insert(format!("{side}OS"), "linux".to_owned());
        args.insert(format!("{side}ARCH"), arch.to_owned());
        args.insert(format!("{side}VARIANT"), String::new());
    }
    args
}
