//! Listings of objects, as the first and the second version of the operation have them.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use s3s::dto::*;
use s3s::{S3Request, S3Response, S3Result, s3_error};

use super::attributes::listed_class;
use super::{answer, number, owner};
use crate::core::Core;
use crate::refuse::refuse;
use crate::sign::encode;
use crate::store::{self, List, Listing};
use crate::time::stamp;

/// The most names on a page.
const MOST: i32 = 1000;

/// How names are written in an answer: as they are, or percent-encoded.
#[derive(Clone, Copy)]
pub(super) struct Writing {
    url: bool,
}

impl Writing {
    pub(super) fn of(encoding: Option<&EncodingType>) -> S3Result<Self> {
        match encoding.map(EncodingType::as_str) {
            None | Some("") => Ok(Self { url: false }),
            Some(EncodingType::URL) => Ok(Self { url: true }),
            Some(_) => Err(s3_error!(InvalidArgument, "Invalid Encoding Method specified in Request")),
        }
    }

    pub(super) fn name(self, name: &str) -> String {
        if self.url { encode(name, true) } else { name.to_owned() }
    }

    pub(super) fn some(self, name: Option<&str>) -> Option<String> {
        name.map(|name| self.name(name))
    }

    pub(super) fn shown(self) -> Option<EncodingType> {
        self.url.then(|| EncodingType::from_static(EncodingType::URL))
    }

    pub(super) fn prefixes(self, prefixes: &[String]) -> Option<Vec<CommonPrefix>> {
        let shown = |prefix: &String| CommonPrefix { prefix: Some(self.name(prefix)) };
        (!prefixes.is_empty()).then(|| prefixes.iter().map(shown).collect())
    }
}

/// How many names a page may have.
pub(super) fn page(asked: Option<i32>) -> S3Result<usize> {
    let asked = asked.unwrap_or(MOST).min(MOST);
    usize::try_from(asked).map_err(|_| s3_error!(InvalidArgument, "max-keys must not be negative"))
}

/// The empty delimiter some clients send means none.
fn given(text: Option<&str>) -> Option<&str> {
    text.filter(|text| !text.is_empty())
}

async fn list(
    core: &Core,
    bucket: &str,
    names: (Option<&str>, Option<&str>, Option<&str>),
    limit: usize,
) -> S3Result<Listing> {
    if limit == 0 {
        core.store.bucket(bucket).await.map_err(refuse)?;
        return Ok(Listing::default());
    }
    let (prefix, delimiter, after) = names;
    let text = |text: Option<&str>| text.unwrap_or_default().to_owned();
    let list = List { prefix: text(prefix), delimiter: text(delimiter), after: text(after), limit };
    core.store.list(bucket, list).await.map_err(refuse)
}

pub(super) async fn v1(
    core: &Core,
    req: S3Request<ListObjectsInput>,
) -> S3Result<S3Response<ListObjectsOutput>> {
    let input = req.input;
    let writing = Writing::of(input.encoding_type.as_ref())?;
    let limit = page(input.max_keys)?;
    let rules = core.shelf.rules(&core.store, &input.bucket).await?;
    let delimiter = given(input.delimiter.as_deref());
    let names = (input.prefix.as_deref(), delimiter, input.marker.as_deref());
    let listing = list(core, &input.bucket, names, limit).await?;
    let owner = &rules.bucket.owner;
    answer(ListObjectsOutput {
        name: Some(input.bucket.clone()),
        prefix: Some(writing.name(input.prefix.as_deref().unwrap_or_default())),
        marker: Some(writing.name(input.marker.as_deref().unwrap_or_default())),
        max_keys: i32::try_from(limit).ok(),
        is_truncated: Some(listing.next.is_some()),
        contents: Some(listing.objects.iter().map(|object| entry(writing, object, Some(owner))).collect()),
        common_prefixes: writing.prefixes(&listing.common_prefixes),
        delimiter: writing.some(delimiter),
        // Without a delimiter clients go on from the last key.
        next_marker: writing.some(listing.next.as_deref().filter(|_| delimiter.is_some())),
        encoding_type: writing.shown(),
        ..Default::default()
    })
}

pub(super) async fn v2(
    core: &Core,
    req: S3Request<ListObjectsV2Input>,
) -> S3Result<S3Response<ListObjectsV2Output>> {
    let input = req.input;
    let writing = Writing::of(input.encoding_type.as_ref())?;
    let limit = page(input.max_keys)?;
    let rules = core.shelf.rules(&core.store, &input.bucket).await?;
    let delimiter = given(input.delimiter.as_deref());
    let token = given(input.continuation_token.as_deref()).map(read_token).transpose()?;
    let after = token.as_deref().or(input.start_after.as_deref());
    let listing = list(core, &input.bucket, (input.prefix.as_deref(), delimiter, after), limit).await?;
    let owner = input.fetch_owner.unwrap_or(false).then_some(&rules.bucket.owner);
    let count = listing.objects.len() + listing.common_prefixes.len();
    answer(ListObjectsV2Output {
        name: Some(input.bucket.clone()),
        prefix: Some(writing.name(input.prefix.as_deref().unwrap_or_default())),
        max_keys: i32::try_from(limit).ok(),
        key_count: i32::try_from(count).ok(),
        continuation_token: input.continuation_token.clone(),
        is_truncated: Some(listing.next.is_some()),
        next_continuation_token: listing.next.as_deref().map(write_token),
        contents: Some(
            listing.objects.iter().map(|o| entry(writing, o, owner.map(String::as_str))).collect(),
        ),
        common_prefixes: writing.prefixes(&listing.common_prefixes),
        delimiter: writing.some(delimiter),
        encoding_type: writing.shown(),
        start_after: writing.some(input.start_after.as_deref()),
        ..Default::default()
    })
}

fn write_token(name: &str) -> String {
    URL_SAFE_NO_PAD.encode(name)
}

fn read_token(token: &str) -> S3Result<String> {
    URL_SAFE_NO_PAD
        .decode(token)
        .ok()
        .and_then(|name| String::from_utf8(name).ok())
        .filter(|_| !token.is_empty())
        .ok_or_else(|| s3_error!(InvalidArgument, "The continuation token provided is incorrect"))
}

fn entry(writing: Writing, object: &store::Object, whose: Option<&(impl AsRef<str> + ?Sized)>) -> Object {
    let checksum = object.attributes.checksum.as_ref();
    Object {
        checksum_algorithm: checksum.map(|sum| vec![ChecksumAlgorithm::from(sum.algorithm.clone())]),
        e_tag: Some(ETag::Strong(object.etag.clone())),
        key: Some(writing.name(&object.key)),
        last_modified: Some(stamp(object.modified)),
        owner: whose.map(|whose| owner(whose.as_ref())),
        size: Some(number(object.size)),
        storage_class: listed_class(),
        ..Default::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_come_back() {
        assert_eq!(read_token(&write_token("a/ü b")).expect("a token"), "a/ü b");
        assert!(read_token("§").is_err() && read_token("").is_err());
    }

    #[test]
    fn pages_have_limits() {
        assert_eq!(page(None).expect("a size"), 1000);
        assert_eq!(page(Some(5000)).expect("a size"), 1000);
        assert_eq!(page(Some(0)).expect("a size"), 0);
        assert!(page(Some(-1)).is_err());
    }
}
