//! Field errors as Kubernetes words them: a path, a cause, a sentence.

use std::fmt;

use serde_json::Value;

/// What is wrong with a field; the names are the `reason`s of a Status cause.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    Required,
    Invalid,
    TypeInvalid,
    NotSupported,
    Duplicate,
    Forbidden,
    TooLong,
    TooMany,
    NotFound,
}

impl Cause {
    /// The `reason` in `status.details.causes`.
    pub fn reason(self) -> &'static str {
        match self {
            Self::Required => "FieldValueRequired",
            Self::Invalid => "FieldValueInvalid",
            Self::TypeInvalid => "FieldValueTypeInvalid",
            Self::NotSupported => "FieldValueNotSupported",
            Self::Duplicate => "FieldValueDuplicate",
            Self::Forbidden => "FieldValueForbidden",
            Self::TooLong => "FieldValueTooLong",
            Self::TooMany => "FieldValueTooMany",
            Self::NotFound => "FieldValueNotFound",
        }
    }

    fn words(self) -> &'static str {
        match self {
            Self::Required => "Required value",
            Self::Invalid | Self::TypeInvalid => "Invalid value",
            Self::NotSupported => "Unsupported value",
            Self::Duplicate => "Duplicate value",
            Self::Forbidden => "Forbidden",
            Self::TooLong => "Too long",
            Self::TooMany => "Too many",
            Self::NotFound => "Not found",
        }
    }
}

/// One wrong field. `message` is what a Status cause carries; [`fmt::Display`] puts the path before it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldError {
    pub cause: Cause,
    pub field: String,
    pub message: String,
}

impl FieldError {
    /// An error whose message names the offending value and adds `detail`.
    pub fn with_value(
        cause: Cause,
        field: impl Into<String>,
        value: &Value,
        detail: impl fmt::Display,
    ) -> Self {
        let detail = detail.to_string();
        let mut message = format!("{}: {}", cause.words(), show(value));
        if !detail.is_empty() {
            message.push_str(": ");
            message.push_str(&detail);
        }
        Self { cause, field: field.into(), message }
    }

    /// An error that does not repeat the value.
    pub fn plain(cause: Cause, field: impl Into<String>, detail: impl fmt::Display) -> Self {
        let detail = detail.to_string();
        let words = cause.words();
        let message = if detail.is_empty() { words.to_owned() } else { format!("{words}: {detail}") };
        Self { cause, field: field.into(), message }
    }

    pub fn required(field: impl Into<String>, detail: impl fmt::Display) -> Self {
        Self::plain(Cause::Required, field, detail)
    }

    pub fn invalid(field: impl Into<String>, value: &Value, detail: impl fmt::Display) -> Self {
        Self::with_value(Cause::Invalid, field, value, detail)
    }

    pub fn forbidden(field: impl Into<String>, detail: impl fmt::Display) -> Self {
        Self::plain(Cause::Forbidden, field, detail)
    }

    pub fn duplicate(field: impl Into<String>, value: &Value) -> Self {
        Self::with_value(Cause::Duplicate, field, value, "")
    }

    pub fn not_supported(field: impl Into<String>, value: &Value, supported: &[&str]) -> Self {
        let mut names: Vec<String> = supported.iter().map(|name| format!("{name:?}")).collect();
        names.sort();
        Self::with_value(Cause::NotSupported, field, value, format!("supported values: {}", names.join(", ")))
    }

    pub fn too_long(field: impl Into<String>, max: usize) -> Self {
        Self::plain(Cause::TooLong, field, format!("may not be more than {max} bytes"))
    }
}

impl fmt::Display for FieldError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.field.is_empty() {
            write!(f, "{}", self.message)
        } else {
            write!(f, "{}: {}", self.field, self.message)
        }
    }
}

impl std::error::Error for FieldError {}

/// All that is wrong with an object.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FieldErrors(pub Vec<FieldError>);

impl FieldErrors {
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn push(&mut self, error: FieldError) {
        self.0.push(error);
    }

    pub fn extend(&mut self, errors: impl IntoIterator<Item = FieldError>) {
        self.0.extend(errors);
    }

    /// `Ok` when nothing is wrong.
    pub fn into_result(self) -> Result<(), Self> {
        if self.is_empty() { Ok(()) } else { Err(self) }
    }
}

/// The text of a Status message after `… is invalid: `: one error plain, several in brackets.
impl fmt::Display for FieldErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.as_slice() {
            [one] => write!(f, "{one}"),
            many => {
                let all: Vec<String> = many.iter().map(ToString::to_string).collect();
                write!(f, "[{}]", all.join(", "))
            }
        }
    }
}

impl std::error::Error for FieldErrors {}

fn show(value: &Value) -> String {
    match value {
        Value::String(text) => format!("{text:?}"),
        other => other.to_string(),
    }
}
