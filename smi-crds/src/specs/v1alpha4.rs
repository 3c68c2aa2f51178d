//! `specs.smi-spec.io/v1alpha4`.

mod header_filters;
mod header_problem;
mod http_route_group;
mod port_match;
mod tcp_route;
mod udp_route;

pub use header_filters::HeaderFilters;
pub use header_problem::HeaderProblem;
pub use http_route_group::{
    HttpMatch, HttpMethod, HttpRouteGroup, HttpRouteGroupFields, HttpRouteGroupSpec, MatchesError,
};
pub use port_match::PortMatch;
pub use tcp_route::{TcpRoute, TcpRouteFields, TcpRouteSpec};
pub use udp_route::{UdpRoute, UdpRouteFields, UdpRouteSpec};
