//! `COPY` and `ADD`: from what is written to a layer.

use std::path::{Path, PathBuf};

use serde_json::json;
use sha2::{Digest as _, Sha256};

use super::archive::unpack_archive;
use super::copy::{Layer, Style};
use super::execute::{Builder, State};
use super::ignore::Ignore;
use super::instruction::{Copy, Instruction};
use super::plan::{Origin, Stage};
use super::run::{key, make_dir, normal};
use super::tree::{Item, Selected, Tree, hash_items};
use super::words;
use crate::digest::Digest;
use crate::store::blocking;
use crate::{Error, Reference, Stack, users};

/// A copy with everything resolved, ready to be hashed and done.
struct Job {
    items: Vec<Item>,
    texts: Vec<(PathBuf, String)>,
    destination: PathBuf,
    style: Style,
    /// Files that may be archives, with the place for their content.
    archives: Vec<(PathBuf, PathBuf)>,
}

impl Builder<'_> {
    pub(super) async fn copy(
        &mut self,
        stage: &Stage,
        state: &mut State,
        instruction: &Instruction,
        copy: &Copy,
    ) -> Result<(), Error> {
        let copy = expanded(copy, state, self.escape).map_err(|e| self.fault(instruction, e))?;
        let tree = self.tree(stage, copy.from.as_deref(), instruction).await?;
        let lower = state.lower(self.images);
        let base = Path::new(&state.config.workdir()).join(&copy.destination);
        let prepared = {
            let lower = lower.clone();
            // The work on files happens off the network's threads; the inner error is the user's.
            blocking(move || Ok(prepare(&tree, &copy, &base, &lower))).await?
        };
        let (job, content) = prepared.map_err(|e| self.fault(instruction, e))?;
        let below: Vec<&str> = state.layers.iter().map(|layer| layer.diff_id.as_str()).collect();
        let style = (job.style.owner, job.style.mode, job.style.keeps_owner);
        let archives = job.archives.len();
        let key = key(&json!([
            "copy",
            1,
            below,
            content.as_str(),
            style,
            job.destination.to_string_lossy(),
            archives
        ]));
        let cached = self.cached(&key);
        self.begin_step(&instruction.text, cached.is_some());
        if let Some(step) = cached {
            self.apply(state, instruction, step);
            return Ok(());
        }
        let work = self.images.workspace()?;
        let upper = make_dir(&work.path().join("upper"))?;
        let scratch = work.path().join("unpacked");
        let written = {
            let upper = upper.clone();
            blocking(move || Ok(write(job, &upper, &lower, &scratch))).await?
        };
        written.map_err(|e| self.fault(instruction, e))?;
        self.keep(state, instruction, &key, &upper).await
    }

    async fn tree(
        &mut self,
        stage: &Stage,
        from: Option<&str>,
        instruction: &Instruction,
    ) -> Result<Tree, Error> {
        let Some(from) = from else {
            return Ok(Tree::context(&self.context.dir, self.context.ignore()?));
        };
        match stage.copies_from.get(from) {
            Some(Origin::Stage(index)) => match self.done.get(index) {
                Some(state) => Ok(Tree::stage(state.lower(self.images))),
                None => Err(self.fault(instruction, format!("the stage `{from}` was not built"))),
            },
            Some(Origin::Image(name)) => {
                let reference = Reference::parse(name).map_err(|e| self.fault(instruction, e.to_string()))?;
                let image = self.image(&reference).await?;
                Ok(Tree::stage(image.layers))
            }
            None => Err(self.fault(instruction, format!("`--from={from}` means nothing here"))),
        }
    }
}

/// The instruction with all variables replaced. `--from` was resolved before.
fn expanded(copy: &Copy, state: &State, escape: char) -> Result<Copy, String> {
    let variables = state.variables();
    let expand = |text: &String| words::expand(text, &variables, escape);
    let mut heredocs = copy.heredocs.clone();
    for heredoc in heredocs.iter_mut().filter(|h| h.expand) {
        heredoc.content = words::expand_text(&heredoc.content, &variables, escape)?;
    }
    Ok(Copy {
        sources: copy.sources.iter().map(expand).collect::<Result<_, _>>()?,
        destination: expand(&copy.destination)?,
        chown: copy.chown.as_ref().map(expand).transpose()?,
        chmod: copy.chmod.as_ref().map(expand).transpose()?,
        heredocs,
        ..copy.clone()
    })
}

/// Finds the files and where they go, and hashes them.
fn prepare(tree: &Tree, copy: &Copy, base: &Path, lower: &[PathBuf]) -> Result<(Job, Digest), String> {
    let below = Stack::new(lower.to_vec());
    let destination = normal(base);
    let named_as_dir = copy.destination.is_empty() || copy.destination.ends_with(['/', '.']);
    let exists_as_dir = below.find(&destination).map_err(|e| e.to_string())?.is_dir();
    let exclude = Ignore::parse(&copy.exclude.join("\n")).map_err(|(_, reason)| reason)?;
    let mut selected = Vec::new();
    for source in &copy.sources {
        for found in tree.select(source)? {
            selected.push((source, found));
        }
    }
    let several = selected.len() + copy.heredocs.len() > 1;
    let into_dir = named_as_dir || exists_as_dir;
    if several && !into_dir {
        let reason = "several sources need a directory as destination: end it with a slash";
        return Err(format!("`{}`: {reason}", copy.destination));
    }
    let mut job = Job {
        items: Vec::new(),
        texts: Vec::new(),
        style: style(copy, tree, &below)?,
        archives: Vec::new(),
        destination,
    };
    for (source, found) in &selected {
        let to = place(copy, source, found, into_dir);
        let items = tree.items(found, &to, &exclude).map_err(|e| format!("`{source}`: {e}"))?;
        if copy.unpack
            && let [item] = items.as_slice()
            && item.metadata.is_file()
        {
            job.archives.push((item.host.clone(), to.parent().unwrap_or(Path::new("")).to_owned()));
        }
        job.items.extend(items);
    }
    for heredoc in &copy.heredocs {
        let to = if into_dir { PathBuf::from(&heredoc.name) } else { PathBuf::new() };
        job.texts.push((to, heredoc.content.clone()));
    }
    let digest = hash(&job).map_err(|e| format!("reading the files: {e}"))?;
    Ok((job, digest))
}

/// Where a source goes, relative to the destination. A directory's contents go right into it.
fn place(copy: &Copy, source: &str, found: &Selected, into_dir: bool) -> PathBuf {
    if copy.parents {
        let (_, kept) = source.split_once("/./").unwrap_or(("", source));
        return Path::new(kept)
            .components()
            .filter(|c| matches!(c, std::path::Component::Normal(_)))
            .collect();
    }
    match found.path.file_name() {
        Some(name) if into_dir && !found.found.is_dir() => PathBuf::from(name),
        _ => PathBuf::new(),
    }
}

fn style(copy: &Copy, tree: &Tree, below: &Stack) -> Result<Style, String> {
    let mode = match &copy.chmod {
        None => None,
        Some(text) => {
            let mode = u32::from_str_radix(text, 8).ok().filter(|mode| *mode <= 0o7777);
            Some(mode.ok_or_else(|| format!("--chmod={text}: write it as an octal number such as 755"))?)
        }
    };
    let owner = match &copy.chown {
        None => None,
        Some(spec) => {
            let user = users::resolve(below, spec).map_err(|e| e.to_string())?;
            // A bare number means the group of that number, too.
            let bare = spec.parse::<u32>().ok();
            Some((user.uid, bare.unwrap_or(user.gid)))
        }
    };
    Ok(Style { owner, mode, keeps_owner: tree.keeps_owner() })
}

fn hash(job: &Job) -> std::io::Result<Digest> {
    let mut hasher = Sha256::new();
    hash_items(&job.items, &mut hasher)?;
    for (to, text) in &job.texts {
        hasher.update(to.to_string_lossy().as_bytes());
        hasher.update([0]);
        hasher.update(text.as_bytes());
        hasher.update([0]);
    }
    Ok(Digest::finish(hasher))
}

fn write(job: Job, upper: &Path, lower: &[PathBuf], scratch: &Path) -> Result<(), String> {
    let layer = Layer::new(upper, lower, job.style.clone());
    let mut unpacked: Vec<&Path> = Vec::new();
    for (number, (file, to)) in job.archives.iter().enumerate() {
        let content = scratch.join(number.to_string());
        if unpack_archive(file, &content).map_err(|e| e.to_string())? {
            unpacked.push(file);
            // An archive's files keep the owner that it gives them.
            let style = Style { keeps_owner: true, ..job.style.clone() };
            let archive = Tree::stage(vec![content]);
            put_all(&archive, &Layer::new(upper, lower, style), &job.destination.join(to))?;
        }
    }
    for item in job.items.iter().filter(|item| !unpacked.contains(&item.host.as_path())) {
        let to = join(&job.destination, &item.to);
        layer.put(item, &to).map_err(|e| format!("writing `{}`: {e}", to.display()))?;
    }
    for (to, text) in &job.texts {
        let to = join(&job.destination, to);
        layer.put_text(text, &to).map_err(|e| format!("writing `{}`: {e}", to.display()))?;
    }
    Ok(())
}

fn put_all(tree: &Tree, layer: &Layer, destination: &Path) -> Result<(), String> {
    for selected in tree.select(".")? {
        let items = tree.items(&selected, Path::new(""), &Ignore::default()).map_err(|e| e.to_string())?;
        for item in items {
            let to = join(destination, &item.to);
            layer.put(&item, &to).map_err(|e| format!("writing `{}`: {e}", to.display()))?;
        }
    }
    Ok(())
}

/// Like [`Path::join`], without a slash at the end when there is nothing to join.
fn join(destination: &Path, to: &Path) -> PathBuf {
    if to.as_os_str().is_empty() { destination.to_owned() } else { destination.join(to) }
}
