//! Tables of what a sidecar and a user are told.

mod conditional;
mod services;

use std::{collections::BTreeMap, num::NonZeroU16};

use weft_policy::http::Conditions;

use super::*;
use crate::model::{
    Backend, GroupRef, Pod, Port, RouteGroup, Service, Slice, SliceEndpoint, Split, SplitBackend, SplitRef,
    WorkloadKind, WorkloadRef,
};

const NAMESPACE: &str = "shop";
/// Of every pod: connections to it go past the sidecar.
const SKIPPED_PORT: u16 = 9000;

fn mesh() -> Mesh {
    Mesh { cluster_domain: "cluster.local".to_owned(), trust_domain: "cluster.local".to_owned() }
}

fn service_ref(name: &str) -> ServiceRef {
    ServiceRef { namespace: NAMESPACE.to_owned(), name: name.to_owned() }
}

fn port(port: u16) -> NonZeroU16 {
    NonZeroU16::new(port).unwrap()
}

/// A cluster of Services that each have the port 80 and pods at the port 8080.
#[derive(Default)]
struct World(Snapshot);

impl World {
    fn service(mut self, name: &str, cluster_ip: Option<&str>, ports: &[u16], pods: &[&str]) -> Self {
        let cluster_ips = cluster_ip.iter().map(|ip| ip.parse().unwrap()).collect();
        let named = |number: &u16| Port { name: format!("p{number}"), port: port(*number) };
        let service =
            Service { cluster_ips, external: false, ports: ports.iter().map(named).collect(), opaque_ports: None };
        self.0.apply_service(service_ref(name), service);
        let ready = |ip: &&str| {
            let pod = PodRef { namespace: NAMESPACE.to_owned(), name: format!("pod-{ip}") };
            SliceEndpoint { address: ip.parse().unwrap(), pod: Some(pod) }
        };
        let slice = Slice {
            ports: ports.iter().map(|number| (format!("p{number}"), port(8000 + *number))).collect(),
            ready: pods.iter().map(ready).collect(),
        };
        self.0.apply_slice(service_ref(name), format!("{name}-1"), slice);
        self
    }

    fn pod(mut self, ip: &str, meshed: bool) -> Self {
        let name = PodRef { namespace: NAMESPACE.to_owned(), name: format!("pod-{ip}") };
        let workload =
            WorkloadRef { namespace: NAMESPACE.to_owned(), kind: WorkloadKind::Deployment, name: "web".to_owned() };
        let service_account = "web".to_owned();
        let uid = format!("uid-{ip}");
        let (ips, skipped_ports) = (vec![ip.parse().unwrap()], [SKIPPED_PORT].into());
        self.0.apply_pod(
            name,
            Pod { uid, ips, workload, service_account, labels: BTreeMap::new(), meshed, skipped_ports },
        );
        self
    }

    fn split(mut self, name: &str, created: i64, root: &str, backends: &[(&str, u64)]) -> Self {
        let backends =
            backends.iter().map(|(service, weight)| SplitBackend { service: (*service).to_owned(), weight: *weight });
        let split = Split {
            uid: String::new(),
            generation: 7,
            created,
            service: root.to_owned(),
            matches: Vec::new(),
            backends: backends.collect(),
        };
        self.0.splits.insert(SplitRef { namespace: NAMESPACE.to_owned(), name: name.to_owned() }, split);
        self
    }

    /// The split `name` is limited to these route groups.
    fn matching(mut self, name: &str, groups: &[&str]) -> Self {
        let name = SplitRef { namespace: NAMESPACE.to_owned(), name: name.to_owned() };
        let matches = groups.iter().map(|group| (*group).to_owned()).collect();
        let split = Split { matches, ..self.0.splits[&name].clone() };
        self.0.splits.insert(name, split);
        self
    }

    /// A route group with a match for each path.
    fn group(mut self, name: &str, generation: i64, paths: &[&str]) -> Self {
        let matches = paths.iter().enumerate().map(|(position, path)| Conditions {
            name: format!("{name}-{position}"),
            path_regex: Some((*path).to_owned()),
            ..Conditions::default()
        });
        let group = RouteGroup::new(format!("uid-{name}"), generation, matches.collect());
        self.0.route_groups.insert(GroupRef { namespace: NAMESPACE.to_owned(), name: name.to_owned() }, group);
        self
    }

    /// A Service that is the name of a host elsewhere.
    fn external(mut self, name: &str) -> Self {
        let ports = vec![Port { name: String::new(), port: port(80) }];
        let service = Service { cluster_ips: Vec::new(), external: true, ports, opaque_ports: None };
        self.0.apply_service(service_ref(name), service);
        self
    }

    fn at(&self, address: &str) -> Destination {
        destination(&self.0, &mesh(), &Target::Address(address.parse().unwrap()))
    }

    /// Split and backends of a Service's port, as text.
    fn backends(&self, address: &str) -> (Option<String>, Vec<String>) {
        let Destination::Service(found) = self.at(address) else { panic!("{address} is not a service") };
        let text = |backend: &Backend| {
            let endpoints: Vec<String> =
                backend.endpoints.iter().map(|endpoint| endpoint.address.to_string()).collect();
            format!("{} {} [{}]", backend.service.name, backend.weight, endpoints.join(" "))
        };
        (found.split.map(|split| split.split.name), found.backends.iter().map(text).collect())
    }

    fn findings(&self, split: &str) -> Vec<String> {
        let name = SplitRef { namespace: NAMESPACE.to_owned(), name: split.to_owned() };
        judge(&self.0, &mesh(), &name)
            .findings
            .iter()
            .map(|finding| format!("{}: {finding}", finding.reason()))
            .collect()
    }
}

/// `web` at 10.0.0.1 with all pods, `web-v1` and `web-v2` with one each, and two Services that cannot serve.
fn world() -> World {
    World::default()
        .service("web", Some("10.0.0.1"), &[80], &["10.1.0.1", "10.1.0.2"])
        .service("web-v1", Some("10.0.0.2"), &[80], &["10.1.0.1"])
        .service("web-v2", Some("10.0.0.3"), &[80], &["10.1.0.2"])
        .service("web-idle", Some("10.0.0.4"), &[80], &[])
        .service("web-rest", Some("10.0.0.5"), &[90], &["10.1.0.3"])
}

const OWN: &str = "web 1 [10.1.0.1:8080 10.1.0.2:8080]";
const V1: &str = "web-v1 90 [10.1.0.1:8080]";

#[test]
fn splits_by_weight() {
    let missing = "BackendNotFound: spec.backends: backend service web-gone does not exist in namespace shop; the others \
                   share its traffic";
    let rest = "PortNotFound: spec.backends: backend service web-rest has no port 80 of its root service web; the others \
                share its traffic";
    let idle = "NoReadyEndpoints: spec.backends: backend service web-idle has no ready endpoints for port 80; the others \
                share its traffic";
    let last = "NoReadyEndpoints: spec.backends: backend service web-idle has no ready endpoints for port 80; no backend is \
                left and requests get 503";
    let zero = "ZeroWeight: all weights are 0, so root service web serves by its own endpoints";
    for (name, root, split, backends, findings) in [
        ("both", "web", &[("web-v1", 90), ("web-v2", 10)][..], &[V1, "web-v2 10 [10.1.0.2:8080]"][..], &[][..]),
        ("full name", "web.shop.svc.cluster.local.", &[("web-v1", 90)], &[V1], &[]),
        ("zero takes none", "web", &[("web-v1", 90), ("web-v2", 0)], &[V1], &[]),
        ("missing", "web", &[("web-v1", 90), ("web-gone", 10)], &[V1], &[missing]),
        ("without the port", "web", &[("web-v1", 90), ("web-rest", 10)], &[V1], &[rest]),
        ("without endpoints", "web", &[("web-v1", 90), ("web-idle", 10)], &[V1], &[idle]),
        ("idle at zero is normal", "web", &[("web-v1", 90), ("web-idle", 0)], &[V1], &[]),
        ("all zero", "web", &[("web-v1", 0), ("web-v2", 0)], &[OWN], &[zero]),
        ("the root itself", "web", &[("web-v1", 90), ("web", 10)], &[V1, "web 10 [10.1.0.1:8080 10.1.0.2:8080]"], &[]),
        ("none can serve", "web", &[("web-v2", 0), ("web-idle", 10)], &["web-idle 10 []"], &[last]),
    ] {
        let world = world().split("s", 1, root, split);
        let (applied, got) = world.backends("10.0.0.1:80");
        assert_eq!(applied.as_deref(), Some("s"), "{name}");
        assert_eq!(got, backends, "{name}");
        assert_eq!(world.findings("s"), findings, "{name}");
    }
}

#[test]
fn what_becomes_of_a_share_is_told_by_port() {
    let world = world()
        .service("pair", Some("10.0.0.9"), &[80, 81], &["10.1.0.1"])
        .service("half", Some("10.0.0.10"), &[80], &["10.1.0.1"])
        .split("s", 1, "pair", &[("half", 1), ("gone", 1)]);
    assert_eq!(
        world.findings("s"),
        [
            "PortNotFound: spec.backends: backend service half has no port 81 of its root service pair; no backend is left and \
             requests get 503",
            "BackendNotFound: spec.backends: backend service gone does not exist in namespace shop; the others share its traffic",
        ]
    );
}

#[test]
fn a_split_that_is_not_accepted_changes_nothing() {
    for (name, root, reason) in
        [("another namespace", "web.other", "InvalidRoot"), ("no service name", "web.shop.example.org", "InvalidRoot")]
    {
        let world = world().split("s", 1, root, &[("web-v1", 90)]);
        assert_eq!(world.backends("10.0.0.1:80"), (None, vec![OWN.to_owned()]), "{name}");
        assert!(world.findings("s")[0].starts_with(reason), "{name}: {:?}", world.findings("s"));
    }
}

#[test]
fn the_oldest_split_of_a_root_is_in_force() {
    for (name, first, second, winner) in [("older", 2, 1, "b"), ("same second", 1, 1, "a")] {
        let world = world().split("a", first, "web", &[("web-v1", 90)]).split("b", second, "web", &[("web-v1", 90)]);
        assert_eq!(world.backends("10.0.0.1:80").0.as_deref(), Some(winner), "{name}");
        let loser = if winner == "a" { "b" } else { "a" };
        assert_eq!(world.findings(winner), Vec::<String>::new(), "{name}");
        let conflict =
            format!("Conflicted: root service web is split by the older TrafficSplit {winner}; delete one of the two");
        assert_eq!(world.findings(loser), [conflict], "{name}");
    }
}

#[test]
fn a_backend_that_is_a_root_is_not_split_again() {
    let world = world().split("outer", 1, "web", &[("web-v1", 90)]).split("inner", 1, "web-v1", &[("web-v2", 1)]);
    assert_eq!(world.backends("10.0.0.1:80").1, [V1]);
    assert_eq!(world.backends("10.0.0.2:80").1, ["web-v2 1 [10.1.0.2:8080]"]);
}

#[test]
fn knows_pods_and_headless_services() {
    let world = world()
        .service("db", None, &[80], &["10.1.0.9"])
        .split("s", 1, "db", &[("web-v1", 90)])
        .split("t", 1, "web", &[("web-v1", 90)])
        .pod("10.1.0.9", true)
        .pod("10.1.0.1", false);
    let pod = |address: &str| match world.at(address) {
        Destination::Pod(port) => (port.by_authority, port.opaque, port.endpoint.identity),
        other => panic!("{address}: {other:?}"),
    };
    let identity = Some("spiffe://cluster.local/ns/shop/sa/web".to_owned());
    assert_eq!(pod("10.1.0.9:8080"), (true, false, identity.clone()));
    assert_eq!(pod("10.1.0.9:3306"), (false, true, identity), "another port, of a protocol that is not looked at");
    assert_eq!(pod("10.1.0.9:9000"), (false, false, None), "a port at which nobody speaks the mesh's protocol");
    assert_eq!(pod("10.1.0.1:8080"), (false, false, None), "no headless service leads here");

    for (name, host, number, want) in [
        ("short", "db", 80, true),
        ("target port", "db", 8080, true),
        ("with namespace", "db.shop", 80, true),
        ("no such port", "db", 81, false),
        ("no such service", "dc", 80, false),
        ("has an address of its own", "web", 80, false),
        ("outside", "db.example.org", 80, false),
    ] {
        let target = Target::Authority { namespace: NAMESPACE.to_owned(), host: host.to_owned(), port: port(number) };
        let found = destination(&world.0, &mesh(), &target);
        let split = matches!(&found, Destination::Service(found) if found.split.is_some());
        assert_eq!(split, want, "{name}: {found:?}");
    }
}

#[test]
fn what_is_not_known_is_said_to_be_unknown() {
    for (name, address) in [("outside", "192.0.2.1:80"), ("port of no service", "10.0.0.1:81")] {
        assert_eq!(world().at(address), Destination::Unknown, "{name}");
    }
}

#[test]
fn prefers_the_address_family_of_the_target() {
    let mut world = world().service("six", Some("10.0.0.6"), &[80], &["10.1.0.1", "fd00::1"]);
    assert_eq!(world.backends("10.0.0.6:80").1, ["six 1 [10.1.0.1:8080]"]);
    let only_v6 = world.0.slices.get_mut(&service_ref("six")).unwrap().get_mut("six-1").unwrap();
    only_v6.ready.remove(0);
    assert_eq!(world.backends("10.0.0.6:80").1, ["six 1 [[fd00::1]:8080]"], "one of the other is better than none");
}

#[test]
fn the_same_pod_in_two_slices_is_one_endpoint() {
    let mut world = world();
    let slice = world.0.slices[&service_ref("web-v1")]["web-v1-1"].clone();
    world.0.apply_slice(service_ref("web-v1"), "web-v1-2".to_owned(), slice);
    assert_eq!(world.backends("10.0.0.2:80").1, ["web-v1 1 [10.1.0.1:8080]"]);
}

#[test]
fn ports_of_protocols_that_cannot_be_detected_are_opaque() {
    let mut world = world().service("db", Some("10.0.0.7"), &[80, 5432], &["10.1.0.1"]);
    let opaque = |world: &World, address: &str| match world.at(address) {
        Destination::Service(port) => port.opaque,
        other => panic!("{other:?}"),
    };
    assert_eq!((opaque(&world, "10.0.0.7:80"), opaque(&world, "10.0.0.7:5432")), (false, true), "defaults");
    let mut service = world.0.services[&service_ref("db")].clone();
    service.opaque_ports = Some(vec![80]);
    world.0.apply_service(service_ref("db"), service);
    assert_eq!((opaque(&world, "10.0.0.7:80"), opaque(&world, "10.0.0.7:5432")), (true, false), "as annotated");
}
