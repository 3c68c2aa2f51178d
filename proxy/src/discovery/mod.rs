//! The stream to the operator: what to ask, what was answered, what to believe until it is back.
//!
//! All of it runs on the control thread, so that neither a large update nor a slow operator delays a request.

mod backoff;
mod decode;
mod operator;
mod report;
mod session;

use std::sync::Arc;

use serde::Serialize;
use tokio::sync::watch;

pub use self::operator::{ConnectError, InvalidRoots};
pub(crate) use self::{
    backoff::Backoff,
    decode::Bootstrap,
    operator::Operator,
    report::report,
    session::{Discovery, chain, run},
};

/// What the discovery stream shows to the rest of the process.
#[derive(Debug, Clone)]
pub(crate) struct Session {
    /// The connection that the stream is on; reports go over it as well.
    pub(crate) channel: tonic::transport::Channel,
    /// What the operator said first.
    pub(crate) bootstrap: Arc<Bootstrap>,
}

/// How the discovery stream is doing, for the admin port.
#[derive(Debug, Clone, Default, Serialize)]
pub(crate) struct Health {
    /// The stream is open and the operator has answered on it.
    pub(crate) connected: bool,
    /// Streams that were opened since the process started.
    pub(crate) streams: u64,
    /// Why the last stream ended or could not be opened.
    pub(crate) last_error: Option<String>,
}

/// The session in force, and the last bootstrap even while there is none.
#[derive(Debug, Clone)]
pub(crate) struct Observed {
    pub(crate) session: watch::Receiver<Option<Session>>,
    pub(crate) bootstrap: watch::Receiver<Option<Arc<Bootstrap>>>,
    pub(crate) health: watch::Receiver<Health>,
}
