//! What is asked, as it is written on the command line.

use std::num::NonZeroU16;
use std::str::FromStr;

use http::{HeaderName, HeaderValue, Method};
use thiserror::Error;
use weft_operator::model::WorkloadKind;

/// Where a request comes from: a workload or a pod.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    /// What sort of object it is.
    pub(super) kind: WorkloadKind,
    /// Name of the object.
    pub(super) name: String,
    /// Its namespace, if that was written.
    pub(super) namespace: Option<String>,
}

/// A service that a request is sent to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Root {
    /// The host as a client may write it.
    pub(super) host: String,
    /// One of its ports, if that was written.
    pub(super) port: Option<Port>,
}

/// How a port of a Service is named.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Port {
    /// By its number.
    Number(NonZeroU16),
    /// By its name.
    Name(String),
}

/// A header of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    pub(super) name: HeaderName,
    pub(super) value: HeaderValue,
}

/// Why an argument cannot be understood.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub(crate) enum InvalidArgument {
    #[error("{0:?} has no kind; write KIND/NAME, such as deploy/{0}")]
    NoKind(String),
    #[error("{0:?} is no kind that has pods; write deploy, sts, ds, rs, rc, job or pod")]
    Kind(String),
    #[error("there is no name after {0:?}; write KIND/NAME, such as deploy/web")]
    NoName(String),
    #[error("{0:?} is not a service; write svc/NAME or NAME, with .NAMESPACE and :PORT if need be")]
    NotAService(String),
    #[error("{0:?} is no port; write a number from 1 to 65535, or the name that the service gives to one of its ports")]
    Port(String),
    #[error("{0:?} is no header; write NAME=VALUE")]
    NoValue(String),
    #[error("{0:?} is no name of a header; write letters, digits and dashes")]
    HeaderName(String),
    #[error("{0:?} is no value of a header, because it has control characters")]
    HeaderValue(String),
    #[error("{0:?} is no method; write one such as GET, before the path")]
    Method(String),
    #[error("{0:?} is no path; write one that begins with /, without spaces")]
    Path(String),
}

impl FromStr for Place {
    type Err = InvalidArgument;

    fn from_str(text: &str) -> Result<Self, InvalidArgument> {
        let (kind, name) = text.split_once('/').ok_or_else(|| InvalidArgument::NoKind(text.to_owned()))?;
        let kind = workload_kind(kind).ok_or_else(|| InvalidArgument::Kind(kind.to_owned()))?;
        // Namespaces have no dots, names of workloads may.
        let (name, namespace) = match name.rsplit_once('.') {
            Some((name, namespace)) => (name, Some(namespace.to_owned())),
            None => (name, None),
        };
        if name.is_empty() || namespace.as_deref() == Some("") {
            return Err(InvalidArgument::NoName(text.to_owned()));
        }
        Ok(Self { kind, name: name.to_owned(), namespace })
    }
}

/// A kind by its name or short name, in the singular or plural, with its group or without, as kubectl takes and prints it.
fn workload_kind(text: &str) -> Option<WorkloadKind> {
    let text = text.to_ascii_lowercase();
    let text = text.strip_suffix(".apps").or_else(|| text.strip_suffix(".batch")).unwrap_or(&text);
    let short = match text {
        "deploy" => WorkloadKind::Deployment,
        "sts" => WorkloadKind::StatefulSet,
        "ds" => WorkloadKind::DaemonSet,
        "rs" => WorkloadKind::ReplicaSet,
        "rc" => WorkloadKind::ReplicationController,
        "po" => WorkloadKind::Pod,
        _ => {
            let named = |kind: &WorkloadKind| {
                let name = kind.as_str().to_ascii_lowercase();
                text == name || text.strip_suffix('s') == Some(&name)
            };
            return WorkloadKind::ALL.into_iter().find(named);
        }
    };
    Some(short)
}

impl FromStr for Root {
    type Err = InvalidArgument;

    fn from_str(text: &str) -> Result<Self, InvalidArgument> {
        let service = match text.split_once('/') {
            None => text,
            Some((kind, rest)) if ["svc", "service", "services"].contains(&&*kind.to_ascii_lowercase()) => rest,
            Some(_) => return Err(InvalidArgument::NotAService(text.to_owned())),
        };
        let (host, port) = match service.split_once(':') {
            None => (service, None),
            Some((host, port)) => (host, Some(port.parse()?)),
        };
        if host.is_empty() || !host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-.".contains(&byte)) {
            return Err(InvalidArgument::NotAService(text.to_owned()));
        }
        Ok(Self { host: host.to_owned(), port })
    }
}

impl Port {
    /// Its number, if that is how it is named.
    pub(super) fn number(&self) -> Option<NonZeroU16> {
        match self {
            Self::Number(number) => Some(*number),
            Self::Name(_) => None,
        }
    }
}

impl FromStr for Port {
    type Err = InvalidArgument;

    fn from_str(text: &str) -> Result<Self, InvalidArgument> {
        let is_name = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        match text.parse() {
            Ok(number) => Ok(Self::Number(number)),
            // Source: IANA_SVC_NAME, which Kubernetes asks of names of ports.
            Err(_) if text.bytes().all(is_name) && text.bytes().any(|byte| byte.is_ascii_lowercase()) => {
                Ok(Self::Name(text.to_owned()))
            }
            Err(_) => Err(InvalidArgument::Port(text.to_owned())),
        }
    }
}

impl FromStr for Header {
    type Err = InvalidArgument;

    /// `NAME=VALUE`, or `NAME: VALUE` as curl has it: neither `=` nor `:` can be part of a name.
    fn from_str(text: &str) -> Result<Self, InvalidArgument> {
        let (name, value) = text.split_once(['=', ':']).ok_or_else(|| InvalidArgument::NoValue(text.to_owned()))?;
        let known = name
            .trim()
            .parse()
            .map_err(|_: http::header::InvalidHeaderName| InvalidArgument::HeaderName(name.to_owned()))?;
        let value = value.trim();
        let read = value
            .parse()
            .map_err(|_: http::header::InvalidHeaderValue| InvalidArgument::HeaderValue(value.to_owned()))?;
        Ok(Self { name: known, value: read })
    }
}

/// A method that a request can have.
pub(crate) fn method(text: &str) -> Result<Method, InvalidArgument> {
    text.parse().map_err(|_: http::method::InvalidMethod| InvalidArgument::Method(text.to_owned()))
}

/// A path, perhaps with a query, that a request can have.
pub(crate) fn path(text: &str) -> Result<String, InvalidArgument> {
    let sendable = (text.starts_with('/') || text == "*") && text.bytes().all(|byte| byte > b' ' && byte != 0x7F);
    sendable.then(|| text.to_owned()).ok_or_else(|| InvalidArgument::Path(text.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_who_sends() {
        let place = |kind, name: &str, namespace: Option<&str>| {
            Ok(Place { kind, name: name.to_owned(), namespace: namespace.map(str::to_owned) })
        };
        for (text, want) in [
            ("deploy/a", place(WorkloadKind::Deployment, "a", None)),
            ("deployment.apps/a", place(WorkloadKind::Deployment, "a", None)),
            ("job.batch/a", place(WorkloadKind::Job, "a", None)),
            ("Deployment/a.shop", place(WorkloadKind::Deployment, "a", Some("shop"))),
            ("deployments/a.b.shop", place(WorkloadKind::Deployment, "a.b", Some("shop"))),
            ("sts/db", place(WorkloadKind::StatefulSet, "db", None)),
            ("replicationcontroller/a", place(WorkloadKind::ReplicationController, "a", None)),
            ("jobs/nightly", place(WorkloadKind::Job, "nightly", None)),
            ("po/a-1", place(WorkloadKind::Pod, "a-1", None)),
            ("a", Err(InvalidArgument::NoKind("a".to_owned()))),
            ("svc/a", Err(InvalidArgument::Kind("svc".to_owned()))),
            ("deploy/", Err(InvalidArgument::NoName("deploy/".to_owned()))),
            ("deploy/a.", Err(InvalidArgument::NoName("deploy/a.".to_owned()))),
        ] {
            assert_eq!(text.parse::<Place>(), want, "{text}");
        }
    }

    #[test]
    fn reads_where_it_is_sent() {
        let root = |host: &str, port| Ok(Root { host: host.to_owned(), port });
        let number = |port| Some(Port::Number(NonZeroU16::new(port).unwrap()));
        for (text, want) in [
            ("svc/web", root("web", None)),
            ("web.shop.svc.cluster.local.:80", root("web.shop.svc.cluster.local.", number(80))),
            ("service/web.shop:8080", root("web.shop", number(8080))),
            ("web:http", root("web", Some(Port::Name("http".to_owned())))),
            ("web:0", Err(InvalidArgument::Port("0".to_owned()))),
            ("web:70000", Err(InvalidArgument::Port("70000".to_owned()))),
            ("web:", Err(InvalidArgument::Port(String::new()))),
            ("deploy/web", Err(InvalidArgument::NotAService("deploy/web".to_owned()))),
            ("http://web", Err(InvalidArgument::NotAService("http://web".to_owned()))),
            ("svc/", Err(InvalidArgument::NotAService("svc/".to_owned()))),
        ] {
            assert_eq!(text.parse::<Root>(), want, "{text}");
        }
    }

    #[test]
    fn reads_headers_in_both_spellings() {
        let header = |name: &'static str, value| {
            Ok(Header { name: HeaderName::from_static(name), value: HeaderValue::from_static(value) })
        };
        for (text, want) in [
            ("end-user=jason", header("end-user", "jason")),
            ("End-User: jason", header("end-user", "jason")),
            ("cookie=type=insider", header("cookie", "type=insider")),
            ("cookie: type=insider", header("cookie", "type=insider")),
            ("x=", header("x", "")),
            ("x", Err(InvalidArgument::NoValue("x".to_owned()))),
            ("=x", Err(InvalidArgument::HeaderName(String::new()))),
            ("x y=z", Err(InvalidArgument::HeaderName("x y".to_owned()))),
            ("x=a\nb", Err(InvalidArgument::HeaderValue("a\nb".to_owned()))),
        ] {
            assert_eq!(text.parse::<Header>(), want, "{text}");
        }
    }

    #[test]
    fn takes_what_can_be_sent() {
        for (name, got, want) in [
            ("method", method("PURGE").is_ok(), true),
            ("no method", method("/books").is_ok(), false),
            ("path", path("/books?a=b").is_ok(), true),
            ("asterisk", path("*").is_ok(), true),
            ("relative", path("books").is_ok(), false),
            ("space", path("/a b").is_ok(), false),
            ("empty", path("").is_ok(), false),
        ] {
            assert_eq!(got, want, "{name}");
        }
    }
}
