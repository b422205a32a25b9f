//! Resource quantities: `500m`, `1.5Gi`, `2e3`. Exact to a billionth, compared by value, printed canonically.

use std::cmp::Ordering;
use std::fmt;

use serde_json::Value;

/// How the number was written, and so how it is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    Decimal,
    Binary,
    Exponent,
}

/// A parsed quantity in billionths.
#[derive(Clone, Copy, Debug)]
pub struct Quantity {
    nanos: i128,
    format: Format,
}

/// The text is not a quantity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'")]
pub struct ParseError;

const NANO: i128 = 1_000_000_000;
const DECIMAL: [(&str, i32); 10] =
    [("n", -9), ("u", -6), ("m", -3), ("", 0), ("k", 3), ("M", 6), ("G", 9), ("T", 12), ("P", 15), ("E", 18)];
const BINARY: [(&str, u32); 6] = [("Ki", 10), ("Mi", 20), ("Gi", 30), ("Ti", 40), ("Pi", 50), ("Ei", 60)];
/// The largest magnitude, 2^63-1; larger numbers are capped.
const MAX: i128 = i64::MAX as i128 * NANO;

impl Quantity {
    pub fn parse(text: &str) -> Result<Self, ParseError> {
        let (sign, rest) = match text.as_bytes().first() {
            Some(b'-') => (-1, text.get(1..).unwrap_or_default()),
            Some(b'+') => (1, text.get(1..).unwrap_or_default()),
            _ => (1, text),
        };
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
        let (number, suffix) = rest.split_at(end);
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        if (whole.is_empty() && fraction.is_empty()) || fraction.contains('.') {
            return Err(ParseError);
        }
        let (scale, format) = Scale::parse(suffix)?;
        Ok(Self { nanos: sign * scale.apply(whole, fraction), format })
    }

    /// A quantity from JSON: a string, or a bare number.
    pub fn from_value(value: &Value) -> Result<Self, ParseError> {
        match value {
            Value::String(text) => Self::parse(text),
            Value::Number(number) => Self::parse(&number.to_string()),
            _ => Err(ParseError),
        }
    }

    pub fn from_int(value: i64, format: Format) -> Self {
        Self { nanos: i128::from(value) * NANO, format }
    }

    /// The value rounded up to an integer.
    pub fn ceil(&self) -> i64 {
        let up = self.nanos.div_euclid(NANO) + i128::from(self.nanos.rem_euclid(NANO) != 0);
        i64::try_from(up).unwrap_or(if up > 0 { i64::MAX } else { i64::MIN })
    }

    /// Thousandths, rounded up.
    pub fn millis(&self) -> i64 {
        let step = NANO / 1000;
        let up = self.nanos.div_euclid(step) + i128::from(self.nanos.rem_euclid(step) != 0);
        i64::try_from(up).unwrap_or(if up > 0 { i64::MAX } else { i64::MIN })
    }

    pub fn is_negative(&self) -> bool {
        self.nanos < 0
    }

    pub fn is_zero(&self) -> bool {
        self.nanos == 0
    }

    pub fn is_integer(&self) -> bool {
        self.nanos % NANO == 0
    }

    /// The sum, printed like the first operand.
    #[must_use]
    pub fn plus(&self, other: &Self) -> Self {
        Self { nanos: (self.nanos + other.nanos).clamp(-MAX, MAX), format: self.format }
    }

    #[must_use]
    pub fn minus(&self, other: &Self) -> Self {
        Self { nanos: (self.nanos - other.nanos).clamp(-MAX, MAX), format: self.format }
    }

    fn write_decimal(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (suffix, power) in DECIMAL.iter().rev() {
            let unit = 10_i128.pow((power + 9).unsigned_abs());
            if self.nanos % unit == 0 {
                return write!(f, "{}{suffix}", self.nanos / unit);
            }
        }
        Ok(())
    }

    fn write_binary(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.nanos % NANO != 0 || (self.nanos / NANO).abs() < 1024 {
            return self.write_decimal(f);
        }
        let value = self.nanos / NANO;
        for (suffix, bits) in BINARY.iter().rev() {
            let unit = 1_i128 << bits;
            if value % unit == 0 {
                return write!(f, "{}{suffix}", value / unit);
            }
        }
        write!(f, "{value}")
    }

    fn write_exponent(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for power in (-3..=6).rev().map(|p| p * 3) {
            let unit = 10_i128.pow((power + 9_i32).unsigned_abs());
            if self.nanos % unit == 0 {
                let mantissa = self.nanos / unit;
                return if power == 0 { write!(f, "{mantissa}") } else { write!(f, "{mantissa}e{power}") };
            }
        }
        Ok(())
    }
}

/// What a suffix multiplies by.
enum Scale {
    Power10(i32),
    Power2(u32),
}

impl Scale {
    fn parse(suffix: &str) -> Result<(Self, Format), ParseError> {
        if let Some((_, power)) = DECIMAL.iter().find(|(name, _)| *name == suffix) {
            return Ok((Self::Power10(*power), Format::Decimal));
        }
        if let Some((_, bits)) = BINARY.iter().find(|(name, _)| *name == suffix) {
            return Ok((Self::Power2(*bits), Format::Binary));
        }
        let exponent = suffix.strip_prefix(['e', 'E']).ok_or(ParseError)?;
        let power: i32 = exponent.parse().map_err(|_| ParseError)?;
        Ok((Self::Power10(power.clamp(-40, 40)), Format::Exponent))
    }

    /// The number in billionths, rounded away from zero, capped.
    fn apply(&self, whole: &str, fraction: &str) -> i128 {
        match self {
            Self::Power10(power) => shift(whole, fraction, power + 9),
            Self::Power2(bits) => {
                let base = shift(whole, fraction, 9).min(MAX);
                base.checked_mul(1_i128 << bits).map_or(MAX, |value| value.min(MAX))
            }
        }
    }
}

/// `whole.fraction` times ten to the `power`, rounded up, capped at [`MAX`].
fn shift(whole: &str, fraction: &str, power: i32) -> i128 {
    let mut digits: Vec<u8> = whole.bytes().chain(fraction.bytes()).map(|b| b - b'0').collect();
    let point = whole.len() as i64 + i64::from(power);
    let keep = usize::try_from(point.max(0)).unwrap_or(0);
    let round_up = digits.iter().skip(keep).any(|d| *d != 0);
    digits.resize(keep.min(digits.len() + 64), 0);
    let mut value: i128 = 0;
    for digit in digits {
        value = value.saturating_mul(10).saturating_add(i128::from(digit));
        if value > MAX {
            return MAX;
        }
    }
    (value + i128::from(round_up)).min(MAX)
}

impl fmt::Display for Quantity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.nanos == 0 {
            return f.write_str("0");
        }
        match self.format {
            Format::Decimal => self.write_decimal(f),
            Format::Binary => self.write_binary(f),
            Format::Exponent => self.write_exponent(f),
        }
    }
}

impl PartialEq for Quantity {
    fn eq(&self, other: &Self) -> bool {
        self.nanos == other.nanos
    }
}

impl Eq for Quantity {}

impl PartialOrd for Quantity {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Quantity {
    fn cmp(&self, other: &Self) -> Ordering {
        self.nanos.cmp(&other.nanos)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn canonical(text: &str) -> String {
        Quantity::parse(text).map_or_else(|e| e.to_string(), |q| q.to_string())
    }

    #[test]
    fn prints_canonically() {
        for (input, output) in [
            ("1", "1"),
            ("1.5", "1500m"),
            ("1.5Gi", "1536Mi"),
            ("0.5", "500m"),
            ("1000m", "1"),
            ("1024Ki", "1Mi"),
            ("1000k", "1M"),
            ("1000Ki", "1000Ki"),
            ("100Mi", "100Mi"),
            ("1e3", "1e3"),
            ("12e6", "12e6"),
            ("-1.5", "-1500m"),
            (".5", "500m"),
            ("5.", "5"),
            ("0", "0"),
            ("0Mi", "0"),
            ("0.1n", "1n"),
            ("0.5Ki", "512"),
            ("99999999999999999999E", "9223372036854775807"),
        ] {
            assert_eq!(canonical(input), output, "{input}");
        }
    }

    #[test]
    fn refuses_what_is_no_quantity() {
        for bad in ["", "x", "1x", "1.2.3", "1 Gi", "Gi", "1ki", "e3", "1e", "--1", "."] {
            assert!(Quantity::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn compares_by_value() {
        let q = |t| Quantity::parse(t).expect("a quantity");
        assert!(q("1Gi") > q("1G"));
        assert_eq!(q("1"), q("1000m"));
        assert_eq!(q("1.1").ceil(), 2);
        assert_eq!(q("250m").millis(), 250);
        assert_eq!(q("-1.5").ceil(), -1);
    }

    proptest! {
        #[test]
        fn survives_printing(n in -1_000_000_000i64..1_000_000_000, suffix in "(n|u|m||k|M|G|Ki|Mi|Gi|e3|e0)") {
            let once = Quantity::parse(&format!("{n}{suffix}")).expect("a quantity");
            let twice = Quantity::parse(&once.to_string()).expect("canonical form parses");
            prop_assert_eq!(once, twice);
            prop_assert_eq!(once.to_string(), twice.to_string());
        }

        #[test]
        fn never_panics(text in ".*") {
            let _ = Quantity::parse(&text);
        }
    }
}
