//! What the built-in Kubernetes knows about kinds: schemas, defaults, validation, patches, tables.
//!
//! Pure knowledge over [`serde_json::Value`]: no I/O, no async, no clock. The API server asks
//! [`catalogue::builtin`] for the built-in [`Resource`]s, [`crd::resources`] for custom ones,
//! and treats both alike from there on.

pub mod apply;
pub mod catalogue;
pub mod crd;
pub mod decode;
mod defaults;
pub mod field;
pub mod meta;
pub mod openapi;
pub mod patch;
pub mod quantity;
pub mod resource;
pub mod scale;
pub mod schema;
pub mod selector;
mod table;
mod validate;
mod value;

pub use field::{FieldError, FieldErrors};
pub use resource::{Part, Resource, Subresource};
pub use table::Column;
