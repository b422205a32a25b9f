//! Addresses and ports of Services. What is in use is derived from the stored Services, so a crash
//! leaks nothing; what writes in flight have set aside is released when they end.

use std::collections::{HashMap, HashSet};
use std::net::Ipv4Addr;
use std::ops::RangeInclusive;
use std::sync::Arc;

use parking_lot::Mutex;
use sealos_objects::{FieldError, FieldErrors};
use sealos_store::{Change, Store, Watch};
use serde_json::{Value, json};

use crate::call::Call;
use crate::cidr::Cidr;
use crate::status::Status;

const PREFIX: &str = "services/";

/// Gives out cluster addresses and node ports.
pub(crate) struct Allocator {
    cidr: Cidr,
    ports: RangeInclusive<u16>,
    state: Mutex<State>,
}

struct State {
    store: Store,
    /// Follows the Services; `None` until the first look.
    watch: Option<Watch>,
    /// What each stored Service holds.
    held: HashMap<Arc<str>, Vec<Item>>,
    used: HashMap<Item, usize>,
    pending: HashSet<Item>,
}

/// Something only one Service can have.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
enum Item {
    Address(Ipv4Addr),
    /// A node port, and whether it is one for UDP.
    Port(u16, Protocol),
}

#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
enum Protocol {
    Tcp,
    Udp,
    Sctp,
}

/// Items set aside until the write is done.
pub(crate) struct Reserved {
    allocator: Arc<Allocator>,
    items: Vec<Item>,
}

impl Drop for Reserved {
    fn drop(&mut self) {
        let mut state = self.allocator.state.lock();
        for item in &self.items {
            state.pending.remove(item);
        }
    }
}

impl Allocator {
    pub(crate) fn new(store: Store, cidr: Cidr, ports: RangeInclusive<u16>) -> Self {
        let state =
            State { store, watch: None, held: HashMap::new(), used: HashMap::new(), pending: HashSet::new() };
        Self { cidr, ports, state: Mutex::new(state) }
    }
}

impl State {
    fn free(&self, item: Item) -> bool {
        !self.used.contains_key(&item) && !self.pending.contains(&item)
    }

    /// Catches up with the stored Services.
    fn refresh(&mut self) {
        let events = match &mut self.watch {
            Some(watch) => watch.ready(),
            None => return self.rebuild(),
        };
        let Ok(events) = events else { return self.rebuild() };
        for event in events {
            let items = if event.change == Change::Deleted { Vec::new() } else { items(&event.entry.value) };
            self.hold(&event.entry.key, items);
        }
    }

    fn rebuild(&mut self) {
        self.held.clear();
        self.used.clear();
        let list = self.store.list(PREFIX, None, 0);
        self.watch = self.store.watch(PREFIX, list.revision).ok();
        for entry in list.entries {
            self.hold(&entry.key, items(&entry.value));
        }
    }

    fn hold(&mut self, key: &Arc<str>, items: Vec<Item>) {
        for item in self.held.remove(key).unwrap_or_default() {
            if let Some(count) = self.used.get_mut(&item) {
                *count -= 1;
                if *count == 0 {
                    self.used.remove(&item);
                }
            }
        }
        for item in &items {
            *self.used.entry(*item).or_default() += 1;
        }
        if !items.is_empty() {
            self.held.insert(Arc::clone(key), items);
        }
    }
}

fn items(stored: &[u8]) -> Vec<Item> {
    serde_json::from_slice::<Value>(stored).map(|service| items_of(&service)).unwrap_or_default()
}

fn items_of(service: &Value) -> Vec<Item> {
    let mut items: Vec<Item> = Vec::new();
    if let Ok(address) = text(service, "clusterIP").parse() {
        items.push(Item::Address(address));
    }
    for port in ports(service) {
        if let Some(number) = node_port(port) {
            items.push(Item::Port(number, protocol(port)));
        }
    }
    if let Some(number) = health_port(service) {
        items.push(Item::Port(number, Protocol::Tcp));
    }
    items
}

fn text<'a>(service: &'a Value, key: &str) -> &'a str {
    service.get("spec").and_then(|spec| spec.get(key)).and_then(Value::as_str).unwrap_or("")
}

fn ports(service: &Value) -> &[Value] {
    service.pointer("/spec/ports").and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

fn number(value: Option<&Value>) -> Option<u16> {
    value.and_then(Value::as_u64).and_then(|number| u16::try_from(number).ok()).filter(|number| *number > 0)
}

fn node_port(port: &Value) -> Option<u16> {
    number(port.get("nodePort"))
}

fn health_port(service: &Value) -> Option<u16> {
    number(service.pointer("/spec/healthCheckNodePort"))
}

fn protocol(port: &Value) -> Protocol {
    match port.get("protocol").and_then(Value::as_str) {
        Some("UDP") => Protocol::Udp,
        Some("SCTP") => Protocol::Sctp,
        _ => Protocol::Tcp,
    }
}

/// Gives a Service what its type needs and it does not have.
pub(crate) fn allocate(
    call: &Call,
    old: Option<&Value>,
    service: &mut Value,
) -> Result<Option<Reserved>, Status> {
    let allocator = &call.parts.allocator;
    let own: Vec<Item> = old.map(items_of).unwrap_or_default();
    let mut reserved = Reserved { allocator: Arc::clone(allocator), items: Vec::new() };
    let mut errors = FieldErrors::default();
    {
        let mut state = allocator.state.lock();
        state.refresh();
        let mut claim = Claim { allocator, state: &mut state, own: &own, reserved: &mut reserved.items };
        claim.address(old, service, &mut errors);
        claim.ports(old, service, &mut errors);
    }
    if errors.is_empty() {
        return Ok(Some(reserved));
    }
    Err(Status::invalid(&call.what(), crate::encode::meta(service, "name"), &errors))
}

/// One Service's turn at the allocator.
struct Claim<'a> {
    allocator: &'a Allocator,
    state: &'a mut State,
    own: &'a [Item],
    reserved: &'a mut Vec<Item>,
}

impl Claim<'_> {
    /// Whether the item was free (or the Service's own already), and is now set aside.
    fn take(&mut self, item: Item) -> bool {
        if self.own.contains(&item) || self.reserved.contains(&item) {
            return true;
        }
        if !self.state.free(item) {
            return false;
        }
        self.state.pending.insert(item);
        self.reserved.push(item);
        true
    }

    fn address(&mut self, old: Option<&Value>, service: &mut Value, errors: &mut FieldErrors) {
        if text(service, "type") == "ExternalName" {
            forget_addresses(service);
            return;
        }
        let mut wanted = text(service, "clusterIP").to_owned();
        if wanted.is_empty()
            && let Some(old) = old
        {
            text(old, "clusterIP").clone_into(&mut wanted);
        }
        if wanted == "None" {
            return set_addresses(service, "None");
        }
        let chosen = if wanted.is_empty() { self.any_address() } else { self.this_address(&wanted) };
        match chosen {
            Ok(address) => set_addresses(service, &address.to_string()),
            Err(why) => errors.push(FieldError::invalid("spec.clusterIPs", &json!([wanted]), why)),
        }
    }

    fn this_address(&mut self, wanted: &str) -> Result<Ipv4Addr, String> {
        let outside = || {
            format!(
                "failed to allocate IP {wanted}: the provided IP is not in the valid range {}",
                self.allocator.cidr
            )
        };
        let address: Ipv4Addr = wanted.parse().map_err(|_| outside())?;
        if !self.own.contains(&Item::Address(address)) && !self.allocator.cidr.usable(address) {
            return Err(outside());
        }
        if self.take(Item::Address(address)) {
            return Ok(address);
        }
        Err(format!("failed to allocate IP {wanted}: provided IP is already allocated"))
    }

    /// From a random place on, past the first few, which are kept for fixed use.
    fn any_address(&mut self) -> Result<Ipv4Addr, String> {
        let cidr = self.allocator.cidr;
        let first = if cidr.size() > 64 { 16 } else { 1 };
        let count = cidr.size() - 1 - first;
        let start = rand::random::<u32>() % count;
        for step in 0..count {
            let address = cidr.nth(first + (start + step) % count);
            if self.take(Item::Address(address)) {
                return Ok(address);
            }
        }
        Err("failed to allocate a serviceIP: range is full".to_owned())
    }

    fn ports(&mut self, old: Option<&Value>, service: &mut Value, errors: &mut FieldErrors) {
        let kind = text(service, "type").to_owned();
        let wants = kind == "NodePort"
            || (kind == "LoadBalancer"
                && service.pointer("/spec/allocateLoadBalancerNodePorts").and_then(Value::as_bool)
                    != Some(false));
        let old_ports: Vec<Value> = old.map(|old| ports(old).to_vec()).unwrap_or_default();
        let Some(list) = service.pointer_mut("/spec/ports").and_then(Value::as_array_mut) else { return };
        for (index, port) in list.iter_mut().enumerate() {
            if !wants {
                if old.is_some_and(|old| text(old, "type") != kind)
                    && let Some(port) = port.as_object_mut()
                {
                    port.remove("nodePort");
                }
                continue;
            }
            let field = format!("spec.ports[{index}].nodePort");
            let kept = old_ports.iter().find(|old| same_port(old, port)).and_then(node_port);
            let chosen = match node_port(port).or(kept) {
                Some(number) => self.this_port(number, protocol(port)).map_err(|why| (number, why)),
                None => self.any_port(protocol(port)).map_err(|why| (0, why)),
            };
            match (chosen, port.as_object_mut()) {
                (Ok(number), Some(port)) => {
                    port.insert("nodePort".into(), number.into());
                }
                (Err((number, why)), _) => errors.push(FieldError::invalid(field, &number.into(), why)),
                (Ok(_), None) => {}
            }
        }
    }

    fn this_port(&mut self, number: u16, protocol: Protocol) -> Result<u16, String> {
        let item = Item::Port(number, protocol);
        if !self.own.contains(&item) && !self.allocator.ports.contains(&number) {
            let range = &self.allocator.ports;
            return Err(format!(
                "provided port is not in the valid range. The range of valid ports is {}-{}",
                range.start(),
                range.end()
            ));
        }
        if self.take(item) { Ok(number) } else { Err("provided port is already allocated".to_owned()) }
    }

    fn any_port(&mut self, protocol: Protocol) -> Result<u16, String> {
        let (first, last) = (*self.allocator.ports.start(), *self.allocator.ports.end());
        let count = u32::from(last.saturating_sub(first)) + 1;
        let start = rand::random::<u32>() % count;
        for step in 0..count {
            let offset = u16::try_from((start + step) % count).unwrap_or(0);
            if self.take(Item::Port(first + offset, protocol)) {
                return Ok(first + offset);
            }
        }
        Err("failed to allocate a nodePort: range is full".to_owned())
    }
}

fn same_port(old: &Value, new: &Value) -> bool {
    old.get("port") == new.get("port") && protocol(old) == protocol(new)
}

fn set_addresses(service: &mut Value, address: &str) {
    let Some(spec) = service.get_mut("spec").and_then(Value::as_object_mut) else { return };
    spec.insert("clusterIP".into(), address.into());
    spec.insert("clusterIPs".into(), json!([address]));
    spec.entry("ipFamilies").or_insert_with(|| json!(["IPv4"]));
    spec.entry("ipFamilyPolicy").or_insert_with(|| "SingleStack".into());
}

fn forget_addresses(service: &mut Value) {
    let Some(spec) = service.get_mut("spec").and_then(Value::as_object_mut) else { return };
    for key in ["clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy"] {
        spec.remove(key);
    }
}
