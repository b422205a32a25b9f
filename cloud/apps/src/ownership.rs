//! Whose objects they are. An app never takes over what somebody else made, such as the Service
//! `kubernetes` of the cluster itself.

use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler;
use k8s_openapi::api::core::v1::{ConfigMap, Secret, Service};
use k8s_openapi::api::networking::v1::Ingress;
use kube::api::Api;
use kube::{Resource, ResourceExt as _};
use sealos_kit::labels;

use crate::Error;
use crate::actions::Apps;
use crate::plan::Plan;

impl Apps {
    /// Refuses a plan that would change objects without this app's label.
    pub(crate) async fn refuse_taken(&self, plan: &Plan) -> Result<(), Error> {
        self.refuse_taken_of::<Service>(plan, "Service").await?;
        self.refuse_taken_of::<ConfigMap>(plan, "ConfigMap").await?;
        self.refuse_taken_of::<Secret>(plan, "Secret").await?;
        self.refuse_taken_of::<HorizontalPodAutoscaler>(plan, "HorizontalPodAutoscaler").await?;
        self.refuse_taken_of::<Ingress>(plan, "Ingress").await
    }

    async fn refuse_taken_of<K>(&self, plan: &Plan, kind: &'static str) -> Result<(), Error>
    where
        K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>
            + Clone
            + std::fmt::Debug
            + serde::de::DeserializeOwned,
    {
        let api: Api<K> = self.api();
        let planned = plan.objects.iter().filter(|object| object["kind"] == kind);
        for name in planned.filter_map(|object| object["metadata"]["name"].as_str()) {
            let found = api.get_metadata_opt(name).await;
            let found = found.map_err(Error::api(format!("look for {kind} `{name}`")))?;
            if found.is_some_and(|object| object.labels().get(labels::APP) != Some(&plan.name)) {
                return Err(Error::NameTaken { name: name.into(), workspace: self.workspace.clone(), kind });
            }
        }
        Ok(())
    }
}
