//! Passwords, and the Secrets that hold them. A Secret that exists is never overwritten: its password is
//! the one that the data knows.

use k8s_openapi::api::core::v1::Secret;
use kube::Client;
use kube::api::{Api, PostParams};
use rand::distr::{Alphanumeric, SampleString as _};
use sealos_db_engines::names;
use serde_json::{Value, json};

use crate::Error;
use crate::plan;
use crate::wanted::Wanted;

/// How long passwords are that we make.
const LENGTH: usize = 20;

/// A new password: letters and digits, the first a letter, since some clients read digits as numbers.
pub(crate) fn password() -> String {
    let first = crate::actions::letters(1);
    first + &Alphanumeric.sample_string(&mut rand::rng(), LENGTH - 1)
}

/// Makes the Secrets that are missing.
pub(crate) async fn ensure(client: &Client, wanted: &Wanted) -> Result<(), Error> {
    let api: Api<Secret> = Api::namespaced(client.clone(), &wanted.namespace);
    let internal = names::internal_secret(&wanted.name, &wanted.component);
    if look(&api, &internal).await?.is_none() {
        let mut secret = plan::object(wanted, "v1", "Secret", internal);
        secret["stringData"] = json!({ names::REPLICATION_PASSWORD: password() });
        create(&api, secret).await?;
    }
    let known = look(&api, &names::credential_secret(&wanted.name)).await?;
    let known_password = known.as_ref().and_then(|secret| text(secret, "password"));
    let user = known.as_ref().and_then(|s| text(s, "username")).unwrap_or_else(|| wanted.engine.user.into());
    let password = known_password.unwrap_or_else(password);
    for secret in plan::credentials(wanted, &user, &password) {
        let name = secret["metadata"]["name"].as_str().unwrap_or_default().to_owned();
        if look(&api, &name).await?.is_none() {
            create(&api, secret).await?;
        }
    }
    Ok(())
}

async fn look(api: &Api<Secret>, name: &str) -> Result<Option<Secret>, Error> {
    api.get_opt(name).await.map_err(Error::api(format!("look for the Secret `{name}`")))
}

async fn create(api: &Api<Secret>, secret: Value) -> Result<(), Error> {
    let name = secret["metadata"]["name"].as_str().unwrap_or_default().to_owned();
    let secret = serde_json::from_value(secret)
        .map_err(|e| Error::Watch(format!("write the Secret `{name}`: {e}")))?;
    match api.create(&PostParams::default(), &secret).await {
        Err(kube::Error::Api(status)) if status.code == 409 => Ok(()),
        done => done.map(drop).map_err(Error::api(format!("create the Secret `{name}`"))),
    }
}

fn text(secret: &Secret, key: &str) -> Option<String> {
    let bytes = secret.data.as_ref()?.get(key)?;
    String::from_utf8(bytes.0.clone()).ok().filter(|t| !t.is_empty())
}
