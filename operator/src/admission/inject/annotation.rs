//! The annotations of pods: one table for injection, its warnings, and the documentation.

use k8s_openapi::api::core::v1::Pod;

/// What every annotation and label of Weft starts with.
pub const PREFIX: &str = "weft.dev/";
/// Asks for a sidecar or declines it.
pub const INJECT: &str = "weft.dev/inject";
/// Written by injection: the version of the operator that gave the pod its sidecar.
pub const INJECTED: &str = "weft.dev/injected";
/// Written by injection: why the pod has no sidecar.
pub const INJECT_SKIPPED: &str = "weft.dev/inject-skipped";
/// Ports whose protocol is not looked at.
pub const OPAQUE_PORTS: &str = "weft.dev/opaque-ports";
/// Ports of the pod that are not redirected.
pub const SKIP_INBOUND_PORTS: &str = "weft.dev/skip-inbound-ports";
/// Destination ports that are not redirected.
pub const SKIP_OUTBOUND_PORTS: &str = "weft.dev/skip-outbound-ports";
/// Destination networks that are not redirected.
pub const SKIP_OUTBOUND_CIDRS: &str = "weft.dev/skip-outbound-cidrs";
/// Port of the sidecar for what the pod sends.
pub const OUTBOUND_PORT: &str = "weft.dev/outbound-port";
/// Port of the sidecar for what is sent to the pod.
pub const INBOUND_PORT: &str = "weft.dev/inbound-port";
/// Port of the sidecar for health, metrics and drain.
pub const ADMIN_PORT: &str = "weft.dev/admin-port";
/// CPU request of the sidecar.
pub const CPU_REQUEST: &str = "weft.dev/proxy-cpu-request";
/// CPU limit of the sidecar.
pub const CPU_LIMIT: &str = "weft.dev/proxy-cpu-limit";
/// Memory request of the sidecar.
pub const MEMORY_REQUEST: &str = "weft.dev/proxy-memory-request";
/// Memory limit of the sidecar.
pub const MEMORY_LIMIT: &str = "weft.dev/proxy-memory-limit";
/// What the sidecar logs.
pub const LOG_LEVEL: &str = "weft.dev/log-level";
/// How long the sidecar lets connections end.
pub const DRAIN_SECONDS: &str = "weft.dev/drain-seconds";
/// Connections that the sidecar takes at once.
pub const MAX_CONNECTIONS: &str = "weft.dev/max-connections";
/// Bytes of the headers that the sidecar takes.
pub const MAX_HEADER_BYTES: &str = "weft.dev/max-header-bytes";
/// How long the sidecar waits for the headers of a request.
pub const HEADER_SECONDS: &str = "weft.dev/header-seconds";
/// Requests that the sidecar takes at once on one HTTP/2 connection.
pub const MAX_STREAMS: &str = "weft.dev/max-streams";

/// An annotation that a pod can have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Annotation {
    /// Its name.
    pub name: &'static str,
    /// What may be written.
    pub values: &'static str,
    /// What holds without it.
    pub default: &'static str,
    /// What it does.
    pub meaning: &'static str,
}

/// Every annotation of Weft that a pod can have.
pub const ANNOTATIONS: [Annotation; 20] = [
    Annotation {
        name: INJECT,
        values: "`enabled` or `disabled`",
        default: "the label of the same name of the pod's namespace",
        meaning: "Whether the pod gets a sidecar. A label of the same name on the pod goes before the annotation.",
    },
    Annotation {
        name: OPAQUE_PORTS,
        values: "ports, separated by commas",
        default: "25, 587, 3306, 4444, 5432, 6379, 9300, 11211",
        meaning: "Ports whose bytes are passed as they come, instead of the default ones: of protocols in which the server \
                  speaks first.",
    },
    Annotation {
        name: SKIP_INBOUND_PORTS,
        values: "ports, separated by commas",
        default: "none",
        meaning: "Ports of the pod whose connections do not go through the sidecar: neither counted nor authorised.",
    },
    Annotation {
        name: SKIP_OUTBOUND_PORTS,
        values: "ports, separated by commas",
        default: "none",
        meaning: "Destination ports that do not go through the sidecar. 53 never does.",
    },
    Annotation {
        name: SKIP_OUTBOUND_CIDRS,
        values: "IPv4 and IPv6 networks, separated by commas",
        default: "none",
        meaning: "Destination networks that do not go through the sidecar.",
    },
    Annotation {
        name: OUTBOUND_PORT,
        values: "a port from 1024",
        default: "15001",
        meaning: "Port of the sidecar that takes what the pod sends.",
    },
    Annotation {
        name: INBOUND_PORT,
        values: "a port from 1024",
        default: "15006",
        meaning: "Port of the sidecar that takes what is sent to the pod.",
    },
    Annotation {
        name: ADMIN_PORT,
        values: "a port from 1024",
        default: "15020",
        meaning: "Port of the sidecar for health, metrics and drain.",
    },
    Annotation {
        name: CPU_REQUEST,
        values: "a quantity",
        default: "10m, or the limit if that is less",
        meaning: "CPU request of the sidecar.",
    },
    Annotation { name: CPU_LIMIT, values: "a quantity", default: "none", meaning: "CPU limit of the sidecar." },
    Annotation {
        name: MEMORY_REQUEST,
        values: "a quantity of whole bytes",
        default: "32Mi, or the limit if that is less",
        meaning: "Memory request of the sidecar.",
    },
    Annotation {
        name: MEMORY_LIMIT,
        values: "a quantity of whole bytes",
        default: "none",
        meaning: "Memory limit of the sidecar.",
    },
    Annotation {
        name: LOG_LEVEL,
        values: "`off`, `error`, `warn`, `info`, `debug` or `trace`",
        default: "info, and of the libraries in the sidecar only errors",
        meaning: "The least urgent lines that the sidecar and its libraries log.",
    },
    Annotation {
        name: DRAIN_SECONDS,
        values: "a number from 0 to 3600",
        default: "20",
        meaning: "How long the sidecar lets open connections end after it was told to stop. The pod's \
                  terminationGracePeriodSeconds ends it earlier.",
    },
    Annotation {
        name: MAX_CONNECTIONS,
        values: "a number from 1 to 1000000",
        default: "20000",
        meaning: "Connections that the sidecar takes at once in each direction. More are reset.",
    },
    Annotation {
        name: MAX_HEADER_BYTES,
        values: "a number from 1024 to 1000000",
        default: "65536",
        meaning: "Bytes of one request's headers. More are answered with 431.",
    },
    Annotation {
        name: HEADER_SECONDS,
        values: "a number from 1 to 3600",
        default: "15",
        meaning: "Longest time from the first to the last byte of a request's headers. Later ones are answered with 408.",
    },
    Annotation {
        name: MAX_STREAMS,
        values: "a number from 1 to 10000",
        default: "250",
        meaning: "Requests at once on one HTTP/2 connection.",
    },
    Annotation {
        name: INJECTED,
        values: "written by injection",
        default: "-",
        meaning: "Version of the operator that gave the pod its sidecar.",
    },
    Annotation {
        name: INJECT_SKIPPED,
        values: "written by injection",
        default: "-",
        meaning: "Why the pod has no sidecar.",
    },
];

/// A warning for each annotation of the pod that starts like one of Weft's and is none.
pub(super) fn warnings(pod: &Pod) -> impl Iterator<Item = String> + '_ {
    let names = pod.metadata.annotations.iter().flat_map(|annotations| annotations.keys());
    names.filter(|name| name.starts_with(PREFIX)).filter_map(|name| {
        let closest = ANNOTATIONS.iter().min_by_key(|known| strsim::osa_distance(known.name, name))?;
        (closest.name != name)
            .then(|| format!("{name} is no annotation of Weft and has no effect; did you mean {}?", closest.name))
    })
}
