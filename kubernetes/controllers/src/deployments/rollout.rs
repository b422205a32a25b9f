//! The two ways to a new template: rolling, within bounds, or everything at once.

use super::plan::{Action, View, available, new_set, replicas};
use crate::meta;

/// Stops all old pods, then starts the new ones.
pub(super) fn recreate(view: &View, actions: &mut Vec<Action>) {
    let running = view.old.iter().filter(|s| replicas(s) > 0);
    let stops: Vec<_> = running.map(|s| view.scale(s, 0)).collect();
    if !stops.is_empty() {
        actions.extend(stops);
        return;
    }
    if view.old_pods {
        return;
    }
    match &view.new {
        None => actions.push(Action::Create(Box::new(new_set(view, view.wanted())))),
        Some(new) if replicas(new) != view.wanted() => actions.push(view.scale(new, view.wanted())),
        Some(_) => {}
    }
}

/// Grows the new set as far as the surge allows, else shrinks the old ones as far as enough stay available.
pub(super) fn rolling(view: &View, actions: &mut Vec<Action>) {
    let total: i32 = view.all().map(|s| replicas(s)).sum();
    let room = (view.maximum() - total).max(0);
    let Some(new) = &view.new else {
        actions.push(Action::Create(Box::new(new_set(view, room.min(view.wanted())))));
        return;
    };
    let have = replicas(new);
    if have > view.wanted() {
        actions.push(view.scale(new, view.wanted()));
        return;
    }
    let grow = room.min(view.wanted() - have);
    if grow > 0 {
        actions.push(view.scale(new, have + grow));
        return;
    }
    shrink_old(view, replicas(new) - available(new), actions);
}

fn shrink_old(view: &View, new_unavailable: i32, actions: &mut Vec<Action>) {
    let least = view.wanted() - view.bounds().1;
    let total: i32 = view.all().map(|s| replicas(s)).sum();
    let mut allowed = total - least - new_unavailable;
    let mut sizes: Vec<i32> = view.old.iter().map(|s| replicas(s)).collect();
    if allowed <= 0 {
        return;
    }
    // First what is broken anyway: it costs no availability.
    for (set, size) in view.old.iter().zip(&mut sizes) {
        let broken = (*size - available(set)).clamp(0, allowed);
        *size -= broken;
        allowed -= broken;
    }
    let available_now: i32 = view.all().map(|s| available(s)).sum();
    let mut spare = (available_now - least).max(0);
    for size in &mut sizes {
        let down = (*size).min(spare);
        *size -= down;
        spare -= down;
    }
    for (set, size) in view.old.iter().zip(sizes) {
        if size != replicas(set) && !meta::is_deleting(&set.metadata) {
            actions.push(view.scale(set, size));
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::plan::tests::{deployment, set, told};

    #[test]
    fn rolling_stays_within_surge_and_unavailability() {
        let web =
            deployment(4, "b", &json!({"strategy": {"rollingUpdate": {"maxSurge": 1, "maxUnavailable": 1}}}));
        let check = |old: (i32, i32), new: (i32, i32), expected: &[&str]| {
            let sets = [set("a", 1, old.0, old.1, 4, 5), set("b", 2, new.0, new.1, 4, 5)];
            assert_eq!(told(&web, &sets, false), expected);
        };
        assert_eq!(told(&web, &[set("a", 1, 4, 4, 4, 5)], false), ["create 1"]);
        check((4, 4), (1, 0), &["web-a 4->3"]);
        check((3, 3), (1, 0), &["web-b 1->2"]);
        check((3, 3), (2, 0), &[]);
        check((3, 3), (2, 2), &["web-a 3->1"]);
        check((1, 1), (4, 4), &["web-a 1->0"]);
        check((0, 0), (4, 4), &[]);
    }

    #[test]
    fn broken_old_pods_make_way_first() {
        let web =
            deployment(4, "b", &json!({"strategy": {"rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}}}));
        let sets = [set("a", 1, 4, 2, 4, 5), set("b", 2, 1, 1, 4, 5)];
        assert_eq!(told(&web, &sets, false), ["web-a 4->3"]);
    }

    #[test]
    fn recreate_waits_for_the_old_pods_to_be_gone() {
        let web = deployment(3, "b", &json!({"strategy": {"type": "Recreate"}}));
        assert_eq!(told(&web, &[set("a", 1, 3, 3, 3, 3)], true), ["web-a 3->0"]);
        assert_eq!(told(&web, &[set("a", 1, 0, 0, 3, 3)], true), [""; 0]);
        assert_eq!(told(&web, &[set("a", 1, 0, 0, 3, 3)], false), ["create 3"]);
    }
}
