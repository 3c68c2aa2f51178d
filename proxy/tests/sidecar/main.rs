//! The real proxy against a scripted operator and small servers, all on the loopback interface.
#![allow(clippy::unwrap_used, reason = "what a test needs and does not get ends the test")]

mod discovery;
mod drain;
mod failover;
mod inbound;
mod protocols;
mod split;
mod statistics;
mod support;
