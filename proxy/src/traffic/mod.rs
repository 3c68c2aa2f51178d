//! Statistics: what went over each edge since the process started, in the operator's words.

mod answer;
mod edge;
mod errors;
mod histogram;
mod registry;
mod report;

pub(crate) use self::{
    answer::{
        Answer, GRPC_CANCELLED, GRPC_DEADLINE_EXCEEDED, GRPC_INTERNAL, GRPC_RESOURCE_EXHAUSTED, GRPC_UNAVAILABLE,
        GRPC_UNKNOWN, grpc_status, is_grpc,
    },
    edge::{Direction, Edge, EdgeKey, OpenConnection, Security},
    errors::Errors,
    registry::Registry,
    report::Reports,
};
