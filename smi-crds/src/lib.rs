//! The Service Mesh Interface (SMI) kinds as Rust types, with the CustomResourceDefinitions that a cluster needs for them.
//!
//! | group | kind | versions |
//! |---|---|---|
//! | `split.smi-spec.io` | [`TrafficSplit`](split::v1alpha4::TrafficSplit) | `v1alpha1` to `v1alpha4` |
//! | `specs.smi-spec.io` | [`HttpRouteGroup`](specs::v1alpha4::HttpRouteGroup), [`TcpRoute`](specs::v1alpha4::TcpRoute) | `v1alpha1` to `v1alpha4` |
//! | | [`UdpRoute`](specs::v1alpha4::UdpRoute) | `v1alpha4` |
//! | `access.smi-spec.io` | [`TrafficTarget`](access::v1alpha4::TrafficTarget) | `v1alpha1` to `v1alpha4` |
//! | | [`IdentityBinding`](access::v1alpha4::IdentityBinding) | `v1alpha4` |
//!
//! All versions are served, `v1alpha4` is stored, and [`convert()`] gives any object in any other version of its kind
//! without loss.
//!
//! # What the API server refuses
//!
//! The schemas are structural and as strict as the specification allows, so that a wrong manifest is refused with the
//! field named: a negative weight, an empty list of backends, a backend that is named twice, an empty service, a port
//! outside 1 to 65535.
//!
//! An unknown field is refused by *strict field validation*, which `kubectl` asks for (`--validate=strict`, its
//! default): `strict decoding error: unknown field "spec.servce"`. A client that does not ask has unknown fields pruned,
//! with or without a warning. Both need nothing of a schema except that it is structural and keeps no unknown fields. Two
//! places keep them: `headers` of an HTTPRouteGroup, whose two shapes in use no structural schema can describe
//! ([`HeaderFilters`](specs::v1alpha4::HeaderFilters) reads both and refuses everything else), and `spec` of a TCPRoute
//! before `v1alpha4`, which has no fields there, so that ports in it are refused by the conversion instead of dropped.
//!
//! # What is never changed
//!
//! No field of a `spec` has a default and none is reordered: controllers that write these kinds compare what they read
//! with what they wrote. A list that may be absent is an `Option<Vec<_>>`, so that absent and empty survive a round trip.

pub mod access;
pub mod specs;
pub mod split;

mod convert;
mod definitions;
mod port;
mod quantity;
mod schema;
mod status;

pub use convert::{CONVERSION, ConversionError, ObjectName, Reason, convert};
pub use definitions::{STORED, definitions};
pub use port::Port;
pub use quantity::{InvalidQuantity, Quantity, TooFine, whole_numbers};
pub use status::{SmiStatus, condition};
