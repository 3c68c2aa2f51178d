//! Conversion between versions: golden files, laws over generated objects, and what a forged annotation cannot do.

#[path = "conversions/golden.rs"]
mod golden;
#[path = "conversions/laws.rs"]
mod laws;
#[path = "conversions/objects.rs"]
mod objects;
#[path = "conversions/security.rs"]
mod security;
