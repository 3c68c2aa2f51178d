//! `specs.smi-spec.io/v1alpha2`, the first with `headers`.

mod http_route_group;
mod tcp_route;

pub use super::v1alpha4::{HeaderFilters, HttpMatch, HttpMethod};
pub use http_route_group::{HttpRouteGroup, HttpRouteGroupFields};
pub use tcp_route::{TcpRoute, TcpRouteFields, TcpRouteSpec};
