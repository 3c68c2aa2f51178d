//! Whether a request meets a match of an `HTTPRouteGroup`: the one place where the two are compared.
//!
//! A [`Match`] is made once, from [`Conditions`]; a [`Request`] is made once for each request and normalises its path when a
//! match first asks for it. Comparing takes no lock that anybody waits for and compiles nothing.

mod path;
mod pattern;
mod request;
mod rule;

pub use path::{AmbiguousPath, normalise};
pub use pattern::{Field, InvalidPattern};
pub use request::Request;
pub use rule::{Conditions, InvalidMatch, Match, MethodProblem, Unmet, first_met};
