//! Manifests that are laid over a cluster.

use super::*;

/// The time at which manifests are thought to be applied: after everything that is there.
fn now() -> Timestamp {
    "2026-06-01T00:00:00Z".parse().unwrap()
}

/// A cluster with the shop and `more`.
fn cluster(more: &str) -> World {
    let mut world = World::default();
    let mut addresses = Addresses::default();
    let all = manifests(&format!("{SHOP}{more}")).unwrap();
    let laid = overlay::lay(&mut world, all, &Creation { now: None }, &mut addresses).unwrap();
    rollout::roll_out(&mut world, &laid, CLUSTER_DOMAIN, &mut addresses).unwrap();
    world
}

/// What would be answered if `text` were applied to the cluster with the shop and `more`.
fn what_if(more: &str, text: &str, arguments: &str) -> Result<Answer> {
    answer(cluster(more), manifests(text)?, &Creation { now: Some(now()) }, &mesh(), asked(arguments)?)
}

#[test]
fn an_applied_manifest_takes_the_place_of_what_is_there() {
    let old = split("web", 1, &[("v1", 1)], &[]);
    for (name, more, text, decides, want) in [
        ("changed weights", old.clone(), split("web", 9, &[("v1", 1), ("v2", 3)], &[]), "web 2", "v1 25% of 2, v2 75% of 1"),
        ("nothing changed", old.clone(), split("web", 9, &[("v1", 1)], &[]), "web 1", "v1 100% of 2"),
        ("a second split is younger, whatever it says", old.clone(), split("a", 0, &[("v2", 1)], &[]), "web 1", "v1 100% of 2"),
        ("a split with matches goes first", old.clone(), split("ab", 0, &[("v2", 1)], &["testers"]), "ab 1", "v2 100% of 1"),
        (
            "a group that becomes another",
            split("ab", 1, &[("v2", 1)], &["testers"]) + &old,
            "{apiVersion: specs.smi-spec.io/v1alpha4, kind: HTTPRouteGroup, metadata: {name: testers}, \
              spec: {matches: [{name: eve, headers: {end-user: eve}}]}}"
                .to_owned(),
            "web 1",
            "v1 100% of 2",
        ),
        (
            "an older version",
            old.clone(),
            "{apiVersion: split.smi-spec.io/v1alpha1, kind: TrafficSplit, metadata: {name: web}, \
              spec: {service: web, backends: [{service: v1, weight: 500m}, {service: v2, weight: 1}]}}"
                .to_owned(),
            "web 2",
            "v1 33.333333333333336% of 2, v2 66.66666666666667% of 1",
        ),
        (
            "an older version of a group, with headers in a list",
            split("ab", 1, &[("v2", 1)], &["more"]) + &old,
            "{apiVersion: specs.smi-spec.io/v1alpha2, kind: HTTPRouteGroup, metadata: {name: more}, \
              matches: [{name: jason, headers: [{end-user: jason}]}]}"
                .to_owned(),
            "ab 1",
            "v2 100% of 1",
        ),
        (
            "an older version keeps the matches that it cannot say",
            "---\n{apiVersion: specs.smi-spec.io/v1alpha4, kind: HTTPRouteGroup, metadata: {name: strangers}, \
              spec: {matches: [{name: eve, headers: {end-user: eve}}]}}\n"
                .to_owned()
                + &split("ab", 1, &[("v2", 1)], &["strangers"])
                + &old,
            "{apiVersion: split.smi-spec.io/v1alpha2, kind: TrafficSplit, metadata: {name: ab}, \
              spec: {service: web, backends: [{service: v2, weight: 1}]}}"
                .to_owned(),
            "web 1",
            "v1 100% of 2",
        ),
        (
            "a workload that is scaled",
            old.clone(),
            "{apiVersion: apps/v1, kind: Deployment, metadata: {name: v1}, spec: {replicas: 5, template: \
              {metadata: {labels: {app: web, name: v1}}, spec: {containers: [{name: main, ports: [{name: http, containerPort: 1}]}]}}}}"
                .to_owned(),
            "web 1",
            "v1 100% of 5",
        ),
        (
            "a workload whose pods leave the service",
            old.clone(),
            "{apiVersion: apps/v1, kind: Deployment, metadata: {name: v1}, spec: {template: \
              {metadata: {labels: {app: web, name: else}}, spec: {containers: [{name: main}]}}}}"
                .to_owned(),
            "web 1",
            "v1 100% of 0 NoReadyEndpoints",
        ),
        (
            "a workload whose pods lack the named port",
            old.clone(),
            "{apiVersion: apps/v1, kind: Deployment, metadata: {name: v1}, spec: {template: \
              {metadata: {labels: {app: web, name: v1}}, spec: {containers: [{name: main}]}}}}"
                .to_owned(),
            "web 1",
            "v1 100% of 0 NoReadyEndpoints",
        ),
        (
            "a service that selects others",
            old,
            "{apiVersion: v1, kind: Service, metadata: {name: v1}, spec: {selector: {app: web}, ports: [{port: 8080, targetPort: 1}]}}"
                .to_owned(),
            "web 1",
            "v1 100% of 3",
        ),
    ] {
        let answer = what_if(&more, &text, "--from pod/client --to web -H end-user=jason").unwrap();
        let split = answer.split.as_ref().unwrap();
        assert_eq!((format!("{} {}", split.name, split.generation), shares(&answer)), (decides.to_owned(), want.to_owned()), "{name}");
    }
}

#[test]
fn a_service_keeps_its_address() {
    let before = cluster("");
    let name = ServiceRef { namespace: "shop".to_owned(), name: "web".to_owned() };
    let addresses = |world: &World| world.services[&name].spec.as_ref().unwrap().cluster_ips.clone();
    let mut after = cluster("");
    let mut addresses_left = Addresses::default();
    // Not the first one, which it has by chance.
    addresses_left.next();
    let text = "{apiVersion: v1, kind: Service, metadata: {name: web}, spec: {ports: [{port: 81}]}}";
    overlay::lay(&mut after, manifests(text).unwrap(), &Creation { now: Some(now()) }, &mut addresses_left).unwrap();
    assert!(addresses(&before).is_some_and(|addresses| addresses.len() == 1));
    assert_eq!(addresses(&after), addresses(&before));
}

#[test]
fn the_injector_decides_who_has_a_sidecar() {
    let pod = |name: &str, more: &str| {
        format!(
            "{{apiVersion: v1, kind: Pod, metadata: {{name: {name}, {more}}}, spec: {{containers: [{{name: main}}]}}}}"
        )
    };
    for (name, text, want) in [
        ("by its namespace", pod("new", ""), (Some(1), "sidecar")),
        ("declined", pod("new", "labels: {weft.dev/inject: disabled}"), (Some(0), "noSidecar")),
        (
            "another port is skipped",
            pod("new", "annotations: {weft.dev/skip-outbound-ports: '80'}"),
            (Some(1), "sidecar"),
        ),
        (
            "the network is skipped",
            pod("new", "annotations: {weft.dev/skip-outbound-cidrs: 240.0.0.0/4}"),
            (Some(1), "pastTheSidecar"),
        ),
        ("opaque", pod("new", "annotations: {weft.dev/opaque-ports: '8080'}"), (Some(1), "bytes")),
    ] {
        let answer = what_if("", &text, "--from pod/new --to web").unwrap();
        let way = serde_json::to_value(&answer.caller).unwrap()["way"].clone();
        assert_eq!((answer.caller.meshed, way.as_str()), (want.0, Some(want.1)), "{name}");
    }
    let refused =
        what_if("", &pod("new", "annotations: {weft.dev/admin-port: none}"), "--to web").unwrap_err().to_string();
    assert!(refused.starts_with("shop.yaml, document 1: Pod shop/new: its pods would be refused: "), "{refused}");
    assert!(refused.contains("weft.dev/admin-port"), "{refused}");
}

#[test]
fn says_what_it_does_not_look_at_and_what_it_cannot_read() {
    let text = "{apiVersion: v1, kind: ConfigMap, metadata: {name: settings}}\n---\n\
                {apiVersion: access.smi-spec.io/v1alpha3, kind: TrafficTarget, metadata: {name: web}, spec: {}}";
    let answer = what_if("", text, "--to web").unwrap();
    assert_eq!(
        answer.notes,
        ["without a part in this, and not looked at: ConfigMap shop/settings, TrafficTarget shop/web"]
    );
    for (name, text, want) in [
        (
            "a weight",
            "{apiVersion: split.smi-spec.io/v1alpha2, kind: TrafficSplit, metadata: {name: web}, spec: {service: web, backends: [{service: v1, weight: many}]}}",
            "shop.yaml, document 1: TrafficSplit shop/web: spec.backends[0].weight: ",
        ),
        (
            "a version",
            "{apiVersion: split.smi-spec.io/v1, kind: TrafficSplit, metadata: {name: web}, spec: {}}",
            "shop.yaml, document 1: TrafficSplit shop/web: apiVersion: split.smi-spec.io/v1 is not published for TrafficSplit; write one of ",
        ),
        (
            "matches twice",
            "{apiVersion: specs.smi-spec.io/v1alpha4, kind: HTTPRouteGroup, metadata: {name: a}, spec: {matches: []}, matches: [{name: x}]}",
            "shop.yaml, document 1: HTTPRouteGroup shop/a: matches beside spec differ from spec.matches; keep those under spec",
        ),
        (
            "replicas",
            "{apiVersion: apps/v1, kind: Deployment, metadata: {name: a}, spec: {replicas: -1, template: {}}}",
            "shop.yaml, document 1: Deployment shop/a: spec.replicas: -1 is not a number from 0 to 10000; `kubectl explain deployment.spec.replicas` shows the right form",
        ),
        (
            "a template",
            "{apiVersion: apps/v1, kind: Deployment, metadata: {name: a}, spec: {template: {spec: {containers: [{name: 1}]}}}}",
            "shop.yaml, document 1: Deployment shop/a: spec.template.spec.containers[0].name: invalid type: ",
        ),
    ] {
        let error = what_if("", text, "--to web").unwrap_err().to_string();
        assert!(error.starts_with(want), "{name}: {error}");
    }
}
