//! The real proxy against a scripted operator and small servers, all on the loopback interface.
#![allow(clippy::unwrap_used, reason = "what a test needs and does not get ends the test")]

mod borders;
mod discovery;
mod drain;
mod errors;
mod exchanges;
mod failover;
mod greetings;
mod hygiene;
mod impersonation;
mod inbound;
mod lapse;
mod limits;
mod mesh;
mod protocols;
mod rotation;
mod smuggling;
mod split;
mod split_matches;
mod statistics;
mod streaming;
mod support;
