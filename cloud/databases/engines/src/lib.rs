//! What each database engine is: versions, images, scripts, parameters, and the names of its objects.
//! Pure data and pure functions: no client, no clock. An engine is a folder below `engine/`.
//!
//! The rest of `cloud/databases` treats all engines alike and reaches them through the scripts, whose
//! contract is in [`scripts`].

pub mod engine;
pub mod images;
pub mod names;
pub mod parameters;
pub mod scripts;

pub use engine::{Engine, Version};
