//! Whether an ended container is started again. Pure.

use k8s_openapi::api::core::v1::{Container, ContainerRestartRule};

use crate::state::Role;

/// What follows the end of a container.
pub(crate) fn restarts(role: Role, container: &Container, pod_policy: &str, exit_code: i32) -> bool {
    if let Some(action) = rule(container.restart_policy_rules.as_deref().unwrap_or_default(), exit_code) {
        return action == "Restart";
    }
    let own = container.restart_policy.as_deref();
    match role {
        Role::Sidecar => true,
        Role::Ephemeral => false,
        Role::Init => own.unwrap_or(pod_policy) != "Never" && exit_code != 0,
        Role::Main => match own.unwrap_or(pod_policy) {
            "Never" => false,
            "OnFailure" => exit_code != 0,
            _ => true,
        },
    }
}

/// The action of the first rule that matches the exit code.
fn rule(rules: &[ContainerRestartRule], exit_code: i32) -> Option<&str> {
    rules.iter().find_map(|rule| {
        let codes = rule.exit_codes.as_ref()?;
        let listed = codes.values.iter().flatten().any(|value| *value == exit_code);
        let matches = if codes.operator == "NotIn" { !listed } else { listed };
        matches.then_some(rule.action.as_str())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[track_caller]
    fn check(role: Role, container: serde_json::Value, policy: &str, codes: [bool; 2]) {
        let container: Container = serde_json::from_value(container).unwrap();
        assert_eq!([0, 1].map(|code| restarts(role, &container, policy, code)), codes);
    }

    #[test]
    fn policies_decide_by_exit_code() {
        let plain = || json!({"name": "c"});
        check(Role::Main, plain(), "Always", [true, true]);
        check(Role::Main, plain(), "OnFailure", [false, true]);
        check(Role::Main, plain(), "Never", [false, false]);
        check(Role::Init, plain(), "Always", [false, true]);
        check(Role::Init, plain(), "Never", [false, false]);
        check(Role::Sidecar, plain(), "Never", [true, true]);
        check(Role::Ephemeral, plain(), "Always", [false, false]);
        check(Role::Main, json!({"name": "c", "restartPolicy": "Never"}), "Always", [false, false]);
    }

    #[test]
    fn rules_come_before_policies() {
        let container = json!({"name": "c", "restartPolicy": "Never", "restartPolicyRules": [
            {"action": "Restart", "exitCodes": {"operator": "In", "values": [1]}},
        ]});
        check(Role::Main, container, "Never", [false, true]);
    }
}
