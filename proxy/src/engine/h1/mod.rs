//! HTTP/1 as it arrives: each request is read and judged here, byte for byte, before the engine sees any of it.
//!
//! The engine is lenient where two parties in a row must not be (it mends request lines, takes several lengths for one and a
//! length beside chunks). What passes here has one meaning only, and the engine never sees a byte beyond the request that it
//! works on, so that nothing of a body can become a request.

mod body;
mod gate;
mod head;

pub(crate) use self::{
    gate::{Gate, Refusal},
    head::{Malformed, is_host},
};
