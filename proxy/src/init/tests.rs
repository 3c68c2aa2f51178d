//! Options, rules and errors by table; `tests/redirect.rs` asks the kernel.

mod namespace;
mod redirect;

use std::io;

use clap::Parser;
use nix::errno::Errno;

use super::{
    Error, Options,
    netlink::NetlinkError,
    rules::{Family, chains},
    run, unless_absent,
};

#[derive(Parser)]
struct Program {
    #[command(flatten)]
    options: Options,
}

fn parse(arguments: &[&str]) -> Result<Options, clap::Error> {
    Program::try_parse_from([&["init"], arguments].concat()).map(|program| program.options)
}

fn rules(options: &Options, family: Family) -> Vec<String> {
    let chains = chains(options, family);
    chains.iter().flat_map(|chain| chain.rules.iter().map(move |rule| format!("{chain}: {rule}"))).collect()
}

#[test]
fn options_make_rules() {
    let cases: [(&str, &[&str], Family, &[&str]); 4] = [
        (
            "defaults",
            &[],
            Family::Ipv4,
            &[
                "output: meta skuid 1337 return",
                "output: meta oiftype loopback return",
                "output: tcp dport 53 return",
                "output: meta l4proto tcp redirect to :15001",
                "prerouting: meta iiftype loopback return",
                "prerouting: meta l4proto tcp redirect to :15006",
            ],
        ),
        (
            "everything, IPv4",
            &[
                "--outbound-port=1",
                "--inbound-port=65535",
                "--proxy-uid=0",
                "--skip-inbound-ports=15020,22,22",
                "--skip-outbound-ports=5432,53",
                "--skip-outbound-cidrs=10.0.0.0/8,fd00::/8,0.0.0.0/0",
            ],
            Family::Ipv4,
            &[
                "output: meta skuid 0 return",
                "output: meta oiftype loopback return",
                "output: tcp dport 53 return",
                "output: tcp dport 5432 return",
                "output: ip daddr 0.0.0.0/0 return",
                "output: ip daddr 10.0.0.0/8 return",
                "output: meta l4proto tcp redirect to :1",
                "prerouting: meta iiftype loopback return",
                "prerouting: tcp dport 22 return",
                "prerouting: tcp dport 15020 return",
                "prerouting: meta l4proto tcp redirect to :65535",
            ],
        ),
        (
            "networks of the other family are left out",
            &["--skip-outbound-cidrs=10.0.0.0/8,fd00::/8"],
            Family::Ipv6,
            &[
                "output: meta skuid 1337 return",
                "output: meta oiftype loopback return",
                "output: tcp dport 53 return",
                "output: ip6 daddr fd00::/8 return",
                "output: meta l4proto tcp redirect to :15001",
                "prerouting: meta iiftype loopback return",
                "prerouting: meta l4proto tcp redirect to :15006",
            ],
        ),
        (
            "a single address",
            &["--skip-outbound-cidrs=::1/128", "--skip-outbound-cidrs=fd00::7/128"],
            Family::Ipv6,
            &[
                "output: meta skuid 1337 return",
                "output: meta oiftype loopback return",
                "output: tcp dport 53 return",
                "output: ip6 daddr ::1/128 return",
                "output: ip6 daddr fd00::7/128 return",
                "output: meta l4proto tcp redirect to :15001",
                "prerouting: meta iiftype loopback return",
                "prerouting: meta l4proto tcp redirect to :15006",
            ],
        ),
    ];
    for (name, arguments, family, want) in cases {
        assert_eq!(rules(&parse(arguments).unwrap(), family), want, "{name}");
    }
}

#[test]
fn bad_options_are_named() {
    for (name, argument, want) in [
        ("port 0", "--outbound-port=0", "'0' for '--outbound-port"),
        ("port above", "--inbound-port=65536", "'65536' for '--inbound-port"),
        ("no port", "--skip-inbound-ports=http", "'http' for '--skip-inbound-ports"),
        ("empty list", "--skip-outbound-ports=", "'' for '--skip-outbound-ports"),
        ("one bad of two", "--skip-outbound-ports=80,x", "'x' for '--skip-outbound-ports"),
        ("negative user", "--proxy-uid=-1", "'-1' for '--proxy-uid"),
        ("no network", "--skip-outbound-cidrs=example.org", "not an IPv4 or IPv6 network such as 10.0.0.0/8"),
        ("no prefix", "--skip-outbound-cidrs=10.0.0.1", "not an IPv4 or IPv6 network such as 10.0.0.0/8"),
        ("long prefix", "--skip-outbound-cidrs=10.0.0.0/33", "not an IPv4 or IPv6 network such as 10.0.0.0/8"),
        ("host bits", "--skip-outbound-cidrs=10.1.2.3/8", "write 10.0.0.0/8"),
        ("host bits, IPv6", "--skip-outbound-cidrs=fd00::1/8", "write fd00::/8"),
    ] {
        let error = parse(&[argument]).unwrap_err().to_string();
        assert!(error.contains(want), "{name}: {error}");
    }
}

#[test]
fn one_port_for_both_directions_is_refused() {
    let options = parse(&["--outbound-port=15006"]).unwrap();
    assert!(matches!(run(&options), Err(Error::SamePort(port)) if port.get() == 15006));
}

#[test]
fn refusals_say_what_to_do() {
    let refused = |errno| NetlinkError::Refused { step: "to add the table ip weft".to_owned(), errno };
    for (name, error, want) in [
        (
            "capability",
            refused(Errno::EPERM),
            "to add the table ip weft: not permitted: the container needs the capability NET_ADMIN",
        ),
        ("no nf_tables", refused(Errno::EOPNOTSUPP), "load the modules nf_tables, nft_chain_nat and nft_redir"),
        ("no nat chain", refused(Errno::ENOENT), "load the modules nf_tables, nft_chain_nat and nft_redir"),
        ("other", refused(Errno::EINVAL), "the kernel refused to add the table ip weft: EINVAL"),
        (
            "too many",
            NetlinkError::Send { bytes: 300_000, errno: Errno::EMSGSIZE },
            "too many for the kernel (300000 bytes)",
        ),
        ("no netlink", NetlinkError::Open(Errno::EPROTONOSUPPORT), "load the modules nf_tables"),
        ("sandbox", NetlinkError::Open(Errno::EACCES), "cannot open a netlink socket to nf_tables: EACCES"),
    ] {
        let message = Error::from(error).to_string();
        assert!(message.contains(want), "{name}: {message}");
    }
}

#[test]
fn missing_ipv6_rules_are_an_error_only_to_a_pod_with_ipv6() {
    const LOOPBACK: &str = "00000000000000000000000000000001 01 80 10 80       lo\n";
    const LINK_LOCAL: &str = "fe80000000000000020000fffe000001 02 40 20 80     eth0\n";
    let unsupported = || Err(Error::Unsupported { step: String::new(), errno: Errno::EOPNOTSUPP });
    let listed = |list: &str| Ok(list.to_owned());
    for (name, installed, addresses, want) in [
        ("installed", Ok(()), listed(LINK_LOCAL), Some(true)),
        ("installed without addresses", Ok(()), listed(""), Some(true)),
        ("no IPv6 in the kernel", unsupported(), listed(""), Some(false)),
        ("only the loopback", unsupported(), listed(LOOPBACK), Some(false)),
        ("an address", unsupported(), listed(&[LOOPBACK, LINK_LOCAL].concat()), None),
        ("unreadable", unsupported(), Err(io::Error::from(io::ErrorKind::PermissionDenied)), None),
        ("another refusal", Err(Error::NotPermitted { step: String::new() }), listed(""), None),
    ] {
        assert_eq!(unless_absent(installed, &addresses).ok(), want, "{name}");
    }
}
