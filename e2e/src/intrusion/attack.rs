//! Clients that want to wear a server out.

use std::{collections::BTreeMap, net::SocketAddr};

use serde::{Deserialize, Serialize};

/// How a server is worn out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Method {
    /// Connects and says nothing.
    Silent,
    /// Has one request answered, and keeps the connection.
    Idle,
    /// Begins a handshake of the mesh and does not end it.
    HalfHandshake,
    /// Sends a request head without end, a header field now and then.
    Slowloris,
    /// Has a large body echoed and does not read it.
    SlowReader,
    /// One request head of 1 MiB.
    OversizedHeaders,
    /// HTTP/2: opens streams and resets them at once.
    RapidReset,
    /// HTTP/2: a header block without end.
    ContinuationFlood,
    /// HTTP/2: settings, whose acknowledgements are not read.
    SettingsFlood,
    /// HTTP/2: pings, whose answers are not read.
    PingFlood,
    /// HTTP/2: a small header block that says the same long field thousands of times.
    HpackBomb,
}

/// An attack that goes on until it is stopped.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Attack {
    /// What each connection does.
    pub method: Method,
    /// Where to.
    pub address: SocketAddr,
    /// Connections at the same time; one that ends is followed by another.
    pub connections: usize,
    /// Steps a second of all connections together: header fields, streams or frames, by method.
    pub rate: f64,
    /// Server name of the handshake that is begun.
    #[serde(default)]
    pub server_name: String,
}

/// What an attack has done so far.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Damage {
    /// Connections that are open.
    pub open: u64,
    /// Connections that were made.
    pub opened: u64,
    /// Steps that were taken.
    pub steps: u64,
    /// How connections ended, and how often: what the server said last, or how it broke off.
    pub ends: BTreeMap<String, u64>,
}
