//! From a request to its answer: who asks, may they, what is it about, who handles it.

use std::sync::Arc;

use axum::body::Body;
use http::{Method, Request, Response};
use sealos_objects::Resource;

use crate::access::authenticate::Impersonation;
use crate::access::reviews;
use crate::body;
use crate::call::Call;
use crate::discovery;
use crate::identity::Identity;
use crate::metrics;
use crate::node;
use crate::options::DeleteOptions;
use crate::request::{Attributes, Query, Target};
use crate::server::Parts;
use crate::status::{Status, What};
use crate::subresources;
use crate::{read, watching, write};

pub(crate) async fn handle(parts: &Arc<Parts>, request: Request<Body>) -> Response<Body> {
    let head = request.method() == Method::HEAD;
    let mut response = match answer(parts, request).await {
        Ok(response) => response,
        Err(status) => status.into_response(),
    };
    if head {
        *response.body_mut() = Body::empty();
    }
    response
}

async fn answer(parts: &Arc<Parts>, request: Request<Body>) -> Result<Response<Body>, Status> {
    let query = Query::parse(request.uri());
    let target = Target::parse(request.method(), request.uri(), &query)?;
    let identity = identity(parts, &request)?;
    let asked = match target {
        Target::Path => return discovery::answer(parts, &identity, &request),
        Target::Resource(asked) => asked,
    };
    authorize(parts, &identity, &asked)?;
    if asked.group == metrics::GROUP {
        return metrics::answer(parts, &asked, &query, request.headers()).await;
    }
    let resource = parts.registry.find(&asked.group, &asked.version, &asked.resource);
    let resource = resource.ok_or_else(Status::no_such_path)?;
    check_place(&resource, &asked)?;
    let call = Call {
        parts: Arc::clone(parts),
        identity,
        asked,
        query,
        headers: request.headers().clone(),
        resource,
    };
    dispatch(call, request).await
}

/// The caller, or the one the caller may act as.
fn identity(parts: &Parts, request: &Request<Body>) -> Result<Identity, Status> {
    let caller = parts.authenticator.caller(request)?;
    let Some(wanted) = Impersonation::read(request.headers())? else { return Ok(caller) };
    let mut checks = Vec::new();
    match wanted.user.strip_prefix("system:serviceaccount:").and_then(|rest| rest.split_once(':')) {
        Some((namespace, name)) => checks.push(("serviceaccounts", namespace, name)),
        None => checks.push(("users", "", wanted.user.as_str())),
    }
    checks.extend(wanted.groups.iter().map(|group| ("groups", "", group.as_str())));
    checks.extend(wanted.uid.iter().map(|uid| ("uids", "", uid.as_str())));
    for (resource, namespace, name) in checks {
        let asked = Attributes {
            verb: "impersonate".to_owned(),
            version: "v1".to_owned(),
            group: if resource == "uids" { "authentication.k8s.io" } else { "" }.to_owned(),
            resource: resource.to_owned(),
            namespace: namespace.to_owned(),
            name: name.to_owned(),
            ..Attributes::default()
        };
        authorize(parts, &caller, &asked)?;
    }
    Ok(wanted.identity())
}

pub(crate) fn authorize(parts: &Parts, identity: &Identity, asked: &Attributes) -> Result<(), Status> {
    if parts.rbac.allows(identity, asked) {
        return Ok(());
    }
    let scope = if asked.namespace.is_empty() {
        "at the cluster scope".to_owned()
    } else {
        format!("in the namespace \"{}\"", asked.namespace)
    };
    let why = format!(
        "User \"{}\" cannot {} resource \"{}\" in API group \"{}\" {scope}",
        identity.user,
        asked.verb,
        asked.full_resource(),
        asked.group
    );
    let what = What { group: asked.group.clone(), resource: asked.resource.clone(), kind: String::new() };
    Err(Status::forbidden(&what, &asked.name, &why))
}

/// Namespaced resources are reached through their namespace, except to read all of them.
fn check_place(resource: &Resource, asked: &Attributes) -> Result<(), Status> {
    let all = asked.namespace.is_empty();
    let fits = if resource.namespaced {
        !all || matches!(asked.verb.as_str(), "list" | "watch") && asked.name.is_empty()
    } else {
        all || resource.plural == "namespaces"
    };
    if fits { Ok(()) } else { Err(Status::no_such_path()) }
}

async fn dispatch(call: Call, request: Request<Body>) -> Result<Response<Body>, Status> {
    let sub = call.asked.subresource.clone();
    if !sub.is_empty() {
        if call.resource.subresource(&sub).is_none() {
            return Err(Status::no_such_path());
        }
        if node::forwards(&call) {
            return node::forward(&call, request).await;
        }
    } else if !call.resource.allows(&call.asked.verb) {
        return Err(Status::method_not_allowed(format!(
            "the server does not allow this method on the requested resource ({} {})",
            call.asked.verb,
            call.resource.qualified()
        )));
    }
    match call.asked.verb.as_str() {
        "get" if sub == "scale" => return subresources::get_scale(&call),
        "get" => return read::get(&call),
        "list" => return read::list(&call),
        "watch" => return watching::watch(&call),
        _ => {}
    }
    let content_type = body::content_type(request.headers());
    let (head, incoming) = request.into_parts();
    let bytes = body::read(incoming, &head.headers).await?;
    match (call.asked.verb.as_str(), sub.as_str()) {
        ("delete", "") => {
            write::delete::delete(&call, &DeleteOptions::parse(&call.query, &bytes, &content_type)?).await
        }
        ("deletecollection", "") => {
            let options = DeleteOptions::parse(&call.query, &bytes, &content_type)?;
            write::delete::delete_collection(&call, &options).await
        }
        ("create", "") if reviews::is_review(&call.resource) => {
            reviews::answer(&call, body::object(&bytes, &content_type)?)
        }
        ("create", "") if call.resource.kind == "Binding" => {
            subresources::bind(&call, body::object(&bytes, &content_type)?).await
        }
        ("create", "") => write::create::create(&call, body::object(&bytes, &content_type)?).await,
        ("create", "binding") => subresources::bind(&call, body::object(&bytes, &content_type)?).await,
        ("create", "eviction") => subresources::evict(&call, body::object(&bytes, &content_type)?).await,
        ("create", "token") => subresources::token(&call, body::object(&bytes, &content_type)?),
        ("update", "scale") => subresources::update_scale(&call, body::object(&bytes, &content_type)?).await,
        ("patch", "scale") => subresources::patch_scale(&call, &bytes, &content_type).await,
        (verb @ ("update" | "patch"), sub) => {
            let part = write::part(sub).ok_or_else(Status::no_such_path)?;
            if verb == "update" {
                write::update::update(&call, body::object(&bytes, &content_type)?, part).await
            } else {
                write::patch::patch(&call, &bytes, &content_type, part).await
            }
        }
        (verb, sub) => Err(Status::method_not_allowed(format!("{verb} is not possible on {sub}"))),
    }
}
