//! What the writer of an object says about it, out of a request and back into an answer.

use std::collections::BTreeMap;

use s3s::dto::{ObjectStorageClass, StorageClass, Tag, Timestamp, TimestampFormat};
use s3s::{S3Result, s3_error};

use crate::store::{Attributes, Bucket, Retention};

/// The most metadata S3 keeps with an object.
const MOST_METADATA: usize = 2048;

/// The header fields that objects, copies and uploads have in common.
#[derive(Default)]
pub(super) struct Written {
    pub(super) content_type: Option<String>,
    pub(super) cache_control: Option<String>,
    pub(super) content_disposition: Option<String>,
    pub(super) content_encoding: Option<String>,
    pub(super) content_language: Option<String>,
    pub(super) expires: Option<Timestamp>,
    pub(super) redirect: Option<String>,
    pub(super) metadata: Option<std::collections::HashMap<String, String>>,
    pub(super) tagging: Option<String>,
    pub(super) storage_class: Option<StorageClass>,
}

/// Takes those fields out of an input.
macro_rules! written {
    ($input:expr) => {
        $crate::api::attributes::Written {
            content_type: $input.content_type.take(),
            cache_control: $input.cache_control.take(),
            content_disposition: $input.content_disposition.take(),
            content_encoding: $input.content_encoding.take(),
            content_language: $input.content_language.take(),
            expires: $input.expires.take(),
            redirect: $input.website_redirect_location.take(),
            metadata: $input.metadata.take(),
            tagging: $input.tagging.take(),
            storage_class: $input.storage_class.take(),
        }
    };
}
pub(super) use written;

/// Refuses what we could only ignore: encryption with somebody's keys, and ACLs.
macro_rules! refuse_extras {
    ($input:expr) => {{
        if $input.sse_customer_algorithm.is_some() || $input.server_side_encryption.is_some() {
            return Err(s3s::s3_error!(NotImplemented, "server-side encryption is not offered"));
        }
        $crate::api::acl::refuse_canned($input.acl.as_ref().map(|acl| acl.as_str()))?;
        let grants =
            [&$input.grant_full_control, &$input.grant_read, &$input.grant_read_acp, &$input.grant_write_acp];
        $crate::api::acl::refuse_grants(grants.into_iter().any(|grant| grant.is_some()))?;
    }};
}
pub(super) use refuse_extras;

impl Written {
    /// Checked, as the store keeps them.
    pub(super) fn check(self) -> S3Result<Attributes> {
        let mut headers = BTreeMap::new();
        let mut set = |name: &str, value: Option<String>| {
            if let Some(value) = value.filter(|value| !value.is_empty()) {
                headers.insert(name.to_owned(), value);
            }
        };
        set("cache-control", self.cache_control);
        set("content-disposition", self.content_disposition);
        set("content-encoding", self.content_encoding.and_then(|text| without_chunked(&text)));
        set("content-language", self.content_language);
        set("expires", self.expires.as_ref().map(http_date));
        if let Some(redirect) = self.redirect {
            if !redirect.starts_with('/')
                && !redirect.starts_with("http://")
                && !redirect.starts_with("https://")
            {
                return Err(s3_error!(InvalidArgument, "a redirect begins with /, http:// or https://"));
            }
            set("x-amz-website-redirect-location", Some(redirect));
        }
        if let Some(class) = &self.storage_class
            && class.as_str() != StorageClass::STANDARD
        {
            return Err(s3_error!(InvalidStorageClass, "there is one storage class: STANDARD"));
        }
        let metadata: BTreeMap<String, String> = self.metadata.into_iter().flatten().collect();
        if metadata.iter().map(|(name, value)| name.len() + value.len()).sum::<usize>() > MOST_METADATA {
            return Err(s3_error!(MetadataTooLarge, "user metadata may have {MOST_METADATA} bytes"));
        }
        let tags = self.tagging.as_deref().map_or(Ok(Vec::new()), tags_of_header)?;
        Ok(Attributes { content_type: self.content_type, headers, metadata, tags, ..Attributes::default() })
    }
}

/// `aws-chunked` tells how the body travelled, not what it is.
fn without_chunked(text: &str) -> Option<String> {
    let rest: Vec<&str> =
        text.split(',').map(str::trim).filter(|coding| !coding.eq_ignore_ascii_case("aws-chunked")).collect();
    (!rest.is_empty()).then(|| rest.join(","))
}

fn http_date(stamp: &Timestamp) -> String {
    let mut text = Vec::new();
    match stamp.format(TimestampFormat::HttpDate, &mut text) {
        Ok(()) => String::from_utf8_lossy(&text).into_owned(),
        Err(_) => String::new(),
    }
}

/// A kept `Expires`, as `s3s` wants it back.
pub(super) fn expires(attributes: &Attributes) -> Option<Timestamp> {
    Timestamp::parse(TimestampFormat::HttpDate, attributes.headers.get("expires")?).ok()
}

/// One kept header.
pub(super) fn header(attributes: &Attributes, name: &str) -> Option<String> {
    attributes.headers.get(name).cloned()
}

/// Tags as `x-amz-tagging` has them.
fn tags_of_header(text: &str) -> S3Result<Vec<(String, String)>> {
    check_tags(form_urlencoded::parse(text.as_bytes()).into_owned().collect(), 10)
}

/// Tags as XML has them.
pub(crate) fn tags_of(set: Vec<Tag>, most: usize) -> S3Result<Vec<(String, String)>> {
    let pair = |tag: Tag| (tag.key.unwrap_or_default(), tag.value.unwrap_or_default());
    check_tags(set.into_iter().map(pair).collect(), most)
}

fn check_tags(tags: Vec<(String, String)>, most: usize) -> S3Result<Vec<(String, String)>> {
    if tags.len() > most {
        return Err(s3_error!(InvalidTag, "at most {most} tags are kept"));
    }
    for (index, (name, value)) in tags.iter().enumerate() {
        if name.is_empty() || name.chars().count() > 128 || value.chars().count() > 256 {
            return Err(s3_error!(InvalidTag, "a tag's key has 1 to 128 characters, its value up to 256"));
        }
        if tags[..index].iter().any(|(other, _)| other == name) {
            return Err(s3_error!(InvalidTag, "the tag `{name}` is there twice"));
        }
    }
    Ok(tags)
}

/// Tags back into XML.
pub(super) fn tag_set(tags: &[(String, String)]) -> Vec<Tag> {
    tags.iter().map(|(key, value)| Tag { key: Some(key.clone()), value: Some(value.clone()) }).collect()
}

/// The only class there is, as listings show it.
pub(super) fn listed_class() -> Option<ObjectStorageClass> {
    Some(ObjectStorageClass::from_static(ObjectStorageClass::STANDARD))
}

/// Lock settings need a bucket with object lock.
pub(super) fn check_lockable(bucket: &Bucket, retention: Option<&Retention>, hold: bool) -> S3Result<()> {
    if (retention.is_some() || hold) && !bucket.object_lock {
        return Err(s3_error!(InvalidRequest, "Bucket is missing Object Lock Configuration"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_codings_that_are_about_the_object() {
        assert_eq!(without_chunked("aws-chunked,gzip"), Some("gzip".to_owned()));
        assert_eq!(without_chunked("aws-chunked"), None);
    }

    #[test]
    fn refuses_tags_that_clash() {
        assert_eq!(tags_of_header("a=1&b=x%20y").expect("tags")[1], ("b".to_owned(), "x y".to_owned()));
        assert!(tags_of_header("a=1&a=2").is_err());
        assert!(tags_of_header("=1").is_err());
    }
}
