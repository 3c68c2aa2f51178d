//! Which match a request meets, and why not the others.

use super::*;

#[test]
fn says_which_match_a_request_meets_and_why_not_the_others() {
    let splits = [
        split("ab", 3, &[("v2", 1)], &["testers"]),
        split("web", 1, &[("v1", 1)], &[]),
        split("late", 4, &[("v1", 1), ("v2", 1)], &["testers"]),
        split("twin", 2, &[("v2", 1)], &[]),
        split("lost", 5, &[("v2", 1)], &["nobody"]),
        split_of("v1", "elsewhere", 1, &[("v2", 1)], &[]),
    ]
    .concat();
    let state = |answer: &Answer| {
        let split = |split: &answer::Considered| format!("{}: {:?}", split.name, split.state);
        answer.splits.iter().map(split).collect::<Vec<_>>().join(", ")
    };
    for (name, arguments, route, want) in [
        (
            "a header",
            "--to web --header end-user=jason",
            Some("testers/jason"),
            "ab: InForce, late: NotReached, lost: NoMatch, web: NotReached, twin: Rejected",
        ),
        (
            "path and method",
            "--to web GET /beta/1?a=b",
            Some("testers/beta"),
            "ab: InForce, late: NotReached, lost: NoMatch, web: NotReached, twin: Rejected",
        ),
        (
            "a normalised path",
            "--to web HEAD /a/../%62eta",
            Some("testers/beta"),
            "ab: InForce, late: NotReached, lost: NoMatch, web: NotReached, twin: Rejected",
        ),
        (
            "no match",
            "--to web POST /beta",
            None,
            "ab: NoMatch, late: NoMatch, lost: NoMatch, web: InForce, twin: Rejected",
        ),
        (
            "bytes",
            "--from pod/blind --to web --header end-user=jason",
            None,
            "ab: NotLookedInto, late: NotLookedInto, lost: NotLookedInto, web: InForce, twin: Rejected",
        ),
        (
            "no sidecar",
            "--from pod/plain --to web --header end-user=jason",
            None,
            "ab: NotSplit, late: NotSplit, lost: NotSplit, web: NotSplit, twin: Rejected",
        ),
    ] {
        let answer = ask(&splits, arguments).unwrap();
        let met = answer.split.as_ref().and_then(|split| split.route.as_ref());
        assert_eq!(met.map(|route| format!("{}/{}", route.group, route.name)).as_deref(), route, "{name}");
        assert_eq!(state(&answer), want, "{name}");
    }
}

#[test]
fn says_which_condition_is_not_met() {
    let splits = split("ab", 1, &[("v2", 1)], &["testers", "rest", "nobody", "broken"]);
    let groups = r#"
---
apiVersion: specs.smi-spec.io/v1alpha4
kind: HTTPRouteGroup
metadata: {name: rest}
spec: {matches: [{name: shop, headers: {host: "shop\\..*"}}, {name: insiders, headers: {cookie: "type=insider"}}]}
---
apiVersion: specs.smi-spec.io/v1alpha4
kind: HTTPRouteGroup
metadata: {name: broken}
spec: {matches: [{name: all}, {name: half, pathRegex: "/("}]}
"#;
    let answer =
        ask(&format!("{splits}{groups}"), "--to web -H end-user=eve -H cookie=a=b -H cookie=c=d POST /a%2fb").unwrap();
    let compared = |group: &answer::Group| {
        let problem = group.problem.iter().map(|problem| format!("{}: {problem}", group.name));
        let matches = group.matches.iter().map(|compared| {
            format!("{}: {:?}: {}", compared.name, compared.unmet, compared.message.as_deref().unwrap_or_default())
        });
        problem.chain(matches).collect::<Vec<_>>()
    };
    let lines: Vec<String> = answer.splits[0].groups.iter().flat_map(compared).collect();
    assert_eq!(
        lines,
        [
            r#"jason: Some(HeaderValue): the header end-user is "eve", which is not "jason""#,
            "beta: Some(Method): the method is POST, not GET or HEAD",
            r#"shop: Some(HeaderValue): the header host is "web:8080", which is not "shop\\..*""#,
            r#"insiders: Some(HeaderValue): the header cookie is "a=b; c=d", which is not "type=insider""#,
            "nobody: spec.matches: HTTPRouteGroup nobody does not exist in namespace shop; no request is split by it",
            "broken: spec.matches: HTTPRouteGroup broken is not accepted; no request is split by it: match \"half\": \
             pathRegex: \"/(\" is no regular expression in RE2 syntax: unclosed group, at character 2",
        ]
    );
    for (name, arguments, want) in [
        ("another path", "--to web GET /books", "Path: the path /books does not begin as pathRegex \"/beta\" says"),
        (
            "an ambiguous path",
            "--to web GET /beta%2f",
            "AmbiguousPath: the path is compared with no pathRegex, because the path has an escaped slash or backslash at byte 5",
        ),
    ] {
        let answer = ask(&splits, arguments).unwrap();
        let found = &answer.splits[0].groups[0].matches[1];
        let text = format!("{:?}: {}", found.unmet.unwrap(), found.message.as_deref().unwrap());
        assert_eq!(text, want, "{name}");
    }
    let answer = ask(&splits, "--to web").unwrap();
    assert_eq!(answer.splits[0].groups[0].matches[0].message.as_deref(), Some("there is no header end-user"));
}
