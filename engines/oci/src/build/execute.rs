//! Building the stages of a plan, one instruction after the other.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::config::Config;
use super::context::{Context, Source};
use super::fault::Fault;
use super::instruction::{Instruction, Kind};
use super::plan::{Base, Plan, Stage};
use super::{Run, words};
use crate::digest::Digest;
use crate::progress::{Progress, ProgressSink, Reporter};
use crate::store::{
    CachedStep, Descriptor, LayerRecord, Manifest, OCI_CONFIG, OCI_LAYER_GZIP, OCI_MANIFEST, Pins, blocking,
    diff_ids, parse_config,
};
use crate::{Error, Image, Images, PullOptions, Reference};

/// Proxy settings reach the steps without being declared, and do not count for the cache.
const PROXY_ARGS: [&str; 5] = ["HTTP_PROXY", "HTTPS_PROXY", "FTP_PROXY", "NO_PROXY", "ALL_PROXY"];

/// A build under way.
pub(super) struct Builder<'a> {
    pub(super) images: &'a Images,
    pub(super) context: &'a Context,
    pub(super) runner: &'a dyn Run,
    pub(super) reporter: Reporter,
    pub(super) source: &'a Source,
    pub(super) escape: char,
    pub(super) plan: &'a Plan,
    pub(super) pins: Pins,
    pub(super) done: BTreeMap<usize, State>,
    pub(super) step: u32,
    pub(super) of: u32,
    pub(super) used_args: BTreeSet<String>,
}

/// What a stage is so far.
#[derive(Clone)]
pub(super) struct State {
    /// Bottom first.
    pub(super) layers: Vec<LayerRecord>,
    /// What the manifest calls each layer; a base's layers keep their compression.
    pub(super) media_types: BTreeMap<Digest, String>,
    pub(super) config: Config,
    pub(super) args: BTreeMap<String, String>,
}

impl State {
    fn scratch() -> Self {
        Self {
            layers: Vec::new(),
            media_types: BTreeMap::new(),
            config: Config::scratch(),
            args: BTreeMap::new(),
        }
    }

    /// Arguments, and the variables that hide them.
    pub(super) fn variables(&self) -> BTreeMap<String, String> {
        let mut variables = self.args.clone();
        variables.extend(self.config.variables());
        variables
    }

    /// Unpacked layers, top first.
    pub(super) fn lower(&self, images: &Images) -> Vec<PathBuf> {
        images.stacked(self.layers.iter().map(|layer| &layer.diff_id))
    }
}

impl Builder<'_> {
    /// Builds all stages of the plan and makes the target's image known.
    pub(super) async fn build(mut self) -> Result<Image, Error> {
        let plan = self.plan;
        for (index, stage) in &plan.stages {
            let state = self.stage(stage).await?;
            self.done.insert(*index, state);
        }
        for name in self.context.args.keys() {
            if !self.used_args.contains(name) && !is_proxy(name) {
                self.reporter.note(format!("the build argument `{name}` is not used by any ARG"));
            }
        }
        match self.done.remove(&plan.target) {
            Some(state) => self.finish(&state),
            None => Err(Error::malformed(&self.source.name, "its target was not built")),
        }
    }

    async fn stage(&mut self, stage: &Stage) -> Result<State, Error> {
        self.begin_step(&stage.text, false);
        let fault = |reason: String| Fault::new(stage.line, reason).in_file(&self.source.name);
        let mut state = match &stage.base {
            Base::Scratch => State::scratch(),
            Base::Stage(index) => {
                let base =
                    self.done.get(index).cloned().ok_or_else(|| fault("its base was not built".into()))?;
                State { config: base.config.inherited(), args: BTreeMap::new(), ..base }
            }
            Base::Image(name) => {
                let reference = Reference::parse(name).map_err(|e| fault(e.to_string()))?;
                self.base_image(&reference).await?
            }
        };
        if state.config.has_triggers() {
            self.reporter.note("the base image's ONBUILD instructions are not run");
        }
        for (name, value) in &self.context.args {
            if is_proxy(name) {
                state.args.insert(name.clone(), value.clone());
            }
        }
        for instruction in &stage.instructions {
            self.instruction(stage, &mut state, instruction).await?;
        }
        Ok(state)
    }

    /// A finished image as the state a stage starts from.
    async fn base_image(&mut self, reference: &Reference) -> Result<State, Error> {
        let image = self.image(reference).await?;
        let manifest = self.images.manifest(&image.digest.parse()?)?;
        let bytes = self.images.read_document(&manifest.config.digest)?;
        let mut state = State { config: Config::from_image(&bytes)?, ..State::scratch() };
        for (layer, diff_id) in manifest.layers.iter().zip(diff_ids(&parse_config(&bytes)?, &manifest)?) {
            self.pins.add(&layer.digest);
            self.pins.add(&diff_id);
            state.media_types.insert(layer.digest.clone(), layer.media_type.clone());
            state.layers.push(LayerRecord { diff_id, digest: layer.digest.clone(), size: layer.size });
        }
        Ok(state)
    }

    /// An image that is here, or can be fetched.
    pub(super) async fn image(&self, reference: &Reference) -> Result<Image, Error> {
        if let Some(image) = self.images.find(reference) {
            return Ok(image);
        }
        // Only the build as a whole is ever done.
        let reporter = self.reporter.clone();
        let sink: ProgressSink = Arc::new(move |event| match event {
            Progress::Done { .. } => {}
            event => reporter.send(event),
        });
        let options = PullOptions { progress: Some(sink), ..self.context.pull.clone() };
        self.images.pull(reference, &options).await
    }

    async fn instruction(
        &mut self,
        stage: &Stage,
        state: &mut State,
        instruction: &Instruction,
    ) -> Result<(), Error> {
        match &instruction.kind {
            Kind::Run { command, heredocs, ignored_mounts } => {
                for mount in ignored_mounts {
                    self.reporter.note(format!("--mount={mount} is ignored: the step runs without it"));
                }
                let args = super::run::arguments(state, command, heredocs);
                self.run(state, instruction, args).await
            }
            Kind::Copy(copy) => self.copy(stage, state, instruction, copy).await,
            Kind::Workdir(dir) => self.workdir(state, instruction, dir).await,
            _ => {
                self.begin_step(&instruction.text, true);
                self.configure(state, instruction).map_err(|reason| self.fault(instruction, reason))
            }
        }
    }

    /// Instructions that only change what the image says about itself.
    fn configure(&mut self, state: &mut State, instruction: &Instruction) -> Result<(), String> {
        let variables = state.variables();
        let escape = self.escape;
        let expand = |text: &str| words::expand(text, &variables, escape);
        let config = &mut state.config;
        match &instruction.kind {
            Kind::Arg(args) => return self.declare(state, args, &variables),
            Kind::Env(pairs) => {
                for (key, value) in pairs {
                    config.set_env(&expand(key)?, &expand(value)?);
                }
            }
            Kind::Label(pairs) => {
                for (key, value) in pairs {
                    config.set_label(&expand(key)?, &expand(value)?);
                }
            }
            Kind::User(user) => config.set_user(&expand(user)?),
            Kind::Expose(ports) => {
                for port in ports {
                    expand(port)?.split_whitespace().try_for_each(|port| expose(config, port))?;
                }
            }
            Kind::Volume(paths) => {
                for path in paths {
                    config.add_volume(&expand(path)?);
                }
            }
            Kind::Cmd(command) => config.set_cmd(command),
            Kind::Entrypoint(command) => config.set_entrypoint(command),
            Kind::Shell(shell) => config.set_shell(shell),
            Kind::StopSignal(signal) => config.set_stop_signal(&expand(signal)?),
            Kind::Healthcheck(check) => config.set_healthcheck(check.as_ref()),
            Kind::Maintainer(author) => config.set_author(author),
            Kind::Onbuild => self.reporter.note(format!(
                "{}:{}: ONBUILD is ignored: images made here have no triggers",
                self.source.name, instruction.line
            )),
            Kind::From { .. } | Kind::Run { .. } | Kind::Copy(_) | Kind::Workdir(_) => {}
        }
        state.config.record(&instruction.text, None, false);
        Ok(())
    }

    /// `ARG`: what the caller says, else the default, else what came before the first `FROM`.
    fn declare(
        &mut self,
        state: &mut State,
        args: &[(String, Option<String>)],
        variables: &BTreeMap<String, String>,
    ) -> Result<(), String> {
        for (name, default) in args {
            self.used_args.insert(name.clone());
            let value = match (self.context.args.get(name), default) {
                (Some(value), _) => Some(value.clone()),
                (None, Some(default)) => Some(words::expand(default, variables, self.escape)?),
                (None, None) => self.plan.global_args.get(name).cloned(),
            };
            if let Some(value) = value {
                state.args.insert(name.clone(), value);
            }
        }
        Ok(())
    }

    /// Uses the remembered outcome of a step, if there is one.
    pub(super) fn cached(&mut self, key: &Digest) -> Option<CachedStep> {
        if self.context.no_cache { None } else { self.images.cached_step(key, &mut self.pins) }
    }

    /// Puts a step's outcome on top of the stage.
    pub(super) fn apply(&self, state: &mut State, instruction: &Instruction, step: CachedStep) {
        let is_layer = step.layer.is_some();
        state.config.record(&instruction.text, Some(&step.created), is_layer);
        state.layers.extend(step.layer);
    }

    /// Makes a layer of what a step left in `upper`, remembers and applies it.
    pub(super) async fn keep(
        &mut self,
        state: &mut State,
        instruction: &Instruction,
        key: &Digest,
        upper: &Path,
    ) -> Result<(), Error> {
        let (images, upper) = (self.images.clone(), upper.to_owned());
        let layer = blocking(move || {
            let is_empty = std::fs::read_dir(&upper).map_err(Error::io("read", &upper))?.next().is_none();
            if is_empty { Ok(None) } else { images.ingest_upper(&upper).map(Some) }
        })
        .await?;
        if let Some(layer) = &layer {
            self.pins.add(&layer.digest);
            self.pins.add(&layer.diff_id);
        }
        let step = CachedStep { layer, created: jiff::Timestamp::now().to_string() };
        self.images.remember_step(key, &step)?;
        self.apply(state, instruction, step);
        Ok(())
    }

    pub(super) fn begin_step(&mut self, text: &str, cached: bool) {
        self.step += 1;
        self.reporter.send(Progress::Step { step: self.step, of: self.of, text: text.to_owned(), cached });
    }

    pub(super) fn fault(&self, instruction: &Instruction, reason: impl Into<String>) -> Error {
        Fault::new(instruction.line, reason).in_file(&self.source.name)
    }

    fn finish(&mut self, state: &State) -> Result<Image, Error> {
        let config = state.config.finish(&state.layers)?;
        self.pins.add(&Digest::of(&config));
        let digest = self.images.put_blob(&config)?;
        let layer = |record: &LayerRecord| {
            let media_type = state.media_types.get(&record.digest).map_or(OCI_LAYER_GZIP, String::as_str);
            Descriptor::new(media_type, record.digest.clone(), record.size)
        };
        let manifest = Manifest {
            schema_version: 2,
            media_type: Some(OCI_MANIFEST.into()),
            config: Descriptor::new(OCI_CONFIG, digest, config.len() as u64),
            layers: state.layers.iter().map(layer).collect(),
            annotations: BTreeMap::new(),
        };
        let names: Vec<Reference> = self.context.tag.iter().cloned().collect();
        self.images.add_image(&manifest.to_bytes()?, &names, crate::Source::Build)
    }
}

pub(super) fn is_proxy(name: &str) -> bool {
    PROXY_ARGS.contains(&name.to_uppercase().as_str())
}

/// `8080`, `53/udp`, `7000-7005`.
fn expose(config: &mut Config, port: &str) -> Result<(), String> {
    let (numbers, protocol) = port.split_once('/').unwrap_or((port, "tcp"));
    let (first, last) = numbers.split_once('-').unwrap_or((numbers, numbers));
    let number = |text: &str| text.parse::<u16>().ok().filter(|port| *port > 0);
    match (number(first), number(last), protocol) {
        (Some(first), Some(last), "tcp" | "udp" | "sctp") if first <= last => {
            (first..=last).for_each(|port| config.expose(&format!("{port}/{protocol}")));
            Ok(())
        }
        _ => Err(format!("`{port}` is not a port such as 8080, 53/udp or 7000-7005")),
    }
}
