//! What the phases of one request tell each other.

use super::idle::Busy;
use crate::{accept::InFlight, engine::Progress};

/// One request to the application.
#[derive(Debug)]
pub(crate) struct Context {
    pub(crate) progress: Progress,
    /// There was a connection to the application.
    pub(crate) connected: bool,
    /// The application said that it ends its connection, as it does when it is about to leave.
    pub(crate) leaving: bool,
    /// Keeps the connection from being taken for one that nobody uses.
    pub(crate) busy: Option<Busy>,
}

impl Context {
    pub(crate) fn new(in_flight: InFlight) -> Self {
        Self { progress: Progress::new(in_flight), connected: false, leaving: false, busy: None }
    }
}
