//! Reads the values of annotations.

use std::num::{NonZeroU16, ParseIntError};

use ipnet::IpNet;
use thiserror::Error;

use super::quantity::QuantityError;

/// The least port that a process without privileges may listen on: `ip_unprivileged_port_start` of ip(7), by default.
const FIRST_UNPRIVILEGED_PORT: u16 = 1024;
/// An hour: more than any pod is given to end in.
const MAX_DRAIN_SECONDS: u16 = 3600;

/// What is wrong with a value, and what to write instead.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ValueError {
    /// Not what `weft.dev/inject` may be.
    #[error("write enabled or disabled")]
    Inject,
    /// An entry is no port.
    #[error("{entry:?} is no port ({error}): write numbers from 1 to 65535, separated by commas")]
    Ports {
        /// The entry.
        entry: String,
        /// Why it is none.
        error: ParseIntError,
    },
    /// Not a port that the sidecar could listen on.
    #[error("write one port from {FIRST_UNPRIVILEGED_PORT} to 65535")]
    ProxyPort,
    /// An entry is no network.
    #[error("{entry:?} is no network: write networks such as 10.0.0.0/8 or fd00::/8, separated by commas")]
    Network {
        /// The entry.
        entry: String,
    },
    /// An entry has bits set behind its prefix.
    #[error("{entry:?} has bits set behind its prefix: write {network}")]
    HostBits {
        /// The entry.
        entry: String,
        /// The network that it is in.
        network: IpNet,
    },
    /// No quantity.
    #[error(transparent)]
    Quantity(#[from] QuantityError),
    /// Not a level of the log.
    #[error("write off, error, warn, info, debug or trace")]
    LogLevel,
    /// Not a number, or out of its range.
    #[error("write a whole number from {least} to {most}")]
    Number {
        /// The least that may be written.
        least: u32,
        /// The most.
        most: u32,
    },
    /// Not a number of seconds, or too many.
    #[error("write a whole number of seconds from 0 to {MAX_DRAIN_SECONDS}")]
    Seconds,
}

fn entries<T>(value: &str, read: impl Fn(&str) -> Result<T, ValueError>) -> Result<Vec<T>, ValueError> {
    if value.trim().is_empty() { Ok(Vec::new()) } else { value.split(',').map(|entry| read(entry.trim())).collect() }
}

/// A list of ports, which may be empty.
pub(super) fn ports(value: &str) -> Result<Vec<NonZeroU16>, ValueError> {
    entries(value, |entry| entry.parse().map_err(|error| ValueError::Ports { entry: entry.to_owned(), error }))
}

/// A list of networks, which may be empty.
pub(super) fn networks(value: &str) -> Result<Vec<IpNet>, ValueError> {
    entries(value, |entry| match entry.parse::<IpNet>() {
        Ok(network) if network == network.trunc() => Ok(network),
        Ok(network) => Err(ValueError::HostBits { entry: entry.to_owned(), network: network.trunc() }),
        // The error says no more than that it is one.
        Err(ipnet::AddrParseError { .. }) => Err(ValueError::Network { entry: entry.to_owned() }),
    })
}

/// A port for the sidecar to listen on.
pub(super) fn proxy_port(value: &str) -> Result<u16, ValueError> {
    match value.trim().parse() {
        Ok(port @ FIRST_UNPRIVILEGED_PORT..) => Ok(port),
        Ok(_) | Err(ParseIntError { .. }) => Err(ValueError::ProxyPort),
    }
}

/// A level of the log, as `tracing` has them.
pub(super) fn log_level(value: &str) -> Result<String, ValueError> {
    match value.trim() {
        level @ ("off" | "error" | "warn" | "info" | "debug" | "trace") => Ok(level.to_owned()),
        _ => Err(ValueError::LogLevel),
    }
}

/// A number from `least` to `most`.
pub(super) fn number(least: u32, most: u32) -> impl Fn(&str) -> Result<u32, ValueError> {
    move |value| match value.trim().parse() {
        Ok(number) if (least..=most).contains(&number) => Ok(number),
        Ok(_) | Err(ParseIntError { .. }) => Err(ValueError::Number { least, most }),
    }
}

/// A number of seconds.
pub(super) fn drain_seconds(value: &str) -> Result<u16, ValueError> {
    match value.trim().parse() {
        Ok(seconds @ ..=MAX_DRAIN_SECONDS) => Ok(seconds),
        Ok(_) | Err(ParseIntError { .. }) => Err(ValueError::Seconds),
    }
}
