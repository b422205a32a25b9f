//! The `Ready` condition.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use k8s_openapi::jiff::Timestamp;

use super::claim::Refusal;

pub(crate) const READY: &str = "Ready";

/// The conditions of an object that is as it should be, or is refused. The time changes only with the state.
pub(super) fn ready(before: &[Condition], generation: i64, refused: Option<&Refusal>) -> Vec<Condition> {
    let (status, reason, message) = match refused {
        None => ("True", "Ready", String::new()),
        Some(refusal) => ("False", refusal.reason, refusal.message.clone()),
    };
    let old = before.iter().find(|condition| condition.type_ == READY);
    let since = old.filter(|old| old.status == status).map(|old| old.last_transition_time.clone());
    vec![Condition {
        type_: READY.to_owned(),
        status: status.to_owned(),
        reason: reason.to_owned(),
        message,
        observed_generation: Some(generation),
        last_transition_time: since.unwrap_or_else(now),
    }]
}

/// Whether the conditions say the refusal already.
pub(super) fn says(conditions: &[Condition], refusal: &Refusal) -> bool {
    conditions.iter().any(|c| c.type_ == READY && c.status == "False" && c.message == refusal.message)
}

/// To the second, as the API keeps times.
fn now() -> Time {
    let now = Timestamp::now();
    Time(Timestamp::from_second(now.as_second()).unwrap_or(now))
}
