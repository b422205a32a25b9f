//! From objects back to the request that would make them, so that an app can be edited. Pure.

use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler;
use k8s_openapi::api::core::v1::{ConfigMap, EnvVar, Secret, Service};
use k8s_openapi::api::networking::v1::Ingress;
use kube::ResourceExt as _;
use sealos_kit::labels;
use sealos_kit::quantity::Bytes;

use crate::actions::Observed;
use crate::draft::{Autoscale, ConfigFile, Draft, EnvValue, Metric, Port, Protocol, Registry, Storage};
use crate::services;

/// The request that would make these objects.
pub(crate) fn draft_of(
    observed: &Observed,
    scalers: &[HorizontalPodAutoscaler],
    files: &[ConfigMap],
    domain: &str,
) -> Draft {
    let status = observed.status();
    let container = observed.workload.container();
    let autoscale = scalers.first().and_then(autoscale);
    let (database, bucket) = (linked(observed, labels::DATABASE), linked(observed, labels::BUCKET));
    let of_services = services::variable_names(database.as_ref(), bucket.as_ref());
    let listed = |list: &Option<Vec<String>>| list.clone().unwrap_or_default();
    Draft {
        image: Some(status.image.clone()),
        ports: ports(&observed.services, &observed.ingresses, domain),
        replicas: autoscale.is_none().then(|| replicas(observed)),
        autoscale,
        cpu: status.cpu,
        memory: status.memory,
        env: container
            .iter()
            .flat_map(|c| c.env.iter().flatten())
            .filter(|v| !of_services.contains(&v.name.as_str()))
            .filter_map(|v| Some((v.name.clone(), env(v)?)))
            .collect(),
        database,
        bucket,
        files: files_of(observed, files),
        storage: storage(observed),
        command: container.map(|c| listed(&c.command)).unwrap_or_default(),
        args: container.map(|c| listed(&c.args)).unwrap_or_default(),
        remark: status.remark,
        name: status.name,
        ..Draft::default()
    }
}

/// A service as it was asked for.
fn linked<T: serde::de::DeserializeOwned>(observed: &Observed, annotation: &str) -> Option<T> {
    let text = observed.workload.metadata.annotations.as_ref()?.get(annotation)?;
    serde_json::from_str(text).ok()
}

/// The credentials of a private registry: without them the next deploy would take them away.
pub(crate) fn registry_of(name: &str, secrets: &[Secret]) -> Option<Registry> {
    let secret = secrets.iter().find(|secret| secret.metadata.name.as_deref() == Some(name))?;
    let config = secret.data.as_ref()?.get(".dockerconfigjson")?;
    let config: serde_json::Value = serde_json::from_slice(&config.0).ok()?;
    let (server, login) = config["auths"].as_object()?.iter().next()?;
    let text = |key: &str| login[key].as_str().map(str::to_owned);
    Some(Registry { server: server.clone(), username: text("username")?, password: text("password")? })
}

fn replicas(observed: &Observed) -> u32 {
    let annotated = observed.workload.metadata.annotations.as_ref().and_then(|a| a.get(labels::MIN_REPLICAS));
    let annotated = annotated.and_then(|n| n.parse().ok());
    annotated.or_else(|| u32::try_from(observed.workload.desired).ok()).unwrap_or(1)
}

fn autoscale(scaler: &HorizontalPodAutoscaler) -> Option<Autoscale> {
    let spec = &scaler.spec;
    let resource = spec.metrics.as_ref()?.iter().find_map(|m| m.resource.as_ref())?;
    Some(Autoscale {
        min: u32::try_from(spec.min_replicas.unwrap_or(1)).ok()?,
        max: u32::try_from(spec.max_replicas).ok()?,
        metric: if resource.name == "memory" { Metric::Memory } else { Metric::Cpu },
        percent: u32::try_from(resource.target.average_utilization? / 10).ok()?,
    })
}

fn env(variable: &EnvVar) -> Option<EnvValue> {
    let Some(from) = &variable.value_from else {
        return Some(EnvValue::Text(variable.value.clone().unwrap_or_default()));
    };
    if let Some(key) = &from.secret_key_ref {
        return Some(EnvValue::Secret { secret: format!("{}/{}", key.name, key.key) });
    }
    if let Some(field) = &from.field_ref {
        return Some(EnvValue::Field { field: field.field_path.clone() });
    }
    let key = from.config_map_key_ref.as_ref()?;
    Some(EnvValue::Config { config: format!("{}/{}", key.name, key.key) })
}

fn ports(services: &[Service], ingresses: &[Ingress], domain: &str) -> Vec<Port> {
    let mut all: Vec<Port> = Vec::new();
    for service in services {
        let Some(spec) = &service.spec else { continue };
        let outside = spec.type_.as_deref() == Some("NodePort");
        for port in spec.ports.iter().flatten() {
            let Ok(number) = u16::try_from(port.port) else { continue };
            let udp = port.protocol.as_deref() == Some("UDP");
            let known = all.iter_mut().find(|p| p.port == number && (p.protocol == Protocol::Udp) == udp);
            match known {
                Some(known) => known.public |= outside,
                None => all.push(port_of(number, udp, outside, ingresses, domain)),
            }
        }
    }
    all
}

fn port_of(number: u16, udp: bool, outside: bool, ingresses: &[Ingress], domain: &str) -> Port {
    let plain = Port { port: number, protocol: Protocol::Tcp, public: outside, host: None };
    if udp {
        return Port { protocol: Protocol::Udp, ..plain };
    }
    let Some((ingress, host)) = ingresses.iter().find_map(|i| Some((i, routed_host(i, number)?))) else {
        // Without an Ingress nothing says more; HTTP is what most private ports speak.
        return if outside { plain } else { Port { protocol: Protocol::Http, ..plain } };
    };
    let annotation = |name: &str| ingress.annotations().get(&format!("nginx.ingress.kubernetes.io/{name}"));
    let protocol = match annotation("backend-protocol").map(String::as_str) {
        Some("GRPC") => Protocol::Grpc,
        None if annotation("proxy-read-timeout").is_some_and(|t| t == "3600") => Protocol::Ws,
        _ => Protocol::Http,
    };
    let own = !host.ends_with(&format!(".{domain}"));
    Port { protocol, public: true, host: own.then_some(host), ..plain }
}

fn routed_host(ingress: &Ingress, number: u16) -> Option<String> {
    let rule = ingress.spec.as_ref()?.rules.as_ref()?.first()?;
    let backend = rule.http.as_ref()?.paths.first()?.backend.service.as_ref()?;
    let routed = backend.port.as_ref()?.number? == i32::from(number);
    if routed { rule.host.clone() } else { None }
}

/// Files are mounts by `subPath` from the app's own ConfigMap.
fn files_of(observed: &Observed, maps: &[ConfigMap]) -> Vec<ConfigFile> {
    let own = |map: &&ConfigMap| Some(&map.name_any()) == observed.workload.metadata.name.as_ref();
    let Some(data) = maps.iter().find(own).and_then(|map| map.data.as_ref()) else { return Vec::new() };
    let mounts = observed.workload.container().into_iter().flat_map(|c| c.volume_mounts.iter().flatten());
    mounts
        .filter_map(|mount| {
            let content = data.get(mount.sub_path.as_ref()?)?;
            Some(ConfigFile { path: mount.mount_path.clone(), content: content.clone() })
        })
        .collect()
}

fn storage(observed: &Observed) -> Vec<Storage> {
    let mounts: Vec<_> =
        observed.workload.container().into_iter().flat_map(|c| c.volume_mounts.iter().flatten()).collect();
    let templates = observed.workload.claims.iter();
    templates
        .filter_map(|claim| {
            let name = claim.metadata.name.as_ref()?;
            let mount = mounts.iter().find(|m| &m.name == name)?;
            let size = claim.spec.as_ref()?.resources.as_ref()?.requests.as_ref()?.get("storage")?;
            Some(Storage { path: mount.mount_path.clone(), size: Bytes::parse(&size.0).ok()? })
        })
        .collect()
}
