//! Every part that can be wrong, and what is said about it.

use super::*;

fn name(name: &str) -> v1::ServiceName {
    v1::ServiceName { namespace: "shop".to_owned(), name: name.to_owned() }
}

fn socket(ip: &[u8], port: u32) -> v1::SocketAddress {
    v1::SocketAddress { ip: ip.to_vec(), port }
}

fn endpoint() -> v1::Endpoint {
    v1::Endpoint {
        address: Some(socket(&[10, 1, 0, 1], 8080)),
        workload: Some(v1::Workload {
            namespace: "shop".to_owned(),
            kind: "Deployment".to_owned(),
            name: "web".to_owned(),
        }),
        pod: "web-1".to_owned(),
        meshed: true,
        identity: "spiffe://cluster.local/ns/shop/sa/web".to_owned(),
    }
}

fn backend() -> v1::Backend {
    v1::Backend { name: Some(name("web-v1")), weight: 1, endpoints: vec![endpoint()] }
}

fn service() -> v1::Service {
    let split = v1::Split { namespace: "shop".to_owned(), name: "canary".to_owned(), generation: 3 };
    let one =
        v1::HttpMatch { name: "insiders".to_owned(), path_regex: Some("/a".to_owned()), ..v1::HttpMatch::default() };
    let conditional = v1::ConditionalSplit {
        split: Some(v1::Split { name: "insiders".to_owned(), ..split.clone() }),
        matches: vec![one],
        backends: vec![backend()],
    };
    v1::Service {
        name: Some(name("web")),
        port: 80,
        opaque: false,
        split: Some(split),
        backends: vec![backend()],
        conditional: vec![conditional],
    }
}

fn decode_service(change: impl FnOnce(&mut v1::Service)) -> Result<Destination, InvalidUpdate> {
    let mut service = service();
    change(&mut service);
    Some(v1::update::Destination::Service(service)).try_into()
}

fn decode_endpoint(change: impl FnOnce(&mut v1::Endpoint)) -> Result<Destination, InvalidUpdate> {
    let mut endpoint = endpoint();
    change(&mut endpoint);
    decode_service(|service| service.backends[0].endpoints.push(endpoint))
}

#[test]
fn reads_what_is_right() {
    let Ok(Destination::Service(service)) = decode_service(|_| {}) else { panic!("refused") };
    assert_eq!((service.name.to_string(), service.port.get()), ("shop/web".to_owned(), 80));
    assert_eq!(service.split.map(|split| split.generation), Some(3));
    assert_eq!(service.conditional[0].matches[0].name(), "insiders");
    assert!(decode_service(|service| service.conditional[0].matches.clear()).is_ok(), "splits nothing");
    let endpoint = &service.backends[0].endpoints[0];
    assert_eq!(endpoint.address.to_string(), "10.1.0.1:8080");
    assert_eq!(endpoint.workload.as_ref().map(|workload| &*workload.kind), Some("Deployment"));
    assert!(decode_endpoint(|endpoint| endpoint.workload = None).is_ok());
    assert!(decode_endpoint(|endpoint| endpoint.address = Some(socket(&[0xfd; 16], 65535))).is_ok());
    assert_eq!(Destination::try_from(Some(v1::update::Destination::Unknown(v1::Unknown {}))), Ok(Destination::Unknown));
}

#[test]
fn refuses_the_whole_update_for_one_wrong_part() {
    let pod =
        |endpoint| Some(v1::update::Destination::Pod(v1::PodPort { endpoint, opaque: false, by_authority: true }));
    for (name, got, want) in [
        ("empty", None.try_into(), "the update has no destination"),
        ("no name", decode_service(|s| s.name = None), "service: it has no name"),
        (
            "half a name",
            decode_service(|s| s.name = Some(v1::ServiceName::default())),
            r#"service: the service ""/"" is not fully named"#,
        ),
        ("port 0", decode_service(|s| s.port = 0), "service: 0 is not a port from 1 to 65535"),
        ("port too large", decode_service(|s| s.port = 65536), "service: 65536 is not a port from 1 to 65535"),
        (
            "split without a name",
            decode_service(|s| s.split = Some(v1::Split::default())),
            r#"service: the split ""/"" is not fully named"#,
        ),
        ("no backends", decode_service(|s| s.backends.clear()), "service: it has no backends"),
        ("backend without a name", decode_service(|s| s.backends[0].name = None), "service: backend 0: it has no name"),
        (
            "no weight",
            decode_service(|s| s.backends[0].weight = 0),
            "service: no backend of the split has a weight above 0",
        ),
        (
            "too much weight",
            decode_service(|s| s.backends.extend([u64::MAX, 2].map(|weight| v1::Backend { weight, ..backend() }))),
            "service: the weights of the split add up to more than 18446744073709551615",
        ),
        (
            "sidecar without an identity",
            decode_endpoint(|e| e.identity = String::new()),
            "service: backend 0: endpoint 1: its identity: \"\" is not spiffe://TRUST-DOMAIN/ns/NAMESPACE/sa/SERVICE-ACCOUNT",
        ),
        (
            "identity without a sidecar",
            decode_endpoint(|e| e.meshed = false),
            "service: backend 0: endpoint 1: it has the identity \"spiffe://cluster.local/ns/shop/sa/web\" but no sidecar",
        ),
        (
            "conditional split without a name",
            decode_service(|s| s.conditional[0].split = None),
            "service: conditional split 0: it has no name",
        ),
        (
            "conditional split without backends",
            decode_service(|s| s.conditional[0].backends.clear()),
            "service: conditional split 0: it has no backends",
        ),
        (
            "pattern",
            decode_service(|s| s.conditional[0].matches[0].path_regex = Some("/(".to_owned())),
            "service: conditional split 0: match \"insiders\": pathRegex: \"/(\" is no regular expression in RE2 syntax: \
             unclosed group, at character 2",
        ),
        (
            "method",
            decode_service(|s| s.conditional[0].matches[0].methods.push("get".to_owned())),
            "service: conditional split 0: match \"insiders\": methods: \"get\" is no method, because methods are written \
             in upper case; write one such as GET, or \"*\" for any",
        ),
        ("no address", decode_endpoint(|e| e.address = None), "service: backend 0: endpoint 1: it has no address"),
        (
            "half an address",
            decode_endpoint(|e| e.address = Some(socket(&[10, 1], 80))),
            "service: backend 0: endpoint 1: an IP address has 4 or 16 bytes, not 2",
        ),
        (
            "address without a port",
            decode_endpoint(|e| e.address = Some(socket(&[10, 1, 0, 1], 0))),
            "service: backend 0: endpoint 1: 0 is not a port from 1 to 65535",
        ),
        (
            "workload without a name",
            decode_endpoint(|e| e.workload = Some(v1::Workload::default())),
            r#"service: backend 0: endpoint 1: the workload ""/"" is not fully named"#,
        ),
        ("pod without an endpoint", pod(None).try_into(), "pod: it has no endpoint"),
        (
            "pod without an address",
            pod(Some(v1::Endpoint { address: None, ..endpoint() })).try_into(),
            "pod: it has no address",
        ),
    ] {
        assert_eq!(got.map_err(|error| error.to_string()), Err(want.to_owned()), "{name}");
    }
}

#[test]
fn targets_come_back_as_they_went() {
    for target in [
        Target::Address("10.0.0.1:80".parse().unwrap()),
        Target::Address("[fd00::1]:65535".parse().unwrap()),
        Target::Authority { host: "web.shop".to_owned(), port: NonZeroU16::new(80).unwrap() },
    ] {
        assert_eq!(Target::try_from(v1::Target::from(&target)), Ok(target));
    }
}

#[test]
fn refuses_targets_that_nobody_asks_for() {
    let authority = |host: &str, port| v1::target::Target::Authority(v1::Authority { host: host.to_owned(), port });
    for (name, wire, want) in [
        ("empty", None, "the target is empty"),
        (
            "no ip",
            Some(v1::target::Target::Address(socket(&[], 80))),
            "address: an IP address has 4 or 16 bytes, not 0",
        ),
        (
            "upper case",
            Some(authority("Web", 80)),
            r#"the authority "Web" is not lower case, has a port or ends with a dot"#,
        ),
        ("port 0", Some(authority("web", 0)), "authority: 0 is not a port from 1 to 65535"),
    ] {
        let got = Target::try_from(v1::Target { target: wire }).map_err(|error| error.to_string());
        assert_eq!(got, Err(want.to_owned()), "{name}");
    }
}

#[test]
fn refuses_a_bootstrap_that_cannot_be_followed() {
    let wire = || v1::Bootstrap {
        workload: endpoint().workload,
        report_interval_milliseconds: 1000,
        latency_bounds_microseconds: vec![100, 200],
        idle_subscription_seconds: 60,
    };
    assert_eq!(Bootstrap::try_from(wire()).map(|bootstrap| bootstrap.report_interval), Ok(Duration::from_secs(1)));
    for (name, wire, want) in [
        ("no workload", v1::Bootstrap { workload: None, ..wire() }, "it names no workload"),
        (
            "too often",
            v1::Bootstrap { report_interval_milliseconds: 99, ..wire() },
            "99 ms is less than the 100 ms that reports must be apart",
        ),
        ("no bounds", v1::Bootstrap { latency_bounds_microseconds: vec![], ..wire() }, "it has no latency bounds"),
        (
            "bounds that stand still",
            v1::Bootstrap { latency_bounds_microseconds: vec![5, 5], ..wire() },
            "the latency bounds do not ascend: 5 us follows 5 us",
        ),
        (
            "no idle time",
            v1::Bootstrap { idle_subscription_seconds: 0, ..wire() },
            "subscriptions cannot be idle for 0 s",
        ),
    ] {
        assert_eq!(Bootstrap::try_from(wire).map_err(|error| error.to_string()), Err(want.to_owned()), "{name}");
    }
}
