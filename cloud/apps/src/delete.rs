//! Removing an app, and what a new version of it no longer has.

use k8s_openapi::api::apps::v1::{Deployment, StatefulSet};
use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler;
use k8s_openapi::api::core::v1::{ConfigMap, PersistentVolumeClaim, Secret, Service};
use k8s_openapi::api::networking::v1::Ingress;
use kube::ResourceExt as _;
use kube::api::{Api, DeleteParams, ListParams};
use sealos_kit::labels;

use crate::Error;
use crate::actions::{Apps, app_selector, ignore_missing};
use crate::plan::Plan;

impl Apps {
    /// Removes an app with all its objects and its data.
    pub async fn delete(&self, name: &str) -> Result<(), Error> {
        let workload = self.owned(name).await?;
        self.delete_all_but::<Ingress>(name, &[]).await?;
        self.delete_all_but::<Service>(name, &[]).await?;
        self.delete_all_but::<HorizontalPodAutoscaler>(name, &[]).await?;
        self.delete_all_but::<ConfigMap>(name, &[]).await?;
        self.delete_all_but::<Secret>(name, &[]).await?;
        self.delete_workload(workload.kind, name).await?;
        // Also those of a former version that kept data.
        self.delete_claims(name).await
    }

    /// Removes what carries the app's label and is not in the plan.
    pub(crate) async fn prune(&self, plan: &Plan) -> Result<(), Error> {
        let kept: Vec<_> =
            plan.objects.iter().map(|o| (text(&o["kind"]), text(&o["metadata"]["name"]))).collect();
        self.delete_all_but::<Ingress>(&plan.name, &kept).await?;
        self.delete_all_but::<Service>(&plan.name, &kept).await?;
        self.delete_all_but::<HorizontalPodAutoscaler>(&plan.name, &kept).await?;
        self.delete_all_but::<ConfigMap>(&plan.name, &kept).await?;
        self.delete_all_but::<Secret>(&plan.name, &kept).await
    }

    pub(crate) async fn delete_workload(&self, kind: &str, name: &str) -> Result<(), Error> {
        let params = DeleteParams::background();
        let done = match kind {
            "Deployment" => self.api::<Deployment>().delete(name, &params).await.map(drop),
            _ => self.api::<StatefulSet>().delete(name, &params).await.map(drop),
        };
        ignore_missing(done, "delete", name)
    }

    async fn delete_claims(&self, name: &str) -> Result<(), Error> {
        let selector = ListParams::default().labels(&format!("{}={name}", labels::POD));
        let api: Api<PersistentVolumeClaim> = self.api();
        for claim in self.all::<PersistentVolumeClaim>(&selector).await? {
            ignore_missing(
                api.delete(&claim.name_any(), &DeleteParams::default()).await.map(drop),
                "delete",
                name,
            )?;
        }
        Ok(())
    }

    async fn delete_all_but<K>(&self, app: &str, kept: &[(&str, &str)]) -> Result<(), Error>
    where
        K: kube::Resource<Scope = k8s_openapi::NamespaceResourceScope, DynamicType = ()>
            + Clone
            + std::fmt::Debug
            + serde::de::DeserializeOwned,
    {
        let api: Api<K> = self.api();
        let kind = K::kind(&());
        for object in self.all::<K>(&app_selector(app)).await? {
            let name = object.name_any();
            if !kept.contains(&(kind.as_ref(), name.as_str())) {
                ignore_missing(
                    api.delete(&name, &DeleteParams::background()).await.map(drop),
                    "delete",
                    &name,
                )?;
            }
        }
        Ok(())
    }
}

fn text(value: &serde_json::Value) -> &str {
    value.as_str().unwrap_or_default()
}
