//! `sealos cp`: files to, from and between buckets; large ones in parts, many at a time.

use std::path::{Component, Path as FilePath, PathBuf};

use anyhow::{Context as _, Result, bail};
use bytes::Bytes;
use clap::Args;
use futures::{StreamExt as _, TryStreamExt as _};
use indicatif::{ProgressBar, ProgressStyle};
use object_store::aws::AmazonS3;
use object_store::path::Path;
use object_store::{
    Attribute, Attributes, ObjectStore as _, ObjectStoreExt as _, PutMultipartOptions, PutOptions,
    PutPayload, WriteMultipart,
};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio_util::io::StreamReader;

use super::objects::{Objects, explain, path, split};
use crate::cli::Global;
use crate::locate::{Found, find};
use crate::output;

/// Files of this size and more go in parts.
const PART: usize = 8 << 20;
/// S3 allows 10,000 parts; a file of known size gets fewer.
const MOST_PARTS: u64 = 9000;
/// Parts of one file on their way at the same time.
const PARTS_AT_ONCE: usize = 4;
/// Files on their way at the same time.
const FILES_AT_ONCE: usize = 8;

/// `sealos cp`
#[derive(Debug, Clone, Args)]
pub(crate) struct Cp {
    /// A file, a directory, s3://BUCKET/KEY, or `-` for stdin
    #[arg(value_name = "FROM")]
    from: String,
    /// A file, a directory, s3://BUCKET/KEY, or `-` for stdout
    #[arg(value_name = "TO")]
    to: String,
    /// A directory, or all below a key
    #[arg(long, short)]
    recursive: bool,
}

/// One end of a copy.
enum End {
    Bucket { objects: Objects, key: String },
    File(PathBuf),
    Stream,
}

impl End {
    async fn parse(found: &Found, text: &str) -> Result<Self> {
        if text == "-" {
            return Ok(Self::Stream);
        }
        let Some(place) = text.strip_prefix("s3://") else { return Ok(Self::File(text.into())) };
        let (bucket, key) = split(place)?;
        Ok(Self::Bucket { objects: Objects::open(found, bucket).await?, key: key.to_owned() })
    }
}

/// `sealos cp`
pub(crate) async fn cp(global: &Global, args: &Cp) -> Result<()> {
    let found = find(global).await?;
    let (from, to) = (End::parse(&found, &args.from).await?, End::parse(&found, &args.to).await?);
    let attempt = || format!("copy {} to {}", args.from, args.to);
    match (from, to, args.recursive) {
        (End::Stream, End::Bucket { objects, key }, false) => {
            let target = path(target_key(&key, None)?.as_str())?;
            let bar = bar(0);
            upload(&objects.store, &target, &mut tokio::io::stdin(), 0, &bar).await.with_context(attempt)
        }
        (End::Bucket { objects, key }, End::Stream, false) => {
            download(&objects.store, &path(&key)?, &mut tokio::io::stdout(), &bar(0))
                .await
                .with_context(attempt)
        }
        (End::File(file), End::Bucket { objects, key }, false) => {
            put_file(&objects.store, &file, &key).await.with_context(attempt)
        }
        (End::File(dir), End::Bucket { objects, key }, true) => {
            put_directory(&objects.store, &dir, &key).await.with_context(attempt)
        }
        (End::Bucket { objects, key }, End::File(file), false) => {
            let file = target_file(&file, &key)?;
            get_file(&objects.store, &path(&key)?, &file, &bar(0)).await.with_context(attempt)
        }
        (End::Bucket { objects, key }, End::File(dir), true) => {
            get_directory(&objects.store, &key, &dir).await.with_context(attempt)
        }
        (End::Bucket { objects: from, key }, End::Bucket { objects: to, key: new }, recursive) => {
            between(&from, &key, &to, &new, recursive).await.with_context(attempt)
        }
        (End::Stream, _, true) | (_, End::Stream, true) => bail!("`-` is one file; leave out --recursive"),
        _ => bail!("neither side is a bucket; write s3://BUCKET/KEY for one of them"),
    }
}

/// The key of a file that goes to `key`: a folder (or nothing) takes the file's name.
fn target_key(key: &str, name: Option<&str>) -> Result<String> {
    if !key.is_empty() && !key.ends_with('/') {
        return Ok(key.to_owned());
    }
    let name = name.context("the key has no name; write s3://BUCKET/KEY")?;
    Ok(format!("{key}{name}"))
}

/// The file that an object goes to: a directory takes the object's name.
fn target_file(file: &FilePath, key: &str) -> Result<PathBuf> {
    let as_directory = file.is_dir() || file.as_os_str().to_string_lossy().ends_with('/');
    if !as_directory {
        return Ok(file.to_owned());
    }
    let name = key.rsplit('/').next().filter(|name| !name.is_empty());
    Ok(file.join(name.context("the key has no name; write s3://BUCKET/KEY")?))
}

async fn put_file(store: &AmazonS3, file: &FilePath, key: &str) -> Result<()> {
    let meta = tokio::fs::metadata(file).await.with_context(|| format!("read {}", file.display()))?;
    if meta.is_dir() {
        bail!("{} is a directory; say --recursive", file.display());
    }
    let name = file.file_name().and_then(|name| name.to_str());
    let target = path(&target_key(key, name)?)?;
    let bar = bar(meta.len());
    send_file(store, file, &target, meta.len(), &bar).await
}

async fn send_file(
    store: &AmazonS3,
    file: &FilePath,
    key: &Path,
    size: u64,
    bar: &ProgressBar,
) -> Result<()> {
    let attempt = || format!("read {}", file.display());
    let mut reader = tokio::fs::File::open(file).await.with_context(attempt)?;
    upload(store, key, &mut reader, size, bar).await.with_context(|| format!("send {}", file.display()))
}

async fn put_directory(store: &AmazonS3, dir: &FilePath, key: &str) -> Result<()> {
    let root = dir.to_owned();
    let files =
        tokio::task::spawn_blocking(move || files_below(&root)).await.context("read the directory")??;
    let bar = bar(files.iter().map(|(_, size)| size).sum());
    let prefix = key.trim_end_matches('/');
    let sends = files.iter().map(|(file, size)| {
        let bar = bar.clone();
        async move {
            let below = file.strip_prefix(dir).unwrap_or(file);
            let below = below.to_str().with_context(|| format!("{} is no UTF-8 name", file.display()))?;
            let key = if prefix.is_empty() { below.to_owned() } else { format!("{prefix}/{below}") };
            send_file(store, file, &path(&key)?, *size, &bar).await
        }
    });
    let count = files.len();
    futures::stream::iter(sends).buffer_unordered(FILES_AT_ONCE).try_collect::<()>().await?;
    bar.finish_and_clear();
    output::line_err(&format!("{count} files are copied"));
    Ok(())
}

/// All files below a directory with their sizes. Links to directories are not followed.
fn files_below(dir: &FilePath) -> Result<Vec<(PathBuf, u64)>> {
    let mut found = Vec::new();
    let mut waiting = vec![dir.to_owned()];
    while let Some(next) = waiting.pop() {
        let attempt = || format!("read {}", next.display());
        for entry in std::fs::read_dir(&next).with_context(attempt)? {
            let entry = entry.with_context(attempt)?;
            if entry.file_type().with_context(attempt)?.is_dir() {
                waiting.push(entry.path());
                continue;
            }
            let meta = std::fs::metadata(entry.path())
                .with_context(|| format!("read {}", entry.path().display()))?;
            if meta.is_file() {
                found.push((entry.path(), meta.len()));
            }
        }
    }
    found.sort();
    Ok(found)
}

/// Sends what a reader has. `size` is a hint; 0 is unknown.
async fn upload(
    store: &AmazonS3,
    key: &Path,
    reader: &mut (impl AsyncRead + Unpin),
    size: u64,
    bar: &ProgressBar,
) -> Result<()> {
    let part = usize::try_from(size / MOST_PARTS).unwrap_or(PART).max(PART);
    let attempt = format!("write {key}");
    let attributes = content_type(key);
    let first = read_part(reader, part).await?;
    if first.len() < part {
        let sent = first.len();
        let options = PutOptions { attributes, ..PutOptions::default() };
        let done = store.put_opts(key, PutPayload::from(first), options).await;
        done.map_err(|error| explain(error, &attempt))?;
        bar.inc(sent as u64);
        return Ok(());
    }
    let options = PutMultipartOptions { attributes, ..PutMultipartOptions::default() };
    let begun = store.put_multipart_opts(key, options).await.map_err(|error| explain(error, &attempt))?;
    let mut writer = WriteMultipart::new_with_chunk_size(begun, part);
    let mut next = first;
    let sent = loop {
        if next.is_empty() {
            break Ok(());
        }
        let length = next.len();
        if let Err(error) = writer.wait_for_capacity(PARTS_AT_ONCE).await {
            break Err(explain(error, &attempt));
        }
        writer.put(next);
        bar.inc(length as u64);
        next = match read_part(reader, part).await {
            Ok(next) => next,
            Err(error) => break Err(error),
        };
    };
    if let Err(error) = sent {
        // What has been sent is of no use; the first error is the one to tell.
        drop(writer.abort().await);
        return Err(error);
    }
    writer.finish().await.map_err(|error| explain(error, &attempt)).map(drop)
}

/// Up to `size` bytes; fewer only at the end.
async fn read_part(reader: &mut (impl AsyncRead + Unpin), size: usize) -> Result<Bytes> {
    let mut part = Vec::with_capacity(size.min(PART));
    let limit = u64::try_from(size).unwrap_or(u64::MAX);
    reader.take(limit).read_to_end(&mut part).await.context("read the input")?;
    Ok(part.into())
}

/// What browsers need to show an object.
fn content_type(key: &Path) -> Attributes {
    let kind = mime_guess::from_path(key.as_ref()).first_raw();
    kind.into_iter().map(|kind| (Attribute::ContentType, kind)).collect()
}

async fn download(
    store: &AmazonS3,
    key: &Path,
    writer: &mut (impl AsyncWrite + Unpin),
    bar: &ProgressBar,
) -> Result<()> {
    let attempt = format!("read {key}");
    let object = store.get(key).await.map_err(|error| explain(error, &attempt))?;
    if bar.length() == Some(0) {
        bar.set_length(object.meta.size);
    }
    let mut chunks = object.into_stream();
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk.map_err(|error| explain(error, &attempt))?;
        writer.write_all(&chunk).await.context("write the output")?;
        bar.inc(chunk.len() as u64);
    }
    writer.flush().await.context("write the output")
}

/// Writes an object to a file that appears only when it is complete.
async fn get_file(store: &AmazonS3, key: &Path, file: &FilePath, bar: &ProgressBar) -> Result<()> {
    let attempt = || format!("write {}", file.display());
    if let Some(dir) = file.parent().filter(|dir| !dir.as_os_str().is_empty()) {
        tokio::fs::create_dir_all(dir).await.with_context(attempt)?;
    }
    let mut name = file.file_name().with_context(attempt)?.to_owned();
    name.push(".part");
    let part = file.with_file_name(name);
    let mut writer = tokio::fs::File::create(&part).await.with_context(attempt)?;
    let done = match download(store, key, &mut writer, bar).await {
        Ok(()) => tokio::fs::rename(&part, file).await.with_context(attempt),
        Err(error) => Err(error),
    };
    if done.is_err() {
        // The first error is the one to tell.
        drop(tokio::fs::remove_file(&part).await);
    }
    done
}

async fn get_directory(store: &AmazonS3, key: &str, dir: &FilePath) -> Result<()> {
    let objects = all_below(store, key).await?;
    let bar = bar(objects.iter().map(|(_, size)| size).sum());
    let gets = objects.iter().map(|(location, _)| {
        let bar = bar.clone();
        async move {
            let file = dir.join(relative(location, key));
            if FilePath::new(&relative(location, key))
                .components()
                .any(|c| !matches!(c, Component::Normal(_)))
            {
                bail!("`{location}` would be written outside of {}", dir.display());
            }
            get_file(store, location, &file, &bar).await
        }
    });
    futures::stream::iter(gets).buffer_unordered(FILES_AT_ONCE).try_collect::<()>().await?;
    bar.finish_and_clear();
    output::line_err(&format!("{} files are copied", objects.len()));
    Ok(())
}

/// The objects below a key with their sizes; none is an error, since a mistyped name looks the same.
async fn all_below(store: &AmazonS3, key: &str) -> Result<Vec<(Path, u64)>> {
    let listed = store.list(Some(&path(key)?)).map_ok(|meta| (meta.location, meta.size));
    let listed: Vec<_> = listed.try_collect().await.map_err(|error| explain(error, "list the objects"))?;
    if listed.is_empty() {
        bail!("there is nothing below `{key}`");
    }
    Ok(listed)
}

/// What a key has after a prefix.
fn relative(location: &Path, prefix: &str) -> String {
    let prefix = prefix.trim_matches('/');
    let whole = location.as_ref();
    whole.strip_prefix(prefix).map_or(whole, |rest| rest.trim_start_matches('/')).to_owned()
}

async fn between(from: &Objects, key: &str, to: &Objects, new: &str, recursive: bool) -> Result<()> {
    if !recursive {
        let name = key.rsplit('/').next().filter(|name| !name.is_empty());
        return move_one(from, &path(key)?, to, &path(&target_key(new, name)?)?, &bar(0)).await;
    }
    let objects = all_below(&from.store, key).await?;
    let bar = bar(objects.iter().map(|(_, size)| size).sum());
    let prefix = new.trim_end_matches('/');
    let copies = objects.iter().map(|(location, _)| {
        let bar = bar.clone();
        async move {
            let below = relative(location, key);
            let target = if prefix.is_empty() { below } else { format!("{prefix}/{below}") };
            move_one(from, location, to, &path(&target)?, &bar).await
        }
    });
    futures::stream::iter(copies).buffer_unordered(FILES_AT_ONCE).try_collect::<()>().await?;
    bar.finish_and_clear();
    output::line_err(&format!("{} objects are copied", objects.len()));
    Ok(())
}

/// Within a bucket the store copies; each bucket's key opens that bucket alone.
async fn move_one(from: &Objects, key: &Path, to: &Objects, new: &Path, bar: &ProgressBar) -> Result<()> {
    let attempt = format!("copy {key}");
    if from.view.bucket == to.view.bucket {
        return from.store.copy(key, new).await.map_err(|error| explain(error, &attempt));
    }
    let object = from.store.get(key).await.map_err(|error| explain(error, &attempt))?;
    let size = object.meta.size;
    let mut reader = StreamReader::new(object.into_stream().map_err(std::io::Error::other));
    upload(&to.store, new, &mut reader, size, bar).await
}

/// A bar on a terminal; nothing elsewhere. Length 0 is not known yet.
fn bar(length: u64) -> ProgressBar {
    if !output::is_watched() {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template("{bar:30} {bytes}/{total_bytes} {bytes_per_sec} {eta}");
    let bar = ProgressBar::new(length);
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    bar
}

#[cfg(test)]
mod tests {
    use std::path::{Path as FilePath, PathBuf};

    use object_store::path::Path;

    use super::{relative, target_file, target_key};

    #[test]
    fn a_folder_takes_the_name_of_what_goes_there() {
        assert_eq!(target_key("a/b.jpg", Some("x")).expect("a key"), "a/b.jpg");
        assert_eq!(target_key("a/", Some("x")).expect("a key"), "a/x");
        assert_eq!(target_key("", Some("x")).expect("a key"), "x");
        assert!(target_key("a/", None).is_err());
        let file = |file: &str, key| target_file(FilePath::new(file), key);
        assert_eq!(file("new.jpg", "a/b.jpg").expect("a file"), PathBuf::from("new.jpg"));
        assert_eq!(file("/tmp", "a/b.jpg").expect("a file"), PathBuf::from("/tmp/b.jpg"));
        assert_eq!(file("nowhere/", "a/b.jpg").expect("a file"), PathBuf::from("nowhere/b.jpg"));
        assert!(file("/tmp", "a/").is_err());
    }

    #[test]
    fn names_below_a_prefix_are_kept() {
        let of = |key: &str, prefix| relative(&Path::from(key), prefix);
        assert_eq!(of("a/b/c", "a"), "b/c");
        assert_eq!(of("a/b/c", "a/b/"), "c");
        assert_eq!(of("a/b/c", ""), "a/b/c");
    }
}
