//! What can be asked of `weft` on the command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use crate::explain::{Header, Place, Root};
use crate::output::Format;

/// Looks at a cluster and tells what state its Weft mesh is in, and what becomes of a request.
///
/// Exit status: 0 yes or all is well, 1 no or something is not well, 2 that could not be told.
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
    /// Say what happens, and why.
    #[command(subcommand)]
    Explain(Explain),
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

#[derive(Debug, Subcommand)]
pub(crate) enum Explain {
    /// Say which split, match and backend a request meets, and why not the others.
    ///
    /// Nothing is sent: it is decided by what the cluster has, with the code that operator and sidecars run.
    ///
    /// Exit status: 0 it is served, 1 nobody would serve it, 2 that could not be told.
    Request(Box<Request>),
}

#[derive(Args, Debug)]
pub(crate) struct Request {
    /// Who sends it, such as deploy/web or pod/web-0.shop. Unless given: any client with a sidecar.
    #[arg(long, value_name = "KIND/NAME[.NAMESPACE]")]
    pub(crate) from: Option<Place>,

    /// Service that it is sent to, such as svc/web or web.shop:80. Without a port: its only one, or 80.
    #[arg(long, value_name = "[svc/]NAME[.NAMESPACE][:PORT]")]
    pub(crate) to: Root,

    /// Namespace of names that say none. Unless given: the one of the kubeconfig's context.
    #[arg(short, long, value_name = "NAMESPACE")]
    pub(crate) namespace: Option<String>,

    /// A header of the request; can be given more than once.
    #[arg(short = 'H', long = "header", value_name = "NAME=VALUE")]
    pub(crate) headers: Vec<Header>,

    /// What the request is addressed to (Host, :authority). Unless given: the service's name, and its port unless that is 80.
    #[arg(long, value_name = "HOST[:PORT]")]
    pub(crate) authority: Option<String>,

    /// Manifests that are thought to be applied to the cluster; - is standard input. Can be given more than once.
    #[arg(short, long = "file", value_name = "FILE")]
    pub(crate) files: Vec<PathBuf>,

    /// Do not ask the cluster: nothing is there but what the files hold.
    #[arg(long, requires = "files")]
    pub(crate) offline: bool,

    /// DNS domain of the cluster. Unless given: the one that the operator was told, or cluster.local.
    #[arg(long, value_name = "DOMAIN")]
    pub(crate) cluster_domain: Option<String>,

    /// Method of the request.
    #[arg(default_value = "GET", value_parser = crate::explain::method)]
    pub(crate) method: http::Method,

    /// Path of the request, with or without a query.
    #[arg(default_value = "/", value_parser = crate::explain::path)]
    pub(crate) path: String,
}
