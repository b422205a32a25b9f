//! Writing objects of any kind: server-side apply under one field manager, undone as a whole if a
//! first creation fails half-way.

use kube::Client;
use kube::api::{Api, DeleteParams, DynamicObject, Patch, PatchParams};
use kube::core::GroupVersionKind;
use kube::discovery::ApiResource;
use serde_json::Value;

use crate::labels::FIELD_MANAGER;

/// What went wrong, and with which object.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The object lacks what every object has.
    #[error("an object has no `{0}`")]
    Incomplete(&'static str),
    /// The cluster does not know the kind.
    #[error("the kind {kind} ({api_version}) is not known to this cluster")]
    UnknownKind {
        /// `group/version`
        api_version: String,
        /// the kind
        kind: String,
    },
    /// The API refused the object.
    #[error("apply {kind} `{name}`: {}", message(source))]
    Refused {
        /// the kind
        kind: String,
        /// the object's name
        name: String,
        /// the API's answer
        #[source]
        source: Box<kube::Error>,
    },
}

/// The text of an API error that a person should read.
pub fn message(error: &kube::Error) -> String {
    match error {
        kube::Error::Api(status) => status.message.clone(),
        other => other.to_string(),
    }
}

/// A handle for an object of any kind, in a namespace or, without one, of the whole cluster.
fn api_for(client: &Client, namespace: Option<&str>, object: &Value) -> Result<Api<DynamicObject>, Error> {
    let text = |key: &'static str| object[key].as_str().ok_or(Error::Incomplete(key));
    let (api_version, kind) = (text("apiVersion")?, text("kind")?);
    let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
    let resource = ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, kind));
    Ok(match namespace {
        Some(namespace) => Api::namespaced_with(client.clone(), namespace, &resource),
        None => Api::all_with(client.clone(), &resource),
    })
}

/// Applies namespaced objects in order. If one is refused, those that this call created are deleted again.
pub async fn apply_all(
    client: &Client,
    namespace: &str,
    objects: &[Value],
) -> Result<Vec<DynamicObject>, Error> {
    let mut written = Vec::with_capacity(objects.len());
    let mut created = Vec::new();
    for object in objects {
        match apply_new(client, namespace, object).await {
            Ok((done, new)) => {
                if new {
                    created.push(object);
                }
                written.push(done);
            }
            Err(error) => {
                for object in created.into_iter().rev() {
                    undo(client, namespace, object).await;
                }
                return Err(error);
            }
        }
    }
    Ok(written)
}

/// Applies one object, in a namespace or, without one, of the whole cluster.
pub async fn apply(client: &Client, namespace: Option<&str>, object: &Value) -> Result<DynamicObject, Error> {
    let api = api_for(client, namespace, object)?;
    let params = PatchParams::apply(FIELD_MANAGER).force();
    api.patch(name_of(object)?, &params, &Patch::Apply(object)).await.map_err(refused(object))
}

/// Applies one object; also says whether it is new.
async fn apply_new(client: &Client, namespace: &str, object: &Value) -> Result<(DynamicObject, bool), Error> {
    let api = api_for(client, Some(namespace), object)?;
    let existed = api.get_metadata_opt(name_of(object)?).await.map_err(refused(object))?.is_some();
    Ok((apply(client, Some(namespace), object).await?, !existed))
}

fn name_of(object: &Value) -> Result<&str, Error> {
    object["metadata"]["name"].as_str().ok_or(Error::Incomplete("metadata.name"))
}

fn refused(object: &Value) -> impl FnOnce(kube::Error) -> Error {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let (kind, name) = (text(&object["kind"]), text(&object["metadata"]["name"]));
    move |source| Error::Refused { kind, name, source: Box::new(source) }
}

async fn undo(client: &Client, namespace: &str, object: &Value) {
    let Ok(api) = api_for(client, Some(namespace), object) else { return };
    let Ok(name) = name_of(object) else { return };
    if let Err(error) = api.delete(name, &DeleteParams::background()).await {
        tracing::warn!(%name, %error, "could not take back an object of a failed deployment");
    }
}
