//! The variables by which containers find services: `WEB_SERVICE_HOST` and its kin.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::Service;

use super::plan::cluster_ip;

/// The variables of one service; none for services without an address.
pub(super) fn of(name: &str, service: &Service, vars: &mut BTreeMap<String, String>) {
    let Some(ip) = cluster_ip(service) else { return };
    let ports = service.spec.as_ref().and_then(|s| s.ports.as_deref()).unwrap_or_default();
    let Some(first) = ports.first() else { return };
    let prefix = upper(name);
    let protocol = |port: &k8s_openapi::api::core::v1::ServicePort| {
        port.protocol.clone().unwrap_or_else(|| "TCP".into()).to_lowercase()
    };
    let mut put = |suffix: &str, value: String| vars.insert(format!("{prefix}_{suffix}"), value);
    put("SERVICE_HOST", ip.to_string());
    put("SERVICE_PORT", first.port.to_string());
    put("PORT", format!("{}://{ip}:{}", protocol(first), first.port));
    for port in ports {
        if let Some(name) = port.name.as_deref().filter(|name| !name.is_empty()) {
            put(&format!("SERVICE_PORT_{}", upper(name)), port.port.to_string());
        }
        let (number, protocol) = (port.port, protocol(port));
        let base = format!("PORT_{number}_{}", protocol.to_uppercase());
        put(&base, format!("{protocol}://{ip}:{number}"));
        put(&format!("{base}_PROTO"), protocol);
        put(&format!("{base}_PORT"), number.to_string());
        put(&format!("{base}_ADDR"), ip.to_string());
    }
}

fn upper(name: &str) -> String {
    name.to_uppercase().replace('-', "_")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_service_gives_both_families_of_variables() {
        let service: Service = serde_json::from_value(json!({
            "spec": {"clusterIP": "10.96.0.7", "ports": [
                {"name": "http", "port": 80}, {"name": "dns", "port": 53, "protocol": "UDP"},
            ]},
        }))
        .unwrap();
        let mut vars = BTreeMap::new();
        of("my-web", &service, &mut vars);
        assert_eq!(vars["MY_WEB_SERVICE_HOST"], "10.96.0.7");
        assert_eq!(vars["MY_WEB_SERVICE_PORT"], "80");
        assert_eq!(vars["MY_WEB_SERVICE_PORT_DNS"], "53");
        assert_eq!(vars["MY_WEB_PORT"], "tcp://10.96.0.7:80");
        assert_eq!(vars["MY_WEB_PORT_53_UDP_PROTO"], "udp");
        assert_eq!(vars["MY_WEB_PORT_80_TCP_ADDR"], "10.96.0.7");
    }
}
