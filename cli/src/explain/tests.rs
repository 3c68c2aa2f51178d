//! Questions about a small shop, and what is answered.

mod matches;
mod property;
mod what_if;

use clap::Parser;
use serde_json::{Value, json};

use super::*;
use crate::arguments::{Arguments, Command, Explain};

/// The manifests of a shop: a root `web`, its backends `v1` to `v3`, of which the last has no pods, and two clients.
const SHOP: &str = r#"
{apiVersion: v1, kind: Namespace, metadata: {name: shop, labels: {weft.dev/inject: enabled}}}
---
{apiVersion: v1, kind: Service, metadata: {name: web}, spec: {selector: {app: web}, ports: [{port: 8080}]}}
---
{apiVersion: v1, kind: Service, metadata: {name: v1}, spec: {selector: {name: v1}, ports: [{port: 8080, targetPort: http}]}}
---
{apiVersion: v1, kind: Service, metadata: {name: v2}, spec: {selector: {name: v2}, ports: [{port: 8080, targetPort: 80}]}}
---
{apiVersion: v1, kind: Service, metadata: {name: v3}, spec: {selector: {name: v3}, ports: [{port: 8080}]}}
---
{apiVersion: v1, kind: Service, metadata: {name: other}, spec: {selector: {name: v1}, ports: [{port: 80}]}}
---
{apiVersion: v1, kind: Service, metadata: {name: db}, spec: {selector: {name: v2}, ports: [{port: 3306}]}}
---
{apiVersion: v1, kind: Service, metadata: {name: far}, spec: {type: ExternalName, externalName: example.org}}
---
{apiVersion: v1, kind: Service, metadata: {name: none}, spec: {clusterIP: None, selector: {app: web}, ports: [{port: 8080}]}}
---
{apiVersion: v1, kind: Service, metadata: {name: many}, spec: {ports: [{name: a, port: 1}, {name: b, port: 2}]}}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: v1}
spec:
  replicas: 2
  selector: {matchLabels: {name: v1}}
  template:
    metadata: {labels: {app: web, name: v1}}
    spec: {containers: [{name: main, ports: [{name: http, containerPort: 8081}]}]}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: v2}
spec:
  selector: {matchLabels: {name: v2}}
  template:
    metadata: {labels: {app: web, name: v2}}
    spec: {containers: [{name: main}]}
---
{apiVersion: v1, kind: Pod, metadata: {name: client}, spec: {containers: [{name: main}]}}
---
apiVersion: v1
kind: Pod
metadata: {name: plain, labels: {weft.dev/inject: disabled}}
spec: {containers: [{name: main}]}
---
apiVersion: v1
kind: Pod
metadata: {name: past, annotations: {weft.dev/skip-outbound-ports: "8080"}}
spec: {containers: [{name: main}]}
---
apiVersion: v1
kind: Pod
metadata: {name: blind, annotations: {weft.dev/opaque-ports: "8080"}}
spec: {containers: [{name: main}]}
---
apiVersion: specs.smi-spec.io/v1alpha4
kind: HTTPRouteGroup
metadata: {name: testers}
spec:
  matches:
  - {name: jason, headers: {end-user: jason}}
  - {name: beta, pathRegex: /beta, methods: [GET, HEAD]}
"#;

/// A TrafficSplit of `web`, made at this second of 2026.
fn split(name: &str, second: u8, backends: &[(&str, u32)], groups: &[&str]) -> String {
    split_of("web", name, second, backends, groups)
}

fn split_of(root: &str, name: &str, second: u8, backends: &[(&str, u32)], groups: &[&str]) -> String {
    let backends: Vec<Value> =
        backends.iter().map(|(name, weight)| json!({"service": name, "weight": weight})).collect();
    let matches: Vec<Value> = groups.iter().map(|name| json!({"kind": "HTTPRouteGroup", "name": name})).collect();
    let object = json!({
        "apiVersion": "split.smi-spec.io/v1alpha4",
        "kind": "TrafficSplit",
        "metadata": {"name": name, "creationTimestamp": format!("2026-01-01T00:00:{second:02}Z")},
        "spec": {"service": root, "backends": backends, "matches": matches},
    });
    format!("\n---\n{object}\n")
}

fn mesh() -> Mesh {
    Mesh { cluster_domain: CLUSTER_DOMAIN.to_owned(), trust_domain: CLUSTER_DOMAIN.to_owned() }
}

/// What a command line asks in the namespace `shop`.
fn asked(arguments: &str) -> Result<Question> {
    let words = ["weft", "explain", "request"].into_iter().chain(arguments.split_whitespace());
    let Command::Explain(Explain::Request(request)) = Arguments::try_parse_from(words)?.command else {
        unreachable!("the words say what is asked")
    };
    question(&request, "shop", &mesh())
}

fn manifests(text: &str) -> Result<Vec<Manifest>> {
    let mut all = Vec::new();
    manifest::parse("shop.yaml", text, "shop", &mut all)?;
    Ok(all)
}

/// What is answered where there is the shop and `more`.
fn ask(more: &str, arguments: &str) -> Result<Answer> {
    let all = manifests(&format!("{SHOP}{more}"))?;
    answer(World::default(), all, &Creation { now: None }, &mesh(), asked(arguments)?)
}

/// Shares of an answer in one line.
fn shares(answer: &Answer) -> String {
    let share = |share: &answer::Share| {
        let reason = share.reason.map(|reason| format!(" {reason}")).unwrap_or_default();
        format!("{} {}% of {}{reason}", share.service, share.percent, share.ready_endpoints)
    };
    answer.backends.iter().map(share).collect::<Vec<_>>().join(", ")
}

#[test]
fn says_who_serves_with_which_share() {
    let web = |backends: &[(&str, u32)]| split("web", 1, backends, &[]);
    let two = web(&[("v1", 90), ("v2", 10)]);
    for (name, more, arguments, verdict, summary, want) in [
        ("no split", String::new(), "--to svc/web", "served", "no split decides", "web 100% of 3"),
        ("split", two.clone(), "--to svc/web", "served", "TrafficSplit web decides", "v1 90% of 2, v2 10% of 1"),
        (
            "the root's whole name",
            two.clone(),
            "--to web.shop.svc.cluster.local.:8080",
            "served",
            "TrafficSplit web decides",
            "v1 90% of 2, v2 10% of 1",
        ),
        (
            "from another namespace",
            two.clone(),
            "--to web.shop -n far",
            "served",
            "TrafficSplit web decides",
            "v1 90% of 2, v2 10% of 1",
        ),
        (
            "a missing backend",
            web(&[("v1", 2), ("v2", 1), ("v9", 1)]),
            "--to web",
            "served",
            "TrafficSplit web decides",
            "v1 66.66666666666667% of 2, v2 33.333333333333336% of 1, v9 0% of 0 BackendNotFound",
        ),
        (
            "no port",
            web(&[("v1", 1), ("other", 1)]),
            "--to web",
            "served",
            "TrafficSplit web decides",
            "v1 100% of 2, other 0% of 0 PortNotFound",
        ),
        (
            "no ready endpoints",
            web(&[("v1", 1), ("v3", 1)]),
            "--to web",
            "served",
            "TrafficSplit web decides",
            "v1 100% of 2, v3 0% of 0 NoReadyEndpoints",
        ),
        (
            "a host elsewhere",
            web(&[("v1", 1), ("far", 1)]),
            "--to web",
            "served",
            "TrafficSplit web decides",
            "v1 100% of 2, far 0% of 0 ExternalName",
        ),
        (
            "weight 0",
            web(&[("v1", 1), ("v2", 0)]),
            "--to web",
            "served",
            "TrafficSplit web decides",
            "v1 100% of 2, v2 0% of 1 NoWeight",
        ),
        (
            "all weights 0",
            web(&[("v1", 0), ("v2", 0)]),
            "--to web",
            "served",
            "TrafficSplit web decides",
            "v1 0% of 2 NoWeight, v2 0% of 1 NoWeight, web 100% of 3",
        ),
        (
            "the root as backend",
            web(&[("web", 1), ("v2", 1)]),
            "--to web",
            "served",
            "TrafficSplit web decides",
            "web 50% of 3, v2 50% of 1",
        ),
        (
            "nobody can serve",
            web(&[("v3", 1)]),
            "--to web",
            "unserved",
            "TrafficSplit web decides",
            "v3 100% of 0 NoReadyEndpoints",
        ),
        ("nobody at all", String::new(), "--to v3", "unserved", "no split decides", "v3 100% of 0 NoReadyEndpoints"),
        ("no service", two.clone(), "--to nobody", "unknownRoot", "there is no service shop/nobody", ""),
        (
            "no such port",
            two.clone(),
            "--to web:81",
            "unknownRoot",
            "service shop/web has no TCP port 81; it has 8080",
            "",
        ),
        (
            "no port of the name",
            String::new(),
            "--to many:c",
            "unknownRoot",
            "service shop/many has no TCP port c; it has 1 (a), 2 (b)",
            "",
        ),
        (
            "a port by its name",
            String::new(),
            "--to many:b",
            "unserved",
            "no split decides",
            "many 100% of 0 NoReadyEndpoints",
        ),
        (
            "outside",
            String::new(),
            "--to far",
            "outside",
            "service shop/far is a host outside the cluster (type ExternalName)",
            "",
        ),
        (
            "a caller with a sidecar",
            two.clone(),
            "--from pod/client --to web",
            "served",
            "TrafficSplit web decides",
            "v1 90% of 2, v2 10% of 1",
        ),
        (
            "a caller without",
            two.clone(),
            "--from pod/plain --to web",
            "served",
            "the caller has no sidecar, so that nothing is split",
            "web 100% of 3",
        ),
        (
            "a caller without, nobody there",
            String::new(),
            "--from pod/plain --to v3",
            "unserved",
            "the caller has no sidecar, so that nothing is split",
            "v3 100% of 0 NoReadyEndpoints",
        ),
        (
            "past the sidecar",
            two.clone(),
            "--from pod/past --to web",
            "served",
            "the rules of the caller's sidecar leave the destination out, so that nothing is split",
            "web 100% of 3",
        ),
        (
            "headless",
            split_of("none", "a", 1, &[("v2", 1)], &[]),
            "--to none",
            "served",
            "TrafficSplit a decides",
            "v2 100% of 1",
        ),
        (
            "headless, addressed to another",
            split_of("none", "a", 1, &[("v2", 1)], &[]),
            "--to none --authority web:8080",
            "served",
            "what the request is addressed to does not name the service, so that the pod that is called serves",
            "none 100% of 3",
        ),
        (
            "headless, as bytes",
            split_of("none", "a", 1, &[("v2", 1)], &[]),
            "--from pod/blind --to none",
            "served",
            "a connection to a pod of a headless service is split only by what a request is addressed to",
            "none 100% of 3",
        ),
    ] {
        let answer = ask(&more, arguments).unwrap();
        let json = serde_json::to_value(&answer).unwrap();
        assert_eq!((json["outcome"].as_str(), &*answer.summary), (Some(verdict), summary), "{name}");
        assert_eq!(shares(&answer), want, "{name}");
    }
}

#[test]
fn cannot_tell_when_the_question_is_incomplete() {
    for (name, arguments, want) in [
        (
            "no pods",
            "--from deploy/nobody.far --to web",
            "Deployment far/nobody has no pods, so nobody can tell whether they have a sidecar; name another with --from, or none",
        ),
        ("which port", "--to many", "service shop/many has the ports 1 (a), 2 (b); say which, as in --to svc/many:1"),
        (
            "no service's name",
            "--to web.example.org",
            "\"web.example.org\" is not the name of a service; write NAME, NAME.NAMESPACE or NAME.NAMESPACE.svc.cluster.local",
        ),
    ] {
        assert_eq!(ask("", arguments).unwrap_err().to_string(), want, "{name}");
    }
}

#[test]
fn is_read_at_a_glance() {
    let splits = [
        split("ab", 3, &[("v1", 1), ("v2", 2), ("v3", 1)], &["testers"]),
        split("web", 1, &[("v1", 1)], &[]),
        split("twin", 2, &[("v2", 1)], &[]),
    ]
    .concat();
    let text = text::text(&ask(&splits, "--from deploy/v1 --to web -H end-user=jason GET /x").unwrap());
    assert_eq!(
        text,
        "\
GET /x (web:8080) to service shop/web port 8080, from Deployment shop/v1 (2 of 2 pods with a sidecar)

TrafficSplit ab decides, by match jason of HTTPRouteGroup testers.

  SERVICE   SHARE     READY   WHY NOT
  v1        33.33 %   2
  v2        66.67 %   1
  v3        0 %       0       NoReadyEndpoints: spec.backends: backend service v3 has no ready endpoints for port 8080; the others share its traffic

Splits of the service, in the order in which they are asked:
  * ab: the request meets match jason of HTTPRouteGroup testers
      testers/jason: met
      testers/beta: not met: the path /x does not begin as pathRegex \"/beta\" says
  - web: TrafficSplit ab is asked before it
  - twin: root service web is split by the older TrafficSplit web; delete one of the two
"
    );
}

#[test]
fn the_json_keeps_its_shape() {
    let splits = split("ab", 3, &[("v2", 1)], &["testers"]);
    let answer = ask(&splits, "--from pod/client --to web -H end-user=jason GET /x").unwrap();
    assert_eq!(
        serde_json::to_value(&answer).unwrap(),
        json!({
            "outcome": "served",
            "summary": "TrafficSplit ab decides, by match jason of HTTPRouteGroup testers",
            "request": {"method": "GET", "path": "/x", "authority": "web:8080", "headers": [["end-user", "jason"]]},
            "caller": {
                "namespace": "shop", "workload": {"kind": "Pod", "name": "client"}, "pods": 1, "meshed": 1, "way": "sidecar",
            },
            "root": {"namespace": "shop", "name": "web", "port": 8080, "headless": false, "opaque": false},
            "split": {
                "namespace": "shop", "name": "ab", "generation": 1, "route": {"group": "testers", "match": "jason"},
            },
            "backends": [
                {"service": "v2", "weight": 1, "percent": 100.0, "readyEndpoints": 1, "reason": null, "message": null},
            ],
            "splits": [{
                "name": "ab", "state": "inForce", "message": "the request meets match jason of HTTPRouteGroup testers",
                "groups": [{"name": "testers", "problem": null, "matches": [
                    {"name": "jason", "met": true, "unmet": null, "message": null},
                    {"name": "beta", "met": false, "unmet": "path",
                        "message": "the path /x does not begin as pathRegex \"/beta\" says"},
                ]}],
            }],
            "notes": [],
        })
    );
}
