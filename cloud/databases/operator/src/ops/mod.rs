//! Operations (OpsRequest).

use sealos_db_engines::Version;
use sealos_db_engines::engine::Upgrade;

/// Whether data of one version can be taken over by another as it is.
pub(crate) fn check_upgrade(from: &Version, to: &Version) -> Result<(), String> {
    match from.upgrade(to).map_err(|e| e.to_string())? {
        Upgrade::Same => Err(format!("it is {from} already")),
        Upgrade::Minor => Ok(()),
        Upgrade::Major => Err(format!(
            "{from} cannot become {to} in place: a new major version reads the data anew; create a database with \
             the new version, and `sealos db dump` the old one into `sealos db load` of the new one"
        )),
    }
}
