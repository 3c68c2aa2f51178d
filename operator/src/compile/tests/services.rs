//! Every sort of Service as a root or a backend.

use super::*;

#[test]
fn an_external_name_is_refused_with_a_reason() {
    let root = "ExternalName: spec.service: root service far is an ExternalName, which no proxy can split; name a service \
                with a cluster address or a headless one";
    let backend = "ExternalName: spec.backends: backend service far is an ExternalName, which has no endpoints; the others \
                   share its traffic; name a service with endpoints";
    let world = world().external("far").split("root", 1, "far", &[("web-v1", 1)]).split(
        "backend",
        1,
        "web",
        &[("web-v1", 90), ("far", 10)],
    );
    assert_eq!(world.findings("root"), [root]);
    assert_eq!(world.findings("backend"), [backend]);
    assert_eq!(world.backends("10.0.0.1:80"), (Some("backend".to_owned()), vec![V1.to_owned()]));
    let by_name = Target::Authority { namespace: NAMESPACE.to_owned(), host: "far".to_owned(), port: port(80) };
    assert_eq!(destination(&world.0, &mesh(), &by_name), Destination::Unknown, "it is not headless");
}

#[test]
fn every_spelling_of_a_root_and_of_an_authority_is_the_same_service() {
    let spellings = [
        "db",
        "db.",
        "db.shop",
        "db.shop.",
        "db.shop.svc",
        "db.shop.svc.",
        "db.shop.svc.cluster.local",
        "db.shop.svc.cluster.local.",
    ];
    for root in spellings {
        let world = world().service("db", None, &[80], &["10.1.0.9"]).split("s", 1, root, &[("web-v1", 1)]);
        for host in spellings {
            let host = host.trim_end_matches('.').to_owned();
            let target = Target::Authority { namespace: NAMESPACE.to_owned(), host: host.clone(), port: port(80) };
            let Destination::Service(found) = destination(&world.0, &mesh(), &target) else { panic!("{host}") };
            assert_eq!(found.split.map(|split| split.split.name).as_deref(), Some("s"), "{root} as {host}");
        }
    }
}

#[test]
fn a_service_without_selector_has_the_endpoints_of_its_slices() {
    let mut world = world().split("s", 1, "web", &[("web-hand", 1)]);
    let ports = vec![Port { name: String::new(), port: port(80) }];
    let service =
        Service { cluster_ips: vec!["10.0.0.9".parse().unwrap()], external: false, ports, opaque_ports: None };
    world.0.apply_service(service_ref("web-hand"), service);
    let slice = Slice {
        ports: [(String::new(), port(9999))].into(),
        ready: vec![SliceEndpoint { address: "192.0.2.7".parse().unwrap(), pod: None }],
    };
    world.0.apply_slice(service_ref("web-hand"), "by-hand".to_owned(), slice);
    assert_eq!(world.backends("10.0.0.1:80").1, ["web-hand 1 [192.0.2.7:9999]"]);
    assert_eq!(world.findings("s"), Vec::<String>::new());
}

#[test]
fn ports_go_by_number_whatever_their_names_and_targets() {
    let mut world =
        world().service("multi", Some("10.0.0.8"), &[80, 90], &["10.1.0.1"]).split("s", 1, "multi", &[("multi-v1", 1)]);
    // The root's ports are called p80 and p90 and lead to 8080 and 8090; the backend's have other names and targets.
    let named = |name: &str, number| Port { name: name.to_owned(), port: port(number) };
    let service = Service {
        cluster_ips: Vec::new(),
        external: false,
        ports: vec![named("http", 80), named("p80", 90)],
        opaque_ports: None,
    };
    world.0.apply_service(service_ref("multi-v1"), service);
    let slice = Slice {
        ports: [("http".to_owned(), port(3000)), ("p80".to_owned(), port(3001))].into(),
        ready: vec![SliceEndpoint { address: "10.1.0.2".parse().unwrap(), pod: None }],
    };
    world.0.apply_slice(service_ref("multi-v1"), "1".to_owned(), slice);
    assert_eq!(world.backends("10.0.0.8:80").1, ["multi-v1 1 [10.1.0.2:3000]"]);
    assert_eq!(world.backends("10.0.0.8:90").1, ["multi-v1 1 [10.1.0.2:3001]"]);
    assert_eq!(world.findings("s"), Vec::<String>::new());
}
