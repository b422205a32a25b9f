//! The cloud's one nftables table. The rest of the host's firewall is never read for change or touched.

mod base;
mod model;
mod plan;

use std::sync::Arc;

use crabtables::{Batch, Family, Hook, Policy, Socket};
use parking_lot::Mutex;
use tracing::{debug, warn};

pub(crate) use base::Base;
use model::{Maps, Model};
use plan::Plan;

use crate::services::{HostPort, ServiceRule};
use crate::{Error, Ipv4Net, conntrack};

/// The table, and what this process knows to be in it.
#[derive(Debug)]
pub(crate) struct Rules {
    kernel: Arc<Mutex<Socket>>,
    pods: Ipv4Net,
    services: Model,
    host_ports: Model,
}

impl Rules {
    /// Creates the table, or takes over the one an earlier process left: its services stay until the
    /// first [`Rules::set_services`] replaces them in one transaction.
    pub(crate) async fn open(base: Base) -> Result<Self, Error> {
        let socket = Socket::new().map_err(Error::rules("open a netfilter socket"))?;
        let kernel = Arc::new(Mutex::new(socket));
        let mut batch = Batch::new();
        base.write(&mut batch);
        if let Err(error) = commit(&kernel, batch, "renew the rules").await {
            // The table of another version may not match: a new one costs a moment without services.
            warn!(%error, table = %base.table, "the old rules do not fit, replacing them");
            let mut batch = Batch::new();
            batch.add_table(&crabtables::Table::new(base::FAMILY, &base.table));
            batch.delete_table(base::FAMILY, &base.table);
            base.write(&mut batch);
            commit(&kernel, batch, "create the rules").await?;
        }
        let (chains, sets) = names(&kernel, &base.table).await?;
        for blocker in blockers(&kernel, &base.table).await? {
            warn!(
                blocker,
                "the host's own firewall drops forwarded packets: pods may not reach each other or the outside until it accepts them"
            );
        }
        Ok(Self {
            services: Model::new(&base.table, Maps::SERVICES, &chains, &sets),
            host_ports: Model::new(&base.table, Maps::HOST_PORTS, &chains, &sets),
            kernel,
            pods: base.pods,
        })
    }

    pub(crate) async fn set_services(&mut self, services: &[ServiceRule]) -> Result<(), Error> {
        let plan = Plan::of_services(services, self.pods);
        apply(&self.kernel, &mut self.services, plan).await
    }

    pub(crate) async fn set_host_ports(&mut self, host_ports: &[HostPort]) -> Result<(), Error> {
        let plan = Plan::of_host_ports(host_ports, self.pods);
        apply(&self.kernel, &mut self.host_ports, plan).await
    }

    /// Deletes a table, whatever is in it.
    pub(crate) async fn remove(table: &str) -> Result<(), Error> {
        let socket = Socket::new().map_err(Error::rules("open a netfilter socket"))?;
        let mut batch = Batch::new();
        // Adding first makes deleting succeed on kernels that cannot delete what may be absent.
        batch.add_table(&crabtables::Table::new(base::FAMILY, table));
        batch.delete_table(base::FAMILY, table);
        commit(&Arc::new(Mutex::new(socket)), batch, "delete the rules").await
    }
}

async fn apply(kernel: &Arc<Mutex<Socket>>, model: &mut Model, plan: Plan) -> Result<(), Error> {
    let batch = model.changes(&plan);
    let lost = model.applied().lost_udp_endpoints(&plan);
    if !batch.is_empty() {
        debug!(operations = batch.len(), endpoints = model::endpoint_count(&plan), "change the rules");
        commit(kernel, batch, "change the rules").await?;
    }
    model.set_applied(plan);
    if !lost.is_empty()
        && let Err(error) = blocking(move || conntrack::forget_udp(&lost)).await
    {
        // Flows then end by their own timeout; the rules are right already.
        warn!(%error, "flows of removed UDP endpoints are not forgotten");
    }
    Ok(())
}

async fn commit(kernel: &Arc<Mutex<Socket>>, batch: Batch, attempt: &'static str) -> Result<(), Error> {
    let kernel = Arc::clone(kernel);
    blocking(move || kernel.lock().commit(&batch).map(drop).map_err(Error::rules(attempt))).await
}

async fn names(kernel: &Arc<Mutex<Socket>>, table: &str) -> Result<(Vec<String>, Vec<String>), Error> {
    let (kernel, table) = (Arc::clone(kernel), table.to_owned());
    blocking(move || {
        let mut kernel = kernel.lock();
        let attempt = "list the rules";
        let chains = kernel.list_chains(Family::Ipv4, Some(&table)).map_err(Error::rules(attempt))?;
        let sets = kernel.list_sets(Family::Ipv4, Some(&table)).map_err(Error::rules(attempt))?;
        // The kernel lists the chains of all tables, whichever was asked for.
        let chains = chains.into_iter().filter(|chain| chain.table == table).map(|chain| chain.name);
        let sets = sets.into_iter().filter(|set| set.table == table).map(|set| set.name);
        Ok((chains.collect(), sets.collect()))
    })
    .await
}

/// Base chains of others that drop what they do not know. An accept of ours cannot overrule them.
async fn blockers(kernel: &Arc<Mutex<Socket>>, table: &str) -> Result<Vec<String>, Error> {
    let (kernel, table) = (Arc::clone(kernel), table.to_owned());
    blocking(move || {
        let chains =
            kernel.lock().list_chains(Family::Unspec, None).map_err(Error::rules("list the rules"))?;
        let drops = chains.into_iter().filter(|chain| {
            let forwards = chain.hook.as_ref().is_some_and(|hook| hook.hook == Hook::FORWARD);
            let sees_us = matches!(chain.family, Family::Ipv4 | Family::Inet);
            forwards && sees_us && chain.policy == Some(Policy::Drop) && chain.table != table
        });
        Ok(drops.map(|chain| format!("{} {} {}", chain.family, chain.table, chain.name)).collect())
    })
    .await
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) => Err(Error::io("wait for the kernel")(std::io::Error::other(error))),
    }
}
