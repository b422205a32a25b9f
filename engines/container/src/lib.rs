//! One container at a time: namespaces, cgroups, mounts, seccomp, a terminal.
//!
//! Every container lives under a shim, a small process of its own that this program re-executes.
//! The shim starts the container, writes its log, answers the daemon on a socket and records how
//! the container ended. The daemon may stop, crash or be replaced meanwhile: all it knows is on
//! disk, in one directory per container.
//!
//! Nothing here knows what a pod, an image or a service is.

mod bundle;
mod cgroup;
mod defaults;
mod error;
mod exec;
mod files;
mod passwd;
mod record;
mod runtime;
mod sealed;
mod seccomp;
mod session;
mod shim;
mod spec;
mod stats;
mod wire;

pub use defaults::{DEFAULT_CAPABILITIES, DEFAULT_PATH, MASKED_PATHS, READONLY_PATHS};
pub use error::{Error, StartFailure};
pub use exec::ExecSpec;
pub use passwd::resolve_user;
pub use record::{ContainerState, Exit, Started, Status};
pub use runtime::{Config, Runtime};
pub use session::{Control, Exec, ExitStatus, Reader, Writer};
pub use shim::shim_main;
pub use spec::{
    ContainerSpec, Device, LogConfig, Mount, MountKind, Namespace, Propagation, Resources, Rlimit, Rootfs,
    Seccomp, User,
};
pub use stats::Stats;
