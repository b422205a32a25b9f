//! The built-in kinds: names, verbs, subresources. Defaults, rules and tables hang off the kind elsewhere.

mod build;
mod core;
mod groups;

use std::sync::{Arc, OnceLock};

use crate::resource::Resource;
pub(crate) use build::FULL as FULL_VERBS;

/// Every built-in resource, in discovery order.
pub fn builtin() -> &'static [Arc<Resource>] {
    static ALL: OnceLock<Vec<Arc<Resource>>> = OnceLock::new();
    ALL.get_or_init(|| {
        core::kinds().into_iter().chain(groups::kinds()).map(|entry| Arc::new(entry.0)).collect()
    })
}

/// The built-in resource of this group, version and kind.
pub fn by_kind(group: &str, version: &str, kind: &str) -> Option<&'static Arc<Resource>> {
    builtin().iter().find(|r| r.group == group && r.version == version && r.kind == kind)
}

/// The built-in resource of this group, version and plural name.
pub fn by_plural(group: &str, version: &str, plural: &str) -> Option<&'static Arc<Resource>> {
    builtin().iter().find(|r| r.group == group && r.version == version && r.plural == plural)
}

/// Versions of a group, the preferred one first.
pub fn preferred_versions(group: &str) -> &'static [&'static str] {
    if group == "autoscaling" { &["v2", "v1"] } else { &["v1"] }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique() {
        let mut seen = std::collections::HashSet::new();
        for r in builtin() {
            assert!(
                seen.insert((r.group.clone(), r.version.clone(), r.plural.clone())),
                "{} twice",
                r.plural
            );
        }
    }

    #[test]
    fn knows_deployments() {
        let deployment = by_plural("apps", "v1", "deployments").expect("deployments are built in");
        assert_eq!(deployment.kind, "Deployment");
        assert_eq!(deployment.short_names, ["deploy"]);
        assert_eq!(deployment.api_version(), "apps/v1");
        assert!(deployment.subresource("scale").is_some());
        assert!(deployment.has_status());
    }
}
