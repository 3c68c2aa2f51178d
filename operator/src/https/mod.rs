//! Serves a router over TLS: HTTP/1.1 and HTTP/2, certificates that are replaced while it runs, client certificates on demand.

mod clients;
mod server;

#[cfg(test)]
mod tests;

pub use clients::{ClientRoots, InvalidChain, InvalidRoots};
pub use server::{Clients, Peer, Server};
