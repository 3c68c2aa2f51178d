//! What fuzzing feeds with bytes: one function for each place where bytes of others are read first. A test replays the corpus of
//! `proxy/fuzz` through the same functions.
//!
//! Each panics when the bytes break a promise. Nothing of this is part of the sidecar.

mod configuration;
mod detection;
mod oracle;
mod request;
#[cfg(test)]
mod tests;

use tokio::runtime::{Builder, Runtime};

pub use self::{configuration::configuration, detection::detection, request::request};

/// Where the targets wait: for nothing, as all bytes are there, but their timers want a clock.
fn run<F: Future>(target: F) -> F::Output {
    thread_local! {
        static RUNTIME: Runtime = Builder::new_current_thread().enable_time().build().expect("a runtime");
    }
    RUNTIME.with(|runtime| runtime.block_on(target))
}
