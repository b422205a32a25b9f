//! A port on every machine of the cloud.

use k8s_openapi::api::core::v1::Service;
use kube::Client;
use kube::api::{Api, DeleteParams};
use sealos_kit::apply;
use serde_json::Value;

use crate::Error;
use crate::plan;
use crate::wanted::Wanted;

/// Opens or closes the port, as the operation says.
pub(super) async fn expose(client: &Client, wanted: &Wanted, spec: &Value) -> Result<(), Error> {
    let closes = spec["expose"].as_array().and_then(|all| all.first()?["switch"].as_str()) == Some("Disable");
    if !closes {
        let service = plan::export(wanted);
        apply::apply(client, Some(&wanted.namespace), &service).await?;
        return Ok(());
    }
    let api: Api<Service> = Api::namespaced(client.clone(), &wanted.namespace);
    match api.delete(&plan::export_name(&wanted.name), &DeleteParams::default()).await {
        Err(kube::Error::Api(status)) if status.code == 404 => Ok(()),
        done => done.map(drop).map_err(Error::api(format!("close the port of `{}`", wanted.name))),
    }
}
