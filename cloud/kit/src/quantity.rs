//! CPU and memory as people type them and as Kubernetes writes them.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Thousandths of a core.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "Text", into = "String")]
pub struct Cpu(u64);

/// Bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "Text", into = "String")]
pub struct Bytes(u64);

/// Why a text is no amount.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("`{given}` is not {what}; write for example {example}")]
pub struct InvalidAmount {
    given: String,
    what: &'static str,
    example: &'static str,
}

/// A number or a text, as YAML gives either.
#[derive(Deserialize)]
#[serde(untagged)]
pub enum Text {
    /// A whole number.
    Number(u64),
    /// A fraction.
    Fraction(f64),
    /// Anything written as text.
    Text(String),
}

impl Text {
    fn into_text(self) -> String {
        match self {
            Self::Number(n) => n.to_string(),
            Self::Fraction(f) => f.to_string(),
            Self::Text(t) => t,
        }
    }
}

impl Cpu {
    /// From thousandths of a core.
    pub const fn from_millis(millis: u64) -> Self {
        Self(millis)
    }

    /// Thousandths of a core.
    pub const fn millis(self) -> u64 {
        self.0
    }

    /// Reads `500m`, `0.5` or `2`.
    pub fn parse(text: &str) -> Result<Self, InvalidAmount> {
        let refuse =
            || InvalidAmount { given: text.into(), what: "an amount of CPU", example: "`500m` or `2`" };
        let trimmed = text.trim();
        let (number, factor) = trimmed.strip_suffix('m').map_or((trimmed, 1000.0), |n| (n, 1.0));
        let value = decimal(number).ok_or_else(refuse)? * factor;
        whole(value).filter(|millis| *millis > 0).map(Self).ok_or_else(refuse)
    }
}

impl Bytes {
    /// From bytes.
    pub const fn new(bytes: u64) -> Self {
        Self(bytes)
    }

    /// Bytes.
    pub const fn get(self) -> u64 {
        self.0
    }

    /// Reads `256Mi`, `1Gi`, `1G`, `512MB` or plain bytes.
    pub fn parse(text: &str) -> Result<Self, InvalidAmount> {
        let refuse =
            || InvalidAmount { given: text.into(), what: "an amount of bytes", example: "`256Mi` or `1Gi`" };
        let trimmed = text.trim();
        let split = trimmed.find(|c: char| c.is_ascii_alphabetic()).unwrap_or(trimmed.len());
        let (number, unit) = trimmed.split_at(split);
        let factor = match unit.trim_end_matches(['B', 'b']) {
            "" => 1.0,
            "k" | "K" => 1e3,
            "M" => 1e6,
            "G" | "g" => 1e9,
            "T" => 1e12,
            "Ki" => 1024.0,
            "Mi" | "m" => 1_048_576.0,
            "Gi" => 1_073_741_824.0,
            "Ti" => 1_099_511_627_776.0,
            _ => return Err(refuse()),
        };
        let value = decimal(number.trim()).ok_or_else(refuse)? * factor;
        whole(value).filter(|bytes| *bytes > 0).map(Self).ok_or_else(refuse)
    }
}

/// A plain decimal number; no sign, no exponent.
fn decimal(text: &str) -> Option<f64> {
    let plain = !text.is_empty() && text.chars().all(|c| c.is_ascii_digit() || c == '.');
    if plain { text.parse().ok() } else { None }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the range is checked first")]
fn whole(value: f64) -> Option<u64> {
    (value.is_finite() && (0.0..9e18).contains(&value)).then_some(value.ceil() as u64)
}

impl fmt::Display for Cpu {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_multiple_of(1000) { write!(f, "{}", self.0 / 1000) } else { write!(f, "{}m", self.0) }
    }
}

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (unit, size) in [("Gi", 1 << 30), ("Mi", 1 << 20), ("Ki", 1 << 10)] {
            if self.0 >= size && self.0.is_multiple_of(size) {
                return write!(f, "{}{unit}", self.0 / size);
            }
        }
        write!(f, "{}", self.0)
    }
}

impl TryFrom<Text> for Cpu {
    type Error = InvalidAmount;
    fn try_from(text: Text) -> Result<Self, InvalidAmount> {
        Self::parse(&text.into_text())
    }
}

impl TryFrom<Text> for Bytes {
    type Error = InvalidAmount;
    fn try_from(text: Text) -> Result<Self, InvalidAmount> {
        Self::parse(&text.into_text())
    }
}

impl From<Cpu> for String {
    fn from(cpu: Cpu) -> Self {
        cpu.to_string()
    }
}

impl From<Bytes> for String {
    fn from(bytes: Bytes) -> Self {
        bytes.to_string()
    }
}

impl std::str::FromStr for Cpu {
    type Err = InvalidAmount;
    fn from_str(text: &str) -> Result<Self, InvalidAmount> {
        Self::parse(text)
    }
}

impl std::str::FromStr for Bytes {
    type Err = InvalidAmount;
    fn from_str(text: &str) -> Result<Self, InvalidAmount> {
        Self::parse(text)
    }
}

#[cfg(test)]
mod tests {
    use super::{Bytes, Cpu};

    #[test]
    fn reads_and_writes_amounts() {
        for (text, shown) in [("500m", "500m"), ("0.5", "500m"), ("2", "2"), ("1.5", "1500m")] {
            assert_eq!(Cpu::parse(text).map(|c| c.to_string()).as_deref(), Ok(shown));
        }
        for (text, shown) in [("256Mi", "256Mi"), ("1024Mi", "1Gi"), ("1G", "1000000000"), ("0.5Gi", "512Mi")]
        {
            assert_eq!(Bytes::parse(text).map(|b| b.to_string()).as_deref(), Ok(shown));
        }
        for bad in ["", "0", "-1", "1e3", "x", "1 2"] {
            assert!(Cpu::parse(bad).is_err(), "{bad}");
            assert!(Bytes::parse(bad).is_err(), "{bad}");
        }
    }
}
