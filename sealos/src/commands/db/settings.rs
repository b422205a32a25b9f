//! Parameters, passwords, and who may reach a database.

use std::io::Read as _;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use sealos_databases::Exposure;

use super::life::{finish, pairs};
use super::{Param, Switch};
use crate::cli::Global;
use crate::locate::find;
use crate::output::{self, Format};

/// How long a port may take to open.
const PORT: Duration = Duration::from_secs(30);

/// `sealos db param`
pub(super) async fn param(global: &Global, command: Param) -> Result<()> {
    match command {
        Param::Get { name, names, output } => get(global, &name, &names, output.output).await,
        Param::Set { name, values, wait } => {
            let databases = find(global).await?.databases().await?;
            let values = pairs(&values)?;
            let keys: Vec<_> = values.keys().map(String::as_str).collect();
            let need = databases.need_restart(&name, &keys).await?;
            if !need.is_empty() {
                output::line_err(&format!("{} take effect by a restart, which follows", need.join(", ")));
            }
            let operation = databases.set_parameters(&name, values).await?;
            finish(&databases, &name, &operation, wait).await
        }
    }
}

async fn get(global: &Global, name: &str, names: &[String], format: Format) -> Result<()> {
    let mut all = find(global).await?.databases().await?.parameters(name).await?;
    if let Some(unknown) = names.iter().find(|n| !all.iter().any(|p| p.name == **n)) {
        bail!(
            "`{name}` has no parameter `{unknown}` that can be changed; `sealos db param get {name}` lists them"
        );
    }
    all.retain(|parameter| names.is_empty() || names.contains(&parameter.name));
    if format != Format::Text {
        return output::value(format, &all);
    }
    let row = |parameter: &sealos_databases::Parameter| {
        let restart = if parameter.needs_restart { "restart" } else { "" };
        let value = if parameter.changed { parameter.value.clone() } else { "-".into() };
        vec![
            parameter.name.clone(),
            value,
            parameter.allowed.clone(),
            restart.into(),
            parameter.about.clone(),
        ]
    };
    let rows: Vec<_> = all.iter().map(row).collect();
    output::table(&["NAME", "SET TO", "TAKES", "NEEDS", "ABOUT"], &rows);
    Ok(())
}

/// `sealos db password rotate`
pub(super) async fn rotate(global: &Global, name: &str, stdin: bool) -> Result<()> {
    let databases = find(global).await?.databases().await?;
    let mut given = String::new();
    if stdin {
        std::io::stdin().lock().read_to_string(&mut given).context("read the password")?;
    }
    let given = given.trim_end_matches(['\r', '\n']);
    databases.rotate_password(name, stdin.then_some(given)).await?;
    output::line_err(&format!(
        "{name} has a new password; restart the apps that use it (`sealos db url {name}` prints it)"
    ));
    Ok(())
}

/// `sealos db expose`
pub(super) async fn expose(global: &Global, name: &str, off: bool) -> Result<()> {
    let found = find(global).await?;
    let databases = found.databases().await?;
    let how = if off { Exposure::Closed } else { Exposure::Open };
    let operation = databases.expose(name, how).await?;
    databases.finish(&operation, PORT, |_| {}).await?;
    if off {
        output::line_err(&format!("{name} is reached from inside of the cloud only"));
        return Ok(());
    }
    let connection = databases.connection(name).await?;
    let engine = databases.get(name).await?.engine;
    let port = connection.node_port.and_then(|port| u16::try_from(port).ok());
    let port =
        port.with_context(|| format!("`{name}` has got no port yet; try `sealos db url {name} --external`"))?;
    output::line(&connection.url_at(&engine, &found.status.domain, port));
    Ok(())
}

/// `sealos db sync`
pub(super) async fn sync(global: &Global, name: &str, switch: Switch) -> Result<()> {
    let databases = find(global).await?.databases().await?;
    databases.set_sync(name, switch == Switch::On).await?;
    let what = if switch == Switch::On { "wait for a replica" } else { "do not wait for replicas" };
    output::line_err(&format!("commits of {name} {what} once its pods are replaced"));
    Ok(())
}
