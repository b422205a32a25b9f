//! The command line, as clap reads it. Words only; what they do is in `commands/`.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use sealos_kit::quantity::{Bytes, Cpu};

use crate::output::Format;

/// A cloud in one file.
///
/// `sealos up` turns this machine into a cloud: a Kubernetes, apps with addresses, a web console.
/// `sealos deploy` puts an app on it.
#[derive(Debug, Parser)]
#[command(name = "sealos", version, propagate_version = true)]
pub(crate) struct Cli {
    /// The command.
    #[command(subcommand)]
    pub(crate) command: Command,
    /// What every command takes.
    #[command(flatten)]
    pub(crate) global: Global,
}

/// What every command takes.
#[derive(Debug, Clone, Args)]
pub(crate) struct Global {
    /// The directory where this cloud keeps everything.
    #[arg(
        long,
        global = true,
        env = "SEALOS_DATA_DIR",
        default_value = "/var/lib/sealos",
        value_name = "DIR"
    )]
    pub(crate) data_dir: PathBuf,
    /// The workspace (namespace) of apps.
    #[arg(
        long,
        short = 'w',
        global = true,
        env = "SEALOS_WORKSPACE",
        default_value = "default",
        value_name = "NAME"
    )]
    pub(crate) workspace: String,
}

/// All commands.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Start the cloud on this machine
    Up(Up),
    /// Stop every app and clean the machine; data stays unless --purge
    Down(Down),
    /// Say whether the cloud is up, and where; with a name, how that app is
    Status(Status),
    /// Deploy an app from an image or a directory and print its address
    Deploy(Box<Deploy>),
    /// List the apps
    #[command(visible_alias = "ls")]
    Apps(Output),
    /// Show what an app prints
    Logs(Logs),
    /// Run a command inside an app
    Exec(Exec),
    /// Set the number of an app's replicas
    Scale(Scale),
    /// Stop apps; everything but their pods stays
    Stop(Names),
    /// Start stopped apps
    Start(Names),
    /// Replace an app's pods one after another
    Restart(Names),
    /// Delete apps with their data
    #[command(visible_alias = "rm")]
    Delete(Delete),
    /// Open an app, or the console, in the browser
    Open(Open),
    /// Print a one-time link to the console
    Console,
    /// Print the path of the kubeconfig
    Kubeconfig(Kubeconfig),
    /// Work with images
    #[command(subcommand)]
    Image(Image),
    /// Work with databases
    #[command(subcommand, visible_alias = "database")]
    Db(crate::commands::db::Command),
    /// Keep files and pictures: work with buckets (S3)
    #[command(subcommand)]
    Bucket(crate::commands::bucket::Bucket),
    /// Copy files to, from and between buckets
    Cp(crate::commands::cp::Cp),
    /// Build an image from a directory with a Dockerfile
    Build(Build),
    /// Print a shell completion script
    Completion {
        /// The shell.
        shell: clap_complete::Shell,
    },
    /// Print the manual page
    Man,
}

/// `sealos up`
#[derive(Debug, Clone, Args)]
pub(crate) struct Up {
    /// Apps get addresses below this domain
    #[arg(long, value_name = "DOMAIN")]
    pub(crate) domain: Option<String>,
    /// Port of the Kubernetes API [default: 6443 or the next free one]
    #[arg(long, value_name = "PORT")]
    pub(crate) api_port: Option<u16>,
    /// Port for HTTP [default: 80, or the first free of 8080, 8081, …]
    #[arg(long, value_name = "PORT")]
    pub(crate) http_port: Option<u16>,
    /// Port for HTTPS [default: 443, or the first free of 8443, 8444, …]
    #[arg(long, value_name = "PORT")]
    pub(crate) https_port: Option<u16>,
    /// Port for S3 [default: 9000 or the next free one]
    #[arg(long, value_name = "PORT")]
    pub(crate) s3_port: Option<u16>,
    /// Deploy this image or directory once the cloud is up
    #[arg(long, value_name = "IMAGE|DIR")]
    pub(crate) deploy: Option<String>,
    /// A registry to try before the named one, as in docker.io=mirror.example:5000
    #[arg(long, value_name = "REGISTRY=HOST")]
    pub(crate) mirror: Vec<String>,
    /// A registry that speaks plain HTTP (loopback registries may always)
    #[arg(long, value_name = "HOST")]
    pub(crate) insecure_registry: Vec<String>,
}

/// `sealos down`
#[derive(Debug, Clone, Args)]
pub(crate) struct Down {
    /// Remove the data too
    #[arg(long)]
    pub(crate) purge: bool,
    /// Do not ask
    #[arg(long, short)]
    pub(crate) yes: bool,
}

/// A choice of output.
#[derive(Debug, Clone, Args)]
pub(crate) struct Output {
    /// The form of the output
    #[arg(long, short, value_enum, default_value_t)]
    pub(crate) output: Format,
}

/// `sealos status`
#[derive(Debug, Clone, Args)]
pub(crate) struct Status {
    /// An app; without it, the cloud itself
    pub(crate) name: Option<String>,
    /// The form of the output.
    #[command(flatten)]
    pub(crate) output: Output,
}

/// `sealos deploy`
#[derive(Debug, Clone, Args)]
pub(crate) struct Deploy {
    /// An image, or a directory with a sealos.yaml, compose.yaml or Dockerfile
    #[arg(value_name = "IMAGE|DIR")]
    pub(crate) source: String,
    /// The app's name [default: from the image or directory]
    #[arg(long, short)]
    pub(crate) name: Option<String>,
    /// A port the app listens on, as in 8080, 50051/grpc, 5432/tcp, 53/udp; may be repeated
    #[arg(long, short, value_name = "PORT[/PROTOCOL]")]
    pub(crate) port: Vec<PortArg>,
    /// A variable; may be repeated
    #[arg(long, short, value_name = "KEY=VALUE")]
    pub(crate) env: Vec<String>,
    /// How many pods
    #[arg(long, short)]
    pub(crate) replicas: Option<u32>,
    /// The most CPU of each pod, as in 500m
    #[arg(long)]
    pub(crate) cpu: Option<Cpu>,
    /// The most memory of each pod, as in 256Mi
    #[arg(long)]
    pub(crate) memory: Option<Bytes>,
    /// A directory to keep, as in /data:1Gi; may be repeated
    #[arg(long, value_name = "PATH:SIZE")]
    pub(crate) storage: Vec<String>,
    /// A configuration file from here, as in ./my.conf:/etc/my.conf; may be repeated
    #[arg(long, value_name = "FILE:PATH")]
    pub(crate) file: Vec<String>,
    /// A host name of your own for the first port
    #[arg(long, value_name = "HOST")]
    pub(crate) host: Option<String>,
    /// Give it no address outside the cloud
    #[arg(long)]
    pub(crate) private: bool,
    /// Print the objects instead of deploying
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// How many seconds to wait until it serves
    #[arg(long, default_value_t = 300, value_name = "SECONDS")]
    pub(crate) timeout: u64,
    /// Return at once instead of waiting
    #[arg(long, conflicts_with = "timeout")]
    pub(crate) no_wait: bool,
    /// Build without the layer cache
    #[arg(long)]
    pub(crate) no_cache: bool,
    /// The command to run instead of the image's
    #[arg(last = true, value_name = "ARGS")]
    pub(crate) args: Vec<String>,
}

/// A port with its protocol.
#[derive(Debug, Clone)]
pub(crate) struct PortArg {
    /// The number.
    pub(crate) port: u16,
    /// What is spoken there.
    pub(crate) protocol: sealos_apps::Protocol,
}

impl std::str::FromStr for PortArg {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        use sealos_apps::Protocol;
        let (number, protocol) = text.split_once('/').unwrap_or((text, "http"));
        let protocol = match protocol.to_ascii_lowercase().as_str() {
            "http" => Protocol::Http,
            "grpc" => Protocol::Grpc,
            "ws" => Protocol::Ws,
            "tcp" => Protocol::Tcp,
            "udp" => Protocol::Udp,
            other => return Err(format!("`{other}` is not one of http, grpc, ws, tcp, udp")),
        };
        match number.parse() {
            Ok(port) if port > 0 => Ok(Self { port, protocol }),
            _ => Err(format!("`{number}` is not a port from 1 to 65535")),
        }
    }
}

/// `sealos logs`
#[derive(Debug, Clone, Args)]
pub(crate) struct Logs {
    /// The app
    pub(crate) name: String,
    /// Go on as lines come
    #[arg(long, short)]
    pub(crate) follow: bool,
    /// Only this many lines of each pod
    #[arg(long, value_name = "LINES")]
    pub(crate) tail: Option<i64>,
    /// Of the container before the last restart
    #[arg(long)]
    pub(crate) previous: bool,
    /// With the time of each line
    #[arg(long)]
    pub(crate) timestamps: bool,
    /// Only lines newer than this, as in 10m
    #[arg(long, value_name = "DURATION")]
    pub(crate) since: Option<String>,
}

/// `sealos exec`
#[derive(Debug, Clone, Args)]
pub(crate) struct Exec {
    /// The app
    pub(crate) name: String,
    /// A certain pod of it
    #[arg(long)]
    pub(crate) pod: Option<String>,
    /// The command [default: a shell]
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "COMMAND")]
    pub(crate) command: Vec<String>,
}

/// `sealos scale`
#[derive(Debug, Clone, Args)]
pub(crate) struct Scale {
    /// The app
    pub(crate) name: String,
    /// How many pods
    pub(crate) replicas: u32,
}

/// Names of apps.
#[derive(Debug, Clone, Args)]
pub(crate) struct Names {
    /// The apps
    #[arg(required = true)]
    pub(crate) names: Vec<String>,
}

/// `sealos delete`
#[derive(Debug, Clone, Args)]
pub(crate) struct Delete {
    /// The apps
    #[arg(required = true)]
    pub(crate) names: Vec<String>,
    /// Do not ask
    #[arg(long, short)]
    pub(crate) yes: bool,
}

/// `sealos open`
#[derive(Debug, Clone, Args)]
pub(crate) struct Open {
    /// The app; without it, the console
    pub(crate) name: Option<String>,
}

/// `sealos kubeconfig`
#[derive(Debug, Clone, Args)]
pub(crate) struct Kubeconfig {
    /// Print the contents instead of the path
    #[arg(long)]
    pub(crate) raw: bool,
}

/// `sealos image`
#[derive(Debug, Clone, Subcommand)]
pub(crate) enum Image {
    /// List the images on this machine
    Ls(Output),
    /// Fetch an image from its registry
    Pull {
        /// The image
        image: String,
        /// User name at the registry
        #[arg(long, requires = "password_stdin")]
        username: Option<String>,
        /// Read the password from stdin
        #[arg(long)]
        password_stdin: bool,
    },
    /// Take images from an archive (OCI or docker-save)
    Load {
        /// The archive; `-` or nothing is stdin
        file: Option<PathBuf>,
    },
    /// Write images to an archive
    Save {
        /// The images
        #[arg(required = true)]
        images: Vec<String>,
        /// The archive; `-` or nothing is stdout
        #[arg(long, short)]
        file: Option<PathBuf>,
    },
    /// Remove images
    Rm {
        /// The images
        #[arg(required = true)]
        images: Vec<String>,
    },
    /// Give an image one more name
    Tag {
        /// The image
        image: String,
        /// The new name
        name: String,
    },
    /// Remove what no app uses
    Prune,
}

/// `sealos build`
#[derive(Debug, Clone, Args)]
pub(crate) struct Build {
    /// The directory
    #[arg(default_value = ".")]
    pub(crate) dir: PathBuf,
    /// The image's name
    #[arg(long, short)]
    pub(crate) tag: Option<String>,
    /// The Dockerfile's path below the directory
    #[arg(long, short)]
    pub(crate) file: Option<String>,
    /// The stage to stop at
    #[arg(long)]
    pub(crate) target: Option<String>,
    /// A build argument; may be repeated
    #[arg(long, value_name = "KEY=VALUE")]
    pub(crate) build_arg: Vec<String>,
    /// Build without the layer cache
    #[arg(long)]
    pub(crate) no_cache: bool,
}

/// `sealos deploy SOURCE` without any flag.
pub(crate) fn deploy_of(source: &str) -> Result<Deploy, clap::Error> {
    match Cli::try_parse_from(["sealos", "deploy", "."]) {
        Ok(Cli { command: Command::Deploy(args), .. }) => Ok(Deploy { source: source.to_owned(), ..*args }),
        Ok(_) => Err(clap::Error::new(clap::error::ErrorKind::InvalidSubcommand)),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::deploy_of;

    #[test]
    fn a_source_alone_is_a_deploy_without_flags() {
        let args = deploy_of("examples/hello").expect("a source is enough");
        assert_eq!(args.source, "examples/hello");
        assert!(args.args.is_empty() && args.name.is_none() && !args.no_wait);
    }
}
