//! The S3 protocol over a disk. Knows nothing of Kubernetes.

pub mod store;
