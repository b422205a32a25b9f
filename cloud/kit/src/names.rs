//! Names that come from people, checked once.

use std::fmt;

use serde::{Deserialize, Serialize};

/// An app's name is at most this long, so that the names made from it stay valid.
pub const APP_NAME_MAX: usize = 25;

/// The name of an app: a lower-case letter, then letters, digits and dashes, at most 25 characters.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct AppName(String);

/// Why a text is no name.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error(
    "`{given}` is not a valid app name: {why}; use a lower-case letter first, then lower-case letters, digits and dashes, at most {APP_NAME_MAX} characters"
)]
pub struct InvalidName {
    given: String,
    why: &'static str,
}

impl AppName {
    /// Checks a name as it was typed.
    pub fn parse(text: &str) -> Result<Self, InvalidName> {
        let refuse = |why| Err(InvalidName { given: text.to_owned(), why });
        if text.is_empty() {
            return refuse("it is empty");
        }
        if text.len() > APP_NAME_MAX {
            return refuse("it is too long");
        }
        if !text.starts_with(|c: char| c.is_ascii_lowercase()) {
            return refuse("it does not start with a lower-case letter");
        }
        if text.ends_with('-') {
            return refuse("it ends with a dash");
        }
        if !text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-') {
            return refuse("it has a character that is not allowed");
        }
        Ok(Self(text.to_owned()))
    }

    /// The nearest valid name to a text such as a folder or an image; `None` if nothing is left of it.
    pub fn suggest(text: &str) -> Option<Self> {
        let mut name = String::new();
        for c in text.to_ascii_lowercase().chars() {
            match c {
                'a'..='z' => name.push(c),
                '0'..='9' if !name.is_empty() => name.push(c),
                _ if !name.is_empty() && !name.ends_with('-') => name.push('-'),
                _ => {}
            }
        }
        name.truncate(APP_NAME_MAX);
        Self::parse(name.trim_end_matches('-')).ok()
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for AppName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for AppName {
    type Error = InvalidName;
    fn try_from(text: String) -> Result<Self, InvalidName> {
        Self::parse(&text)
    }
}

impl From<AppName> for String {
    fn from(name: AppName) -> Self {
        name.0
    }
}

#[cfg(test)]
mod tests {
    use super::AppName;

    #[test]
    fn accepts_what_kubernetes_and_dns_accept() {
        for good in ["a", "web", "my-shop-2", "abcdefghijklmnopqrstuvwxy"] {
            assert!(AppName::parse(good).is_ok(), "{good}");
        }
        for bad in ["", "1a", "-a", "a-", "A", "a_b", "a.b", "abcdefghijklmnopqrstuvwxyz"] {
            assert!(AppName::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn suggests_a_name_from_a_folder_or_an_image() {
        let of = |text| AppName::suggest(text).map(String::from);
        assert_eq!(of("My Shop_2").as_deref(), Some("my-shop-2"));
        assert_eq!(of("123").as_deref(), None);
        assert_eq!(of("3proxy").as_deref(), Some("proxy"));
    }
}
