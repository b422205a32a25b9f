//! The fixed part of the table: hooks, maps, and the rules every packet meets.

use std::net::{IpAddr, Ipv4Addr};

use crabtables::expr::{Cmp, Fib};
use crabtables::{
    Batch, Chain, ChainType, CmpOp, Expr, Family, FibResult, Field, Hook, Reg, RuleBuilder, Set, Table,
};

use super::model::Maps;
use crate::Ipv4Net;

pub(crate) const FAMILY: Family = Family::Ipv4;
pub(super) const ADDRESS_KEY: [Field; 3] = [Field::IpDaddr, Field::L4Proto, Field::ThDport];
pub(super) const PORT_KEY: [Field; 2] = [Field::L4Proto, Field::ThDport];
pub(super) const HAIRPIN_KEY: [Field; 2] = [Field::IpSaddr, Field::IpDaddr];

const DISPATCH: &str = "dispatch";
const PREROUTING: &str = "nat-prerouting";
const OUTPUT: &str = "nat-output";
const POSTROUTING: &str = "nat-postrouting";
const GUARD: &str = "guard";
const FORWARD: &str = "filter-forward";
const LOCAL: &str = "filter-output";

const PORT_UNREACHABLE: u8 = 1; // NFT_REJECT_ICMPX_PORT_UNREACH
const FIB_DADDR: u32 = 1 << 1; // NFTA_FIB_F_DADDR
const RTN_LOCAL: u32 = 2;

/// What the fixed rules depend on.
#[derive(Debug, Clone)]
pub(crate) struct Base {
    pub(crate) table: String,
    pub(crate) pods: Ipv4Net,
    pub(crate) services: Ipv4Net,
    pub(crate) gateway: Ipv4Addr,
    /// What the names of all pod devices begin with.
    pub(crate) device_prefix: String,
}

impl Base {
    /// Adds the fixed part; where it exists already it is renewed, and the maps keep their content.
    pub(crate) fn write(&self, batch: &mut Batch) {
        batch.add_table(&Table::new(FAMILY, &self.table));
        for maps in [Maps::SERVICES, Maps::HOST_PORTS] {
            batch.add_set(&Set::keyed(FAMILY, &self.table, maps.addresses, &ADDRESS_KEY).vmap());
            batch.add_set(&Set::keyed(FAMILY, &self.table, maps.ports, &PORT_KEY).vmap());
            batch.add_set(&Set::keyed(FAMILY, &self.table, maps.hairpins, &HAIRPIN_KEY));
        }
        self.chain(batch, DISPATCH, None);
        self.chain(batch, PREROUTING, Some((ChainType::Nat, Hook::PREROUTING, -100)));
        self.chain(batch, OUTPUT, Some((ChainType::Nat, Hook::OUTPUT, -100)));
        self.chain(batch, POSTROUTING, Some((ChainType::Nat, Hook::POSTROUTING, 100)));
        self.chain(batch, GUARD, Some((ChainType::Filter, Hook::PREROUTING, -300)));
        self.chain(batch, FORWARD, Some((ChainType::Filter, Hook::FORWARD, 0)));
        self.chain(batch, LOCAL, Some((ChainType::Filter, Hook::OUTPUT, 0)));
        self.write_dispatch(batch);
        self.write_source_translation(batch);
        self.write_refusals(batch);
    }

    fn chain(&self, batch: &mut Batch, name: &str, hook: Option<(ChainType, Hook, i32)>) {
        let chain = Chain::new(FAMILY, &self.table, name);
        let chain = match hook {
            Some((kind, hook, priority)) => chain.with_hook(kind, hook, priority),
            None => chain,
        };
        batch.add_chain(&chain);
        batch.flush_chain(FAMILY, &self.table, name);
    }

    fn rule(&self, chain: &str) -> RuleBuilder {
        RuleBuilder::new(FAMILY, &self.table, chain)
    }

    fn write_dispatch(&self, batch: &mut Batch) {
        batch.add_rule(&self.rule(PREROUTING).jump(DISPATCH).build());
        batch.add_rule(&self.rule(OUTPUT).jump(DISPATCH).build());
        for maps in [Maps::SERVICES, Maps::HOST_PORTS] {
            batch.add_rule(&self.rule(DISPATCH).vmap(maps.addresses, &ADDRESS_KEY).build());
        }
        for maps in [Maps::HOST_PORTS, Maps::SERVICES] {
            let local = self
                .rule(DISPATCH)
                .expr(Fib { dreg: Reg::R1, result: FibResult::AddrType, flags: FIB_DADDR })
                .expr(equals(RTN_LOCAL.to_ne_bytes().to_vec()));
            batch.add_rule(&local.vmap(maps.ports, &PORT_KEY).build());
        }
    }

    fn write_source_translation(&self, batch: &mut Batch) {
        let gateway = IpAddr::V4(self.gateway);
        let pods = |rule: RuleBuilder, field| {
            rule.match_prefix(field, self.pods.address(), u32::from(self.pods.prefix()))
        };
        // A pod behind its own service would answer itself past us: it must see the gateway instead.
        for maps in [Maps::SERVICES, Maps::HOST_PORTS] {
            let rule = self.rule(POSTROUTING).in_set(maps.hairpins, &HAIRPIN_KEY);
            batch.add_rule(&rule.snat(gateway, None).build());
        }
        // 127.0.0.1:<node port> on the host: a loopback source means nothing in a pod.
        let loopback = self.rule(POSTROUTING).match_prefix(Field::IpSaddr, Ipv4Addr::LOCALHOST, 8);
        batch.add_rule(&pods(loopback, Field::IpDaddr).snat(gateway, None).build());
        batch.add_rule(&pods(self.rule(POSTROUTING), Field::IpDaddr).ret().build());
        let outgoing = pods(self.rule(POSTROUTING), Field::IpSaddr).match_neq(Field::OifName, "lo");
        batch.add_rule(&outgoing.masquerade(0).build());
    }

    fn write_refusals(&self, batch: &mut Batch) {
        // Pod devices have route_localnet set for node ports on loopback. Pods must not profit from it.
        let from_pod = self
            .rule(GUARD)
            .expr(Field::IifName.load(Reg::R1))
            .expr(equals(self.device_prefix.clone().into_bytes()));
        batch.add_rule(&from_pod.match_prefix(Field::IpDaddr, Ipv4Addr::LOCALHOST, 8).drop().build());
        // What is still addressed to a service here has no endpoint: refuse at once.
        for chain in [FORWARD, LOCAL] {
            let services = || {
                let prefix = u32::from(self.services.prefix());
                self.rule(chain).match_prefix(Field::IpDaddr, self.services.address(), prefix)
            };
            batch.add_rule(&services().reject_tcp_reset().build());
            batch.add_rule(&services().reject_icmpx(PORT_UNREACHABLE).build());
        }
    }
}

/// Compares register 1 with `data`; fewer bytes than the register holds compare a prefix.
fn equals(data: Vec<u8>) -> Expr {
    Expr::Cmp(Cmp { sreg: Reg::R1, op: CmpOp::Eq, data })
}
