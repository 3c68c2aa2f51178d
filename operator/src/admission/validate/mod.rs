//! The validation webhook: what no schema can judge is refused with the field and the fix, or warned of.
//!
//! One file for each kind, pure: an object of the stored version and the observed cluster in, a verdict out. What another object
//! could mend later is only warned of, because manifests are applied in any order. Status is not looked at, and nothing is
//! changed.

mod http_route_group;
mod identity_binding;
mod object;
mod port_route;
mod router;
mod traffic_split;
mod traffic_target;
mod verdict;
mod warning;

#[cfg(test)]
mod tests;

pub use object::{Kind, judge};
pub use router::router;
pub use verdict::{Refusal, Verdict};
pub use warning::Warning;
