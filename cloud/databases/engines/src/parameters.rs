//! The settings of engines that users may change: what values they take, and whether they need a restart.

use std::collections::BTreeMap;

use crate::Engine;

/// The key of the parameters ConfigMap with the settings in the engine's own syntax.
pub const FILE: &str = "parameters.conf";
/// The key of the parameters ConfigMap that turns the archiving of logs on: `on` or `off` (default).
pub const ARCHIVE: &str = "archive";

/// Whether finished log segments are kept until they are taken away. Takes effect without a restart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Archive {
    /// They are.
    On,
    /// They are not.
    Off,
}

/// One setting.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Parameter {
    /// The engine's own name of it.
    pub name: &'static str,
    /// The values it takes.
    pub kind: Kind,
    /// Whether it takes effect only after a restart.
    pub restart: bool,
    /// What it is for, in one line.
    pub about: &'static str,
}

/// Values of a setting.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Kind {
    /// A whole number.
    Integer {
        /// the least
        min: i64,
        /// the most
        max: i64,
    },
    /// A number with a fraction.
    Number {
        /// the least
        min: f64,
        /// the most
        max: f64,
    },
    /// `on` or `off`; also `true`, `yes`, `1` and their opposites.
    Switch,
    /// One of these words.
    Choice(&'static [&'static str]),
    /// Bytes: a number, perhaps with `kB`, `MB` or `GB` (or `k`, `M`, `G`).
    Size {
        /// the least, in bytes
        min: u64,
        /// the most, in bytes
        max: u64,
    },
    /// A time: a number, perhaps with `ms`, `s`, `min`, `h` or `d`; or `0` or `-1` where that means never.
    Duration,
    /// A text of one line.
    Text,
}

/// Why a setting was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// The engine has none of that name that users may change.
    #[error("{title} has no parameter `{name}` that can be changed here{}", hint(.near))]
    Unknown {
        /// the engine
        title: &'static str,
        /// what was given
        name: String,
        /// what it may have been
        near: Option<&'static str>,
    },
    /// It does not take that value.
    #[error("parameter `{name}` cannot be `{value}`: it takes {takes}")]
    Value {
        /// the parameter
        name: &'static str,
        /// what was given
        value: String,
        /// what it takes
        takes: String,
    },
}

fn hint(near: &Option<&'static str>) -> String {
    near.map(|name| format!("; did you mean `{name}`?")).unwrap_or_default()
}

impl Engine {
    /// The setting of that name. Names may be written with dashes or underscores.
    pub fn parameter(&self, name: &str) -> Result<&'static Parameter, Refused> {
        let same = |parameter: &&Parameter| plain(parameter.name) == plain(name);
        self.parameters.iter().find(same).ok_or_else(|| Refused::Unknown {
            title: self.title,
            name: name.to_owned(),
            near: self.parameters.iter().map(|p| p.name).find(|known| near(known, name)),
        })
    }

    /// Checks settings; all that is wrong with them is named at once.
    pub fn check_parameters(&self, given: &BTreeMap<String, String>) -> Result<Checked, Vec<Refused>> {
        let (mut values, mut restart, mut refused) = (BTreeMap::new(), Vec::new(), Vec::new());
        for (name, value) in given {
            match self.parameter(name).and_then(|parameter| Ok((parameter, parameter.check(value)?))) {
                Ok((parameter, value)) => {
                    values.insert(parameter.name, value);
                    restart.extend(parameter.restart.then_some(parameter.name));
                }
                Err(error) => refused.push(error),
            }
        }
        if refused.is_empty() { Ok(Checked { values, restart }) } else { Err(refused) }
    }

    /// Checked settings in the engine's own syntax: the content of [`FILE`].
    pub fn parameter_file(&self, checked: &Checked) -> String {
        let line = |(name, value): (&&'static str, &String)| (self.setting)(name, value) + "\n";
        checked.values.iter().map(line).collect()
    }
}

/// Settings that have been checked.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Checked {
    values: BTreeMap<&'static str, String>,
    restart: Vec<&'static str>,
}

impl Checked {
    /// The settings.
    pub fn values(&self) -> &BTreeMap<&'static str, String> {
        &self.values
    }

    /// Those among them that need a restart.
    pub fn need_restart(&self) -> &[&'static str] {
        &self.restart
    }
}

impl Parameter {
    /// The value in its usual form.
    pub fn check(&self, value: &str) -> Result<String, Refused> {
        self.kind.read(value.trim()).ok_or_else(|| Refused::Value {
            name: self.name,
            value: value.to_owned(),
            takes: self.kind.takes(),
        })
    }
}

impl Kind {
    fn read(self, value: &str) -> Option<String> {
        let one_line = !value.contains(|c: char| c.is_control());
        let good = match self {
            Self::Integer { min, max } => value.parse().is_ok_and(|n: i64| (min..=max).contains(&n)),
            Self::Number { min, max } => value.parse().is_ok_and(|n: f64| (min..=max).contains(&n)),
            Self::Switch => return switch(value).map(|on| if on { "on" } else { "off" }.to_owned()),
            Self::Choice(words) => words.iter().any(|word| word.eq_ignore_ascii_case(value)),
            Self::Size { min, max } => {
                return bytes(value).filter(|n| (min..=max).contains(n)).map(in_words);
            }
            Self::Duration => value == "-1" || is_duration(value),
            Self::Text => value.len() <= 1024,
        };
        (good && one_line).then(|| value.to_owned())
    }

    /// What it takes, in words.
    pub fn takes(self) -> String {
        match self {
            Self::Integer { min, max } => format!("a whole number from {min} to {max}"),
            Self::Number { min, max } => format!("a number from {min} to {max}"),
            Self::Switch => "`on` or `off`".into(),
            Self::Choice(words) => format!("one of {}", words.join(", ")),
            Self::Size { min, max } => {
                format!("a size from {} to {}, as in `64MB`", in_words(min), in_words(max))
            }
            Self::Duration => "a time, as in `500ms`, `10s` or `5min`".into(),
            Self::Text => "a text of one line".into(),
        }
    }
}

fn plain(name: &str) -> String {
    name.trim().to_lowercase().replace('-', "_")
}

/// Whether a name is probably a slip of the pen for a known one: one differing, missing or extra letter.
fn near(known: &str, given: &str) -> bool {
    let (a, b) = (plain(known), plain(given));
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let front = a.iter().zip(&b).take_while(|(x, y)| x == y).count();
    let back = a.iter().rev().zip(b.iter().rev()).take_while(|(x, y)| x == y).count();
    let (most, least) = (a.len().max(b.len()), a.len().min(b.len()));
    most - least <= 1 && front + back + 2 >= most && least > 3
}

fn switch(value: &str) -> Option<bool> {
    match value.to_lowercase().as_str() {
        "on" | "true" | "yes" | "1" => Some(true),
        "off" | "false" | "no" | "0" => Some(false),
        _ => None,
    }
}

fn split_unit(value: &str) -> Option<(u64, &str)> {
    let end = value.find(|c: char| !c.is_ascii_digit()).unwrap_or(value.len());
    let (number, unit) = value.split_at_checked(end)?;
    Some((number.parse().ok()?, unit.trim()))
}

fn bytes(value: &str) -> Option<u64> {
    let (number, unit) = split_unit(value)?;
    let factor: u64 = match unit.to_lowercase().as_str() {
        "" | "b" => 1,
        "k" | "kb" => 1 << 10,
        "m" | "mb" => 1 << 20,
        "g" | "gb" => 1 << 30,
        "t" | "tb" => 1 << 40,
        _ => return None,
    };
    number.checked_mul(factor)
}

fn is_duration(value: &str) -> bool {
    split_unit(value).is_some_and(|(_, unit)| matches!(unit, "" | "us" | "ms" | "s" | "min" | "h" | "d"))
}

fn in_words(bytes: u64) -> String {
    [(30, "GB"), (20, "MB"), (10, "kB")]
        .into_iter()
        .find(|(shift, _)| bytes >= 1 << shift && bytes.is_multiple_of(1 << shift))
        .map_or_else(|| format!("{bytes}B"), |(shift, unit)| format!("{}{unit}", bytes >> shift))
}
