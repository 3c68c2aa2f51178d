//! What Weft does while something that all share is broken. No two of these tests run at the same time.

mod api_server;
mod conversion;
mod operator;
mod webhook;

/// The root service of the tests.
const WEB: &str = "http://web:8080/";
