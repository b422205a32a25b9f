//! The name rules of Kubernetes. Each gives the problem, or nothing.

const LABEL: &str = "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')";
const SUBDOMAIN: &str = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";
const LABEL_1035: &str = "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for validation is '[a-z]([-a-z0-9]*[a-z0-9])?')";
const QUALIFIED: &str = "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')";
const LABEL_VALUE: &str = "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')";
const CONFIG_KEY: &str = "a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  or 'KEY_NAME',  or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')";
const ENV_NAME: &str =
    "a valid environment variable name must consist only of printable ASCII characters other than '='";
const PORT_NAME_SET: &str = "must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)";

fn lower(byte: u8) -> bool {
    byte.is_ascii_lowercase() || byte.is_ascii_digit()
}

fn too_long(max: usize) -> String {
    format!("must be no more than {max} bytes")
}

/// Whether all bytes pass `inner` and the first and last pass `edge`.
fn shaped(text: &str, edge: impl Fn(u8) -> bool, inner: impl Fn(u8) -> bool) -> bool {
    let bytes = text.as_bytes();
    let (Some(first), Some(last)) = (bytes.first(), bytes.last()) else { return false };
    edge(*first) && edge(*last) && bytes.iter().all(|byte| inner(*byte))
}

fn is_label(text: &str) -> bool {
    shaped(text, lower, |byte| lower(byte) || byte == b'-')
}

fn is_subdomain(text: &str) -> bool {
    !text.is_empty() && text.split('.').all(is_label)
}

/// An RFC 1123 label: most parts of names.
pub(crate) fn dns_label(text: &str) -> Option<String> {
    if text.len() > 63 {
        return Some(too_long(63));
    }
    (!is_label(text)).then(|| LABEL.to_owned())
}

/// An RFC 1123 subdomain: most object names.
pub(crate) fn dns_subdomain(text: &str) -> Option<String> {
    if text.len() > 253 {
        return Some(too_long(253));
    }
    (!is_subdomain(text)).then(|| SUBDOMAIN.to_owned())
}

/// An RFC 1035 label: Service names.
pub(crate) fn dns_label_1035(text: &str) -> Option<String> {
    if text.len() > 63 {
        return Some(too_long(63));
    }
    let valid = is_label(text) && text.starts_with(|c: char| c.is_ascii_lowercase());
    (!valid).then(|| LABEL_1035.to_owned())
}

/// A host name, optionally with a `*.` before it.
pub(crate) fn wildcard_subdomain(text: &str) -> Option<String> {
    let rest = text.strip_prefix("*.").unwrap_or_default();
    (!is_subdomain(rest)).then(|| {
        "a wildcard DNS-1123 subdomain must start with '*.', followed by a valid DNS subdomain, which must consist of lower case alphanumeric characters, '-' or '.' and end with an alphanumeric character (e.g. '*.example.com', regex used for validation is '\\*\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')".to_owned()
    })
}

/// `prefix/name` or `name`: keys of labels and annotations, finalizers.
pub(crate) fn qualified_name(text: &str) -> Option<String> {
    let (prefix, name) = match text.split_once('/') {
        Some((prefix, name)) => (Some(prefix), name),
        None => (None, text),
    };
    if name.contains('/') {
        return Some("a qualified name must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]') with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')".to_owned());
    }
    match prefix {
        Some("") => return Some("prefix part must be non-empty".to_owned()),
        Some(prefix) => {
            if let Some(problem) = dns_subdomain(prefix) {
                return Some(format!("prefix part {problem}"));
            }
        }
        None => {}
    }
    if name.is_empty() {
        return Some("name part must be non-empty".to_owned());
    }
    if name.len() > 63 {
        return Some(format!("name part {}", too_long(63)));
    }
    (!is_qualified(name)).then(|| QUALIFIED.to_owned())
}

fn is_qualified(text: &str) -> bool {
    shaped(
        text,
        |byte| byte.is_ascii_alphanumeric(),
        |byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte),
    )
}

pub(crate) fn label_value(text: &str) -> Option<String> {
    if text.is_empty() {
        return None;
    }
    if text.len() > 63 {
        return Some(too_long(63));
    }
    (!is_qualified(text)).then(|| LABEL_VALUE.to_owned())
}

/// Names that only must be usable in a URL path: RBAC objects.
pub(crate) fn path_segment(text: &str) -> Option<String> {
    if text == "." || text == ".." {
        return Some(format!("may not be '{text}'"));
    }
    ['/', '%'].iter().find(|c| text.contains(**c)).map(|c| format!("may not contain '{c}'"))
}

/// Keys of ConfigMaps and Secrets.
pub(crate) fn config_key(text: &str) -> Option<String> {
    if text.len() > 253 {
        return Some(too_long(253));
    }
    if text == "." || text == ".." {
        return Some(format!("must not be '{text}'"));
    }
    if text.starts_with("..") {
        return Some("must not start with '..'".to_owned());
    }
    let valid = !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b));
    (!valid).then(|| CONFIG_KEY.to_owned())
}

pub(crate) fn env_name(text: &str) -> Option<String> {
    let valid = !text.is_empty() && text.bytes().all(|b| (b' '..=b'~').contains(&b) && b != b'=');
    (!valid).then(|| ENV_NAME.to_owned())
}

/// IANA service names: port names of containers.
pub(crate) fn port_name(text: &str) -> Option<String> {
    if text.len() > 15 {
        return Some("must be no more than 15 characters".to_owned());
    }
    if !text.bytes().all(|b| lower(b) || b == b'-') || text.is_empty() {
        return Some(PORT_NAME_SET.to_owned());
    }
    if !text.bytes().any(|b| b.is_ascii_lowercase()) {
        return Some("must contain at least one letter (a-z)".to_owned());
    }
    if text.contains("--") {
        return Some("must not contain consecutive hyphens".to_owned());
    }
    (text.starts_with('-') || text.ends_with('-')).then(|| "must not begin or end with a hyphen".to_owned())
}

pub(crate) fn port_number(port: i64) -> Option<&'static str> {
    (!(1..=65535).contains(&port)).then_some("must be between 1 and 65535, inclusive")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels() {
        for good in ["a", "a-b", "0", "x1"] {
            assert_eq!(dns_label(good), None, "{good}");
        }
        for bad in ["", "-a", "a-", "A", "a.b", "a_b", "ä"] {
            assert!(dns_label(bad).is_some(), "{bad}");
        }
        assert_eq!(dns_label(&"a".repeat(64)), Some("must be no more than 63 bytes".to_owned()));
        assert!(dns_label_1035("1a").is_some());
        assert_eq!(dns_subdomain("a.b-c.d"), None);
        assert!(dns_subdomain("a..b").is_some());
    }

    #[test]
    fn qualified_names() {
        for good in ["a", "A.b_c-d", "example.com/Name", "sealos.io/x"] {
            assert_eq!(qualified_name(good), None, "{good}");
        }
        for bad in ["", "/a", "a/", "a/b/c", "-a", "Ex.com/a", "a b"] {
            assert!(qualified_name(bad).is_some(), "{bad}");
        }
    }

    #[test]
    fn other_names() {
        assert_eq!(config_key("..data"), Some("must not start with '..'".to_owned()));
        assert_eq!(config_key("app.conf"), None);
        assert_eq!(port_name("http-2"), None);
        assert!(port_name("80").is_some());
        assert_eq!(wildcard_subdomain("*.a.b"), None);
        assert!(wildcard_subdomain("a.b").is_some());
        assert!(path_segment("a/b").is_some());
        assert_eq!(path_segment("system:node"), None);
    }
}
