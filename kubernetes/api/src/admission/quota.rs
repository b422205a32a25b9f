//! ResourceQuotas: a write that would exceed one is refused. Use is counted from what is stored, one
//! write at a time in namespaces that have a quota.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use parking_lot::Mutex;
use sealos_objects::quantity::{Format, Quantity};
use sealos_store::Store;
use serde_json::{Map, Value, json};
use tokio::sync::OwnedMutexGuard;

use crate::call::{self, Call};
use crate::keys;
use crate::status::Status;

/// One lock per namespace with a quota.
#[derive(Default)]
pub(crate) struct Books {
    locks: Mutex<HashMap<String, Arc<tokio::sync::Mutex<()>>>>,
}

/// No other counted write in the namespace happens while this is held.
pub(crate) type Held = OwnedMutexGuard<()>;

type Amounts = BTreeMap<String, Quantity>;

/// Refuses what exceeds a quota of the namespace.
pub(crate) async fn check(call: &Call, old: Option<&Value>, new: &Value) -> Result<Option<Held>, Status> {
    if !call.resource.namespaced || call.resource.kind == "ResourceQuota" {
        return Ok(None);
    }
    let namespace = &call.asked.namespace;
    let prefix = format!("resourcequotas/{namespace}/");
    if call.parts.store.list(&prefix, None, 1).entries.is_empty() {
        return Ok(None);
    }
    let kind = Counted::of(call);
    let wanted = kind.amounts(new);
    let had = old.map(|old| kind.amounts(old)).unwrap_or_default();
    let more: Amounts = wanted
        .into_iter()
        .map(|(name, amount)| {
            let before = had.get(&name).copied().unwrap_or_else(zero);
            let more = amount.minus(&before);
            (name, more)
        })
        .filter(|(_, more)| !more.is_negative() && !more.is_zero())
        .collect();
    if more.is_empty() {
        return Ok(None);
    }
    let lock = Arc::clone(call.parts.books.locks.lock().entry(namespace.clone()).or_default());
    let held = lock.lock_owned().await;
    for entry in call.parts.store.list(&prefix, None, 0).entries {
        check_one(call, &kind, &call::read(&entry)?, &more, new)?;
    }
    Ok(Some(held))
}

fn check_one(call: &Call, kind: &Counted, quota: &Value, more: &Amounts, new: &Value) -> Result<(), Status> {
    let hard = quota.pointer("/spec/hard").and_then(Value::as_object);
    let bounds: Amounts = hard
        .into_iter()
        .flatten()
        .filter_map(|(name, value)| Some((name.clone(), Quantity::from_value(value).ok()?)))
        .collect();
    kind.check_named(call, &bounds, new)?;
    if !bounds.keys().any(|name| more.contains_key(name)) {
        return Ok(());
    }
    let used = kind.used(&call.parts.store, &call.asked.namespace)?;
    let over: Vec<&String> = bounds
        .iter()
        .filter(|(name, bound)| {
            let before = used.get(*name).copied().unwrap_or_else(zero);
            more.get(*name).is_some_and(|more| before.plus(more) > **bound)
        })
        .map(|(name, _)| name)
        .collect();
    if over.is_empty() {
        return Ok(());
    }
    let text = |amounts: &Amounts| {
        let show = |name: &&String| format!("{name}={}", amounts.get(*name).copied().unwrap_or_else(zero));
        over.iter().map(show).collect::<Vec<_>>().join(",")
    };
    let why = format!(
        "exceeded quota: {}, requested: {}, used: {}, limited: {}",
        crate::encode::meta(quota, "name"),
        text(more),
        text(&used),
        text(&bounds)
    );
    Err(Status::forbidden(&call.what(), crate::encode::meta(new, "name"), &why))
}

/// The status a quota should have now.
pub(crate) fn status(store: &Store, quota: &Value) -> Result<Value, Status> {
    let namespace = crate::encode::meta(quota, "namespace");
    let hard = quota.pointer("/spec/hard").cloned().unwrap_or_else(|| json!({}));
    let mut used = Map::new();
    for name in hard.as_object().into_iter().flat_map(Map::keys) {
        let amounts = Counted::named(name).used(store, namespace)?;
        let amount = amounts.get(name).copied().unwrap_or_else(zero);
        used.insert(name.clone(), amount.to_string().into());
    }
    Ok(json!({ "hard": hard, "used": used }))
}

fn zero() -> Quantity {
    Quantity::from_int(0, Format::Decimal)
}

fn one() -> Quantity {
    Quantity::from_int(1, Format::Decimal)
}

/// What a kind of object uses up.
enum Counted {
    Pods,
    Claims,
    Services,
    /// Only how many there are: the names under which quotas count them, and their bucket.
    Others(Vec<String>, String),
}

impl Counted {
    /// What a name in a quota counts.
    fn named(name: &str) -> Self {
        let counted = name.strip_prefix("count/").unwrap_or(name);
        match counted {
            "pods" => Self::Pods,
            "persistentvolumeclaims" | "requests.storage" => Self::Claims,
            _ if name.contains(".storageclass.storage.k8s.io/") => Self::Claims,
            "services" | "services.nodeports" | "services.loadbalancers" => Self::Services,
            _ if BOUNDS.iter().any(|(bound, _, _)| *bound == name) => Self::Pods,
            bucket => Self::Others(vec![name.to_owned()], bucket.to_owned()),
        }
    }

    fn of(call: &Call) -> Self {
        let resource = &call.resource;
        match (&*resource.group, &*resource.plural) {
            ("", "pods") => Self::Pods,
            ("", "persistentvolumeclaims") => Self::Claims,
            ("", "services") => Self::Services,
            (group, plural) => {
                let mut names = vec![format!("count/{}", crate::status::qualified(plural, group))];
                if group.is_empty() {
                    names.push(plural.to_owned());
                }
                Self::Others(names, keys::bucket(resource))
            }
        }
    }

    fn amounts(&self, object: &Value) -> Amounts {
        match self {
            Self::Pods => pod_amounts(object),
            Self::Claims => claim_amounts(object),
            Self::Services => service_amounts(object),
            Self::Others(names, _) => names.iter().map(|name| (name.clone(), one())).collect(),
        }
    }

    /// What the stored objects of this kind in a namespace use.
    fn used(&self, store: &Store, namespace: &str) -> Result<Amounts, Status> {
        let bucket = match self {
            Self::Pods => "pods",
            Self::Claims => "persistentvolumeclaims",
            Self::Services => "services",
            Self::Others(_, bucket) => bucket,
        };
        let mut used = Amounts::new();
        for entry in store.list(&format!("{bucket}/{namespace}/"), None, 0).entries {
            for (name, amount) in self.amounts(&call::read(&entry)?) {
                let sum = used.get(&name).map_or(amount, |sum| sum.plus(&amount));
                used.insert(name, sum);
            }
        }
        Ok(used)
    }

    /// Where cpu or memory is limited, every container must say how much it wants.
    fn check_named(&self, call: &Call, bounds: &Amounts, pod: &Value) -> Result<(), Status> {
        if !matches!(self, Self::Pods) {
            return Ok(());
        }
        for (bound, section, name) in BOUNDS {
            if !bounds.contains_key(bound) {
                continue;
            }
            let silent: Vec<&str> = containers(pod, "containers")
                .filter(|container| quantity(container, section, name).is_none())
                .filter_map(|container| container.get("name").and_then(Value::as_str))
                .collect();
            if !silent.is_empty() {
                let why = format!("failed quota: must specify {bound} for: {}", silent.join(","));
                return Err(Status::forbidden(&call.what(), crate::encode::meta(pod, "name"), &why));
            }
        }
        Ok(())
    }
}

/// Names in a quota, and where a container says how much.
const BOUNDS: [(&str, &str, &str); 6] = [
    ("cpu", "requests", "cpu"),
    ("memory", "requests", "memory"),
    ("requests.cpu", "requests", "cpu"),
    ("requests.memory", "requests", "memory"),
    ("limits.cpu", "limits", "cpu"),
    ("limits.memory", "limits", "memory"),
];

fn containers<'a>(pod: &'a Value, list: &str) -> impl Iterator<Item = &'a Value> {
    pod.get("spec").and_then(|spec| spec.get(list)).and_then(Value::as_array).into_iter().flatten()
}

fn quantity(container: &Value, section: &str, name: &str) -> Option<Quantity> {
    let value = container.get("resources")?.get(section)?.get(name)?;
    Quantity::from_value(value).ok()
}

/// Pods that have ended use nothing but their place in `count/pods`.
fn pod_amounts(pod: &Value) -> Amounts {
    let mut amounts = Amounts::from([("count/pods".to_owned(), one())]);
    if matches!(pod.pointer("/status/phase").and_then(Value::as_str), Some("Succeeded" | "Failed")) {
        return amounts;
    }
    amounts.insert("pods".to_owned(), one());
    for (bound, section, name) in BOUNDS {
        let sum = containers(pod, "containers")
            .filter_map(|container| quantity(container, section, name))
            .fold(zero(), |sum, amount| sum.plus(&amount));
        let most = containers(pod, "initContainers")
            .filter_map(|container| quantity(container, section, name))
            .max();
        let total = most.map_or(sum, |most| most.max(sum));
        if !total.is_zero() {
            amounts.insert(bound.to_owned(), total);
        }
    }
    amounts
}

fn claim_amounts(claim: &Value) -> Amounts {
    let mut amounts = Amounts::from([
        ("persistentvolumeclaims".to_owned(), one()),
        ("count/persistentvolumeclaims".to_owned(), one()),
    ]);
    let size =
        claim.pointer("/spec/resources/requests/storage").and_then(|size| Quantity::from_value(size).ok());
    if let Some(size) = size {
        if let Some(class) = claim.pointer("/spec/storageClassName").and_then(Value::as_str) {
            amounts.insert(format!("{class}.storageclass.storage.k8s.io/requests.storage"), size);
        }
        amounts.insert("requests.storage".to_owned(), size);
    }
    amounts
}

fn service_amounts(service: &Value) -> Amounts {
    let mut amounts = Amounts::from([("services".to_owned(), one()), ("count/services".to_owned(), one())]);
    match service.pointer("/spec/type").and_then(Value::as_str) {
        Some("NodePort") => {
            amounts.insert("services.nodeports".to_owned(), one());
        }
        Some("LoadBalancer") => {
            amounts.insert("services.loadbalancers".to_owned(), one());
        }
        _ => {}
    }
    amounts
}
