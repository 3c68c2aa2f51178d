//! What to send.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// How a request is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Protocol {
    /// HTTP/1.1 over connections that are kept alive.
    #[default]
    Http1,
    /// HTTP/2 by prior knowledge.
    H2,
    /// A unary call of the test server's `Echo` service.
    Grpc,
    /// One message and its answer on a bidirectional stream of the test server's `Echo` service; a stream for each request.
    GrpcStream,
    /// A new TCP connection for each request; the client speaks first.
    Tcp,
    /// A new TCP connection for each request; the server speaks first.
    TcpServerFirst,
}

/// A load: what to send, how much of it, and how fast. Ends with whichever limit comes first; without a limit it does not end
/// until it is stopped.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Plan {
    /// `http://host:port/path` for HTTP, `http://host:port` for gRPC, `host:port` for TCP.
    pub url: String,
    /// How a request is sent.
    pub protocol: Protocol,
    /// Limit: number of requests, of all connections together.
    pub requests: Option<u64>,
    /// Limit: time in seconds.
    pub seconds: Option<f64>,
    /// Requests a second of all connections together; as fast as answers come when absent.
    pub rate: Option<f64>,
    /// Senders, each with a connection of its own and one request at a time.
    pub connections: usize,
    /// Of HTTP requests.
    pub method: String,
    /// Of HTTP requests and gRPC metadata.
    pub headers: BTreeMap<String, String>,
    /// Of HTTP requests; the message of gRPC and the line of TCP, where an empty one becomes `hello`.
    pub body: String,
    /// Seconds after which a request without an answer has failed.
    pub timeout_seconds: f64,
    /// Field of the answer that `Tally::by_name` counts by: `name`, `version` or `pod`.
    pub count_by: String,
}

impl Default for Plan {
    fn default() -> Self {
        Self {
            url: String::new(),
            protocol: Protocol::Http1,
            requests: None,
            seconds: None,
            rate: None,
            connections: 1,
            method: "GET".to_owned(),
            headers: BTreeMap::new(),
            body: String::new(),
            timeout_seconds: 10.0,
            count_by: "name".to_owned(),
        }
    }
}

impl Plan {
    /// A load without end on `url`.
    #[must_use]
    pub fn new(url: impl Into<String>) -> Self {
        Self { url: url.into(), ..Self::default() }
    }

    /// Sends by `protocol`.
    #[must_use]
    pub fn protocol(self, protocol: Protocol) -> Self {
        Self { protocol, ..self }
    }

    /// Ends after so many requests.
    #[must_use]
    pub fn requests(self, requests: u64) -> Self {
        Self { requests: Some(requests), ..self }
    }

    /// Ends after so many seconds.
    #[must_use]
    pub fn seconds(self, seconds: f64) -> Self {
        Self { seconds: Some(seconds), ..self }
    }

    /// Sends so many requests a second.
    #[must_use]
    pub fn rate(self, rate: f64) -> Self {
        Self { rate: Some(rate), ..self }
    }

    /// Sends on so many connections.
    #[must_use]
    pub fn connections(self, connections: usize) -> Self {
        Self { connections, ..self }
    }

    /// Sends this header, too.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.insert(name.to_owned(), value.to_owned());
        self
    }

    /// Sends HTTP requests by this method.
    #[must_use]
    pub fn method(self, method: &str) -> Self {
        Self { method: method.to_owned(), ..self }
    }

    /// Counts by this field of the answers.
    #[must_use]
    pub fn count_by(self, field: &str) -> Self {
        Self { count_by: field.to_owned(), ..self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_is_given_and_refuses_what_is_unknown() {
        let plan: Plan =
            serde_json::from_str(r#"{"url": "db:3306", "protocol": "tcp-server-first", "requests": 7}"#).unwrap();
        assert_eq!(plan, Plan::new("db:3306").protocol(Protocol::TcpServerFirst).requests(7));
        let error = serde_json::from_str::<Plan>(r#"{"url": "http://a/", "request": 7}"#).unwrap_err();
        assert!(error.to_string().contains("unknown field `request`"), "{error}");
    }
}
