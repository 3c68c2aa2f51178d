//! How far one request has come, in either direction.

use std::{
    io,
    time::{Duration, Instant},
};

use http::{HeaderMap, StatusCode, header};
use pingora::{
    Error, ErrorSource, ErrorType,
    http::ResponseHeader,
    proxy::{FailToProxy, Session},
};

use super::{Malformed, Problem, answer, connection::switch_protocols};
use crate::{
    accept::InFlight,
    traffic::{Answer, Direction, Errors, GRPC_CANCELLED, GRPC_UNAVAILABLE, GRPC_UNKNOWN, grpc_status, is_grpc},
    upstream::{Attempt, Fault, may_retry},
};

/// How far one request has come.
#[derive(Debug)]
pub(crate) struct Progress {
    begun: Instant,
    /// Attempts to send it.
    pub(crate) attempts: usize,
    /// Why there is no answer of a server, once that is known.
    pub(crate) problem: Option<Problem>,
    /// `grpc-status` of a gRPC call, once it has come.
    grpc: Option<u16>,
    /// When the connection left HTTP for another protocol, which may go on for days.
    upgraded: Option<Instant>,
    /// Until dropped, the process does not end.
    _in_flight: InFlight,
}

impl Progress {
    /// A request whose head has just been read.
    pub(crate) fn new(in_flight: InFlight) -> Self {
        Self { begun: Instant::now(), attempts: 0, problem: None, grpc: None, upgraded: None, _in_flight: in_flight }
    }

    /// The head of a server's answer has come.
    pub(crate) fn answered(&mut self, session: &Session, response: &ResponseHeader) {
        if response.status == StatusCode::SWITCHING_PROTOCOLS {
            self.upgraded = Some(Instant::now());
            switch_protocols(session);
        }
        self.grpc = grpc_status(&response.headers);
    }

    /// The trailers of a server's answer have come.
    pub(crate) fn ended(&mut self, trailers: &HeaderMap) {
        self.grpc = grpc_status(trailers).or(self.grpc);
    }

    /// Whether the request may be sent again after `fault`.
    pub(crate) fn may_retry(&self, session: &mut Session, fault: Fault, reused: bool) -> bool {
        let downstream = session.as_downstream_mut();
        may_retry(&Attempt {
            fault,
            reused,
            // Without a body nothing was read, and what was read is at hand unless it was too much to keep.
            replayable: downstream.is_body_empty() || !downstream.retry_buffer_truncated(),
            answered: downstream.response_written().is_some(),
            attempts: self.attempts,
            method: &downstream.req_header().method,
        })
    }

    /// How the request ended, and how long it took: to the end of the answer, or to the change of protocol.
    pub(crate) fn outcome(&self, session: &Session, error: Option<&Error>) -> (Answer, Duration) {
        let latency = self.upgraded.unwrap_or_else(Instant::now).duration_since(self.begun);
        let Some(response) = final_response(session) else {
            return (Answer::default(), latency);
        };
        let by_server = error.is_some_and(|error| error.esource == ErrorSource::Upstream);
        let by_client = error.is_some_and(|error| error.esource == ErrorSource::Downstream);
        let is_call = is_grpc(session.req_header().headers.get(header::CONTENT_TYPE));
        let grpc = is_call.then(|| match self.grpc {
            Some(status) => status,
            None => match self.problem {
                Some(problem) => problem.grpc(),
                None if by_server => GRPC_UNAVAILABLE,
                None if by_client => GRPC_CANCELLED,
                None => GRPC_UNKNOWN,
            },
        });
        let broken = by_server && self.problem.is_none() && self.upgraded.is_none();
        (Answer { status: response.status.as_u16(), grpc, broken }, latency)
    }

    /// Answers in place of the server after a fatal `error`, unless the client has gone or has part of an answer, and counts that.
    pub(crate) async fn fail(
        &mut self,
        session: &mut Session,
        error: &Error,
        errors: &Errors,
        direction: Direction,
    ) -> FailToProxy {
        let client_gone = error.esource == ErrorSource::Downstream
            && matches!(error.etype, ErrorType::ReadError | ErrorType::WriteError | ErrorType::ConnectionClosed)
            && !is_malformed(error);
        let mut error_code = 0;
        if !client_gone && final_response(session).is_none() {
            let problem = *self.problem.get_or_insert(match error.esource {
                ErrorSource::Upstream => Problem::Reset,
                ErrorSource::Downstream => Problem::Malformed,
                ErrorSource::Internal | ErrorSource::Unset => Problem::Internal,
            });
            error_code = problem.status();
            errors.count(direction, problem.reason());
            tracing::debug!(%problem, error = error as &dyn std::error::Error, "Answered in place of a server");
            if let Err(error) = answer(session, problem).await {
                tracing::debug!(error = &*error as &dyn std::error::Error, "Could not answer in place of a server");
            }
        }
        FailToProxy { error_code, can_reuse_downstream: false }
    }
}

/// Whether the body of the request turned out to be none.
fn is_malformed(error: &Error) -> bool {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error.root_cause());
    while let Some(found) = cause {
        if found.is::<Malformed>() {
            return true;
        }
        let inner = found.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        cause = match inner {
            Some(inner) => Some(inner),
            None => found.source(),
        };
    }
    false
}

/// The answer that was begun, which an interim one such as `100 Continue` is not.
fn final_response(session: &Session) -> Option<&ResponseHeader> {
    let is_final = |status: StatusCode| !status.is_informational() || status == StatusCode::SWITCHING_PROTOCOLS;
    session.response_written().filter(|response| is_final(response.status))
}
