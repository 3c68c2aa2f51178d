//! Ports whose protocol is never looked at.

/// Ports of protocols in which the server speaks first, where waiting for the client's first bytes only costs time: SMTP (25,
/// 587), MySQL (3306), Galera (4444), `PostgreSQL` (5432), Redis (6379), Elasticsearch (9300) and memcached (11211).
///
/// Source: the default that Linkerd's users know, `proxy.opaquePorts` of its chart.
pub const DEFAULT_OPAQUE: [u16; 8] = [25, 587, 3306, 4444, 5432, 6379, 9300, 11211];
