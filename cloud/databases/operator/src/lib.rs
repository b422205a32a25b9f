//! Managed databases: KubeBlocks' objects brought to life. A `Cluster` becomes a StatefulSet, Services,
//! Secrets and ConfigMaps ([`plan`]), an `OpsRequest` changes a Cluster ([`ops`]); [`Databases`] is what
//! people do. Which engine it is, is known to `sealos-db-engines` alone; who leads, to `sealos-db-ha`.

mod actions;
mod crds;
mod error;
mod images;
mod model;
mod observe;
mod offer;
mod operator;
mod ops;
mod plan;
mod reconcile;
mod roll;
mod secrets;
mod status;
mod wanted;

pub use actions::{
    Address, Answer, Checked, Connection, Database, Databases, Draft, EngineView, Exposure, Keep,
    MAX_REPLICAS, Member, Metrics, Operation, Parameter, Progress, Replicas, Schedule, Size,
};
pub use crds::{Served, install};
pub use error::Error;
pub use model::{Cluster, ClusterStatus, ComponentStatus, Condition, OpsRequest, OpsStatus};
pub use operator::run;
