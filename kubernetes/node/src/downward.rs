//! What a pod may learn about itself: `fieldRef` and `resourceFieldRef`.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use k8s_openapi::api::core::v1::{Container, Pod, ResourceFieldSelector};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;

use crate::quantity;

/// What is known about a pod only where it runs.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    pub host_ip: Ipv4Addr,
    pub pod_ip: Option<Ipv4Addr>,
    /// What an unset limit means: all the node has to give.
    pub allocatable: BTreeMap<String, Quantity>,
}

/// The value of a `fieldRef` path, or `None` if pods have no such field.
pub(crate) fn field(pod: &Pod, place: &Place, path: &str) -> Option<String> {
    let meta = &pod.metadata;
    let spec = pod.spec.as_ref();
    if let Some(value) = keyed(path, "metadata.labels", meta.labels.as_ref()) {
        return Some(value);
    }
    if let Some(value) = keyed(path, "metadata.annotations", meta.annotations.as_ref()) {
        return Some(value);
    }
    Some(match path {
        "metadata.name" => meta.name.clone().unwrap_or_default(),
        "metadata.namespace" => meta.namespace.clone().unwrap_or_default(),
        "metadata.uid" => meta.uid.clone().unwrap_or_default(),
        "metadata.labels" => lines(meta.labels.as_ref()),
        "metadata.annotations" => lines(meta.annotations.as_ref()),
        "spec.nodeName" => spec.and_then(|s| s.node_name.clone()).unwrap_or_default(),
        "spec.serviceAccountName" => spec.and_then(|s| s.service_account_name.clone()).unwrap_or_default(),
        "status.hostIP" | "status.hostIPs" => place.host_ip.to_string(),
        "status.podIP" | "status.podIPs" => place.pod_ip.map(|ip| ip.to_string()).unwrap_or_default(),
        _ => return None,
    })
}

/// The value of a `resourceFieldRef` for `container`, rounded up to whole divisors.
pub(crate) fn resource(
    container: &Container,
    place: &Place,
    selector: &ResourceFieldSelector,
) -> Option<String> {
    let (list, name) = selector.resource.split_once('.')?;
    let resources = container.resources.as_ref();
    let limits = resources.and_then(|r| r.limits.as_ref()).and_then(|l| l.get(name));
    let quantity = match list {
        "limits" => limits.or_else(|| place.allocatable.get(name)).cloned(),
        "requests" => {
            resources.and_then(|r| r.requests.as_ref()).and_then(|r| r.get(name)).or(limits).cloned()
        }
        _ => return None,
    };
    let value = quantity.as_ref().map_or(Some(0), quantity::milli)?;
    let divisor = match &selector.divisor {
        Some(divisor) if quantity::milli(divisor)? != 0 => quantity::milli(divisor)?,
        _ => 1000,
    };
    Some(((value + divisor - 1) / divisor).to_string())
}

/// `metadata.labels['app']` and its like.
fn keyed(path: &str, field: &str, map: Option<&BTreeMap<String, String>>) -> Option<String> {
    let key = path.strip_prefix(field)?.strip_prefix("['")?.strip_suffix("']")?;
    Some(map.and_then(|map| map.get(key)).cloned().unwrap_or_default())
}

/// `key="value"` lines, the value escaped, as the downward API prints a map.
fn lines(map: Option<&BTreeMap<String, String>>) -> String {
    let lines: Vec<String> =
        map.into_iter().flatten().map(|(key, value)| format!("{key}={value:?}")).collect();
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn place() -> Place {
        Place {
            host_ip: Ipv4Addr::new(10, 0, 0, 1),
            pod_ip: Some(Ipv4Addr::new(10, 1, 0, 2)),
            allocatable: BTreeMap::from([("cpu".into(), Quantity("2".into()))]),
        }
    }

    #[test]
    fn fields_read_the_pod_and_its_place() {
        let pod: Pod = serde_json::from_value(json!({
            "metadata": {"name": "web-0", "labels": {"app": "web", "note": "say \"hi\""}},
        }))
        .unwrap();
        let check = |path: &str, expected: Option<&str>| {
            assert_eq!(field(&pod, &place(), path).as_deref(), expected, "{path}");
        };
        check("metadata.name", Some("web-0"));
        check("metadata.labels['app']", Some("web"));
        check("metadata.labels['none']", Some(""));
        check("metadata.labels", Some("app=\"web\"\nnote=\"say \\\"hi\\\"\""));
        check("status.podIP", Some("10.1.0.2"));
        check("status.phase", None);
    }

    #[test]
    fn resources_round_up_to_the_divisor() {
        let container: Container = serde_json::from_value(json!({
            "name": "a", "resources": {"limits": {"memory": "64Mi"}, "requests": {"cpu": "250m"}},
        }))
        .unwrap();
        let check = |resource_name: &str, divisor: Option<&str>, expected: Option<&str>| {
            let selector = ResourceFieldSelector {
                resource: resource_name.into(),
                divisor: divisor.map(|d| Quantity(d.into())),
                container_name: None,
            };
            assert_eq!(resource(&container, &place(), &selector).as_deref(), expected, "{resource_name}");
        };
        check("limits.memory", Some("1Mi"), Some("64"));
        check("requests.memory", None, Some("67108864"));
        check("requests.cpu", None, Some("1"));
        check("requests.cpu", Some("1m"), Some("250"));
        check("limits.cpu", None, Some("2"));
        check("wrong", None, None);
    }
}
