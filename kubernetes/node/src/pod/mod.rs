//! Pods: one worker each, driven by what the API wishes and by what the containers do.
//!
//! Starting a pod, finding it again after the daemon was away, and repairing it are the same path:
//! whatever is there already is taken over, the rest is made.

pub(crate) mod blueprint;
mod container;
pub(crate) mod context;
mod ending;
pub(crate) mod labels;
mod life;
mod publish;
mod record;
mod restart;
mod run;
pub(crate) mod sandbox;
pub(crate) mod worker;

pub(crate) use life::Remains;
