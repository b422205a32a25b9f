//! A command to run inside a container that runs already.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::User;

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct ExecSpec {
    pub args: Vec<String>,
    /// Added to the container's own environment.
    pub env: Vec<(String, String)>,
    /// `None` is the container's own.
    pub cwd: Option<PathBuf>,
    /// `None` is the container's own.
    pub user: Option<User>,
    pub tty: bool,
    /// The terminal's first size: width and height.
    pub size: Option<(u16, u16)>,
    /// Whether the command may read; otherwise its standard input is empty.
    pub stdin: bool,
}

impl ExecSpec {
    pub fn new(args: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self { args: args.into_iter().map(Into::into).collect(), ..Self::default() }
    }
}
