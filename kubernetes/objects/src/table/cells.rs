//! How values are printed in table cells: ages, lists, maps, ports.

use jiff::Timestamp;
use serde_json::{Map, Value};

use crate::value::{at, list, text};

/// A duration in the short human form of kubectl: `5s`, `3m20s`, `2d4h`, `3y`.
pub(crate) fn human(seconds: i64) -> String {
    if seconds < -1 {
        return "<invalid>".to_owned();
    }
    let seconds = seconds.max(0);
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86400);
    let pair = |big: i64, unit: &str, small: i64, small_unit: &str| match small {
        0 => format!("{big}{unit}"),
        small => format!("{big}{unit}{small}{small_unit}"),
    };
    match () {
        () if seconds < 120 => format!("{seconds}s"),
        () if minutes < 10 => pair(minutes, "m", seconds % 60, "s"),
        () if hours < 3 => format!("{minutes}m"),
        () if hours < 8 => pair(hours, "h", minutes % 60, "m"),
        () if hours < 48 => format!("{hours}h"),
        () if days < 8 => pair(days, "d", hours % 24, "h"),
        () if days < 365 * 2 => format!("{days}d"),
        () if days < 365 * 8 => pair(days / 365, "y", days % 365, "d"),
        () => format!("{}y", days / 365),
    }
}

/// How long ago the time at `path` was.
pub(crate) fn since(object: &Value, path: &[&str], now: Timestamp) -> String {
    match at(object, path).and_then(Value::as_str).and_then(|text| text.parse::<Timestamp>().ok()) {
        Some(then) => human(now.as_second() - then.as_second()),
        None => "<unknown>".to_owned(),
    }
}

pub(crate) fn age(object: &Value, now: Timestamp) -> Value {
    since(object, &["metadata", "creationTimestamp"], now).into()
}

pub(crate) fn name(object: &Value) -> Value {
    text(object, &["metadata", "name"]).into()
}

/// The text at `path`, or `missing`.
pub(crate) fn or(object: &Value, path: &[&str], missing: &str) -> Value {
    match text(object, path) {
        "" => missing.into(),
        found => found.into(),
    }
}

pub(crate) fn number(object: &Value, path: &[&str]) -> Value {
    crate::value::int(object, path).unwrap_or(0).into()
}

/// `a=b,c=d`, or `<none>`.
pub(crate) fn labels(map: Option<&Map<String, Value>>) -> Value {
    let parts: Vec<String> = map
        .into_iter()
        .flatten()
        .map(|(key, value)| format!("{key}={}", value.as_str().unwrap_or_default()))
        .collect();
    if parts.is_empty() { "<none>".into() } else { parts.join(",").into() }
}

/// A `{matchLabels, matchExpressions}` selector as text.
pub(crate) fn selector(object: &Value, path: &[&str]) -> Value {
    let found = at(object, path).and_then(crate::selector::LabelSelector::from_json);
    match found.map(|selector| selector.to_string()) {
        Some(text) if !text.is_empty() => text.into(),
        _ => "<none>".into(),
    }
}

/// The texts at `key` of the objects in a list, joined by commas.
pub(crate) fn join(items: &[Value], key: &str) -> String {
    items.iter().map(|item| text(item, &[key])).collect::<Vec<_>>().join(",")
}

/// Names and images of the containers of a pod template.
pub(crate) fn containers(object: &Value) -> [Value; 2] {
    let containers = list(object, &["spec", "template", "spec", "containers"]);
    [join(containers, "name").into(), join(containers, "image").into()]
}

/// A scalar as bare text.
pub(crate) fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::human;

    #[test]
    fn durations_are_short() {
        for (seconds, expected) in [
            (-5, "<invalid>"),
            (0, "0s"),
            (119, "119s"),
            (120, "2m"),
            (200, "3m20s"),
            (601, "10m"),
            (10_799, "179m"),
            (10_800, "3h"),
            (11_400, "3h10m"),
            (86_400, "24h"),
            (172_800, "2d"),
            (176_400, "2d1h"),
            (864_000, "10d"),
            (86_400 * 365 * 3, "3y"),
        ] {
            assert_eq!(human(seconds), expected, "{seconds}");
        }
    }
}
