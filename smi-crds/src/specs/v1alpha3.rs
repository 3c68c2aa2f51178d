//! `specs.smi-spec.io/v1alpha3`, whose matches stand under `spec`.

mod http_route_group;
mod tcp_route;

pub use super::v1alpha4::{HeaderFilters, HttpMatch, HttpMethod, HttpRouteGroupSpec};
pub use http_route_group::{HttpRouteGroup, HttpRouteGroupFields};
pub use tcp_route::{TcpRoute, TcpRouteFields, TcpRouteSpec};
