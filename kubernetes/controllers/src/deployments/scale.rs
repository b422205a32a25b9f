//! Scaling a deployment: with one set it is simple; in the middle of a rollout each set gets its
//! share, so that a broken new version does not get all the new pods.

use super::plan::{Action, DESIRED, MAXIMUM, View, replicas};
use crate::meta;

/// Whether the wanted number changed since the sets were last sized.
pub(super) fn was_scaled(view: &View) -> bool {
    view.all().filter(|s| replicas(s) > 0).any(|s| {
        let noted: Option<i32> = meta::annotation(&s.metadata, DESIRED).and_then(|d| d.parse().ok());
        noted.is_some_and(|noted| noted != view.wanted())
    })
}

pub(super) fn scale(view: &View, actions: &mut Vec<Action>) {
    let active: Vec<_> = view.all().filter(|s| replicas(s) > 0).collect();
    let only = match active.as_slice() {
        [] => view.new.as_ref().or_else(|| view.old.last()),
        [set] => Some(*set),
        _ => None,
    };
    if let Some(set) = only {
        if replicas(set) != view.wanted() || !is_noted(view, set) {
            actions.push(view.scale(set, view.wanted()));
        }
        return;
    }
    if view.new.as_ref().is_some_and(|n| is_saturated(view, n)) {
        actions.extend(view.old.iter().filter(|s| replicas(s) > 0).map(|s| view.scale(s, 0)));
        return;
    }
    if !view.recreates() {
        in_proportion(view, actions);
    }
}

fn is_noted(view: &View, set: &k8s_openapi::api::apps::v1::ReplicaSet) -> bool {
    view.size_annotations().iter().all(|(k, v)| meta::annotation(&set.metadata, k) == Some(v))
}

fn is_saturated(view: &View, set: &k8s_openapi::api::apps::v1::ReplicaSet) -> bool {
    let available = set.status.as_ref().and_then(|s| s.available_replicas).unwrap_or(0);
    is_noted(view, set) && replicas(set) == view.wanted() && available == view.wanted()
}

fn in_proportion(view: &View, actions: &mut Vec<Action>) {
    let mut sets: Vec<_> = view.all().filter(|s| replicas(s) > 0).collect();
    let total: i32 = sets.iter().map(|s| replicas(s)).sum();
    let mut left = if view.wanted() > 0 { view.maximum() } else { 0 } - total;
    // The largest get their share first; of equal ones the newer when growing, the older when shrinking.
    sets.sort_by(|a, b| {
        let age = meta::created(&a.metadata).cmp(&meta::created(&b.metadata));
        replicas(b).cmp(&replicas(a)).then(if left > 0 { age.reverse() } else { age })
    });
    let mut sizes = Vec::new();
    for set in &sets {
        let size = replicas(set);
        let noted = meta::annotation(&set.metadata, MAXIMUM).and_then(|m| m.parse::<f64>().ok());
        let before = noted.filter(|m| *m > 0.0).unwrap_or_else(|| f64::from(total));
        let ideal = f64::from(size) * f64::from(view.maximum()) / before;
        let portion = whole(ideal) - size;
        let portion = if left > 0 { portion.clamp(0, left) } else { portion.clamp(left, 0) };
        let portion = portion.max(-size);
        left -= portion;
        sizes.push(size + portion);
    }
    if let Some(first) = sizes.first_mut() {
        *first = (*first + left).max(0);
    }
    for (set, size) in sets.into_iter().zip(sizes) {
        if size != replicas(set) || !is_noted(view, set) {
            actions.push(view.scale(set, size));
        }
    }
}

#[expect(clippy::cast_possible_truncation, reason = "replica counts are small and the cast saturates")]
fn whole(number: f64) -> i32 {
    number.round() as i32
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::plan::tests::{deployment, set, told};

    #[test]
    fn one_set_takes_the_whole_change() {
        assert_eq!(told(&deployment(5, "a", &json!({})), &[set("a", 1, 2, 2, 2, 3)], false), ["web-a 2->5"]);
        assert_eq!(told(&deployment(0, "a", &json!({})), &[set("a", 1, 2, 2, 2, 3)], false), ["web-a 2->0"]);
        assert_eq!(told(&deployment(3, "a", &json!({})), &[set("a", 1, 0, 0, 2, 3)], false), ["web-a 0->3"]);
    }

    #[test]
    fn in_the_middle_of_a_rollout_each_set_gets_its_share() {
        let spec = json!({"strategy": {"rollingUpdate": {"maxSurge": 3, "maxUnavailable": 2}}});
        let sets = [set("a", 1, 8, 8, 10, 13), set("b", 2, 5, 0, 10, 13)];
        assert_eq!(told(&deployment(15, "b", &spec), &sets, false), ["web-a 8->11", "web-b 5->7"]);
    }

    #[test]
    fn a_paused_deployment_scales_but_does_not_roll() {
        let sets = [set("a", 1, 2, 2, 2, 3)];
        assert_eq!(told(&deployment(4, "b", &json!({"paused": true})), &sets, false), ["web-a 2->4"]);
        assert_eq!(told(&deployment(2, "b", &json!({"paused": true})), &sets, false), [""; 0]);
    }
}
