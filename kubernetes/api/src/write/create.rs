//! Create.

use axum::body::Body;
use http::{Response, StatusCode};
use sealos_objects::apply;
use sealos_store::{Error, Expect};
use serde_json::Value;

use super::{check_identity, manager, refused, warn};
use crate::admission;
use crate::call::Call;
use crate::encode;
use crate::keys;
use crate::options::WriteOptions;
use crate::read;
use crate::status::Status;
use crate::time;

/// Names made from `generateName` end in this many characters.
const SUFFIX: usize = 5;
/// Without vowels, so that no name spells a word.
const ALPHABET: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";

pub(crate) async fn create(call: &Call, mut object: Value) -> Result<Response<Body>, Status> {
    let options = WriteOptions::parse(&call.query, &call.headers)?;
    let mut warnings = call
        .resource
        .decode(&mut object, options.check)
        .map_err(|problem| Status::bad_request(problem.to_string()))?;
    let created = insert(call, object, &options, Tracking::Update).await?;
    warnings.extend(call.resource.warnings(&created.object));
    let response = match created.stored {
        Some(stored) => read::respond(call, StatusCode::CREATED, &stored)?,
        None => read::respond_object(call, StatusCode::CREATED, created.object)?,
    };
    Ok(warn(response, &warnings))
}

/// Whether the fields' owner still has to be written down; apply has done so itself.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tracking {
    Update,
    Done,
}

/// A new object, and its bytes unless the run was dry.
pub(crate) struct Created {
    pub(crate) object: Value,
    pub(crate) stored: Option<bytes::Bytes>,
}

/// Makes a decoded object complete, checks it, and stores it.
pub(crate) async fn insert(
    call: &Call,
    mut object: Value,
    options: &WriteOptions,
    tracking: Tracking,
) -> Result<Created, Status> {
    check_identity(call, &mut object)?;
    let generated = begin(call, &mut object)?;
    let resource = &call.resource;
    resource.default(&mut object);
    // What the client and defaults set is the client's; what follows is the server's.
    if tracking == Tracking::Update {
        apply::track(resource, &Value::Null, &mut object, manager(call, options));
    }
    let mut admitted = admission::create(call, &mut object).await?;
    resource.prepare_create(&mut object);
    admission::finish_create(call, &mut object);
    let errors = resource.validate_create(&object);
    let name = encode::meta(&object, "name").to_owned();
    if !errors.is_empty() {
        return Err(Status::invalid(&call.what(), &name, &errors));
    }
    admitted.check_quota(call, None, &object).await?;
    if options.dry_run {
        let key = keys::object(resource, &call.asked.namespace, &name);
        if call.parts.store.get(&key).is_some() {
            return Err(Status::exists(&call.what(), &name));
        }
        return Ok(Created { object, stored: None });
    }
    store(call, object, generated).await
}

async fn store(call: &Call, object: Value, generated: bool) -> Result<Created, Status> {
    let name = encode::meta(&object, "name").to_owned();
    let key = keys::object(&call.resource, &call.asked.namespace, &name);
    let mut stored = call.resource.to_storage(object.clone());
    let encoded = encode::encode(&mut stored)?;
    match call.parts.store.put(&key, Expect::Absent, encoded).await {
        Ok(entry) => {
            let mut object = object;
            encode::set_revision(&mut object, entry.revision);
            crate::effects::created(call, &object).await;
            Ok(Created { object, stored: Some(entry.value) })
        }
        Err(Error::Exists { .. }) if generated => {
            let why = "the server was not able to generate a unique name for the object";
            Err(Status::exists(&call.what(), &name).cause("NameGeneration", why, "metadata.generateName"))
        }
        Err(error) => Err(refused(call, &name, &error)),
    }
}

/// Sets what only the server sets. Tells whether the name was made up.
fn begin(call: &Call, object: &mut Value) -> Result<bool, Status> {
    let asked = call.asked.name.clone();
    let Some(meta) = encode::metadata_mut(object) else {
        return Err(Status::bad_request("metadata: expected an object"));
    };
    let text = |key: &str| meta.get(key).and_then(Value::as_str).unwrap_or("").to_owned();
    let (name, prefix, version) = (text("name"), text("generateName"), text("resourceVersion"));
    if !version.is_empty() && version != "0" {
        return Err(Status::bad_request("resourceVersion should not be set on objects to be created"));
    }
    let mut generated = false;
    if name.is_empty() && !prefix.is_empty() {
        meta.insert("name".into(), generate(&prefix).into());
        generated = true;
    } else if name.is_empty() && !asked.is_empty() {
        meta.insert("name".into(), asked.into());
    }
    for key in ["resourceVersion", "deletionTimestamp", "deletionGracePeriodSeconds", "selfLink"] {
        meta.remove(key);
    }
    meta.insert("uid".into(), uuid::Uuid::new_v4().to_string().into());
    meta.insert("creationTimestamp".into(), time::now().into());
    Ok(generated)
}

fn generate(prefix: &str) -> String {
    // Names have at most 63 characters where they become labels.
    let prefix: String = prefix.chars().take(63 - SUFFIX).collect();
    let random: [u8; SUFFIX] = rand::random();
    let suffix = random.map(|byte| char::from(ALPHABET[usize::from(byte) % ALPHABET.len()]));
    prefix + &String::from_iter(suffix)
}
