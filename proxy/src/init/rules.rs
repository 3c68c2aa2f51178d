//! Which traffic of a pod goes through its sidecar, as an ordered list of rules for each direction.

use std::{collections::BTreeSet, fmt, num::NonZeroU16};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

use super::Options;

/// Port of DNS, over TCP too (RFC 7766): a name must be resolvable before the sidecar knows anything.
const DNS: NonZeroU16 = NonZeroU16::new(53).expect("53 is not 0");

/// The version of the Internet protocol that a table is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Family {
    Ipv4,
    Ipv6,
}

/// Where in a packet's way a chain stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Hook {
    /// What the pod sends, before it is routed.
    Output,
    /// What arrives at the pod, before it is routed.
    Prerouting,
}

/// Relative to the pod.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Direction {
    In,
    Out,
}

/// A condition on the first packet of a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Match {
    Tcp,
    /// User id of the process that opened the connection.
    SocketUser(u32),
    /// The interface that the packet leaves or enters by is the loopback.
    Loopback(Direction),
    /// Destination port, of TCP.
    TcpPort(NonZeroU16),
    DestinationIpv4(Ipv4Net),
    DestinationIpv6(Ipv6Net),
}

/// What becomes of a connection that meets all conditions of a rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Action {
    /// It goes where it is addressed to.
    Return,
    /// It goes to this port of the pod.
    Redirect(NonZeroU16),
}

/// The first rule whose conditions are met decides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Rule {
    pub(super) conditions: Vec<Match>,
    pub(super) action: Action,
}

/// The rules of one direction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Chain {
    pub(super) hook: Hook,
    pub(super) rules: Vec<Rule>,
}

/// The chains of one family. Repeated ports and networks make one rule.
pub(super) fn chains(options: &Options, family: Family) -> [Chain; 2] {
    let skip = |conditions| Rule { conditions, action: Action::Return };
    let skip_port = |port| skip(vec![Match::TcpPort(port)]);
    let redirect = |port| Rule { conditions: vec![Match::Tcp], action: Action::Redirect(port) };

    let mut output =
        vec![skip(vec![Match::SocketUser(options.proxy_uid)]), skip(vec![Match::Loopback(Direction::Out)])];
    let ports: BTreeSet<_> = options.skip_outbound_ports.iter().copied().chain([DNS]).collect();
    output.extend(ports.into_iter().map(skip_port));
    let networks: BTreeSet<_> = options.skip_outbound_cidrs.iter().copied().collect();
    output.extend(networks.into_iter().filter_map(|network| match (family, network) {
        (Family::Ipv4, IpNet::V4(network)) => Some(skip(vec![Match::DestinationIpv4(network)])),
        (Family::Ipv6, IpNet::V6(network)) => Some(skip(vec![Match::DestinationIpv6(network)])),
        (Family::Ipv4, IpNet::V6(_)) | (Family::Ipv6, IpNet::V4(_)) => None,
    }));
    output.push(redirect(options.outbound_port));

    let mut prerouting = vec![skip(vec![Match::Loopback(Direction::In)])];
    let ports: BTreeSet<_> = options.skip_inbound_ports.iter().copied().collect();
    prerouting.extend(ports.into_iter().map(skip_port));
    prerouting.push(redirect(options.inbound_port));

    [Chain { hook: Hook::Output, rules: output }, Chain { hook: Hook::Prerouting, rules: prerouting }]
}

impl Hook {
    /// The chain's name, which is the hook's name in `nft`.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Output => "output",
            Self::Prerouting => "prerouting",
        }
    }
}

impl fmt::Display for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ipv4 => "ip",
            Self::Ipv6 => "ip6",
        })
    }
}

impl fmt::Display for Chain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.hook.name())
    }
}

/// In the language of `nft`, so that a person can compare with `nft list ruleset`.
impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for condition in &self.conditions {
            write!(f, "{condition} ")?;
        }
        match self.action {
            Action::Return => f.write_str("return"),
            Action::Redirect(port) => write!(f, "redirect to :{port}"),
        }
    }
}

impl fmt::Display for Match {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp => f.write_str("meta l4proto tcp"),
            Self::SocketUser(user) => write!(f, "meta skuid {user}"),
            Self::Loopback(Direction::In) => f.write_str("meta iiftype loopback"),
            Self::Loopback(Direction::Out) => f.write_str("meta oiftype loopback"),
            Self::TcpPort(port) => write!(f, "tcp dport {port}"),
            Self::DestinationIpv4(network) => write!(f, "ip daddr {network}"),
            Self::DestinationIpv6(network) => write!(f, "ip6 daddr {network}"),
        }
    }
}
