//! Splits that are limited to the requests of route groups.

use super::*;

impl World {
    /// Each conditional split of a Service's port as `NAME [PATHS]: BACKENDS`, and last the split that has the rest.
    fn order(&self, address: &str) -> Vec<String> {
        let Destination::Service(found) = self.at(address) else { panic!("{address} is not a service") };
        let backends = |backends: &[Backend]| {
            let text: Vec<String> =
                backends.iter().map(|backend| format!("{} {}", backend.service.name, backend.weight)).collect();
            text.join(", ")
        };
        let mut order: Vec<String> = Vec::new();
        for split in &found.conditional {
            let paths: Vec<&str> = split.matches.iter().filter_map(|one| one.path_regex.as_deref()).collect();
            order.push(format!("{} [{}]: {}", split.split.split.name, paths.join(" "), backends(&split.backends)));
        }
        let rest = found.split.map_or("nobody".to_owned(), |split| split.split.name);
        order.push(format!("{rest}: {}", backends(&found.backends)));
        order
    }
}

/// `insiders` with two paths, `old` with one, `broken` with a pattern that is none.
fn groups() -> World {
    world().group("insiders", 4, &["/a", "/b"]).group("old", 2, &["/old"]).group("broken", 1, &["/a", "/("])
}

const V2: &[(&str, u64)] = &[("web-v2", 1)];

#[test]
fn several_groups_in_matches_are_merged() {
    let missing = "RouteGroupNotFound: spec.matches: HTTPRouteGroup gone does not exist in namespace shop; no request is \
                   split by it";
    let broken = "RouteGroupNotAccepted: spec.matches: HTTPRouteGroup broken is not accepted; no request is split by it: \
                  match \"broken-1\": pathRegex: \"/(\" is no regular expression in RE2 syntax: unclosed group, at \
                  character 2";
    for (name, matches, want, findings) in [
        ("one", &["insiders"][..], "s [/a /b]: web-v2 1", &[][..]),
        ("two, in their order", &["old", "insiders"], "s [/old /a /b]: web-v2 1", &[]),
        ("one is missing", &["gone", "old"], "s [/old]: web-v2 1", &[missing]),
        ("one is not accepted", &["broken", "old"], "s [/old]: web-v2 1", &[broken]),
        ("none can be used", &["broken", "gone"], "s []: web-v2 1", &[broken, missing]),
    ] {
        let world = groups().split("s", 1, "web", V2).matching("s", matches);
        assert_eq!(world.order("10.0.0.1:80"), [want, "nobody: web 1"], "{name}");
        assert_eq!(world.findings("s"), findings, "{name}");
    }
}

#[test]
fn a_missing_group_heals_when_it_appears() {
    let world = groups().split("s", 1, "web", V2).matching("s", &["late"]);
    assert!(world.findings("s")[0].starts_with("RouteGroupNotFound"));
    let world = world.group("late", 1, &["/late"]);
    assert_eq!(world.findings("s"), Vec::<String>::new());
    assert_eq!(world.order("10.0.0.1:80"), ["s [/late]: web-v2 1", "nobody: web 1"]);
}

#[test]
fn splits_with_matches_come_first_oldest_first_then_the_oldest_without() {
    let world = groups()
        .split("young", 3, "web", &[("web-v2", 3)])
        .matching("young", &["old"])
        .split("plain", 1, "web", &[("web-v1", 9), ("web-v2", 1)])
        .split("loser", 2, "web", V2)
        .split("a", 2, "web.shop", &[("web-v2", 2)])
        .matching("a", &["insiders"]);
    let want = ["a [/a /b]: web-v2 2", "young [/old]: web-v2 3", "plain: web-v1 9, web-v2 1"];
    assert_eq!(world.order("10.0.0.1:80"), want);
    for (name, findings) in [
        ("young", &[][..]),
        ("a", &[]),
        ("plain", &[]),
        ("loser", &["Conflicted: root service web is split by the older TrafficSplit plain; delete one of the two"]),
    ] {
        assert_eq!(world.findings(name), findings, "{name}");
    }
}

#[test]
fn the_backends_of_a_split_with_matches_follow_the_same_rules() {
    let zero = "ZeroWeight: all weights are 0, so root service web serves by its own endpoints";
    let missing = "BackendNotFound: spec.backends: backend service gone does not exist in namespace shop; the others share \
                   its traffic";
    let alone = "BackendNotFound: spec.backends: backend service gone does not exist in namespace shop; no backend is left and \
                 requests get 503";
    let unmissed = "BackendNotFound: spec.backends: backend service gone does not exist in namespace shop; nobody misses it, as \
                    its weight is 0";
    for (name, backends, want, findings) in [
        ("with weights", &[("web-v1", 3), ("web-v2", 1)][..], "web-v1 3, web-v2 1", &[][..]),
        ("without", &[("web-v1", 0), ("web-v2", 1)], "web-v2 1", &[]),
        ("all zero", &[("web-v1", 0), ("web-v2", 0)], "web 1", &[zero]),
        ("one is missing", &[("gone", 3), ("web-v2", 1)], "web-v2 1", &[missing]),
        ("none can serve", &[("gone", 3)], "gone 3", &[alone]),
        ("none with a weight can serve", &[("gone", 3), ("web-v2", 0)], "gone 3", &[alone]),
        ("one without a weight is missing", &[("gone", 0), ("web-v2", 1)], "web-v2 1", &[unmissed]),
        ("the root", &[("web", 1)], "web 1", &[]),
    ] {
        let world = groups().split("s", 1, "web", backends).matching("s", &["old"]);
        assert_eq!(world.order("10.0.0.1:80"), [format!("s [/old]: {want}"), "nobody: web 1".to_owned()], "{name}");
        assert_eq!(world.findings("s"), findings, "{name}");
    }
}

#[test]
fn what_is_applied_names_the_groups_as_they_are() {
    let world = groups().split("s", 1, "web", V2).matching("s", &["insiders", "gone", "old"]);
    let name = SplitRef { namespace: NAMESPACE.to_owned(), name: "s".to_owned() };
    let applied = |world: &World| judge(&world.0, &mesh(), &name).applied.unwrap();
    let groups: Vec<_> = applied(&world).groups.into_iter().map(|group| (group.group.name, group.generation)).collect();
    assert_eq!(groups, [("insiders".to_owned(), 4), ("old".to_owned(), 2)]);
    let Destination::Service(told) = world.at("10.0.0.1:80") else { panic!("no service") };
    assert_eq!(told.conditional[0].split, applied(&world), "who acknowledges what is told has acknowledged this");
    let before = applied(&world);
    assert_ne!(applied(&world.group("old", 3, &["/older"])), before, "an edited group is another");
}
