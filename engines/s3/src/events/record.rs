//! An event, and the JSON S3 tells it by.

use std::net::IpAddr;

use http::Extensions;
use serde_json::{Value, json};

use crate::access::{Peer, caller};
use crate::sign::encode;
use crate::store::{Bucket, Deleted, Object};
use crate::time::iso;

/// How an object came to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Put,
    Post,
    Copy,
    Complete,
}

/// Something that happened to an object.
pub(crate) struct Event {
    /// Without `s3:`, as the records have it.
    pub(super) name: &'static str,
    pub(super) key: String,
    size: Option<u64>,
    etag: Option<String>,
    version: Option<String>,
    user: Option<String>,
    peer: Option<IpAddr>,
}

impl Event {
    pub(crate) fn created(kind: Kind, object: &Object, extensions: &Extensions) -> Self {
        let name = match kind {
            Kind::Put => "ObjectCreated:Put",
            Kind::Post => "ObjectCreated:Post",
            Kind::Copy => "ObjectCreated:Copy",
            Kind::Complete => "ObjectCreated:CompleteMultipartUpload",
        };
        Self {
            name,
            key: object.key.clone(),
            size: Some(object.size),
            etag: Some(object.etag.clone()),
            version: Some(object.version.to_string()).filter(|version| version != "null"),
            user: caller(extensions).user,
            peer: extensions.get::<Peer>().map(|peer| peer.0),
        }
    }

    pub(crate) fn removed(deleted: &Deleted, extensions: &Extensions) -> Self {
        let marked = deleted.marker.is_some() && deleted.version.is_none();
        let name = if marked { "ObjectRemoved:DeleteMarkerCreated" } else { "ObjectRemoved:Delete" };
        let user = caller(extensions).user;
        Self { user, peer: extensions.get::<Peer>().map(|peer| peer.0), ..Self::gone(name, deleted) }
    }

    /// Removed by a lifecycle rule.
    pub(crate) fn expired(deleted: &Deleted) -> Self {
        let marked = deleted.marker.is_some() && deleted.version.is_none();
        let name =
            if marked { "LifecycleExpiration:DeleteMarkerCreated" } else { "LifecycleExpiration:Delete" };
        Self::gone(name, deleted)
    }

    fn gone(name: &'static str, deleted: &Deleted) -> Self {
        let version = deleted.version.or(deleted.marker).map(|version| version.to_string());
        Self { name, key: deleted.key.clone(), size: None, etag: None, version, user: None, peer: None }
    }

    /// The record, for one configuration that wants to hear of it.
    pub(super) fn json(
        &self,
        bucket: &Bucket,
        region: &str,
        at: std::time::SystemTime,
        id: &str,
        n: u64,
    ) -> Value {
        let mut object =
            json!({ "key": encode(&self.key, true).replace("%20", "+"), "sequencer": format!("{n:016X}") });
        if let Some(size) = self.size {
            object["size"] = json!(size);
        }
        if let Some(etag) = &self.etag {
            object["eTag"] = json!(etag);
        }
        if let Some(version) = &self.version {
            object["versionId"] = json!(version);
        }
        json!({ "Records": [{
            "eventVersion": "2.1",
            "eventSource": "aws:s3",
            "awsRegion": region,
            "eventTime": iso(at),
            "eventName": self.name,
            "userIdentity": { "principalId": self.user },
            "requestParameters": { "sourceIPAddress": self.peer.map(|peer| peer.to_string()) },
            "s3": {
                "s3SchemaVersion": "1.0",
                "configurationId": id,
                "bucket": {
                    "name": bucket.name,
                    "ownerIdentity": { "principalId": bucket.owner },
                    "arn": format!("arn:aws:s3:::{}", bucket.name),
                },
                "object": object,
            },
        }]})
    }
}
