//! Which events a bucket's notification document sends where.

use s3s::dto::{Event as Name, NotificationConfiguration, NotificationConfigurationFilter};
use s3s::{S3Result, s3_error};

use super::record::Event;
use super::webhook::Target;

/// Events that can happen here, and the wildcards over them.
const KNOWN: [&str; 11] = [
    "s3:ObjectCreated:*",
    "s3:ObjectCreated:Put",
    "s3:ObjectCreated:Post",
    "s3:ObjectCreated:Copy",
    "s3:ObjectCreated:CompleteMultipartUpload",
    "s3:ObjectRemoved:*",
    "s3:ObjectRemoved:Delete",
    "s3:ObjectRemoved:DeleteMarkerCreated",
    "s3:LifecycleExpiration:*",
    "s3:LifecycleExpiration:Delete",
    "s3:LifecycleExpiration:DeleteMarkerCreated",
];

/// One configuration of the document, whichever kind.
pub(super) struct Wish<'a> {
    pub(super) id: &'a str,
    pub(super) url: &'a str,
    events: &'a [Name],
    filter: Option<&'a NotificationConfigurationFilter>,
}

/// All configurations of a document.
pub(super) fn wishes(document: &NotificationConfiguration) -> impl Iterator<Item = Wish<'_>> {
    let queues = document.queue_configurations.iter().flatten().map(|queue| Wish {
        id: queue.id.as_deref().unwrap_or_default(),
        url: &queue.queue_arn,
        events: &queue.events,
        filter: queue.filter.as_ref(),
    });
    let topics = document.topic_configurations.iter().flatten().map(|topic| Wish {
        id: topic.id.as_deref().unwrap_or_default(),
        url: &topic.topic_arn,
        events: &topic.events,
        filter: topic.filter.as_ref(),
    });
    queues.chain(topics)
}

impl Wish<'_> {
    pub(super) fn wants(&self, event: &Event) -> bool {
        let named = |name: &Name| {
            let name = name.as_ref().trim_start_matches("s3:");
            name == event.name
                || name.strip_suffix('*').is_some_and(|beginning| event.name.starts_with(beginning))
        };
        self.events.iter().any(named) && self.rules().all(|(name, value)| fits(name, value, &event.key))
    }

    fn rules(&self) -> impl Iterator<Item = (&str, &str)> {
        let rules = self.filter.and_then(|filter| filter.key.as_ref()?.filter_rules.as_ref());
        rules.into_iter().flatten().map(|rule| {
            (
                rule.name.as_ref().map(|n| n.as_str()).unwrap_or_default(),
                rule.value.as_deref().unwrap_or_default(),
            )
        })
    }
}

fn fits(name: &str, value: &str, key: &str) -> bool {
    if name.eq_ignore_ascii_case("prefix") { key.starts_with(value) } else { key.ends_with(value) }
}

/// Checks a document, and names the configurations without a name.
pub(crate) fn check(document: &mut NotificationConfiguration) -> S3Result<()> {
    if document.lambda_function_configurations.is_some() || document.event_bridge_configuration.is_some() {
        return Err(s3_error!(
            NotImplemented,
            "there are no functions and no event bus: give a queue or topic whose ARN is a webhook's URL"
        ));
    }
    let queues = document.queue_configurations.iter_mut().flatten().map(|queue| &mut queue.id);
    let topics = document.topic_configurations.iter_mut().flatten().map(|topic| &mut topic.id);
    for (index, id) in queues.chain(topics).enumerate() {
        id.get_or_insert_with(|| format!("notification-{}", index + 1));
    }
    for wish in wishes(document) {
        Target::parse(wish.url).map_err(|reason| s3_error!(InvalidArgument, "`{}`: {reason}", wish.url))?;
        if wish.events.is_empty() {
            return Err(s3_error!(MalformedXML, "a configuration names at least one event"));
        }
        if let Some(name) = wish.events.iter().find(|name| !KNOWN.contains(&name.as_ref())) {
            return Err(s3_error!(InvalidArgument, "the event `{}` cannot happen here", name.as_ref()));
        }
        for (name, _) in wish.rules() {
            if !name.eq_ignore_ascii_case("prefix") && !name.eq_ignore_ascii_case("suffix") {
                return Err(s3_error!(InvalidArgument, "filter rule name must be either prefix or suffix"));
            }
        }
    }
    Ok(())
}
