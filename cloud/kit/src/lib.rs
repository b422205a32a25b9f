//! What every part of the platform shares. Knows Kubernetes objects and a `kube::Client`; must never
//! know which cluster is behind the client, nor any single part (apps, databases, …).

pub mod apply;
pub mod exec;
pub mod labels;
pub mod names;
pub mod quantity;
