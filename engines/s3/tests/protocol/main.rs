//! The protocol over real sockets: what a client sends and what it gets.

mod access;
mod background;
mod browser;
mod objects;
mod robust;
mod support;
mod versions;
