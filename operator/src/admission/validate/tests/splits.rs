//! `TrafficSplit`.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::said;
use crate::model::{Service, ServiceRef, Snapshot, Split, SplitBackend, SplitRef};

fn split(service: &str, backends: &[(&str, u32)]) -> Value {
    let backends: Vec<Value> =
        backends.iter().map(|(service, weight)| json!({"service": service, "weight": weight})).collect();
    json!({"service": service, "backends": backends})
}

/// A namespace `shop` with these Services, and splits with their root and backends.
fn shop(services: &[&str], splits: &[(&str, &str, &[&str])]) -> Snapshot {
    let mut snapshot = Snapshot::default();
    for name in services {
        let external = *name == "outside";
        let name = ServiceRef { namespace: "shop".to_owned(), name: (*name).to_owned() };
        snapshot
            .apply_service(name, Service { cluster_ips: Vec::new(), external, ports: Vec::new(), opaque_ports: None });
    }
    for (created, (name, root, backends)) in (0..).zip(splits) {
        let backend = |service: &&str| SplitBackend { service: (*service).to_owned(), weight: 1 };
        let split = Split {
            uid: (*name).to_owned(),
            generation: 1,
            created,
            service: (*root).to_owned(),
            matches: Vec::new(),
            backends: backends.iter().map(backend).collect(),
        };
        snapshot.splits.insert(SplitRef { namespace: "shop".to_owned(), name: (*name).to_owned() }, split);
    }
    snapshot
}

#[test]
fn what_can_mean_nothing_or_two_things_is_refused() {
    for (name, spec, want) in [
        (
            "root of another namespace",
            split("web.bank", &[("v1", 1)]),
            &["refused: spec.service: \"web.bank\" is in the namespace \"bank\", but a split serves only its own \
               namespace \"shop\""][..],
        ),
        (
            "root of another cluster",
            split("web.shop.svc.example.org", &[("v1", 1)]),
            &[
                "refused: spec.service: \"web.shop.svc.example.org\" is not a service name: write SERVICE, SERVICE.shop or \
               SERVICE.shop.svc.cluster.local",
            ],
        ),
        (
            "one backend in two spellings",
            split("web", &[("v1", 1), ("v2", 1), ("v1.shop", 2)]),
            &[
                "refused: spec.backends[2].service: v1 is the service of spec.backends[0] already: keep one, with the sum \
               of the weights",
            ],
        ),
        (
            "backend of another namespace",
            split("web", &[("v1", 1), ("v2.bank", 1)]),
            &[
                "refused: spec.backends[1].service: \"v2.bank\" is in the namespace \"bank\", but a split serves only its \
               own namespace \"shop\"",
            ],
        ),
        (
            "a group twice",
            json!({"service": "web", "backends": [{"service": "v1", "weight": 1}],
                "matches": [{"kind": "HTTPRouteGroup", "name": "beta"}, {"kind": "HTTPRouteGroup", "name": "beta"}]}),
            &["refused: spec.matches[1]: HTTPRouteGroup beta is named before: keep one"],
        ),
        (
            "a group that cannot be",
            json!({"service": "web", "backends": [{"service": "v1", "weight": 1}],
                "matches": [{"kind": "HTTPRouteGroup", "name": "Beta"}]}),
            &[
                "refused: spec.matches[0].name: no HTTPRouteGroup can have the name \"Beta\": it is an RFC 1123 subdomain, so write \
               at most 253 lower-case letters, digits, dashes and dots, with a letter or digit at both ends of each part",
            ],
        ),
        (
            "a weight that is none",
            json!({"service": "web", "backends": [{"service": "v1", "weight": -1}]}),
            &["refused: spec.backends[0].weight: invalid value: integer `-1`, expected u32"],
        ),
        ("good", split("web.shop.svc.cluster.local.", &[("v1", 1), ("v2", 0)]), &[]),
    ] {
        assert_eq!(said("TrafficSplit", spec, None), want, "{name}");
    }
}

#[test]
fn what_others_can_mend_is_warned_of() {
    let all = &["web", "v1", "v2", "api"][..];
    for (name, cluster, spec, want) in [
        ("good", shop(all, &[]), split("web", &[("v1", 1), ("v2", 0)]), &[][..]),
        (
            "missing services",
            shop(&["v2"], &[]),
            split("web", &[("v2", 1), ("v1", 1)]),
            &[
                "warned: spec.service: there is no Service web in this namespace; the split acts once there is one",
                "warned: spec.backends[1].service: there is no Service v1 in this namespace; until there is, the others \
                 share its traffic",
            ],
        ),
        (
            "no backend is left",
            shop(&["web", "v2"], &[]),
            split("web", &[("v1", 1), ("v2", 0), ("v3", 1)]),
            &[
                "warned: spec.backends[0].service: there is no Service v1 in this namespace; until there is, no backend is left \
                 and requests get 503",
                "warned: spec.backends[2].service: there is no Service v3 in this namespace; until there is, no backend is left \
                 and requests get 503",
            ],
        ),
        (
            "a missing one without a share",
            shop(&["web", "v2"], &[]),
            split("web", &[("v1", 0), ("v2", 1)]),
            &[
                "warned: spec.backends[0].service: there is no Service v1 in this namespace; until there is, nobody misses it, \
                 as its weight is 0",
            ],
        ),
        (
            "all weights 0",
            shop(all, &[]),
            split("web", &[("v1", 0)]),
            &["warned: spec.backends: all weights are 0, so root service web serves by its own endpoints"],
        ),
        (
            "backend is the root",
            shop(all, &[]),
            split("web", &[("v1", 1), ("web.shop", 1)]),
            &["warned: spec.backends[1].service: web is the root service itself; its share goes to its own endpoints"],
        ),
        (
            "backend is another root",
            shop(all, &[("api", "api", &["v1", "v2"])]),
            split("web", &[("api", 1)]),
            &[
                "warned: spec.backends[0].service: api is the root of TrafficSplit api; its share goes to its own endpoints \
               and is not split again",
            ],
        ),
        (
            "a cycle",
            shop(all, &[("api", "api", &["v1", "v2"]), ("second", "v2", &["web"])]),
            split("web", &[("api", 1)]),
            &[
                "warned: spec.backends: the splits form a cycle: web -> api -> v2 -> web; traffic does not go round, each \
               share goes to the endpoints of its first backend",
            ],
        ),
        (
            "names for something outside",
            shop(&["outside"], &[]),
            split("outside", &[("outside", 1)]),
            &[
                "warned: spec.backends[0].service: outside is the root service itself; its share goes to its own endpoints",
                "warned: spec.service: Service outside is an ExternalName, which cannot be split; name one with endpoints",
                "warned: spec.backends[0].service: Service outside is an ExternalName, which gets no share; name one with \
                 endpoints",
            ],
        ),
        (
            "a group that is missing",
            shop(all, &[]),
            json!({"service": "web", "backends": [{"service": "v1", "weight": 1}],
                "matches": [{"kind": "HTTPRouteGroup", "name": "beta"}]}),
            &[
                "warned: spec.matches[0]: there is no HTTPRouteGroup beta in this namespace; until there is, it matches no \
               request",
            ],
        ),
        ("an older version of itself", shop(all, &[("it", "web", &["web"])]), split("web", &[("v1", 1)]), &[]),
        (
            "of several other splits of the root the oldest decides",
            shop(all, &[("second", "web", &["v1"]), ("first", "web", &["v2"])]),
            split("web", &[("v1", 1)]),
            &[
                "warned: spec.service: root service web is split by the older TrafficSplit second; this one is not applied \
               while that exists",
            ],
        ),
        (
            "another split of the root",
            shop(all, &[("first", "web.shop", &["v2"])]),
            split("web", &[("v1", 1)]),
            &[
                "warned: spec.service: root service web is split by the older TrafficSplit first; this one is not applied \
               while that exists",
            ],
        ),
    ] {
        assert_eq!(said("TrafficSplit", spec, Some(&cluster)), want, "{name}");
    }
}

#[test]
fn a_cycle_is_looked_for_once_however_many_splits_there_are() {
    const SPLITS: usize = 128;
    let root = |split: usize| format!("s{}", split % SPLITS);
    let mut cluster = shop(&[], &[]);
    for split in 0..SPLITS {
        let own = (1..SPLITS).map(|backend| format!("s{split}-{backend}"));
        let backends: Vec<String> = own.chain([root(split + 1)]).collect();
        let backends: Vec<&str> = backends.iter().map(String::as_str).collect();
        let name = root(split);
        let (named, more) =
            (SplitRef { namespace: "shop".to_owned(), name: name.clone() }, shop(&[], &[(&name, &name, &backends)]));
        cluster.splits.insert(named.clone(), more.splits[&named].clone());
    }
    let names: Vec<String> = (0..SPLITS).map(root).collect();
    let backends: Vec<(&str, u32)> = names.iter().map(|name| (name.as_str(), 1)).collect();
    let start = Instant::now();
    let said = said("TrafficSplit", split("web", &backends), Some(&cluster));
    let took = start.elapsed();
    assert!(!said.is_empty() && said.iter().all(|said| !said.contains("cycle")), "{said:?}");
    assert!(took < Duration::from_secs(2), "{took:?}");
}

#[test]
fn nothing_is_said_to_be_missing_before_the_cluster_has_been_read() {
    assert_eq!(said("TrafficSplit", split("web", &[("v1", 1)]), None), [""; 0]);
}
