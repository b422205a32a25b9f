//! The formats Kubernetes checks in custom resources; others are ignored.

use std::net::{Ipv4Addr, Ipv6Addr};

use base64::Engine as _;
use serde_json::Value;

/// Whether a text has the format.
pub(super) fn text(format: &str, text: &str) -> bool {
    match format {
        "date-time" | "datetime" => text.parse::<jiff::Timestamp>().is_ok(),
        "date" => text.parse::<jiff::civil::Date>().is_ok(),
        "duration" => go_duration(text),
        "byte" => base64::engine::general_purpose::STANDARD.decode(text).is_ok(),
        "ipv4" => text.parse::<Ipv4Addr>().is_ok(),
        "ipv6" => text.parse::<Ipv6Addr>().is_ok(),
        "cidr" => cidr(text),
        "mac" => mac(text),
        "uuid" | "uuid3" | "uuid4" | "uuid5" => uuid(text),
        "uri" => text
            .split_once(':')
            .is_some_and(|(scheme, _)| scheme.starts_with(|c: char| c.is_ascii_alphabetic())),
        "hostname" => crate::validate::names::dns_subdomain(&text.to_lowercase()).is_none(),
        "email" => text.split_once('@').is_some_and(|(user, host)| !user.is_empty() && host.contains('.')),
        _ => true,
    }
}

/// Whether a number has the format.
pub(super) fn number(format: &str, value: &Value) -> bool {
    match format {
        "int32" => {
            value.as_i64().is_some_and(|n| i32::try_from(n).is_ok())
                || value.as_f64().is_some_and(|n| n.abs() < 2_147_483_648.0 && n.fract() == 0.0)
        }
        "int64" => value.is_i64() || value.as_f64().is_some_and(|n| n.fract() == 0.0),
        _ => true,
    }
}

/// `1h30m`, `1.5s`, `-2ms`: the durations of Go.
fn go_duration(text: &str) -> bool {
    let mut rest = text.trim_start_matches(['-', '+']);
    if rest == "0" {
        return true;
    }
    let mut any = false;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
        let (number, after) = rest.split_at(digits);
        let unit = ["ns", "us", "µs", "ms", "s", "m", "h"].iter().find(|unit| {
            after
                .strip_prefix(**unit)
                .is_some_and(|next| next.is_empty() || next.starts_with(|c: char| c.is_ascii_digit()))
        });
        let Some(unit) = unit else { return false };
        if number.parse::<f64>().is_err() {
            return false;
        }
        rest = after.strip_prefix(*unit).unwrap_or_default();
        any = true;
    }
    any
}

fn cidr(text: &str) -> bool {
    let Some((ip, bits)) = text.split_once('/') else { return false };
    let most = if ip.parse::<Ipv4Addr>().is_ok() {
        32
    } else if ip.parse::<Ipv6Addr>().is_ok() {
        128
    } else {
        return false;
    };
    bits.parse::<u8>().is_ok_and(|bits| bits <= most)
}

fn mac(text: &str) -> bool {
    let parts: Vec<&str> = text.split([':', '-']).collect();
    matches!(parts.len(), 6 | 8)
        && parts.iter().all(|part| part.len() == 2 && part.bytes().all(|b| b.is_ascii_hexdigit()))
}

fn uuid(text: &str) -> bool {
    let plain: String = text.chars().filter(|c| *c != '-').collect();
    plain.len() == 32 && plain.bytes().all(|b| b.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use super::text;

    #[test]
    fn formats() {
        for (format, good, bad) in [
            ("date-time", "2026-01-01T00:00:00Z", "yesterday"),
            ("date", "2026-01-01", "2026-13-01"),
            ("duration", "1h30m", "1 hour"),
            ("byte", "YQ==", "?"),
            ("ipv4", "10.0.0.1", "10.0.0"),
            ("cidr", "10.0.0.0/8", "10.0.0.0/99"),
            ("uuid", "6ba7b810-9dad-11d1-80b4-00c04fd430c8", "x"),
            ("mac", "00:1b:63:84:45:e6", "00:1b"),
        ] {
            assert!(text(format, good), "{format} {good}");
            assert!(!text(format, bad), "{format} {bad}");
        }
        assert!(text("made-up", "anything"));
    }
}
