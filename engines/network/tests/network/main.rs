//! The network on this machine's kernel. Needs root.

mod names;
mod pods;
mod support;
