//! Turning a layer's archive into a directory that overlayfs can stack.

mod apply;
mod reader;
mod root;

pub(crate) use apply::unpack;
pub(crate) use reader::{Entries, Kind};
