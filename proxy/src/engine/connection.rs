//! What is known about a connection, for the requests on it to find.

use std::{
    any::Any,
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use pingora::{http::ResponseHeader, protocols::raw_connect::ProxyDigest, proxy::Session};

/// What the engine and the phases tell each other about one connection.
#[derive(Debug, Default)]
pub(crate) struct Wire {
    upgraded: AtomicBool,
}

/// What is attached to a connection.
struct Described {
    wire: Wire,
    about: Box<dyn Any + Send + Sync>,
}

impl fmt::Debug for Described {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Described").field("wire", &self.wire).finish_non_exhaustive()
    }
}

/// Attaches what is known about a connection, for [`connection`] to find.
pub(crate) fn describe<T: Send + Sync + 'static>(about: T) -> pingora::Result<Arc<ProxyDigest>> {
    // The engine hands one thing of our own through to the requests of HTTP/1 and HTTP/2 alike: what a CONNECT proxy said.
    let response = ResponseHeader::build(200, Some(0))?;
    let described = Described { wire: Wire::default(), about: Box::new(about) };
    Ok(Arc::new(ProxyDigest::new(Box::new(response), Some(Box::new(described)))))
}

fn described(digest: &ProxyDigest) -> Option<&Described> {
    digest.user_data.as_ref()?.downcast_ref()
}

/// What is known about the connection of a request.
pub(crate) fn connection<T: 'static>(session: &Session) -> Option<&T> {
    described(session.digest()?.proxy_digest.as_ref()?)?.about.downcast_ref()
}

/// From now on another protocol is spoken on the connection of a request, and its bytes are nobody's business.
pub(crate) fn switch_protocols(session: &Session) {
    let digest = session.digest().and_then(|digest| digest.proxy_digest.as_ref());
    if let Some(described) = digest.and_then(|digest| described(digest)) {
        described.wire.upgraded.store(true, Ordering::Relaxed);
    }
}

impl Wire {
    pub(super) fn of(digest: &ProxyDigest) -> Option<&Self> {
        described(digest).map(|described| &described.wire)
    }

    pub(super) fn is_upgraded(&self) -> bool {
        self.upgraded.load(Ordering::Relaxed)
    }
}
