//! The host's side of the pod network: a device with the gateway address, and the routes that lead
//! services and strays to the rules.

use rtnetlink::packet_route::link::InfoKind;

use crate::links::{self, Device, Links};
use crate::network::Config;
use crate::sysctl::{self, Forwarding};
use crate::{Error, Ipv4Net};

/// Written to the alias of a gateway device whose cloud found forwarding off. The note lives exactly
/// as long as the setting: until the last cloud closes, or the machine restarts.
const FOUND_OFF: &str = " forwarding-was-off";

/// Creates the device and the routes, or takes over what is there, and lets the host forward.
///
/// It is a bridge without ports: the one kind of device that every kernel with containers has.
pub(crate) async fn open(links: &Links, config: &Config) -> Result<(), Error> {
    let foreign = || Error::ForeignDevice { name: config.bridge.clone() };
    let mut device = links.find(&config.bridge).await?;
    if let Some(found) = &device {
        if found.kind != Some(InfoKind::Bridge) {
            return Err(foreign());
        }
        // Ranges were changed while the cloud was down: start over.
        if !links.addresses(found.index).await?.iter().all(|address| *address == config.gateway()) {
            links.delete(found.index).await?;
            device = None;
        }
    }
    let device = match device {
        Some(device) => device,
        None => {
            links.add_bridge(&config.bridge).await?;
            links.find(&config.bridge).await?.ok_or_else(foreign)?
        }
    };
    let alias = format!("sealos {}", config.id);
    if !device.alias.as_deref().is_some_and(|old| old.starts_with(&alias)) {
        links.set_up(device.index, Some(&alias)).await?;
    }
    enable_forwarding(links, device.index, &alias).await?;
    sysctl::tune_device(&config.bridge)?;
    links.add_address(device.index, config.gateway()).await?;
    let services = links::link_route(config.service_cidr, device.index, Some(config.gateway()));
    links.set_route(services, &config.service_cidr.to_string()).await?;
    links.set_route(links::unreachable_route(config.pod_cidr), &config.pod_cidr.to_string()).await
}

/// Removes the device with its routes, and switches forwarding off again if that is how it was found.
pub(crate) async fn close(links: &Links, config: &Config) -> Result<(), Error> {
    let pods: Ipv4Net = config.pod_cidr;
    links.delete_route(links::unreachable_route(pods), &pods.to_string()).await?;
    let Some(device) = links.find(&config.bridge).await? else { return Ok(()) };
    let forwarding = Forwarding::lock()?;
    links.delete(device.index).await?;
    let others = links.list().await?;
    if found_off(&device) && !others.iter().any(is_gateway) {
        forwarding.set("0")?;
    }
    Ok(())
}

async fn enable_forwarding(links: &Links, index: u32, alias: &str) -> Result<(), Error> {
    let forwarding = Forwarding::lock()?;
    let was_off = !forwarding.is_on()?;
    if was_off {
        forwarding.set("1")?;
    }
    // Another cloud may have found it off and close before us: the note is handed on.
    if was_off || links.list().await?.iter().any(|device| is_gateway(device) && found_off(device)) {
        links.set_up(index, Some(&format!("{alias}{FOUND_OFF}"))).await?;
    }
    Ok(())
}

fn is_gateway(device: &Device) -> bool {
    device.kind == Some(InfoKind::Bridge)
        && device.alias.as_deref().is_some_and(|alias| alias.starts_with("sealos "))
}

fn found_off(device: &Device) -> bool {
    device.alias.as_deref().is_some_and(|alias| alias.ends_with(FOUND_OFF))
}
