//! The cloud on this machine: starting it, running it, and taking it down.

mod admin;
mod build;
mod databases;
mod down;
mod in_use;
mod listen;
mod lock;
mod machine;
mod object_storage;
mod packages;
mod provision;
mod settings;
mod start;
mod token;
mod up;

pub(crate) use down::down;
pub(crate) use up::up;
