//! Answers to the API server before an object is stored or shown: sidecar injection, conversion between versions, validation.

pub mod convert;
pub mod inject;
mod intake;
mod router;
mod settings;
pub mod validate;

pub use router::router;
pub use settings::{Settings, TrustRoot};

/// The text, or the beginning of it that fits.
fn shortened(mut text: String, bytes: usize) -> String {
    const MORE: &str = "...";
    if text.len() > bytes {
        text.truncate(text.floor_char_boundary(bytes - MORE.len()));
        text.push_str(MORE);
    }
    text
}
