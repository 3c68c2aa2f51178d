//! How the sidecar is told what to do: flags, each with a variable for the injector to set.

use std::{
    collections::BTreeSet,
    fmt,
    num::{NonZeroU16, ParseIntError},
    path::PathBuf,
    str::FromStr,
    time::Duration,
};

use clap::{Args, ValueEnum};
use http::Uri;
use thiserror::Error;

use crate::{Limits, serve::Settings};

/// Twice as long as a sidecar uses a connection to another.
const IDLE_LIMIT: Duration = Duration::from_secs(600);

/// What the sidecar is told.
#[derive(Debug, Clone, Args)]
pub struct Options {
    /// Port that the application's connections are redirected to
    #[arg(long, env = "WEFT_OUTBOUND_PORT", default_value = "15001", value_name = "PORT")]
    pub outbound_port: NonZeroU16,

    /// Port that connections to the application are redirected to
    #[arg(long, env = "WEFT_INBOUND_PORT", default_value = "15006", value_name = "PORT")]
    pub inbound_port: NonZeroU16,

    /// Port of health, readiness, metrics and configuration
    #[arg(long, env = "WEFT_ADMIN_PORT", default_value = "15020", value_name = "PORT")]
    pub admin_port: NonZeroU16,

    /// Where the operator is; https only, because the proxy shows it its token
    #[arg(
        long,
        env = "WEFT_OPERATOR",
        default_value = "https://weft-operator.weft-system.svc:15010",
        value_name = "URI",
        value_parser = parse_operator
    )]
    pub operator: Uri,

    /// Root certificates that the operator's may be signed by, as PEM text
    #[arg(long, env = "WEFT_TRUST_ROOT", value_name = "PEM", hide_env_values = true)]
    pub trust_root: String,

    /// A file with more of them, which is kept up to date; may be absent
    #[arg(
        long,
        env = "WEFT_TRUST_FILE",
        default_value = "/var/run/secrets/weft.dev/trust/ca.crt",
        value_name = "FILE"
    )]
    pub trust_file: PathBuf,

    /// The pod's projected service account token
    #[arg(long, env = "WEFT_TOKEN_FILE", default_value = "/var/run/secrets/weft.dev/token", value_name = "FILE")]
    pub token_file: PathBuf,

    /// Ports whose protocol is not looked at, of Services that the application uses and of the application itself
    #[arg(
        long,
        env = "WEFT_OPAQUE_PORTS",
        default_value_t = Ports(weft_policy::port::DEFAULT_OPAQUE.into()),
        value_name = "PORT,..."
    )]
    pub opaque_ports: Ports,

    /// Namespace of the pod
    #[arg(long, env = "WEFT_POD_NAMESPACE", value_name = "NAME")]
    pub namespace: String,

    /// Name of the pod
    #[arg(long, env = "WEFT_POD_NAME", value_name = "NAME")]
    pub pod: String,

    /// DNS domain of the cluster
    #[arg(long, env = "WEFT_CLUSTER_DOMAIN", default_value = "cluster.local", value_name = "DOMAIN")]
    pub cluster_domain: String,

    /// Longest time in seconds for what is in flight to finish when the pod ends
    #[arg(long, env = "WEFT_DRAIN_SECONDS", default_value_t = 20, value_name = "SECONDS")]
    pub drain: u64,

    /// Threads that carry traffic: one costs less CPU for each request than two, and is enough for most pods
    #[arg(long, env = "WEFT_WORKERS", default_value = "1", value_name = "NUMBER")]
    pub workers: NonZeroU16,

    /// What is logged, as tracing's filter directives
    #[arg(
        long,
        env = "WEFT_LOG",
        default_value = "info,pingora_core=error,pingora_proxy=error",
        value_name = "FILTER"
    )]
    pub log: String,

    /// Connections at once in each direction; more are reset
    #[arg(long, env = "WEFT_MAX_CONNECTIONS", default_value_t = Limits::default().connections, value_name = "NUMBER")]
    pub max_connections: usize,

    /// Bytes of one request's headers; more are answered with 431
    #[arg(
        long,
        env = "WEFT_MAX_HEADER_BYTES",
        default_value_t = Limits::default().header_bytes,
        value_parser = clap::value_parser!(u32).range(1024..=1_000_000),
        value_name = "BYTES"
    )]
    pub max_header_bytes: u32,

    /// Longest time in seconds from the first to the last byte of a request's headers; later ones are answered with 408
    #[arg(
        long,
        env = "WEFT_HEADER_SECONDS",
        default_value_t = Limits::default().header_time.as_secs(),
        value_parser = clap::value_parser!(u64).range(1..),
        value_name = "SECONDS"
    )]
    pub header_seconds: u64,

    /// Requests at once on one HTTP/2 connection
    #[arg(
        long,
        env = "WEFT_MAX_STREAMS",
        default_value_t = Limits::default().streams,
        value_parser = clap::value_parser!(u32).range(1..),
        value_name = "NUMBER"
    )]
    pub max_streams: u32,

    /// How it is logged
    #[arg(long, env = "WEFT_LOG_FORMAT", default_value = "text", value_name = "FORMAT")]
    pub log_format: LogFormat,
}

/// A list of ports, separated by commas; may be empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ports(BTreeSet<u16>);

impl FromStr for Ports {
    type Err = ParseIntError;

    fn from_str(text: &str) -> Result<Self, ParseIntError> {
        if text.trim().is_empty() {
            return Ok(Self(BTreeSet::new()));
        }
        text.split(',').map(|port| port.trim().parse()).collect::<Result<_, _>>().map(Self)
    }
}

impl fmt::Display for Ports {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ports: Vec<String> = self.0.iter().map(u16::to_string).collect();
        f.write_str(&ports.join(","))
    }
}

/// How lines of the log look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// Why a URI is not the operator's.
#[derive(Debug, Error)]
enum InvalidOperator {
    #[error(transparent)]
    Uri(#[from] http::uri::InvalidUri),
    #[error("{0} is not https://HOST:PORT")]
    NotHttps(Uri),
}

fn parse_operator(text: &str) -> Result<Uri, InvalidOperator> {
    let uri: Uri = text.parse()?;
    if uri.scheme_str() != Some("https") || uri.host().is_none_or(str::is_empty) {
        return Err(InvalidOperator::NotHttps(uri));
    }
    Ok(uri)
}

impl Options {
    /// Threads that carry traffic.
    #[must_use]
    pub fn worker_threads(&self) -> usize {
        self.workers.get().into()
    }

    /// What the sidecar itself needs of the options.
    #[must_use]
    pub fn settings(&self) -> Settings {
        Settings {
            operator: self.operator.clone(),
            trust_root: self.trust_root.clone(),
            trust_file: self.trust_file.clone(),
            token_file: self.token_file.clone(),
            opaque_ports: self.opaque_ports.0.clone(),
            namespace: self.namespace.clone(),
            pod: self.pod.clone(),
            cluster_domain: self.cluster_domain.trim_end_matches('.').to_owned(),
            drain: Duration::from_secs(self.drain),
            idle_limit: IDLE_LIMIT,
            workers: self.worker_threads(),
            limits: Limits {
                connections: self.max_connections,
                header_bytes: self.max_header_bytes,
                header_time: Duration::from_secs(self.header_seconds),
                streams: self.max_streams,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Command {
        #[command(flatten)]
        options: Options,
    }

    fn parse(extra: &[&str]) -> Result<Options, clap::Error> {
        let base = ["weft-proxy", "--trust-root", "PEM", "--namespace", "shop", "--pod", "web-1"];
        Command::try_parse_from(base.iter().chain(extra)).map(|command| command.options)
    }

    #[test]
    fn needs_little_to_be_said() {
        let options = parse(&[]).unwrap();
        assert_eq!(
            (options.outbound_port.get(), options.inbound_port.get(), options.admin_port.get()),
            (15001, 15006, 15020)
        );
        let settings = options.settings();
        assert_eq!(settings.operator, "https://weft-operator.weft-system.svc:15010");
        assert_eq!(settings.opaque_ports.into_iter().collect::<Vec<_>>(), weft_policy::port::DEFAULT_OPAQUE);
        assert_eq!(settings.workers, 1);
        assert_eq!(settings.limits, Limits::default());
    }

    #[test]
    fn reads_what_is_said() {
        let options = parse(&["--opaque-ports", "1,2", "--workers", "5", "--cluster-domain", "example.org."]).unwrap();
        let settings = options.settings();
        assert_eq!(settings.opaque_ports.into_iter().collect::<Vec<_>>(), [1, 2]);
        assert_eq!(settings.workers, 5);
        assert_eq!(settings.cluster_domain, "example.org");
    }

    #[test]
    fn reads_lists_of_ports() {
        for (name, text, want) in [
            ("none", "", &[][..]),
            ("one", "1", &[1]),
            ("two, in any order", "2,1", &[1, 2]),
            ("spaces", " 1, 2 ", &[1, 2]),
        ] {
            let ports = parse(&["--opaque-ports", text]).unwrap().settings().opaque_ports;
            assert_eq!(ports.into_iter().collect::<Vec<_>>(), want, "{name}");
        }
    }

    #[test]
    fn refuses_what_cannot_be() {
        for (name, extra) in [
            ("no TLS", &["--operator", "http://operator:15010"][..]),
            ("no scheme", &["--operator", "operator:15010"]),
            ("port 0", &["--outbound-port", "0"]),
            ("no port", &["--opaque-ports", "http"]),
            ("a list with a hole", &["--opaque-ports", "1,,2"]),
            ("no threads", &["--workers", "0"]),
            ("no headers", &["--max-header-bytes", "0"]),
            ("more headers than the engine takes", &["--max-header-bytes", "2000000"]),
            ("no time for headers", &["--header-seconds", "0"]),
            ("no requests", &["--max-streams", "0"]),
        ] {
            assert!(parse(extra).is_err(), "{name}");
        }
    }
}
