//! The `sealos` binary.

fn main() {}
