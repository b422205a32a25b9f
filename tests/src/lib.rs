//! Suites that drive the sealos binary from outside.
