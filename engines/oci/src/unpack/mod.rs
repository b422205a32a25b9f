//! Turning a layer's archive into a directory that overlayfs can stack.

mod apply;
mod reader;
mod root;
#[cfg(test)]
mod tests;

pub(crate) use apply::unpack;
pub(crate) use reader::{Entries, Kind};
pub(crate) use root::clean;
