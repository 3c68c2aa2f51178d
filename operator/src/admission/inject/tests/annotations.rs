//! What each annotation does, which values are refused, and what is only warned of.

use serde_json::json;

use super::{annotated, injected, outcome, pod};
use crate::admission::inject::{Outcome, annotation::ANNOTATIONS};

/// Where in a patched pod an annotation shows.
const INIT_ARGUMENTS: &str = "/spec/initContainers/0/args";
const ENVIRONMENT: &str = "/spec/initContainers/1/env";
const RESOURCES: &str = "/spec/initContainers/1/resources";

#[test]
fn annotations_are_honoured() {
    for (name, value, path, want) in [
        ("opaque-ports", "9000, 9001", ENVIRONMENT, r#"{"name":"WEFT_OPAQUE_PORTS","value":"9000,9001"}"#),
        ("opaque-ports", "", ENVIRONMENT, r#"{"name":"WEFT_OPAQUE_PORTS","value":""}"#),
        ("skip-inbound-ports", "22,65535", INIT_ARGUMENTS, r#""--skip-inbound-ports=15020,22,65535""#),
        ("skip-inbound-ports", " ", INIT_ARGUMENTS, r#""--skip-inbound-ports=15020""#),
        ("skip-outbound-ports", "1", INIT_ARGUMENTS, r#""--skip-outbound-ports=1""#),
        ("skip-outbound-cidrs", "0.0.0.0/0, fd00::/8", INIT_ARGUMENTS, r#""--skip-outbound-cidrs=0.0.0.0/0,fd00::/8""#),
        ("outbound-port", "1024", INIT_ARGUMENTS, r#""--outbound-port=1024""#),
        ("outbound-port", "1024", ENVIRONMENT, r#"{"name":"WEFT_OUTBOUND_PORT","value":"1024"}"#),
        ("inbound-port", "65535", INIT_ARGUMENTS, r#""--inbound-port=65535""#),
        ("inbound-port", "65535", ENVIRONMENT, r#"{"name":"WEFT_INBOUND_PORT","value":"65535"}"#),
        ("admin-port", "9999", INIT_ARGUMENTS, r#""--skip-inbound-ports=9999""#),
        ("admin-port", "9999", ENVIRONMENT, r#"{"name":"WEFT_ADMIN_PORT","value":"9999"}"#),
        ("admin-port", "9999", "/spec/initContainers/1/ports", r#""containerPort":9999"#),
        ("proxy-cpu-request", "0.5", RESOURCES, r#"{"requests":{"cpu":"0.5","memory":"32Mi"}}"#),
        ("proxy-cpu-limit", "1", RESOURCES, r#"{"limits":{"cpu":"1"},"requests":{"cpu":"10m","memory":"32Mi"}}"#),
        ("proxy-cpu-limit", "5m", RESOURCES, r#"{"limits":{"cpu":"5m"},"requests":{"cpu":"5m","memory":"32Mi"}}"#),
        ("proxy-memory-request", "1Gi", RESOURCES, r#"{"requests":{"cpu":"10m","memory":"1Gi"}}"#),
        (
            "proxy-memory-limit",
            "30M",
            RESOURCES,
            r#"{"limits":{"memory":"30M"},"requests":{"cpu":"10m","memory":"30M"}}"#,
        ),
        ("log-level", "trace", ENVIRONMENT, r#"{"name":"WEFT_LOG","value":"trace"}"#),
        ("drain-seconds", "0", ENVIRONMENT, r#"{"name":"WEFT_DRAIN_SECONDS","value":"0"}"#),
        ("max-connections", "100", ENVIRONMENT, r#"{"name":"WEFT_MAX_CONNECTIONS","value":"100"}"#),
        ("max-header-bytes", "1024", ENVIRONMENT, r#"{"name":"WEFT_MAX_HEADER_BYTES","value":"1024"}"#),
        ("header-seconds", "3600", ENVIRONMENT, r#"{"name":"WEFT_HEADER_SECONDS","value":"3600"}"#),
        ("max-streams", "1", ENVIRONMENT, r#"{"name":"WEFT_MAX_STREAMS","value":"1"}"#),
    ] {
        let after = injected(&annotated(&format!("weft.dev/{name}"), value));
        let found = after.pointer(path).unwrap().to_string();
        assert!(found.contains(want), "{name}={value:?}: {found}");
    }
}

#[test]
fn bad_annotations_refuse_the_pod() {
    for (name, value, want) in [
        ("inject", "yes", "write enabled or disabled"),
        (
            "opaque-ports",
            "80,http",
            r#""http" is no port (invalid digit found in string): write numbers from 1 to 65535"#,
        ),
        ("skip-inbound-ports", "0", r#""0" is no port"#),
        ("skip-inbound-ports", "80,", r#""" is no port"#),
        ("skip-outbound-ports", "65536", r#""65536" is no port"#),
        ("skip-outbound-cidrs", "10.0.0.1", r#""10.0.0.1" is no network: write networks such as 10.0.0.0/8"#),
        ("skip-outbound-cidrs", "10.0.0.0/33", "is no network"),
        ("skip-outbound-cidrs", "10.1.0.0/8", "write 10.0.0.0/8"),
        ("outbound-port", "80", "write one port from 1024 to 65535"),
        ("inbound-port", "15006,15007", "write one port from 1024 to 65535"),
        ("admin-port", "", "write one port from 1024 to 65535"),
        ("proxy-cpu-request", "lots", "write a quantity such as 100m, 0.5 or 64Mi"),
        ("proxy-cpu-limit", "-1", "write a quantity such as 100m, 0.5 or 64Mi"),
        ("proxy-memory-request", "64m", "memory is counted in whole bytes: write 64Mi"),
        ("proxy-memory-limit", "1e99", "the quantity is too large"),
        ("log-level", "verbose", "write off, error, warn, info, debug or trace"),
        ("drain-seconds", "5s", "write a whole number of seconds from 0 to 3600"),
        ("drain-seconds", "3601", "write a whole number of seconds from 0 to 3600"),
        ("max-connections", "0", "write a whole number from 1 to 1000000"),
        ("max-header-bytes", "64Ki", "write a whole number from 1024 to 1000000"),
        ("header-seconds", "3601", "write a whole number from 1 to 3600"),
        ("max-streams", "10001", "write a whole number from 1 to 10000"),
    ] {
        let refusal = outcome(&annotated(&format!("weft.dev/{name}"), value), "shop", Some("enabled")).unwrap_err();
        let start = format!("pod shop/web: weft.dev/{name} is {value:?}: ");
        assert!(refusal.starts_with(&start) && refusal.contains(want), "{name}={value:?}: {refusal}");
    }
}

#[test]
fn unknown_annotations_are_warned_of() {
    for (name, annotations, want) in [
        ("none", json!({"example.org/weft": "1"}), vec![]),
        ("known", json!({"weft.dev/log-level": "info"}), vec![]),
        (
            "misspelt",
            json!({"weft.dev/opaque-port": "1"}),
            vec![
                "weft.dev/opaque-port is no annotation of Weft and has no effect; did you mean weft.dev/opaque-ports?",
            ],
        ),
        (
            "drain longer than the pod's end",
            json!({"weft.dev/drain-seconds": "31"}),
            vec!["weft.dev/drain-seconds is 31, but the pod ends after terminationGracePeriodSeconds, which is 30"],
        ),
    ] {
        match outcome(&pod(json!({"annotations": annotations}), json!({})), "shop", Some("enabled")) {
            Ok(Outcome::Injected { warnings, .. }) => assert_eq!(warnings, want, "{name}"),
            other => panic!("{name}: {other:?}"),
        }
    }
}

#[test]
fn every_annotation_is_described_once() {
    for (index, annotation) in ANNOTATIONS.iter().enumerate() {
        assert!(annotation.name.starts_with("weft.dev/"), "{annotation:?}");
        assert!(!annotation.values.is_empty() && !annotation.default.is_empty() && annotation.meaning.ends_with('.'));
        assert!(ANNOTATIONS[..index].iter().all(|other| other.name != annotation.name), "{annotation:?}");
    }
}
