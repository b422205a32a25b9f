//! The variables of a container: services, `envFrom`, `env` and what they refer to.

use std::collections::{BTreeMap, HashMap};

use k8s_openapi::api::core::v1::{ConfigMap, Container, EnvVar, EnvVarSource, Pod, Secret};

use crate::downward::{self, Place};
use crate::expand::expand;
use crate::sources::{Kind, Sources};

/// Why a container cannot be configured yet.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("{what} \"{name}\" not found")]
    Missing { what: &'static str, name: String },
    #[error("couldn't find key {key} in {what} {namespace}/{name}")]
    MissingKey { what: &'static str, namespace: String, name: String, key: String },
    #[error("the value of key {key} in {what} \"{name}\" is not text and cannot be a variable")]
    Binary { what: &'static str, name: String, key: String },
    #[error("variable {name}: `{path}` is no field that pods offer")]
    Field { name: String, path: String },
    #[error("read {what} \"{name}\": {source}")]
    Read {
        what: &'static str,
        name: String,
        #[source]
        source: Box<kube::Error>,
    },
}

/// The objects a container's variables refer to, as they were when it was about to start.
#[derive(Debug, Default)]
pub(crate) struct Referred {
    config_maps: HashMap<String, ConfigMap>,
    secrets: HashMap<String, Secret>,
}

/// The ConfigMaps and Secrets that a container's variables name.
pub(crate) fn references(container: &Container) -> Vec<(Kind, String)> {
    let mut names = Vec::new();
    for from in container.env_from.iter().flatten() {
        names.extend(from.config_map_ref.iter().map(|r| (Kind::ConfigMap, r.name.clone())));
        names.extend(from.secret_ref.iter().map(|r| (Kind::Secret, r.name.clone())));
    }
    for source in container.env.iter().flatten().filter_map(|var| var.value_from.as_ref()) {
        names.extend(source.config_map_key_ref.iter().map(|r| (Kind::ConfigMap, r.name.clone())));
        names.extend(source.secret_key_ref.iter().map(|r| (Kind::Secret, r.name.clone())));
    }
    names.sort();
    names.dedup();
    names
}

/// Reads what [`references`] names; what does not exist is left out.
pub(crate) async fn read(
    sources: &Sources,
    namespace: &str,
    container: &Container,
) -> Result<Referred, Error> {
    let mut referred = Referred::default();
    for (kind, name) in references(container) {
        let failed = |what: &'static str, name: &str, source| Error::Read {
            what,
            name: name.to_owned(),
            source: Box::new(source),
        };
        match kind {
            Kind::ConfigMap => {
                let found = sources.config_map(namespace, &name).await;
                if let Some(object) = found.map_err(|e| failed("configmap", &name, e))? {
                    referred.config_maps.insert(name, object);
                }
            }
            Kind::Secret => {
                let found = sources.secret(namespace, &name).await;
                if let Some(object) = found.map_err(|e| failed("secret", &name, e))? {
                    referred.secrets.insert(name, object);
                }
            }
        }
    }
    Ok(referred)
}

/// What the variables of one container are made from.
#[derive(Debug)]
pub(crate) struct Inputs<'a> {
    pub pod: &'a Pod,
    pub container: &'a Container,
    pub place: &'a Place,
    pub referred: &'a Referred,
    /// Variables that describe the services of the namespace.
    pub services: BTreeMap<String, String>,
}

/// The variables, by name. Later sources win: services, then `envFrom`, then `env`.
pub(crate) fn assemble(inputs: &Inputs<'_>) -> Result<BTreeMap<String, String>, Error> {
    let mut vars = env_from(inputs)?;
    for var in inputs.container.env.iter().flatten() {
        let value = match (&var.value, &var.value_from) {
            (Some(value), _) if !value.is_empty() => {
                Some(expand(value, |name| vars.get(name).or_else(|| inputs.services.get(name)).cloned()))
            }
            (_, Some(source)) => value_from(inputs, var, source)?,
            _ => Some(String::new()),
        };
        if let Some(value) = value {
            vars.insert(var.name.clone(), value);
        }
    }
    for (name, value) in &inputs.services {
        vars.entry(name.clone()).or_insert_with(|| value.clone());
    }
    Ok(vars)
}

fn env_from(inputs: &Inputs<'_>) -> Result<BTreeMap<String, String>, Error> {
    let mut vars = BTreeMap::new();
    for from in inputs.container.env_from.iter().flatten() {
        let prefix = from.prefix.as_deref().unwrap_or_default();
        if let Some(reference) = &from.config_map_ref {
            match inputs.referred.config_maps.get(&reference.name) {
                Some(object) => {
                    let data = object.data.iter().flatten();
                    vars.extend(data.map(|(key, value)| (format!("{prefix}{key}"), value.clone())));
                }
                None if reference.optional == Some(true) => {}
                None => return Err(Error::Missing { what: "configmap", name: reference.name.clone() }),
            }
        }
        if let Some(reference) = &from.secret_ref {
            match inputs.referred.secrets.get(&reference.name) {
                Some(object) => {
                    for (key, value) in object.data.iter().flatten() {
                        let value = text(&value.0, &reference.name, key)?;
                        vars.insert(format!("{prefix}{key}"), value);
                    }
                }
                None if reference.optional == Some(true) => {}
                None => return Err(Error::Missing { what: "secret", name: reference.name.clone() }),
            }
        }
    }
    vars.retain(|name, _| usable(name));
    Ok(vars)
}

/// A name the kernel and every shell can live with.
fn usable(name: &str) -> bool {
    !name.is_empty() && name.chars().all(|c| (' '..='~').contains(&c) && c != '=')
}

fn text(bytes: &[u8], name: &str, key: &str) -> Result<String, Error> {
    String::from_utf8(bytes.to_vec()).map_err(|_| Error::Binary {
        what: "secret",
        name: name.to_owned(),
        key: key.to_owned(),
    })
}

/// The value a reference stands for; `None` when it is optional and absent.
fn value_from(inputs: &Inputs<'_>, var: &EnvVar, source: &EnvVarSource) -> Result<Option<String>, Error> {
    let namespace = inputs.pod.metadata.namespace.clone().unwrap_or_default();
    if let Some(field) = &source.field_ref {
        return downward::field(inputs.pod, inputs.place, &field.field_path)
            .map(Some)
            .ok_or_else(|| Error::Field { name: var.name.clone(), path: field.field_path.clone() });
    }
    if let Some(selector) = &source.resource_field_ref {
        let container = other_container(inputs, selector.container_name.as_deref());
        return downward::resource(container, inputs.place, selector)
            .map(Some)
            .ok_or_else(|| Error::Field { name: var.name.clone(), path: selector.resource.clone() });
    }
    if let Some(reference) = &source.config_map_key_ref {
        let optional = reference.optional == Some(true);
        let Some(object) = inputs.referred.config_maps.get(&reference.name) else {
            let missing = Error::Missing { what: "configmap", name: reference.name.clone() };
            return if optional { Ok(None) } else { Err(missing) };
        };
        let value = object.data.as_ref().and_then(|data| data.get(&reference.key)).cloned();
        let missing = || missing_key("ConfigMap", &namespace, &reference.name, &reference.key);
        return if optional { Ok(value) } else { value.map(Some).ok_or_else(missing) };
    }
    if let Some(reference) = &source.secret_key_ref {
        let optional = reference.optional == Some(true);
        let Some(object) = inputs.referred.secrets.get(&reference.name) else {
            let missing = Error::Missing { what: "secret", name: reference.name.clone() };
            return if optional { Ok(None) } else { Err(missing) };
        };
        let value = object.data.as_ref().and_then(|data| data.get(&reference.key));
        let value = value.map(|value| text(&value.0, &reference.name, &reference.key)).transpose()?;
        let missing = || missing_key("Secret", &namespace, &reference.name, &reference.key);
        return if optional { Ok(value) } else { value.map(Some).ok_or_else(missing) };
    }
    Ok(None)
}

fn missing_key(what: &'static str, namespace: &str, name: &str, key: &str) -> Error {
    Error::MissingKey { what, namespace: namespace.into(), name: name.into(), key: key.into() }
}

fn other_container<'a>(inputs: &Inputs<'a>, name: Option<&str>) -> &'a Container {
    let spec = inputs.pod.spec.as_ref();
    let all = spec.into_iter().flat_map(|s| s.init_containers.iter().flatten().chain(&s.containers));
    name.and_then(|name| all.into_iter().find(|c| c.name == name)).unwrap_or(inputs.container)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use std::net::Ipv4Addr;

    fn check(container: serde_json::Value) -> Result<BTreeMap<String, String>, Error> {
        let container: Container = serde_json::from_value(container).unwrap();
        let pod: Pod = serde_json::from_value(json!({
            "metadata": {"name": "p", "namespace": "ns"},
            "spec": {"containers": [container]},
        }))
        .unwrap();
        let place = Place { host_ip: Ipv4Addr::LOCALHOST, pod_ip: None, allocatable: BTreeMap::new() };
        let mut referred = Referred::default();
        let config_map = json!({"data": {"COLOR": "blue", "SIZE": "xl"}});
        referred.config_maps.insert("shirt".into(), serde_json::from_value(config_map).unwrap());
        let secret = json!({"data": {"PASSWORD": "aHVudGVyMg==", "BLOB": "//8="}});
        referred.secrets.insert("login".into(), serde_json::from_value(secret).unwrap());
        let services = BTreeMap::from([("WEB_SERVICE_HOST".into(), "10.96.0.5".into())]);
        let container = &pod.spec.as_ref().unwrap().containers[0];
        assemble(&Inputs { pod: &pod, container, place: &place, referred: &referred, services })
    }

    #[test]
    fn later_sources_win_and_refer_to_earlier_ones() {
        let vars = check(json!({
            "name": "c",
            "envFrom": [{"prefix": "S_", "configMapRef": {"name": "shirt"}}],
            "env": [
                {"name": "S_SIZE", "value": "s"},
                {"name": "TEXT", "value": "$(S_COLOR) $(S_SIZE) at $(WEB_SERVICE_HOST) $(NONE)"},
                {"name": "PASSWORD", "valueFrom": {"secretKeyRef": {"name": "login", "key": "PASSWORD"}}},
                {"name": "ME", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
                {"name": "MAYBE", "valueFrom": {"configMapKeyRef": {"name": "shirt", "key": "no", "optional": true}}},
                {"name": "EMPTY"},
            ],
        }))
        .unwrap();
        assert_eq!(vars["TEXT"], "blue s at 10.96.0.5 $(NONE)");
        assert_eq!(vars["PASSWORD"], "hunter2");
        assert_eq!(vars["ME"], "p");
        assert_eq!(vars["EMPTY"], "");
        assert_eq!(vars["WEB_SERVICE_HOST"], "10.96.0.5");
        assert!(!vars.contains_key("MAYBE"));
    }

    #[test]
    fn what_is_missing_is_named() {
        let message = |container| check(container).unwrap_err().to_string();
        assert_eq!(
            message(json!({"name": "c", "envFrom": [{"configMapRef": {"name": "nope"}}]})),
            "configmap \"nope\" not found"
        );
        let key = json!({"name": "X", "valueFrom": {"secretKeyRef": {"name": "login", "key": "nope"}}});
        assert_eq!(message(json!({"name": "c", "env": [key]})), "couldn't find key nope in Secret ns/login");
        let blob = json!({"name": "X", "valueFrom": {"secretKeyRef": {"name": "login", "key": "BLOB"}}});
        assert!(message(json!({"name": "c", "env": [blob]})).contains("is not text"));
    }
}
