//! Parameters and passwords.

use std::collections::BTreeMap;
use std::time::Duration;

use k8s_openapi::api::core::v1::Secret;
use kube::ResourceExt as _;
use kube::api::{Api, ListParams, Patch};
use sealos_db_engines::names;
use serde_json::{Value, json};

use super::view::Parameter;
use super::{Databases, Operation, manager, set_parameters, wanted};
use crate::Error;

/// How long a script may take that changes a setting.
const LIMIT: Duration = Duration::from_secs(30);
/// The shortest password.
const LEAST_PASSWORD: usize = 8;

impl Databases {
    /// All parameters with what they are set to. What nobody set is asked of the engine where it tells.
    pub async fn parameters(&self, name: &str) -> Result<Vec<Parameter>, Error> {
        let cluster = self.cluster(name).await?;
        let wanted = wanted(&cluster)?;
        let set = wanted.parameters.values();
        let view = |parameter: &sealos_db_engines::parameters::Parameter| Parameter {
            name: parameter.name.into(),
            value: set.get(parameter.name).cloned().unwrap_or_default(),
            default: String::new(),
            about: parameter.about.into(),
            allowed: parameter.kind.takes(),
            needs_restart: parameter.restart,
            changed: set.contains_key(parameter.name),
        };
        Ok(wanted.engine.parameters.iter().map(view).collect())
    }

    /// Sets parameters; an empty text goes back to the engine's own value. Those that need a restart are
    /// named by [`Self::need_restart`]; the operation restarts the pods for them.
    pub async fn set_parameters(
        &self,
        name: &str,
        changes: BTreeMap<String, String>,
    ) -> Result<Operation, Error> {
        let cluster = self.cluster(name).await?;
        let wanted = wanted(&cluster)?;
        let mut all = set_parameters(&cluster);
        let mut pairs = Vec::new();
        for (key, value) in &changes {
            let known = wanted.engine.parameter(key).map_err(|e| Error::invalid(e.to_string()))?.name;
            if value.is_empty() {
                all.remove(known);
                pairs.push(json!({ "key": known, "value": null }));
            } else {
                all.insert(known.into(), value.clone());
                pairs.push(json!({ "key": known, "value": value }));
            }
        }
        wanted.engine.check_parameters(&all).map_err(|refused| Error::Invalid {
            problems: refused.iter().map(ToString::to_string).collect(),
        })?;
        let reconfigure = json!({ "reconfigure": {
            "componentName": wanted.component,
            "configurations": [{ "name": names::parameters_config(name, &wanted.component),
                "keys": [{ "key": sealos_db_engines::parameters::FILE, "parameters": pairs }] }],
        } });
        self.operate(name, "Reconfiguring", reconfigure).await
    }

    /// Which of these parameters take effect only after a restart.
    pub async fn need_restart(&self, name: &str, keys: &[&str]) -> Result<Vec<String>, Error> {
        let wanted = wanted(&self.cluster(name).await?)?;
        let mut need = Vec::new();
        for key in keys {
            let parameter = wanted.engine.parameter(key).map_err(|e| Error::invalid(e.to_string()))?;
            need.extend(parameter.restart.then(|| parameter.name.to_owned()));
        }
        Ok(need)
    }

    /// Sets another password, made up if none is given. Sessions that are open go on; the Secrets tell the
    /// new one, and apps that read it at their start must be restarted.
    pub async fn rotate_password(&self, name: &str, password: Option<&str>) -> Result<(), Error> {
        let password = match password {
            Some(password) => checked(password)?.to_owned(),
            None => crate::secrets::password(),
        };
        let target = self.primary(name).await?;
        let command = [super::inside::script("password.sh")];
        let command: Vec<_> = command.iter().map(String::as_str).collect();
        target.ok(&self.client, &command, password.as_bytes(), LIMIT).await?;
        self.write_password(name, &password).await
    }

    async fn write_password(&self, name: &str, password: &str) -> Result<(), Error> {
        let secrets: Api<Secret> = self.api();
        let patch: Value = json!({ "stringData": { "password": password } });
        let selector = ListParams::default().labels(&format!("{}={name}", names::INSTANCE));
        for secret in self.all::<Secret>(&selector).await? {
            let is_login = secret
                .data
                .as_ref()
                .is_some_and(|d| d.contains_key("username") && d.contains_key("password"));
            if is_login {
                let done = secrets.patch(&secret.name_any(), &manager(), &Patch::Merge(&patch)).await;
                done.map_err(Error::api(format!(
                    "write the new password of `{name}` to `{}`",
                    secret.name_any()
                )))?;
            }
        }
        Ok(())
    }
}

fn checked(password: &str) -> Result<&str, Error> {
    if password.len() < LEAST_PASSWORD {
        return Err(Error::invalid(format!("the password must have at least {LEAST_PASSWORD} characters")));
    }
    if password.chars().any(char::is_control) {
        return Err(Error::invalid("the password must not have control characters or line breaks"));
    }
    Ok(password)
}
