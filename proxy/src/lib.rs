//! The Weft sidecar: a transparent proxy beside an application, on Pingora. `docs/architecture.md` has the way of a request
//! through these modules.

mod accept;
mod admin;
mod control;
mod discovery;
mod engine;
mod inbound;
pub mod init;
mod options;
mod outbound;
mod policy;
mod serve;
mod traffic;
mod upstream;

pub use self::{
    accept::{BindError, Netfilter, OriginalDestination, bind},
    discovery::ConnectError,
    options::{LogFormat, Options, Ports},
    serve::{Destinations, ServeError, Settings, Sockets, serve},
};
