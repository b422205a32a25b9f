//! One module a command, or a family of them.

pub(crate) mod apps;
pub(crate) mod bucket;
pub(crate) mod cp;
pub(crate) mod db;
mod db_backup;
mod deploy;
pub(crate) mod exec;
pub(crate) mod images;
pub(crate) mod logs;
mod objects;
pub(crate) mod progress;
mod status;

use std::process::ExitCode;

use anyhow::{Context as _, Result};
use clap::CommandFactory as _;

use crate::cli::{Cli, Command};
use crate::{cloud, output};

pub(crate) use deploy::deploy_source;

/// Does what the command line asks.
pub(crate) async fn run(cli: Cli) -> Result<ExitCode> {
    let Cli { command, global } = cli;
    match command {
        Command::Up(args) => cloud::up(&global, &args).await?,
        Command::Down(args) => cloud::down(&global, &args).await?,
        Command::Status(args) => return status::status(&global, &args).await,
        Command::Deploy(args) => deploy::deploy(&global, &args).await?,
        Command::Apps(args) => apps::list(&global, args.output).await?,
        Command::Logs(args) => logs::logs(&global, &args).await?,
        Command::Exec(args) => return exec::exec(&global, &args).await,
        Command::Scale(args) => apps::scale(&global, &args).await?,
        Command::Stop(args) => apps::stop(&global, &args.names).await?,
        Command::Start(args) => apps::start(&global, &args.names).await?,
        Command::Restart(args) => apps::restart(&global, &args.names).await?,
        Command::Delete(args) => apps::delete(&global, &args).await?,
        Command::Open(args) => status::open(&global, &args).await?,
        Command::Console => status::console(&global).await?,
        Command::Kubeconfig(args) => status::kubeconfig(&global, &args)?,
        Command::Image(args) => images::image(&global, args).await?,
        Command::Db(command) => return db::run(&global, command).await,
        Command::Bucket(args) => bucket::bucket(&global, args).await?,
        Command::Cp(args) => cp::cp(&global, &args).await?,
        Command::Build(args) => images::build(&global, &args).await?,
        Command::Completion { shell } => completion(shell),
        Command::Man => manual()?,
    }
    crate::failure::flush();
    Ok(ExitCode::SUCCESS)
}

fn completion(shell: clap_complete::Shell) {
    clap_complete::generate(shell, &mut Cli::command(), "sealos", &mut std::io::stdout());
}

/// The manual: the program's page, then one for each command.
fn manual() -> Result<()> {
    let mut page = Vec::new();
    let command = Cli::command();
    clap_mangen::Man::new(command.clone()).render(&mut page).context("write the manual")?;
    for sub in command.get_subcommands().filter(|c| c.get_name() != "help") {
        clap_mangen::Man::new(sub.clone()).render(&mut page).context("write the manual")?;
    }
    output::bytes(&page).context("print the manual")
}
