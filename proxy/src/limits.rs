//! What clients may ask of the sidecar before they are refused.

use std::time::Duration;

/// What clients may ask of the sidecar before they are refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Connections at once in each direction. More are reset.
    pub connections: usize,
    /// Bytes of one request's head. More are answered with 431.
    pub header_bytes: u32,
    /// Time from the first byte of a head in HTTP/1 to its last. Later ones are answered with 408.
    pub header_time: Duration,
    /// Requests at once on one HTTP/2 connection. Clients keep to it, or their streams are refused.
    pub streams: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self { connections: 20_000, header_bytes: 64 * 1024, header_time: Duration::from_secs(15), streams: 250 }
    }
}
