//! The operator's own certificates: an authority kept in a Secret, a serving certificate that is renewed in time, and the
//! bundle by which the API server and the sidecars trust both.

mod authority;
mod bundle;
mod serving;

pub use authority::{Authority, AuthorityError};
pub use bundle::publish;
pub use serving::{Serving, ServingError};
