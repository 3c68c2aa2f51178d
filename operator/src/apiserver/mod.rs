//! `TrafficMetrics` as an aggregated Kubernetes API: metrics.smi-spec.io.
//!
//! A request comes from the API server, which names the user in headers. [`authentication`] believes these headers only from
//! the holder of the API server's certificate, `authorization` asks the API server whether the user may, and `handler` joins
//! the objects that exist with what [`crate::traffic`] knows of them.
//!
//! | resource | objects | rows of a list |
//! |---|---|---|
//! | `deployments`, `pods`, `statefulsets`, `daemonsets`, `jobs`, `replicationcontrollers` | those that exist and match the selectors | one for each object: everything it received |
//! | the same with `/edges` | one that exists | one for each peer |
//! | `trafficmetrics` (`tm`) | workloads that report and match the selectors | for each workload everything it received, then its peers |
//!
//! Names: in lists with one row for each object that object's name; elsewhere kind and name of the resource and of the peer
//! with colons between, like `deployment:web:to:deployment:catalog-v1`, which no two rows share and no other object can have.
//! `kubectl get tm web` finds `deployment:web` too.
//!
//! `limit` and `continue` are those of the objects' list; `trafficmetrics` and edges are always given whole. Metrics have no
//! history, so there is no watch.

pub mod authentication;
pub mod types;

mod accept;
mod answer;
mod authentication_watch;
mod authorization;
mod documents;
mod handler;
mod objects;
mod openapi;
mod resource;
mod row;
mod status;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use axum::{
    Router,
    extract::{Request, State},
    middleware::{Next, from_fn_with_state},
    response::{IntoResponse, Response},
    routing::any,
};
use kube::Client;
use rustls::server::ResolvesServerCert;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use self::{authentication::Authenticator, authorization::Authorizer, objects::Objects};
use crate::{
    https::{Clients, Peer, Server},
    traffic::Store,
};

pub use row::Moment;
pub use status::{Denial, Refusal};

/// The API server of metrics.smi-spec.io.
pub struct ApiServer {
    objects: Objects,
    authenticator: Authenticator,
    authorizer: Authorizer,
    store: Arc<Store>,
    client: Client,
    clock: fn() -> Moment,
}

impl ApiServer {
    /// Serves what `store` knows of the objects that `client` lists.
    ///
    /// The client needs: get and list of the objects named in the module's table, create of `SubjectAccessReviews`
    /// (`authorization.k8s.io`), and the Role `extension-apiserver-authentication-reader` of `kube-system`.
    #[must_use]
    pub fn new(client: Client, store: Arc<Store>) -> Arc<Self> {
        Self::with_clock(client, store, Moment::now)
    }

    fn with_clock(client: Client, store: Arc<Store>, clock: fn() -> Moment) -> Arc<Self> {
        Arc::new(Self {
            objects: Objects::new(client.clone()),
            authenticator: Authenticator::new(),
            authorizer: Authorizer::new(client.clone()),
            store,
            client,
            clock,
        })
    }

    /// Everything that is served, to be mounted at the root. Requests must carry [`Peer`] as an extension, as
    /// [`Server`] does; without it nobody is authenticated.
    pub fn router(self: &Arc<Self>) -> Router {
        let metrics = "/apis/metrics.smi-spec.io/{version}";
        Router::new()
            .route("/apis", any(documents::groups))
            .route("/apis/metrics.smi-spec.io", any(documents::group))
            .route(metrics, any(documents::resources))
            .route(&format!("{metrics}/{{resource}}"), any(handler::metrics))
            .route(&format!("{metrics}/namespaces/{{namespace}}/{{resource}}"), any(handler::metrics))
            .route(&format!("{metrics}/namespaces/{{namespace}}/{{resource}}/{{name}}"), any(handler::metrics))
            .route(
                &format!("{metrics}/namespaces/{{namespace}}/{{resource}}/{{name}}/{{subresource}}"),
                any(handler::metrics),
            )
            .route("/openapi/v2", any(openapi::v2))
            .route("/openapi/v3", any(openapi::v3_index))
            .route("/openapi/v3/apis/metrics.smi-spec.io/{version}", any(openapi::v3))
            .fallback(no_such_path)
            .layer(from_fn_with_state(Arc::clone(self), authenticate))
            .with_state(Arc::clone(self))
    }

    /// Serves over TLS and follows the configuration of authentication, until `stop` is cancelled and every connection has
    /// ended.
    ///
    /// # Errors
    /// When the cryptography in use supports no version of TLS.
    pub async fn serve(
        self: Arc<Self>,
        listener: TcpListener,
        certificate: Arc<dyn ResolvesServerCert>,
        stop: CancellationToken,
    ) -> Result<(), rustls::Error> {
        let server = Server::new(certificate, Clients::Optional(self.authenticator.roots()))?;
        let follow = authentication_watch::follow(self.client.clone(), &self.authenticator, &stop);
        tokio::join!(follow, server.serve(listener, self.router(), stop.clone()));
        Ok(())
    }
}

/// Every path needs a user: the API server asks for documents in its own name.
async fn authenticate(State(api): State<Arc<ApiServer>>, mut request: Request, next: Next) -> Response {
    match api.authenticator.authenticate(request.extensions().get::<Peer>(), request.headers()) {
        Ok(user) => {
            request.extensions_mut().insert(user);
            next.run(request).await
        }
        Err(error) => {
            tracing::debug!(error = &error as &dyn std::error::Error, "Refused unauthenticated request");
            Refusal::Unauthorized.into_response()
        }
    }
}

async fn no_such_path() -> Refusal {
    Refusal::NoSuchPath
}
