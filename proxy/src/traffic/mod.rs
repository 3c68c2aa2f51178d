//! Statistics: what went over each edge since the process started, in the operator's words.

mod answer;
mod edge;
mod histogram;
mod registry;
mod report;

pub(crate) use self::{
    answer::{Answer, GRPC_CANCELLED, GRPC_UNAVAILABLE, GRPC_UNKNOWN, grpc_status, is_grpc},
    edge::{Direction, Edge, EdgeKey, OpenConnection},
    registry::Registry,
    report::Reports,
};
