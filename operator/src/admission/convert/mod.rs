//! The conversion webhook: SMI objects in one version in, the same objects in another version out.
//!
//! The API server asks for one object at a time where it reads what is stored, and for many at once where a client lists. How an
//! object is converted is `smi_crds::convert`'s business; here it is about reviews, their sizes and their failures.

mod review;
mod router;

#[cfg(test)]
mod tests;

pub use router::router;
