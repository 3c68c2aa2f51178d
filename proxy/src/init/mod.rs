//! The redirect rules of a pod: its TCP goes through the sidecar.
//!
//! `weft-proxy init` runs once in a pod, before the sidecar, with nothing but the capability `NET_ADMIN`. It speaks to nf_tables
//! itself, because the image holds no other program.

mod netlink;
mod nftables;
mod rules;
#[cfg(test)]
mod tests;

use std::{fs, io, num::NonZeroU16};

use clap::Args;
use ipnet::IpNet;
use nix::errno::Errno;
use thiserror::Error;

use self::{
    netlink::NetlinkError,
    rules::{Family, chains},
};

/// Name of the table, in the families `ip` and `ip6`; all that is in it belongs to Weft.
pub const TABLE: &str = "weft";

/// What to redirect, and where to.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct Options {
    /// Port of the sidecar that takes what the application sends
    #[arg(long, default_value = "15001", value_name = "PORT")]
    pub outbound_port: NonZeroU16,

    /// Port of the sidecar that takes what is sent to the application
    #[arg(long, default_value = "15006", value_name = "PORT")]
    pub inbound_port: NonZeroU16,

    /// User id of the sidecar, whose own connections are left alone
    #[arg(long, default_value_t = 1337, value_name = "UID")]
    pub proxy_uid: u32,

    /// Ports of the pod whose connections are left alone: the sidecar's own, and what must not be proxied
    #[arg(long, value_delimiter = ',', value_name = "PORT,...")]
    pub skip_inbound_ports: Vec<NonZeroU16>,

    /// Destination ports that are left alone; 53 always is
    #[arg(long, value_delimiter = ',', value_name = "PORT,...")]
    pub skip_outbound_ports: Vec<NonZeroU16>,

    /// Destination networks that are left alone, IPv4 and IPv6
    #[arg(long, value_delimiter = ',', value_name = "CIDR,...", value_parser = parse_cidr)]
    pub skip_outbound_cidrs: Vec<IpNet>,
}

/// Why the rules are not in place.
#[derive(Debug, Error)]
pub enum Error {
    /// One port cannot take both directions, since it could not tell them apart.
    #[error("--outbound-port and --inbound-port are both {0}: give each direction a port of its own")]
    SamePort(NonZeroU16),
    /// The process may not change the rules of its network namespace.
    #[error(
        "the kernel refused {step}: not permitted: the container needs the capability NET_ADMIN \
         (securityContext.capabilities.add)"
    )]
    NotPermitted {
        /// What was refused.
        step: String,
    },
    /// The kernel lacks something that the rules are made of.
    #[error(
        "the kernel refused {step}: {errno}: load the modules nf_tables, nft_chain_nat and nft_redir on the node, or use a \
         kernel with CONFIG_NF_TABLES, CONFIG_NFT_NAT and CONFIG_NFT_REDIR"
    )]
    Unsupported {
        /// What was refused.
        step: String,
        /// The kernel's reason.
        errno: Errno,
    },
    /// The kernel refused for another reason.
    #[error("the kernel refused {step}: {errno}")]
    Refused {
        /// What was refused.
        step: String,
        /// The kernel's reason.
        errno: Errno,
    },
    /// The rules are more than one netlink message holds.
    #[error("the rules are too many for the kernel ({bytes} bytes): skip fewer ports and CIDRs")]
    TooMany {
        /// Length of all rules.
        bytes: usize,
    },
    /// The kernel could not be talked to.
    #[error("cannot {step} nf_tables: {errno}")]
    Netlink {
        /// What failed.
        step: &'static str,
        /// The kernel's reason.
        errno: Errno,
    },
    /// The kernel neither took nor refused the rules.
    #[error("the kernel did not acknowledge the rules")]
    Unacknowledged,
}

/// Writes the redirect rules into the network namespace that the process runs in, in place of those that an earlier call wrote.
///
/// Each family's table is replaced in one step: at no time is a part of its rules in effect.
///
/// # Errors
///
/// When the rules of a family that the pod has addresses of are not in place. A pod without any IPv6 address needs no IPv6
/// rules: a kernel that cannot have them is no error then.
pub fn run(options: &Options) -> Result<(), Error> {
    if options.outbound_port == options.inbound_port {
        return Err(Error::SamePort(options.outbound_port));
    }
    replace(options, Family::Ipv4)?;
    let ipv6 = unless_absent(replace(options, Family::Ipv6), &ipv6_addresses())?;
    tracing::info!(
        outbound_port = options.outbound_port,
        inbound_port = options.inbound_port,
        proxy_uid = options.proxy_uid,
        skip_inbound_ports = ?options.skip_inbound_ports,
        skip_outbound_ports = ?options.skip_outbound_ports,
        skip_outbound_cidrs = ?options.skip_outbound_cidrs,
        ipv6,
        "Installed redirect rules"
    );
    Ok(())
}

fn replace(options: &Options, family: Family) -> Result<(), Error> {
    nftables::replace_table(family, TABLE, &chains(options, family)).commit().map_err(Error::from)
}

/// Whether the IPv6 rules are in place; false where the kernel cannot have them and the pod has nothing that needs them.
///
/// `addresses` is the kernel's list of the pod's IPv6 addresses, or why it could not be read.
fn unless_absent(installed: Result<(), Error>, addresses: &io::Result<String>) -> Result<bool, Error> {
    match installed {
        Ok(()) => Ok(true),
        // Any address but the loopback's could carry traffic past the sidecar. So may an unreadable list.
        Err(Error::Unsupported { .. }) if addresses.as_ref().is_ok_and(|list| list.lines().all(is_loopback)) => {
            Ok(false)
        }
        Err(error) => Err(error),
    }
}

/// Whether a line of `if_inet6` is about `::1`; the address comes first, as 32 hexadecimal digits.
fn is_loopback(line: &str) -> bool {
    line.starts_with("00000000000000000000000000000001 ")
}

/// The file `if_inet6` of proc(5), empty when the kernel has no IPv6.
fn ipv6_addresses() -> io::Result<String> {
    // A thread can be in another network namespace than its process, whose files /proc/net shows.
    match fs::read_to_string("/proc/thread-self/net/if_inet6") {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(String::new()),
        read => read,
    }
}

impl From<NetlinkError> for Error {
    fn from(error: NetlinkError) -> Self {
        match error {
            NetlinkError::Refused { step, errno: Errno::EPERM | Errno::EACCES } => Self::NotPermitted { step },
            NetlinkError::Refused {
                step,
                errno: errno @ (Errno::EAFNOSUPPORT | Errno::ENOENT | Errno::EOPNOTSUPP | Errno::EPROTONOSUPPORT),
            } => Self::Unsupported { step, errno },
            NetlinkError::Refused { step, errno } => Self::Refused { step, errno },
            NetlinkError::Open(errno @ (Errno::EAFNOSUPPORT | Errno::EPROTONOSUPPORT)) => {
                Self::Unsupported { step: "to open a netlink socket".to_owned(), errno }
            }
            NetlinkError::Send { bytes, errno: Errno::EMSGSIZE } => Self::TooMany { bytes },
            NetlinkError::Open(errno) => Self::Netlink { step: "open a netlink socket to", errno },
            NetlinkError::Send { errno, .. } => Self::Netlink { step: "send the rules to", errno },
            NetlinkError::Receive(errno) => Self::Netlink { step: "read the verdict of", errno },
            NetlinkError::Unacknowledged => Self::Unacknowledged,
        }
    }
}

/// Why a text is no network.
#[derive(Debug, Error)]
enum CidrError {
    #[error("not an IPv4 or IPv6 network such as 10.0.0.0/8 or fd00::/8")]
    Syntax(#[from] ipnet::AddrParseError),
    #[error("has bits set behind its prefix: write {0}")]
    HostBits(IpNet),
}

fn parse_cidr(text: &str) -> Result<IpNet, CidrError> {
    let network: IpNet = text.parse()?;
    if network == network.trunc() { Ok(network) } else { Err(CidrError::HostBits(network.trunc())) }
}
