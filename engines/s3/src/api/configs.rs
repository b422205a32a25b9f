//! A bucket's CORS, website, lifecycle and notification documents: checked, kept, given back.

use std::collections::BTreeSet;

use s3s::dto::*;
use s3s::{S3Request, S3Response, S3Result, s3_error};

use super::answer;
use crate::core::Core;
use crate::documents::{self, CORS, LIFECYCLE, NOTIFICATION, WEBSITE};
use crate::refuse::refuse;
use crate::{events, lifecycle};

const METHODS: [&str; 5] = ["GET", "PUT", "POST", "DELETE", "HEAD"];

pub(super) async fn get_cors(
    core: &Core,
    req: S3Request<GetBucketCorsInput>,
) -> S3Result<S3Response<GetBucketCorsOutput>> {
    let rules = core.shelf.rules(&core.store, &req.input.bucket).await?;
    let Some(cors) = &rules.cors else {
        return Err(s3_error!(NoSuchCORSConfiguration, "The CORS configuration does not exist"));
    };
    answer(GetBucketCorsOutput { cors_rules: Some(cors.cors_rules.clone()) })
}

pub(super) async fn put_cors(
    core: &Core,
    req: S3Request<PutBucketCorsInput>,
) -> S3Result<S3Response<PutBucketCorsOutput>> {
    let configuration = req.input.cors_configuration;
    if configuration.cors_rules.is_empty() || configuration.cors_rules.len() > 100 {
        return Err(s3_error!(MalformedXML, "give 1 to 100 CORS rules"));
    }
    for rule in &configuration.cors_rules {
        if rule.allowed_origins.is_empty() || rule.allowed_methods.is_empty() {
            return Err(s3_error!(MalformedXML, "a rule needs origins and methods"));
        }
        if let Some(method) = rule.allowed_methods.iter().find(|method| !METHODS.contains(&method.as_str())) {
            return Err(s3_error!(InvalidRequest, "Found unsupported HTTP method in CORS config: {method}"));
        }
        let headers = rule.allowed_headers.iter().flatten();
        if rule.allowed_origins.iter().chain(headers).any(|text| text.matches('*').count() > 1) {
            return Err(s3_error!(InvalidRequest, "an origin or header may have one `*`"));
        }
    }
    documents::set(&core.store, &req.input.bucket, CORS, &configuration).await?;
    answer(PutBucketCorsOutput::default())
}

pub(super) async fn delete_cors(
    core: &Core,
    req: S3Request<DeleteBucketCorsInput>,
) -> S3Result<S3Response<DeleteBucketCorsOutput>> {
    core.store.set_document(&req.input.bucket, CORS, None).await.map_err(refuse)?;
    answer(DeleteBucketCorsOutput::default())
}

pub(super) async fn get_website(
    core: &Core,
    req: S3Request<GetBucketWebsiteInput>,
) -> S3Result<S3Response<GetBucketWebsiteOutput>> {
    let rules = core.shelf.rules(&core.store, &req.input.bucket).await?;
    let Some(website) = rules.website.clone() else {
        return Err(s3_error!(
            NoSuchWebsiteConfiguration,
            "The specified bucket does not have a website configuration"
        ));
    };
    answer(GetBucketWebsiteOutput {
        error_document: website.error_document,
        index_document: website.index_document,
        redirect_all_requests_to: website.redirect_all_requests_to,
        routing_rules: website.routing_rules,
    })
}

pub(super) async fn put_website(
    core: &Core,
    req: S3Request<PutBucketWebsiteInput>,
) -> S3Result<S3Response<PutBucketWebsiteOutput>> {
    let website = &req.input.website_configuration;
    match (&website.redirect_all_requests_to, &website.index_document) {
        (Some(_), None) if website.error_document.is_none() && website.routing_rules.is_none() => {}
        (None, Some(index)) if !index.suffix.is_empty() && !index.suffix.contains('/') => {}
        (Some(_), _) => return Err(s3_error!(InvalidRequest, "RedirectAllRequestsTo stands alone")),
        _ => return Err(s3_error!(InvalidArgument, "give an IndexDocument with a suffix without slashes")),
    }
    documents::set(&core.store, &req.input.bucket, WEBSITE, website).await?;
    answer(PutBucketWebsiteOutput::default())
}

pub(super) async fn delete_website(
    core: &Core,
    req: S3Request<DeleteBucketWebsiteInput>,
) -> S3Result<S3Response<DeleteBucketWebsiteOutput>> {
    core.store.set_document(&req.input.bucket, WEBSITE, None).await.map_err(refuse)?;
    answer(DeleteBucketWebsiteOutput::default())
}

pub(super) async fn get_lifecycle(
    core: &Core,
    req: S3Request<GetBucketLifecycleConfigurationInput>,
) -> S3Result<S3Response<GetBucketLifecycleConfigurationOutput>> {
    let kept: Option<BucketLifecycleConfiguration> =
        documents::get(&core.store, &req.input.bucket, LIFECYCLE).await?;
    let Some(kept) = kept else {
        return Err(s3_error!(NoSuchLifecycleConfiguration, "The lifecycle configuration does not exist"));
    };
    answer(GetBucketLifecycleConfigurationOutput { rules: Some(kept.rules), ..Default::default() })
}

pub(super) async fn put_lifecycle(
    core: &Core,
    req: S3Request<PutBucketLifecycleConfigurationInput>,
) -> S3Result<S3Response<PutBucketLifecycleConfigurationOutput>> {
    let Some(mut configuration) = req.input.lifecycle_configuration else {
        return Err(s3_error!(MalformedXML, "give at least one rule"));
    };
    check_lifecycle(&mut configuration)?;
    documents::set(&core.store, &req.input.bucket, LIFECYCLE, &configuration).await?;
    answer(PutBucketLifecycleConfigurationOutput::default())
}

/// Checks all rules, and names those without a name.
fn check_lifecycle(configuration: &mut BucketLifecycleConfiguration) -> S3Result<()> {
    if configuration.rules.is_empty() || configuration.rules.len() > 1000 {
        return Err(s3_error!(MalformedXML, "give 1 to 1000 rules"));
    }
    let mut ids = BTreeSet::new();
    for (index, rule) in configuration.rules.iter_mut().enumerate() {
        lifecycle::Rule::check(rule)?;
        let id = rule.id.get_or_insert_with(|| format!("rule-{}", index + 1));
        if id.len() > 255 || !ids.insert(id.clone()) {
            return Err(s3_error!(
                InvalidArgument,
                "rule IDs are unique and have up to 255 characters: `{id}`"
            ));
        }
    }
    Ok(())
}

pub(super) async fn delete_lifecycle(
    core: &Core,
    req: S3Request<DeleteBucketLifecycleInput>,
) -> S3Result<S3Response<DeleteBucketLifecycleOutput>> {
    core.store.set_document(&req.input.bucket, LIFECYCLE, None).await.map_err(refuse)?;
    answer(DeleteBucketLifecycleOutput::default())
}

pub(super) async fn get_notification(
    core: &Core,
    req: S3Request<GetBucketNotificationConfigurationInput>,
) -> S3Result<S3Response<GetBucketNotificationConfigurationOutput>> {
    let rules = core.shelf.rules(&core.store, &req.input.bucket).await?;
    let kept = rules.notification.clone().unwrap_or_default();
    answer(GetBucketNotificationConfigurationOutput {
        event_bridge_configuration: kept.event_bridge_configuration,
        lambda_function_configurations: kept.lambda_function_configurations,
        queue_configurations: kept.queue_configurations,
        topic_configurations: kept.topic_configurations,
    })
}

pub(super) async fn put_notification(
    core: &Core,
    req: S3Request<PutBucketNotificationConfigurationInput>,
) -> S3Result<S3Response<PutBucketNotificationConfigurationOutput>> {
    let mut configuration = req.input.notification_configuration;
    events::check(&mut configuration)?;
    documents::set(&core.store, &req.input.bucket, NOTIFICATION, &configuration).await?;
    answer(PutBucketNotificationConfigurationOutput::default())
}
