//! How requests come in: through memory, or through TLS.

pub(crate) mod memory;
pub(crate) mod tls;
