//! The side that the proxy connects to: which endpoint, how to reach it, and when to try another.

mod balance;
pub(crate) mod chance;
mod connect;
mod limit;
mod retry;
mod upgrade;

pub(crate) use self::{
    balance::least_loaded,
    connect::{ByteStream, Http, Mesh, NotConnected, Transport, connect, connect_bytes, peer},
    limit::HandshakeLimit,
    retry::{Attempt, Fault, MAX_ATTEMPTS, fault_of, may_retry},
};
