//! `sealos bucket`: buckets, their keys, and what is in them.

use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use clap::Subcommand;
use futures::{StreamExt as _, TryStreamExt as _};
use object_store::path::Path;
use object_store::signer::Signer as _;
use object_store::{ObjectStore as _, ObjectStoreExt as _};
use sealos_buckets::{BucketView, Keys, Policy};
use serde::Serialize;

use super::apps::confirm;
use super::objects::{Objects, connect, explain, path, split};
use crate::cli::{Global, Output};
use crate::locate::{Found, find};
use crate::output::{self, Format};

/// How long a bucket may take to come or go.
const LIMIT: Duration = Duration::from_secs(60);
/// S3 signs for no longer.
const LONGEST_SHARE: Duration = Duration::from_secs(7 * 24 * 3600);

/// `sealos bucket`
#[derive(Debug, Clone, Subcommand)]
pub(crate) enum Bucket {
    /// Make a bucket
    Create {
        /// Its name in the workspace
        name: String,
        /// Who may use it without a key: private, publicRead or publicReadwrite
        #[arg(long, default_value_t, value_name = "POLICY")]
        policy: Policy,
        /// The form of the output.
        #[command(flatten)]
        output: Output,
    },
    /// List the buckets, or what is in one
    #[command(visible_alias = "list")]
    Ls {
        /// A bucket, and what its objects' names begin with
        #[arg(value_name = "NAME[/PREFIX]")]
        what: Option<String>,
        /// Below folders too
        #[arg(long, short)]
        recursive: bool,
        /// The form of the output.
        #[command(flatten)]
        output: Output,
    },
    /// Delete buckets with all that is in them, or single objects
    #[command(visible_alias = "delete")]
    Rm {
        /// The buckets or objects
        #[arg(required = true, value_name = "NAME[/KEY]")]
        names: Vec<String>,
        /// Do not ask
        #[arg(long, short)]
        yes: bool,
    },
    /// Show or set who may use a bucket without a key
    Policy {
        /// The bucket
        name: String,
        /// private, publicRead or publicReadwrite
        policy: Option<Policy>,
    },
    /// Print the keys of a bucket, or of the whole workspace, and where to use them
    Keys {
        /// The bucket
        name: Option<String>,
        /// The form of the output.
        #[command(flatten)]
        output: Output,
    },
    /// Replace the key of a bucket, or of the whole workspace; the old one stops working
    Rotate {
        /// The bucket
        name: Option<String>,
        /// The form of the output.
        #[command(flatten)]
        output: Output,
    },
    /// Print a link to an object that works for everybody until it expires
    Share {
        /// The object
        #[arg(value_name = "NAME/KEY")]
        what: String,
        /// For how long, as in 30m, 1h, 7d
        #[arg(long, default_value = "1h", value_name = "DURATION")]
        expires: String,
        /// A link for uploading to that name instead
        #[arg(long)]
        upload: bool,
        /// A link for apps inside the cloud
        #[arg(long)]
        internal: bool,
    },
}

/// `sealos bucket`
pub(crate) async fn bucket(global: &Global, command: Bucket) -> Result<()> {
    let found = find(global).await?;
    match command {
        Bucket::Create { name, policy, output } => create(&found, &name, policy, output.output).await,
        Bucket::Ls { what: None, output, .. } => list(&found, output.output).await,
        Bucket::Ls { what: Some(what), recursive, output } => {
            list_objects(&found, &what, recursive, output.output).await
        }
        Bucket::Rm { names, yes } => remove(&found, &names, yes).await,
        Bucket::Policy { name, policy } => policy_of(&found, &name, policy).await,
        Bucket::Keys { name, output } => {
            let keys = found.buckets().await?.keys(name.as_deref()).await?;
            show_keys(&keys, output.output)
        }
        Bucket::Rotate { name, output } => {
            let keys = found.buckets().await?.rotate(name.as_deref()).await?;
            output::line_err("the key is replaced; the old one opens nothing any more");
            show_keys(&keys, output.output)
        }
        Bucket::Share { what, expires, upload, internal } => {
            share(&found, &what, &expires, upload, internal).await
        }
    }
}

async fn create(found: &Found, name: &str, policy: Policy, format: Format) -> Result<()> {
    let buckets = found.buckets().await?;
    buckets.create(name, policy).await?;
    let ready = buckets.wait_ready(name, LIMIT).await?;
    if format != Format::Text {
        return output::value(format, &ready);
    }
    output::line(&format!("s3://{}", ready.name));
    output::line_err(&format!("{name} is ready; S3 clients call it {}", ready.bucket));
    Ok(())
}

async fn list(found: &Found, format: Format) -> Result<()> {
    let buckets = found.buckets().await?;
    let all = buckets.list().await?;
    if format != Format::Text {
        return output::value(format, &all);
    }
    if all.is_empty() {
        output::line_err("no buckets yet; make one with `sealos bucket create NAME`");
        return Ok(());
    }
    let rows: Vec<_> = all.iter().map(row).collect();
    output::table(&["NAME", "STATUS", "POLICY", "OBJECTS", "SIZE", "AGE", "S3 NAME"], &rows);
    let user = buckets.user().await?;
    output::line_err(&format!("{} of {} are used", output::size(user.size), output::size(user.quota)));
    Ok(())
}

fn row(view: &BucketView) -> Vec<String> {
    let status = match (view.deleting, view.ready, view.message.is_empty()) {
        (true, ..) => "deleting".to_owned(),
        (false, true, _) => "ready".to_owned(),
        (false, false, true) => "creating".to_owned(),
        (false, false, false) => view.message.clone(),
    };
    vec![
        view.name.clone(),
        status,
        view.policy.to_string(),
        view.objects.to_string(),
        output::size(view.size),
        output::age(view.created_at.as_deref()),
        view.bucket.clone(),
    ]
}

/// One line of a listing.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Entry {
    key: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    size: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    modified: Option<String>,
}

impl Entry {
    fn object(meta: &object_store::ObjectMeta) -> Self {
        let modified = Some(meta.last_modified.to_rfc3339());
        Self { key: meta.location.to_string(), size: Some(meta.size), modified }
    }

    fn folder(prefix: &Path) -> Self {
        Self { key: format!("{prefix}/"), size: None, modified: None }
    }
}

async fn list_objects(found: &Found, what: &str, recursive: bool, format: Format) -> Result<()> {
    let (name, prefix) = split(what)?;
    let objects = Objects::open(found, name).await?;
    let prefix = path(prefix)?;
    let attempt = format!("list bucket `{name}`");
    let entries: Vec<_> = if recursive {
        let all = objects.store.list(Some(&prefix)).map_ok(|meta| Entry::object(&meta));
        all.try_collect().await.map_err(|error| explain(error, &attempt))?
    } else {
        let listed = objects.store.list_with_delimiter(Some(&prefix)).await;
        let listed = listed.map_err(|error| explain(error, &attempt))?;
        let folders = listed.common_prefixes.iter().map(Entry::folder);
        folders.chain(listed.objects.iter().map(Entry::object)).collect()
    };
    if format != Format::Text {
        return output::value(format, &entries);
    }
    if entries.is_empty() {
        output::line_err(&format!(
            "nothing is at {what}; copy something there with `sealos cp FILE s3://{name}/`"
        ));
        return Ok(());
    }
    let row = |entry: &Entry| {
        let age = entry.modified.as_deref().map_or_else(|| "-".into(), |time| output::age(Some(time)));
        vec![entry.key.clone(), entry.size.map_or_else(|| "-".into(), output::size), age]
    };
    output::table(&["KEY", "SIZE", "AGE"], &entries.iter().map(row).collect::<Vec<_>>());
    Ok(())
}

async fn remove(found: &Found, names: &[String], yes: bool) -> Result<()> {
    let buckets = found.buckets().await?;
    for name in names {
        let (bucket, key) = split(name)?;
        if !key.is_empty() {
            remove_objects(found, bucket, key, yes).await?;
            continue;
        }
        let view = buckets.get(bucket).await?;
        if !yes {
            confirm(&format!("Delete bucket {} and all that is in it?", view.name))?;
        }
        buckets.delete(&view.name).await?;
        buckets.wait_gone(&view.name, LIMIT).await?;
        output::line_err(&format!("bucket {} is deleted", view.name));
    }
    Ok(())
}

/// Removes one object, or with a `/` at the end all whose names begin so.
async fn remove_objects(found: &Found, bucket: &str, key: &str, yes: bool) -> Result<()> {
    let objects = Objects::open(found, bucket).await?;
    let (location, attempt) = (path(key)?, format!("delete {bucket}/{key}"));
    if !key.ends_with('/') {
        objects.store.head(&location).await.map_err(|error| explain(error, &attempt))?;
        objects.store.delete(&location).await.map_err(|error| explain(error, &attempt))?;
        output::line_err(&format!("{bucket}/{key} is deleted"));
        return Ok(());
    }
    if !yes {
        confirm(&format!("Delete everything below {bucket}/{key}?"))?;
    }
    let below = objects.store.list(Some(&location)).map_ok(|meta| meta.location).boxed();
    let deleted = objects.store.delete_stream(below).try_fold(0_u64, |count, _| async move { Ok(count + 1) });
    let count = deleted.await.map_err(|error| explain(error, &attempt))?;
    output::line_err(&format!("{count} objects below {bucket}/{key} are deleted"));
    Ok(())
}

async fn policy_of(found: &Found, name: &str, policy: Option<Policy>) -> Result<()> {
    let buckets = found.buckets().await?;
    let view = buckets.get(name).await?;
    let Some(policy) = policy else {
        output::line(view.policy.as_str());
        return Ok(());
    };
    buckets.set_policy(&view.name, policy).await?;
    buckets.wait_ready(&view.name, LIMIT).await?;
    output::line_err(&format!("{} is {policy} now", view.name));
    Ok(())
}

fn show_keys(keys: &Keys, format: Format) -> Result<()> {
    if format != Format::Text {
        return output::value(format, keys);
    }
    let mut lines = vec![
        ("access key", keys.access_key.as_str()),
        ("secret key", &keys.secret_key),
        ("endpoint", &keys.external),
        ("inside", &keys.internal),
    ];
    if let Some(bucket) = &keys.bucket {
        lines.push(("bucket", bucket));
    }
    lines.push(("Secret", &keys.secret));
    lines.iter().for_each(|(name, value)| output::line(&format!("{name:<12}{value}")));
    Ok(())
}

async fn share(found: &Found, what: &str, expires: &str, upload: bool, internal: bool) -> Result<()> {
    let (bucket, key) = split(what)?;
    if key.is_empty() {
        bail!("`{what}` names no object; write BUCKET/KEY");
    }
    let expires = duration(expires)?;
    let objects = Objects::open(found, bucket).await?;
    let location = path(key)?;
    if !upload {
        let there = objects.store.head(&location).await;
        there.map_err(|error| explain(error, &format!("share {what}")))?;
    }
    let keys = found.buckets().await?.keys(Some(&objects.view.name)).await?;
    let endpoint = if internal { &keys.internal } else { &keys.external };
    let method = if upload { hyper::Method::PUT } else { hyper::Method::GET };
    let store = connect(endpoint, &keys, &objects.view.bucket)?;
    let url = store.signed_url(method, &location, expires).await;
    output::line(url.map_err(|error| explain(error, &format!("share {what}")))?.as_str());
    Ok(())
}

fn duration(text: &str) -> Result<Duration> {
    // Days are no unit of exact time to the parser, but people write them.
    let days = text.strip_suffix('d').and_then(|days| days.trim().parse::<u64>().ok());
    let parsed = match days {
        Some(days) => Duration::from_secs(days.saturating_mul(24 * 3600)),
        None => {
            let span: jiff::SignedDuration =
                text.parse().with_context(|| format!("--expires {text}: write for example 1h"))?;
            span.unsigned_abs()
        }
    };
    if parsed.as_secs() == 0 || parsed > LONGEST_SHARE {
        bail!("--expires {text}: a link can work for one second to seven days");
    }
    Ok(parsed)
}

#[cfg(test)]
mod tests {
    use super::duration;

    #[test]
    fn links_work_for_a_second_to_a_week() {
        for (text, seconds) in [("1h", 3600), ("30m", 1800), ("7d", 604_800), ("90s", 90)] {
            assert_eq!(duration(text).expect(text).as_secs(), seconds);
        }
        for bad in ["0s", "8d", "soon", ""] {
            assert!(duration(bad).is_err(), "{bad}");
        }
    }
}
