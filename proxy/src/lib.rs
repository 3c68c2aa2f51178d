//! The Weft sidecar: a transparent proxy beside an application, on Pingora. `docs/architecture.md` has the way of a request
//! through these modules.

mod accept;
mod admin;
mod control;
mod discovery;
mod engine;
#[cfg(any(test, fuzzing))]
#[doc(hidden)]
pub mod fuzzing;
mod identity;
mod inbound;
pub mod init;
mod limits;
mod options;
mod outbound;
mod policy;
mod serve;
mod traffic;
mod upstream;

pub use self::{
    accept::{BindError, Netfilter, OriginalDestination, bind},
    admin::{LeaveError, leave},
    discovery::{ConnectError, InvalidRoots},
    limits::Limits,
    options::{LogFormat, Options, Ports},
    serve::{Destinations, ServeError, Settings, Sockets, serve},
};
