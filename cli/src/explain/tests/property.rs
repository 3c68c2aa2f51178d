//! What is answered is what a sidecar would do: it follows the schedule of the first split that takes the request.

use std::collections::BTreeMap;

use proptest::prelude::*;
use weft_operator::compile;
use weft_operator::model::{Backend, Destination, Target};
use weft_policy::http::{Match, Request};
use weft_policy::split::Schedule;

use super::*;

/// A random split: when it was made, backends by number with weights, groups by number.
type Drawn = (u8, Vec<(u8, u32)>, Vec<u8>);

/// Manifests of random splits of `web`; each backend stands in a split once.
fn splits(drawn: &[Drawn]) -> String {
    // v4 and v5 do not exist.
    let names = ["v1", "v2", "v3", "v4", "v5", "web", "other"];
    let groups = ["testers", "all", "none", "missing"];
    let one = |(index, (second, backends, matches)): (usize, &Drawn)| {
        let backends: BTreeMap<&str, u32> =
            backends.iter().map(|(backend, weight)| (names[usize::from(*backend) % names.len()], *weight)).collect();
        let backends: Vec<(&str, u32)> = backends.into_iter().collect();
        let matches: Vec<&str> = matches.iter().map(|group| groups[usize::from(*group) % groups.len()]).collect();
        split(&format!("split-{index}"), *second % 60, &backends, &matches)
    };
    drawn.iter().enumerate().map(one).collect()
}

const GROUPS: &str = r#"
---
apiVersion: specs.smi-spec.io/v1alpha4
kind: HTTPRouteGroup
metadata: {name: all}
spec: {matches: [{name: put, methods: [PUT]}, {name: books, pathRegex: "/books/[0-9]+$", headers: {host: web, end-user: ".*"}}]}
---
apiVersion: specs.smi-spec.io/v1alpha4
kind: HTTPRouteGroup
metadata: {name: none}
spec: {matches: []}
"#;

/// What a sidecar that was told this destination does with requests over one whole period of the schedule.
fn followed(world: &World, question: &Question) -> BTreeMap<String, u64> {
    let snapshot = world.snapshot();
    let address = format!("{}:8080", snapshot.services[&question.root].cluster_ips[0]).parse().unwrap();
    let Destination::Service(told) = compile::destination(&snapshot, &mesh(), &Target::Address(address)) else {
        panic!("the root has the port")
    };
    let Written { method, path, headers, .. } = &question.request;
    let request = Request::new(method, path.as_bytes(), Some(b"web:8080"), headers);
    let takes = |matches: &[weft_policy::http::Conditions]| {
        matches.iter().any(|conditions| Match::new(conditions).unwrap().compare(&request).is_ok())
    };
    let mut backends: &[Backend] = &told.backends;
    for conditional in &told.conditional {
        if takes(&conditional.matches) {
            backends = &conditional.backends;
            break;
        }
    }
    let schedule = Schedule::new(backends.iter().map(|backend| backend.weight)).unwrap();
    let mut turns = BTreeMap::new();
    for turn in 0..schedule.period() {
        *turns.entry(backends[schedule.pick(turn)].service.name.clone()).or_default() += 1;
    }
    turns
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn says_what_a_sidecar_would_do(
        drawn in prop::collection::vec(
            (any::<u8>(), prop::collection::vec((any::<u8>(), 0_u32..20), 1..5), prop::collection::vec(any::<u8>(), 0..3)),
            0..5,
        ),
        method in prop::sample::select(vec!["GET", "PUT", "POST"]),
        path in prop::sample::select(vec!["/", "/beta/1", "/books/12", "/books/x", "/books//%31", "/a%2f"]),
        user in prop::option::of(prop::sample::select(vec!["jason", "eve"])),
    ) {
        let text = format!("{SHOP}{GROUPS}{}", splits(&drawn));
        let header = user.map(|user| format!("--header end-user={user}")).unwrap_or_default();
        let arguments = format!("--from pod/client --to web {header} {method} {path}");
        let mut world = World::default();
        let mut addresses = Addresses::default();
        let laid = overlay::lay(&mut world, manifests(&text).unwrap(), &Creation { now: None }, &mut addresses).unwrap();
        rollout::roll_out(&mut world, &laid, CLUSTER_DOMAIN, &mut addresses).unwrap();
        let turns = followed(&world, &asked(&arguments).unwrap());
        let period: u64 = turns.values().sum();

        let answer = decide::answer(&world, &mesh(), asked(&arguments).unwrap()).unwrap();
        for share in &answer.backends {
            let taken = turns.get(&share.service).copied().unwrap_or_default();
            #[expect(clippy::cast_precision_loss, reason = "the numbers are small")]
            let percent = taken as f64 * 100.0 / period as f64;
            prop_assert!((share.percent - percent).abs() < 1e-9, "{}: {percent} of {answer:#?}", share.service);
        }
        let all: f64 = answer.backends.iter().map(|share| share.percent).sum();
        prop_assert!((all - 100.0).abs() < 1e-9, "{all} of {answer:#?}");
        let serves = answer.backends.iter().any(|share| share.percent > 0.0 && share.ready_endpoints > 0);
        prop_assert_eq!(serves, answer.outcome == answer::Verdict::Served);
    }
}
