//! `HTTPRouteGroup`, `TCPRoute` and `UDPRoute`.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::said;

fn group(matches: Value) -> Value {
    json!({"matches": matches})
}

#[test]
fn matches_that_cannot_be_compared_with_requests_are_refused() {
    for (name, spec, want) in [
        (
            "everything right",
            group(json!([
                {"name": "all"},
                {"name": "get", "methods": ["GET", "*"], "pathRegex": "/a(b|c)?"},
                {"name": "map", "headers": {"User-Agent": ".*Firefox.*", "host": "shop"}},
                {"name": "list", "headers": [{"cookie": "^beta=1$"}, {"x-a": "1"}]},
            ])),
            &[][..],
        ),
        (
            "a pattern without an end",
            group(json!([{"name": "a"}, {"name": "b", "pathRegex": "/a(b"}])),
            &[
                "refused: spec.matches[1]: match \"b\": pathRegex: \"/a(b\" is no regular expression in RE2 syntax: unclosed group, at \
               character 3",
            ],
        ),
        (
            "a name that no header has",
            group(json!([{"name": "b", "headers": {"user agent": "x"}}])),
            &[
                "refused: spec.matches[0]: match \"b\": headers: \"user agent\" is no name of a header; write letters, digits and \
               dashes, or host for the authority",
            ],
        ),
        (
            "two of one name",
            group(json!([{"name": "a"}, {"name": "b"}, {"name": "a"}])),
            &[
                "refused: spec.matches[2].name: \"a\" is the name of spec.matches[0] already: rename one, rules refer to them \
               by name",
            ],
        ),
        (
            "a header as other APIs write it",
            group(
                json!([{"name": "a", "headers": [{"x": "1"}]}, {"name": "b", "headers": [{"x": "1"}, {"name": "x-a", "value": "y"}]}]),
            ),
            &[
                "refused: spec.matches[1]: match \"b\": headers[1]: its keys name and value would be two headers of these names: write \
                 the name of the header as the key and the pattern as its value, as in - x-a: y",
            ],
        ),
        (
            "two headers in one entry",
            group(json!([{"name": "b", "headers": [{"x-a": "1", "x-b": "2"}]}])),
            &[
                "refused: spec.matches[0]: match \"b\": headers[0]: one entry names one header, and this one names x-a, x-b: write an \
                 entry for each, as in - x-a: PATTERN - x-b: PATTERN",
            ],
        ),
        (
            "no header in an entry",
            group(json!([{"name": "b", "headers": [{"x-a": "1"}, {}]}])),
            &[
                "refused: spec.matches[0]: match \"b\": headers[1]: it names no header: remove it, or write the name of one with a \
                 pattern, as in - user-agent: .*Firefox.*",
            ],
        ),
        (
            "one header in two spellings",
            group(json!([{"name": "b", "headers": {"cookie": "a", "Cookie": "b", "x-a": "c"}}])),
            &[
                "refused: spec.matches[0]: match \"b\": headers: \"Cookie\" and \"cookie\" are one header, whose name may be written in \
                 any case, and one value would have to match both patterns: keep one",
            ],
        ),
        (
            "one header twice in one spelling",
            group(json!([{"name": "b", "headers": [{"cookie": "a"}, {"cookie": "b"}]}])),
            &[],
        ),
        (
            "headers as text",
            group(json!([{"name": "b", "headers": "x-a: 1"}])),
            &["refused: spec.matches[0].headers: invalid type: string \"x-a: 1\", expected a map from header name to \
               regular expression, or a list of such maps"],
        ),
        (
            "no such method",
            group(json!([{"name": "b", "methods": ["FETCH"]}])),
            &[
                "refused: spec.matches[0].methods[0]: unknown variant `FETCH`, expected one of `*`, `GET`, `HEAD`, `PUT`, \
               `POST`, `DELETE`, `CONNECT`, `OPTIONS`, `TRACE`, `PATCH`",
            ],
        ),
        ("none", group(json!([])), &["warned: spec.matches: there is no match in it, so no request is meant by it"]),
    ] {
        assert_eq!(said("HTTPRouteGroup", spec, None), want, "{name}");
    }
}

#[test]
fn matches_stand_in_one_place() {
    let of = |under: Value, beside: Value| {
        let (kind, mut object) = super::object("HTTPRouteGroup", under);
        if !beside.is_null() {
            object.data["matches"] = beside;
        }
        let verdict = super::judge(kind, &object, "shop", &super::mesh(), None);
        assert_eq!(verdict.warnings, []);
        verdict.refusals.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
    };
    let named = |name: &str| json!([{"name": name}]);
    for (name, under, beside, want) in [
        ("under spec", group(named("a")), Value::Null, ""),
        ("beside spec", Value::Null, named("a"), ""),
        ("the same in both", group(named("a")), named("a"), ""),
        (
            "another in each",
            group(named("a")),
            named("b"),
            "matches beside spec differ from spec.matches; keep those under spec",
        ),
        (
            "a wrong one beside spec",
            Value::Null,
            json!([{"name": "a"}, {"name": "a"}]),
            "matches[1].name: \"a\" is the name of matches[0] already: rename one, rules refer to them by name",
        ),
    ] {
        assert_eq!(of(under, beside), want, "{name}");
    }
}

#[test]
fn a_pattern_is_bounded() {
    let of = |pattern: String| said("HTTPRouteGroup", group(json!([{"name": "a", "pathRegex": pattern}])), None);
    let long = of("a".repeat(5000));
    assert!(long[0].contains("the pattern has 5000 bytes"), "{long:?}");
    let large = of("[a-z]{1000}{1000}".to_owned());
    assert!(large[0].starts_with("refused: spec.matches[0]: match \"a\": pathRegex: "), "{large:?}");
}

#[test]
fn a_group_is_bounded_and_judged_in_the_time_that_the_api_server_waits() {
    let item = |number: usize| json!({"name": format!("m{number}"), "pathRegex": "/a"});
    let of = |matches: usize| said("HTTPRouteGroup", group((0..matches).map(item).collect()), None);
    assert_eq!(of(1024), [""; 0]);
    let start = Instant::now();
    assert_eq!(
        of(40_000),
        [
            "refused: spec.matches: the matches have 40000 patterns in pathRegex and headers, and at most 1024 are compiled: divide \
          them among groups"
        ]
    );
    let took = start.elapsed();
    assert!(took < Duration::from_secs(2), "{took:?}");
}

#[test]
fn ports_that_are_none_are_refused() {
    for kind in ["TCPRoute", "UDPRoute"] {
        let ports = |ports: Value| said(kind, json!({"matches": {"ports": ports}}), None);
        assert_eq!(ports(json!([80, 8080])), [""; 0], "{kind}");
        assert_eq!(ports(json!([])), [""; 0], "{kind}: every port");
        assert_eq!(
            ports(json!([80, 8080, "80"])),
            [
                "warned: spec.matches.ports[2]: port 80 is spec.matches.ports[0] already and counts once; remove one of them"
            ],
            "{kind}: a port twice"
        );
        for (name, port) in [("zero", 0), ("too large", 65536), ("negative", -1)] {
            let said = ports(json!([80, port]));
            assert!(said[0].starts_with("refused: spec.matches.ports[1]: "), "{kind} {name}: {said:?}");
        }
    }
}
