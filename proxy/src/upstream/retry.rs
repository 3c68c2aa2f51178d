//! When a request may be sent again.

use http::Method;
use pingora::{Error, ErrorSource, ErrorType};

/// Attempts for one request, the first included.
pub(crate) const MAX_ATTEMPTS: usize = 3;

/// What went wrong with an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// No connection: nothing was sent.
    Unsent,
    /// The other side said that it did not look at the request.
    Unprocessed,
    /// The connection broke before the answer began.
    Broken,
    /// Anything else, among it all that is the client's doing.
    Other,
}

impl Fault {
    /// Whether an endpoint that does this again and again is better left alone.
    pub(crate) fn blames_server(self) -> bool {
        matches!(self, Self::Unsent | Self::Broken)
    }
}

/// An attempt that failed.
#[derive(Debug, Clone)]
pub(crate) struct Attempt<'a> {
    pub(crate) fault: Fault,
    pub(crate) method: &'a Method,
    /// The connection had served other requests before.
    pub(crate) reused: bool,
    /// The request has no body, or all of it that was read is still at hand.
    pub(crate) replayable: bool,
    /// Part of an answer went to the client already.
    pub(crate) answered: bool,
    /// Counting this one.
    pub(crate) attempts: usize,
}

/// Whether the request may be sent again.
///
/// What was never looked at may, whatever it is. What may have been looked at may when doing it twice is the same as once (RFC
/// 9110 section 9.2.2), and only when the connection was an idle one that its server may have been closing just then (RFC 9112
/// section 9.3.1): a server that breaks a new connection would do so again.
pub(crate) fn may_retry(attempt: &Attempt<'_>) -> bool {
    if attempt.answered || attempt.attempts >= MAX_ATTEMPTS {
        return false;
    }
    match attempt.fault {
        Fault::Unsent => true,
        Fault::Unprocessed => attempt.replayable,
        Fault::Broken => attempt.reused && attempt.replayable && attempt.method.is_idempotent(),
        Fault::Other => false,
    }
}

/// What an error of an attempt whose request was, at least in part, sent says about it.
pub(crate) fn fault_of(error: &Error) -> Fault {
    if error.esource != ErrorSource::Upstream {
        return Fault::Other;
    }
    if let Some(h2) = error.root_cause().downcast_ref::<h2::Error>() {
        // RFC 9113 section 8.7. h2 says "go away" only of streams above the last that the server was going to look at.
        let refused = h2.is_reset() && h2.reason() == Some(h2::Reason::REFUSED_STREAM);
        if h2.is_remote() && (refused || h2.is_go_away()) {
            return Fault::Unprocessed;
        }
        return if h2.is_io() { Fault::Broken } else { Fault::Other };
    }
    match error.etype() {
        ErrorType::ReadError | ErrorType::WriteError | ErrorType::ConnectionClosed => Fault::Broken,
        _ => Fault::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn never_sends_again_what_may_have_been_done() {
        let get = Attempt {
            fault: Fault::Broken,
            method: &Method::GET,
            reused: true,
            replayable: true,
            answered: false,
            attempts: 1,
        };
        let patch = &Method::PATCH;
        let post = &Method::POST;
        for (name, attempt, want) in [
            ("GET on an idle connection that broke", get.clone(), true),
            ("GET on a new connection that broke", Attempt { reused: false, ..get.clone() }, false),
            ("PUT whose body is at hand", Attempt { method: &Method::PUT, ..get.clone() }, true),
            ("PUT whose body is gone", Attempt { method: &Method::PUT, replayable: false, ..get.clone() }, false),
            ("DELETE", Attempt { method: &Method::DELETE, ..get.clone() }, true),
            ("HEAD", Attempt { method: &Method::HEAD, ..get.clone() }, true),
            ("OPTIONS", Attempt { method: &Method::OPTIONS, ..get.clone() }, true),
            ("TRACE", Attempt { method: &Method::TRACE, ..get.clone() }, true),
            ("POST on an idle connection that broke", Attempt { method: post, ..get.clone() }, false),
            ("PATCH on an idle connection that broke", Attempt { method: patch, ..get.clone() }, false),
            ("GET whose answer began", Attempt { answered: true, ..get.clone() }, false),
            ("GET, the third time", Attempt { attempts: MAX_ATTEMPTS, ..get.clone() }, false),
            ("GET, another fault", Attempt { fault: Fault::Other, ..get.clone() }, false),
            ("POST that was not sent", Attempt { fault: Fault::Unsent, method: post, ..get.clone() }, true),
            (
                "POST that was not sent, its body gone",
                Attempt { fault: Fault::Unsent, method: post, replayable: false, ..get.clone() },
                true,
            ),
            (
                "POST that was not sent, the third time",
                Attempt { fault: Fault::Unsent, method: post, attempts: MAX_ATTEMPTS, ..get.clone() },
                false,
            ),
            (
                "POST that was not looked at",
                Attempt { fault: Fault::Unprocessed, method: post, reused: false, ..get.clone() },
                true,
            ),
            (
                "POST that was not looked at, its body gone",
                Attempt { fault: Fault::Unprocessed, method: post, replayable: false, ..get.clone() },
                false,
            ),
        ] {
            assert_eq!(may_retry(&attempt), want, "{name}");
        }
    }

    #[test]
    fn reads_the_fault_from_the_error() {
        let up = |kind| Error::explain(kind, "").into_up();
        for (name, error, want) in [
            ("closed", up(ErrorType::ConnectionClosed), Fault::Broken),
            ("read", up(ErrorType::ReadError), Fault::Broken),
            ("write", up(ErrorType::WriteError), Fault::Broken),
            ("nonsense", up(ErrorType::InvalidHTTPHeader), Fault::Other),
            ("the client's", Error::explain(ErrorType::ReadError, "").into_down(), Fault::Other),
            (
                "refused stream, said by this side",
                Error::because(ErrorType::H2Error, "", h2::Error::from(h2::Reason::REFUSED_STREAM)).into_up(),
                Fault::Other,
            ),
        ] {
            assert_eq!(fault_of(&error), want, "{name}");
        }
    }
}
