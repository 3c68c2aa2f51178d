//! Proof with real sockets that the kernel does what the rules say, in network namespaces of the test's own.

use std::{
    fmt,
    io::{Read, Write},
    net::{SocketAddr, SocketAddrV4, SocketAddrV6, TcpListener, TcpStream},
    os::fd::AsRawFd,
    thread,
    time::Duration,
};

use nix::{
    sys::socket::{
        AddressFamily, GetSockOpt, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, SockaddrIn, SockaddrIn6,
        getsockopt, recv, sendto, socket, sockopt,
    },
    unistd::{Uid, setfsuid},
};

use super::{Family, Options, namespace::Namespace, parse, rules, run};

const PROXY_UID: u32 = 1337;
const APPLICATION_UID: u32 = 1000;
/// Each fixed port is in a namespace that nobody else is in.
const SERVICE: u16 = 8080;
const SKIPPED_OUTBOUND: u16 = 5432;
const SKIPPED_INBOUND: u16 = 15020;

/// A pod and its peer. The peer serves everything the pod connects to; every server says who it is.
struct Network {
    pod: Namespace,
    peer: Namespace,
}

impl Network {
    fn new() -> Self {
        let (pod, peer) = (Namespace::new(), Namespace::new());
        pod.ip(&format!("link add eth0 type veth peer name eth0 netns {}", peer.path()));
        for (namespace, addresses) in [
            (&pod, &["10.77.0.2/24", "fd77::2/64"][..]),
            (&peer, &["10.77.0.1/24", "fd77::1/64", "10.88.255.1/32", "10.89.0.1/32", "fd88::1/128", "fd89::1/128"]),
        ] {
            namespace.ip("link set eth0 up");
            for address in addresses {
                // An IPv6 address is not used before its uniqueness is checked, which takes a second.
                let nodad = if address.contains(':') { " nodad" } else { "" };
                namespace.ip(&format!("addr add {address} dev eth0{nodad}"));
            }
        }
        pod.ip("route add default via 10.77.0.1");
        pod.ip("-6 route add default via fd77::1");
        for port in [53, SERVICE, SKIPPED_OUTBOUND] {
            serve(&peer, &format!("[::]:{port}"), |_| "peer".to_owned());
        }
        for port in [SERVICE, SKIPPED_INBOUND] {
            serve(&pod, &format!("[::]:{port}"), |_| "pod".to_owned());
        }
        // Redirected traffic reaches the loopback when it is leaving, and the interface's own address when it is arriving.
        for (name, port, addresses) in
            [("outbound", 15001, ["127.0.0.1", "[::1]"]), ("inbound", 15006, ["10.77.0.2", "[fd77::2]"])]
        {
            for address in addresses {
                serve(&pod, &format!("{address}:{port}"), move |stream| {
                    format!("{name}, was {}", original_destination(stream))
                });
            }
        }
        Self { pod, peer }
    }

    fn install(&self, arguments: &[&str]) -> Options {
        let options = parse(arguments).unwrap();
        self.pod.run(|| run(&options)).unwrap();
        options
    }

    /// Who answers when a process of this user in the pod connects to an address.
    fn pod_reaches(&self, user: u32, to: &str) -> String {
        self.pod.run(|| connect(user, to))
    }

    /// Who answers when somebody outside of the pod connects to it.
    fn peer_reaches(&self, to: &str) -> String {
        self.peer.run(|| connect(0, to))
    }
}

/// Answers every connection, as long as the test runs, with what `answer` makes of it.
fn serve(namespace: &Namespace, address: &str, answer: impl Fn(&TcpStream) -> String + Send + 'static) {
    let listener = namespace.run(|| TcpListener::bind(address)).unwrap();
    // A listener stays in the namespace that it was made in.
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let text = answer(&stream);
            (&stream).write_all(text.as_bytes()).unwrap();
        }
    });
}

fn connect(user: u32, to: &str) -> String {
    // A socket belongs to the filesystem user of the thread that makes it, and each thread has its own.
    setfsuid(Uid::from_raw(user));
    let to: SocketAddr = to.parse().unwrap();
    let mut answer = String::new();
    match TcpStream::connect_timeout(&to, Duration::from_secs(20))
        .and_then(|mut stream| stream.read_to_string(&mut answer))
    {
        Ok(_) => answer,
        Err(error) => error.to_string(),
    }
}

fn original_destination(stream: &TcpStream) -> String {
    fn read<O: GetSockOpt>(stream: &TcpStream, option: O) -> O::Val
    where
        O::Val: fmt::Debug,
    {
        getsockopt(stream, option).unwrap()
    }
    match stream.local_addr().unwrap() {
        SocketAddr::V4(_) => SocketAddrV4::from(SockaddrIn::from(read(stream, sockopt::OriginalDst))).to_string(),
        SocketAddr::V6(_) => SocketAddrV6::from(SockaddrIn6::from(read(stream, sockopt::Ip6tOriginalDst))).to_string(),
    }
}

#[test]
fn traffic_goes_through_the_sidecar_unless_it_is_skipped() {
    let network = Network::new();
    assert_eq!(network.pod_reaches(APPLICATION_UID, "10.77.0.1:8080"), "peer", "before the rules are there");
    network.install(&[
        "--skip-inbound-ports=15020",
        "--skip-outbound-ports=5432",
        "--skip-outbound-cidrs=10.88.0.0/16,fd88::/16",
    ]);
    for (name, user, to, want) in [
        ("IPv4", APPLICATION_UID, "10.77.0.1:8080", "outbound, was 10.77.0.1:8080"),
        ("IPv6", APPLICATION_UID, "[fd77::1]:8080", "outbound, was [fd77::1]:8080"),
        ("root is no exception", 0, "10.77.0.1:8080", "outbound, was 10.77.0.1:8080"),
        ("nobody listens there", APPLICATION_UID, "10.77.0.9:81", "outbound, was 10.77.0.9:81"),
        ("the sidecar, IPv4", PROXY_UID, "10.77.0.1:8080", "peer"),
        ("the sidecar, IPv6", PROXY_UID, "[fd77::1]:8080", "peer"),
        ("loopback, IPv4", APPLICATION_UID, "127.0.0.1:8080", "pod"),
        ("loopback, IPv6", APPLICATION_UID, "[::1]:8080", "pod"),
        ("own address, IPv4", APPLICATION_UID, "10.77.0.2:8080", "pod"),
        ("own address, IPv6", APPLICATION_UID, "[fd77::2]:8080", "pod"),
        ("skipped port, IPv4", APPLICATION_UID, "10.77.0.1:5432", "peer"),
        ("skipped port, IPv6", APPLICATION_UID, "[fd77::1]:5432", "peer"),
        ("DNS, IPv4", APPLICATION_UID, "10.77.0.1:53", "peer"),
        ("DNS, IPv6", APPLICATION_UID, "[fd77::1]:53", "peer"),
        ("skipped network, IPv4", APPLICATION_UID, "10.88.255.1:8080", "peer"),
        ("skipped network, IPv6", APPLICATION_UID, "[fd88::1]:8080", "peer"),
        ("beside the skipped network, IPv4", APPLICATION_UID, "10.89.0.1:8080", "outbound, was 10.89.0.1:8080"),
        ("beside the skipped network, IPv6", APPLICATION_UID, "[fd89::1]:8080", "outbound, was [fd89::1]:8080"),
        ("a port skipped inbound only", APPLICATION_UID, "10.77.0.1:15020", "outbound, was 10.77.0.1:15020"),
    ] {
        assert_eq!(network.pod_reaches(user, to), want, "{name}");
    }
    for (name, to, want) in [
        ("IPv4", "10.77.0.2:8080", "inbound, was 10.77.0.2:8080"),
        ("IPv6", "[fd77::2]:8080", "inbound, was [fd77::2]:8080"),
        ("a port skipped outbound only", "10.77.0.2:5432", "inbound, was 10.77.0.2:5432"),
        ("DNS", "10.77.0.2:53", "inbound, was 10.77.0.2:53"),
        ("skipped port, IPv4", "10.77.0.2:15020", "pod"),
        ("skipped port, IPv6", "[fd77::2]:15020", "pod"),
    ] {
        assert_eq!(network.peer_reaches(to), want, "{name}");
    }
}

#[test]
fn writing_again_replaces_what_was_there() {
    let network = Network::new();
    let first = ["--skip-outbound-ports=8080", "--skip-inbound-ports=15020"];
    for attempt in ["first", "second"] {
        let options = network.install(&first);
        for family in [Family::Ipv4, Family::Ipv6] {
            let installed = network.pod.run(|| installed_rules(family));
            assert_eq!(installed, rules(&options, family).len(), "{attempt} time, {family}");
        }
    }
    assert_eq!(network.pod_reaches(APPLICATION_UID, "10.77.0.1:8080"), "peer");
    assert_eq!(network.pod_reaches(APPLICATION_UID, "[fd77::1]:8080"), "peer");

    network.install(&[]);
    assert_eq!(network.pod_reaches(APPLICATION_UID, "10.77.0.1:8080"), "outbound, was 10.77.0.1:8080");
    assert_eq!(network.pod_reaches(APPLICATION_UID, "[fd77::1]:8080"), "outbound, was [fd77::1]:8080");
    assert_eq!(network.peer_reaches("10.77.0.2:15020"), "inbound, was 10.77.0.2:15020");
}

/// How many rules of a family the thread's network namespace has.
fn installed_rules(family: Family) -> usize {
    const NEW_RULE: u16 = 10 << 8 | 6;
    const GET_RULE: u16 = 10 << 8 | 7;
    const REQUEST_DUMP: u16 = 0x1 | 0x300;
    let family = match family {
        Family::Ipv4 => 2,
        Family::Ipv6 => 10,
    };
    let netlink =
        socket(AddressFamily::Netlink, SockType::Raw, SockFlag::SOCK_CLOEXEC, SockProtocol::NetlinkNetFilter).unwrap();
    let request =
        [&20_u32.to_ne_bytes()[..], &GET_RULE.to_ne_bytes(), &REQUEST_DUMP.to_ne_bytes(), &[0; 8], &[family, 0, 0, 0]]
            .concat();
    sendto(netlink.as_raw_fd(), &request, &NetlinkAddr::new(0, 0), MsgFlags::empty()).unwrap();
    let mut count = 0;
    let mut reply = vec![0; 1 << 20];
    while let Ok(length @ 1..) = recv(netlink.as_raw_fd(), &mut reply, MsgFlags::MSG_DONTWAIT) {
        let mut rest = &reply[..length];
        while rest.len() >= 16 {
            let message = u32::from_ne_bytes(rest[..4].try_into().unwrap()) as usize;
            count += usize::from(rest[4..6] == NEW_RULE.to_ne_bytes());
            rest = &rest[message.next_multiple_of(4).min(rest.len())..];
        }
    }
    count
}
