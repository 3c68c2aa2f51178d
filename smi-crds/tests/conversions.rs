//! Conversion between versions: golden files, laws over generated objects, and what a forged annotation cannot do.
#![allow(clippy::unwrap_used, reason = "what a test needs and does not get ends the test")]

#[path = "conversions/cost.rs"]
mod cost;
#[path = "conversions/golden.rs"]
mod golden;
#[path = "conversions/laws.rs"]
mod laws;
#[path = "conversions/objects.rs"]
mod objects;
#[path = "conversions/quantity.rs"]
mod quantity;
#[path = "conversions/samples.rs"]
mod samples;
#[path = "conversions/security.rs"]
mod security;
#[path = "conversions/typed.rs"]
mod typed;
