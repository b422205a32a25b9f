//! `sealos db`: databases. Words only; what they do is in `sealos-databases`.

mod life;
mod settings;
mod show;
mod streams;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::{Args, Subcommand};
use sealos_kit::quantity::{Bytes, Cpu};

use crate::cli::{Global, Logs, Names, Output};

/// All commands.
#[derive(Debug, Clone, Subcommand)]
pub(crate) enum Command {
    /// Create a database and print how to reach it
    #[command(disable_version_flag = true)]
    Create(Box<Create>),
    /// List the databases
    #[command(visible_alias = "list")]
    Ls(Output),
    /// Say how a database is
    Status(One),
    /// List the engines and versions that can be had
    Engines(Output),
    /// Talk to a database with its own client
    Connect(Connect),
    /// Print the connection string, with the password
    Url(Url),
    /// Make a database reachable at a port of this machine while the command runs
    Forward(Forward),
    /// Set the number of replicas
    Scale {
        /// The database
        name: String,
        /// How many
        replicas: u32,
        /// How it waits.
        #[command(flatten)]
        wait: Wait,
    },
    /// Set CPU and memory of each replica
    Resize {
        /// The database
        name: String,
        /// The most CPU, as in 500m
        #[arg(long, required_unless_present = "memory")]
        cpu: Option<Cpu>,
        /// The most memory, as in 1Gi
        #[arg(long)]
        memory: Option<Bytes>,
        /// How it waits.
        #[command(flatten)]
        wait: Wait,
    },
    /// Make the storage of each replica larger
    Grow {
        /// The database
        name: String,
        /// How large, as in 10Gi
        storage: Bytes,
        /// How it waits.
        #[command(flatten)]
        wait: Wait,
    },
    /// Replace the pods, replicas first
    Restart(Names),
    /// End the pods and keep the data
    Stop(Names),
    /// Bring stopped databases back
    Start(Names),
    /// Go to another version
    Upgrade {
        /// The database
        name: String,
        /// The version
        #[arg(value_name = "VERSION")]
        to: String,
        /// How it waits.
        #[command(flatten)]
        wait: Wait,
    },
    /// Make another pod the primary
    Switchover {
        /// The database
        name: String,
        /// The pod [default: the one that is nearest to the primary]
        #[arg(long, value_name = "POD")]
        to: Option<String>,
        /// How it waits.
        #[command(flatten)]
        wait: Wait,
    },
    /// Let commits wait for a replica, or not
    Sync {
        /// The database
        name: String,
        /// Whether they wait
        switch: Switch,
    },
    /// See and set the parameters of the engine
    #[command(subcommand)]
    Param(Param),
    /// Work with the password
    #[command(subcommand)]
    Password(Password),
    /// Open a port on this machine for a database, or close it
    Expose {
        /// The database
        name: String,
        /// Close it
        #[arg(long)]
        off: bool,
    },
    /// Show what the engine prints
    Logs(Logs),
    /// Write a dump to a file or to stdout
    Dump {
        /// The database
        name: String,
        /// One database inside of it [default: all]
        database: Option<String>,
        /// The file; `-` or nothing is stdout
        #[arg(long, short)]
        file: Option<PathBuf>,
    },
    /// Read a dump from a file or from stdin
    Load {
        /// The database
        name: String,
        /// One database inside of it
        database: Option<String>,
        /// The file; `-` or nothing is stdin
        #[arg(long, short)]
        file: Option<PathBuf>,
    },
    /// Delete databases
    #[command(visible_alias = "rm")]
    Delete(Delete),
    /// Backups.
    #[command(flatten)]
    Backups(super::db_backup::Command),
}

/// `sealos db create`
#[derive(Debug, Clone, Args)]
pub(crate) struct Create {
    /// The database's name
    pub(crate) name: String,
    /// postgres, mysql, mariadb, redis or mongodb
    #[arg(long, short, default_value = "postgres")]
    pub(crate) engine: String,
    /// The engine's version, as in 16 [default: see `sealos db engines`]
    #[arg(long = "version", alias = "engine-version", value_name = "VERSION")]
    pub(crate) engine_version: Option<String>,
    /// How many copies; one of them takes writes
    #[arg(long, short)]
    pub(crate) replicas: Option<u32>,
    /// The most CPU of each copy, as in 500m
    #[arg(long)]
    pub(crate) cpu: Option<Cpu>,
    /// The most memory of each copy, as in 1Gi
    #[arg(long)]
    pub(crate) memory: Option<Bytes>,
    /// How much each copy stores, as in 10Gi
    #[arg(long)]
    pub(crate) storage: Option<Bytes>,
    /// Let commits wait for a replica
    #[arg(long)]
    pub(crate) sync: bool,
    /// Back it up by this schedule of cron, as in "0 2 * * *"
    #[arg(long, value_name = "CRON")]
    pub(crate) backup: Option<String>,
    /// How long backups are kept
    #[arg(long, value_name = "DURATION", default_value = "7d", requires = "backup")]
    pub(crate) keep: String,
    /// The time zone of --backup, as in Europe/Berlin [default: UTC]
    #[arg(long, value_name = "ZONE", requires = "backup")]
    pub(crate) time_zone: Option<String>,
    /// A parameter of the engine; may be repeated
    #[arg(long, value_name = "NAME=VALUE")]
    pub(crate) param: Vec<String>,
    /// How it waits.
    #[command(flatten)]
    pub(crate) wait: Wait,
}

/// How a command waits.
#[derive(Debug, Clone, Copy, Args)]
pub(crate) struct Wait {
    /// How many seconds to wait until it is done
    #[arg(long, default_value_t = 600, value_name = "SECONDS")]
    pub(crate) timeout: u64,
    /// Return at once instead of waiting
    #[arg(long, conflicts_with = "timeout")]
    pub(crate) no_wait: bool,
}

/// A database, and a choice of output.
#[derive(Debug, Clone, Args)]
pub(crate) struct One {
    /// The database
    pub(crate) name: String,
    /// The form of the output.
    #[command(flatten)]
    pub(crate) output: Output,
}

/// `sealos db connect`
#[derive(Debug, Clone, Args)]
pub(crate) struct Connect {
    /// The database
    pub(crate) name: String,
    /// One database inside of it
    pub(crate) database: Option<String>,
    /// A certain pod [default: the primary]
    #[arg(long)]
    pub(crate) pod: Option<String>,
}

/// `sealos db url`
#[derive(Debug, Clone, Args)]
pub(crate) struct Url {
    /// The database
    pub(crate) name: String,
    /// The address outside of the cloud; needs `sealos db expose`
    #[arg(long)]
    pub(crate) external: bool,
    /// The form of the output.
    #[command(flatten)]
    pub(crate) output: Output,
}

/// `sealos db forward`
#[derive(Debug, Clone, Args)]
pub(crate) struct Forward {
    /// The database
    pub(crate) name: String,
    /// The port [default: a free one]
    #[arg(long, short, default_value_t = 0, hide_default_value = true)]
    pub(crate) port: u16,
}

/// `sealos db param`
#[derive(Debug, Clone, Subcommand)]
pub(crate) enum Param {
    /// List the parameters and what they are set to
    Get {
        /// The database
        name: String,
        /// Only these
        names: Vec<String>,
        /// The form of the output.
        #[command(flatten)]
        output: Output,
    },
    /// Set parameters; an empty value goes back to the engine's own
    Set {
        /// The database
        name: String,
        /// What is set
        #[arg(required = true, value_name = "NAME=VALUE")]
        values: Vec<String>,
        /// How it waits.
        #[command(flatten)]
        wait: Wait,
    },
}

/// `sealos db password`
#[derive(Debug, Clone, Subcommand)]
pub(crate) enum Password {
    /// Set a new password and write it to the Secrets
    Rotate {
        /// The database
        name: String,
        /// Read the new password from stdin instead of making one up
        #[arg(long)]
        stdin: bool,
    },
}

/// On or off.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Switch {
    /// Yes.
    On,
    /// No.
    Off,
}

/// `sealos db delete`
#[derive(Debug, Clone, Args)]
pub(crate) struct Delete {
    /// The databases
    #[arg(required = true)]
    pub(crate) names: Vec<String>,
    /// Keep the volumes too; a new database of the same name takes them up
    #[arg(long, conflicts_with = "with_backups")]
    pub(crate) keep_data: bool,
    /// Delete the backups too
    #[arg(long)]
    pub(crate) with_backups: bool,
    /// Do not ask
    #[arg(long, short)]
    pub(crate) yes: bool,
}

/// Does what the command line asks.
pub(crate) async fn run(global: &Global, command: Command) -> Result<ExitCode> {
    match command {
        Command::Create(args) => life::create(global, *args).await?,
        Command::Ls(args) => show::list(global, args.output).await?,
        Command::Status(args) => return show::status(global, &args).await,
        Command::Engines(args) => show::engines(args.output)?,
        Command::Connect(args) => return streams::connect(global, &args).await,
        Command::Url(args) => show::url(global, &args).await?,
        Command::Forward(args) => streams::forward(global, &args).await?,
        Command::Scale { name, replicas, wait } => life::scale(global, &name, replicas, wait).await?,
        Command::Resize { name, cpu, memory, wait } => {
            life::resize(global, &name, sealos_databases::Size { cpu, memory }, wait).await?;
        }
        Command::Grow { name, storage, wait } => life::grow(global, &name, storage, wait).await?,
        Command::Restart(args) => life::restart(global, &args.names).await?,
        Command::Stop(args) => life::stop(global, &args.names).await?,
        Command::Start(args) => life::start(global, &args.names).await?,
        Command::Upgrade { name, to, wait } => life::upgrade(global, &name, &to, wait).await?,
        Command::Switchover { name, to, wait } => {
            life::switchover(global, &name, to.as_deref(), wait).await?;
        }
        Command::Sync { name, switch } => settings::sync(global, &name, switch).await?,
        Command::Param(args) => settings::param(global, args).await?,
        Command::Password(Password::Rotate { name, stdin }) => settings::rotate(global, &name, stdin).await?,
        Command::Expose { name, off } => settings::expose(global, &name, off).await?,
        Command::Logs(args) => streams::logs(global, &args).await?,
        Command::Dump { name, database, file } => {
            streams::dump(global, &name, database.as_deref(), file.as_deref()).await?;
        }
        Command::Load { name, database, file } => {
            streams::load(global, &name, database.as_deref(), file.as_deref()).await?;
        }
        Command::Delete(args) => life::delete(global, &args).await?,
        Command::Backups(args) => super::db_backup::run(global, args).await?,
    }
    crate::failure::flush();
    Ok(ExitCode::SUCCESS)
}
