//! What `role.sh` writes.

use serde::Deserialize;
use serde_json::Value;

use crate::seen::{Position, Role, State};

/// The script's name, for messages.
pub(crate) const NAME: &str = "role.sh";
/// Asks the engine for its role.
pub(crate) const SCRIPT: &str = "/sealos/scripts/role.sh";
/// Makes a replica the primary.
pub(crate) const PROMOTE: &str = "/sealos/scripts/promote.sh";
/// Tells the primary who its replicas are.
pub(crate) const MEMBERS: &str = "/sealos/scripts/members.sh";

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Line {
    role: Role,
    position: Option<Value>,
    #[serde(default)]
    read_only: bool,
    lag_bytes: Option<f64>,
    lag_seconds: Option<f64>,
}

/// Reads the last line.
pub(crate) fn parse(text: &str) -> Option<State> {
    let line: Line = serde_json::from_str(text.trim().lines().last()?).ok()?;
    let position = match line.position {
        Some(Value::String(text)) => text,
        Some(Value::Number(number)) => number.to_string(),
        _ => String::new(),
    };
    // `as` saturates: a negative or absurd lag becomes the nearest number there is.
    let whole = |number: f64| number.max(0.0) as u64;
    Some(State {
        role: line.role,
        position: Position(position),
        read_only: line.read_only,
        lag_bytes: line.lag_bytes.map(whole),
        lag_seconds: line.lag_seconds,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_read_leniently() {
        let full = parse(
            "{\"role\":\"secondary\",\"position\":\"123\",\"lagBytes\":5,\"lagSeconds\":0.25,\"readOnly\":true,\"replicas\":0}\n",
        );
        let full = full.unwrap();
        assert_eq!((full.role, full.position.0.as_str()), (Role::Secondary, "123"));
        assert_eq!((full.lag_bytes, full.lag_seconds, full.read_only), (Some(5), Some(0.25), true));
        let short = parse("a notice\n{\"role\":\"primary\",\"position\":7}").unwrap();
        assert_eq!((short.role, short.position.0.as_str(), short.lag_bytes), (Role::Primary, "7", None));
        for nonsense in ["", "{}", "primary", "{\"role\":\"leader\"}"] {
            assert_eq!(parse(nonsense), None, "{nonsense}");
        }
    }
}
