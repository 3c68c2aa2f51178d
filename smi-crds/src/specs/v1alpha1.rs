//! `specs.smi-spec.io/v1alpha1`, whose matches stand beside `metadata`.

mod http_route_group;
mod tcp_route;

pub use super::v1alpha4::{HeaderFilters, HttpMethod};
pub use http_route_group::{HttpMatch, HttpRouteGroup, HttpRouteGroupFields};
pub use tcp_route::{TcpRoute, TcpRouteFields, TcpRouteSpec};
