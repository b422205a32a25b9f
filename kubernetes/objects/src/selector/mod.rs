//! Label and field selectors: parsing, checking, matching.

mod field;
mod label;

pub use field::{FieldRequirement, FieldSelector};
pub(crate) use field::{check_fields, matches_fields};
pub use label::{LabelSelector, Operator, Requirement};

/// The selector text cannot be understood.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unable to parse requirement: {0}")]
pub struct ParseError(pub String);
