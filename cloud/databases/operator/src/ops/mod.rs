//! Operations (OpsRequest): each changes a Cluster, waits until the Cluster is as it then should be, and
//! says so. One at a time for each Cluster, oldest first.

mod change;
mod expose;
mod restore;
mod run;

pub(crate) use change::check_upgrade;
pub(crate) use run::{Context, reconcile, retry};

/// What an operation does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Type {
    Start,
    Stop,
    Restart,
    VerticalScaling,
    HorizontalScaling,
    VolumeExpansion,
    Upgrade,
    Reconfiguring,
    Switchover,
    Expose,
    Restore,
}

impl Type {
    /// Reads a type; the refusal names those there are.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        Ok(match text {
            "Start" => Self::Start,
            "Stop" => Self::Stop,
            "Restart" => Self::Restart,
            "VerticalScaling" => Self::VerticalScaling,
            "HorizontalScaling" => Self::HorizontalScaling,
            "VolumeExpansion" => Self::VolumeExpansion,
            "Upgrade" => Self::Upgrade,
            "Reconfiguring" => Self::Reconfiguring,
            "Switchover" => Self::Switchover,
            "Expose" => Self::Expose,
            "Restore" => Self::Restore,
            other => {
                return Err(format!(
                    "operations of type `{other}` are not done here; there are Start, Stop, Restart, VerticalScaling, \
                     HorizontalScaling, VolumeExpansion, Upgrade, Reconfiguring, Switchover, Expose and Restore"
                ));
            }
        })
    }
}

#[cfg(test)]
mod tests;
