//! Amounts of resources: what a pod asks for, in one map by resource name.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{Container, Pod, PodSpec, ResourceRequirements};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity as Text;
use sealos_objects::quantity::{Format, Quantity};

pub(crate) type Amounts = BTreeMap<String, Quantity>;

pub(crate) fn zero() -> Quantity {
    Quantity::from_int(0, Format::Decimal)
}

/// Amounts as numbers; what cannot be read was refused by the API and counts as zero.
pub(crate) fn amounts(texts: Option<&BTreeMap<String, Text>>) -> Amounts {
    texts.into_iter().flatten().map(|(k, v)| (k.clone(), quantity(v))).collect()
}

pub(crate) fn quantity(text: &Text) -> Quantity {
    Quantity::parse(&text.0).unwrap_or_else(|_| zero())
}

pub(crate) fn add(total: &mut Amounts, more: &Amounts) {
    for (name, amount) in more {
        let sum = total.get(name).map_or(*amount, |t| t.plus(amount));
        total.insert(name.clone(), sum);
    }
}

pub(crate) fn subtract(total: &mut Amounts, less: &Amounts) {
    for (name, amount) in less {
        if let Some(have) = total.get_mut(name) {
            *have = have.minus(amount);
        }
    }
}

fn raise(total: &mut Amounts, least: &Amounts) {
    for (name, amount) in least {
        let have = total.entry(name.clone()).or_insert(*amount);
        if *have < *amount {
            *have = *amount;
        }
    }
}

fn requests_of(requirements: Option<&ResourceRequirements>) -> Amounts {
    let Some(requirements) = requirements else { return Amounts::new() };
    // A limit without a request is the request.
    let mut all = amounts(requirements.limits.as_ref());
    all.extend(amounts(requirements.requests.as_ref()));
    all
}

/// What a pod needs: its containers together, or the largest init container if that is more.
fn of_pod(spec: &PodSpec) -> Amounts {
    let own = |c: &Container| requests_of(c.resources.as_ref());
    let mut total = Amounts::new();
    for container in &spec.containers {
        add(&mut total, &own(container));
    }
    let mut sidecars = Amounts::new();
    let mut starting = Amounts::new();
    for container in spec.init_containers.iter().flatten() {
        let mut need = own(container);
        if container.restart_policy.as_deref() == Some("Always") {
            add(&mut sidecars, &need);
            raise(&mut starting, &sidecars);
        } else {
            add(&mut need, &sidecars);
            raise(&mut starting, &need);
        }
    }
    add(&mut total, &sidecars);
    raise(&mut total, &starting);
    total.extend(requests_of(spec.resources.as_ref()));
    add(&mut total, &amounts(spec.overhead.as_ref()));
    total
}

pub(crate) fn requests(pod: &Pod) -> Amounts {
    pod.spec.as_ref().map(of_pod).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn init_containers_count_by_their_largest_and_sidecars_stay() {
        let spec: PodSpec = serde_json::from_value(json!({
            "containers": [
                {"name": "a", "resources": {"requests": {"cpu": "100m"}}},
                {"name": "b", "resources": {"limits": {"cpu": "200m", "memory": "1Gi"}}}
            ],
            "initContainers": [
                {"name": "s", "restartPolicy": "Always", "resources": {"requests": {"cpu": "50m"}}},
                {"name": "i", "resources": {"requests": {"cpu": "1"}}}
            ]
        }))
        .unwrap();
        let total = of_pod(&spec);
        assert_eq!(
            (total["cpu"].to_string().as_str(), total["memory"].to_string().as_str()),
            ("1050m", "1Gi")
        );
    }
}
