//! Who an application is, as its answers say.

use serde::{Deserialize, Serialize};

/// The identity of an application in its answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Whoami {
    /// Of the Deployment, from the environment variable `NAME`.
    pub name: String,
    /// Of the application, from the environment variable `VERSION`.
    pub version: String,
    /// From the environment variable `POD_NAME`, which the manifests set by the downward API.
    pub pod: String,
}

impl Whoami {
    /// Reads the environment; what is not set is empty.
    #[must_use]
    pub fn from_env() -> Self {
        let read = |name| std::env::var(name).unwrap_or_default();
        Self { name: read("NAME"), version: read("VERSION"), pod: read("POD_NAME") }
    }
}
