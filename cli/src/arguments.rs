//! What can be asked of `weft` on the command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use crate::output::Format;

/// Looks at a cluster and tells what state its Weft mesh is in.
///
/// Exit status: 0 all is well, 1 something is not, 2 that could not be told.
#[derive(Debug, Parser)]
#[command(name = "weft", disable_version_flag = true)]
pub(crate) struct Arguments {
    #[command(flatten)]
    pub(crate) cluster: Cluster,

    /// Form of what is printed.
    #[arg(short, long, global = true, value_enum, default_value_t)]
    pub(crate) output: Format,

    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Which cluster is meant.
#[derive(Args, Debug, Default)]
pub(crate) struct Cluster {
    /// Kubeconfig to read instead of those in $KUBECONFIG or ~/.kube/config.
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) kubeconfig: Option<PathBuf>,

    /// Context of the kubeconfig to use instead of its current one.
    #[arg(long, global = true, value_name = "NAME")]
    pub(crate) context: Option<String>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Check that Weft is installed and works.
    Check,
    /// Store every SMI object in the newest version.
    ///
    /// Objects that an older version of a kind's definition stored stay as they are until somebody writes them. This writes each
    /// of them as it is, and then takes the older versions out of the definition's list of stored versions, so that nothing
    /// has to be converted to be read.
    ///
    /// Exit status: 0 no object is stored in an older version any more, 1 some still are, 2 that could not be told.
    MigrateStorage(MigrateStorage),
    /// Print the version of this command and of the operator in the cluster.
    ///
    /// Exit status: 0 both are known, 1 no operator is installed, 2 the operator's could not be told.
    Version(Version),
}

#[derive(Args, Debug)]
pub(crate) struct Version {
    /// Print the version of this command only, without asking the cluster.
    #[arg(long)]
    pub(crate) client: bool,
}

#[derive(Args, Debug)]
pub(crate) struct MigrateStorage {
    /// Say what would have to be done, and write nothing.
    #[arg(long)]
    pub(crate) check: bool,
}
