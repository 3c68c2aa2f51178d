//! What the phases of one request tell each other.

use crate::{accept::InFlight, engine::Progress};

/// One request to the application.
#[derive(Debug)]
pub(crate) struct Context {
    pub(crate) progress: Progress,
    /// There was a connection to the application.
    pub(crate) connected: bool,
}

impl Context {
    pub(crate) fn new(in_flight: InFlight) -> Self {
        Self { progress: Progress::new(in_flight), connected: false }
    }
}
