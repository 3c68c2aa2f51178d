//! The gRPC service.

use std::{pin::Pin, sync::Arc};

use e2e::echo::{EchoReply, EchoRequest, echo_server::Echo};
use futures::{Stream, StreamExt};
use tonic::{Code, Request, Response, Status, Streaming};

use crate::Server;

/// Serves `weft.test.v1.Echo`.
pub(crate) struct Service(pub(crate) Arc<Server>);

#[tonic::async_trait]
impl Echo for Service {
    type BidirectionalStream = Pin<Box<dyn Stream<Item = Result<EchoReply, Status>> + Send>>;

    async fn unary(&self, request: Request<EchoRequest>) -> Result<Response<EchoReply>, Status> {
        note(&self.0, &request);
        answer(&self.0, request.into_inner()).map(Response::new)
    }

    async fn bidirectional(
        &self,
        request: Request<Streaming<EchoRequest>>,
    ) -> Result<Response<Self::BidirectionalStream>, Status> {
        note(&self.0, &request);
        let server = Arc::clone(&self.0);
        let replies = request.into_inner().map(move |request| answer(&server, request?));
        Ok(Response::new(replies.boxed()))
    }
}

fn note<T>(server: &Server, request: &Request<T>) {
    let caller = request.metadata().get("x-caller").and_then(|value| value.to_str().ok());
    server.counts.note("grpc", caller.unwrap_or("unknown"));
}

fn answer(server: &Server, request: EchoRequest) -> Result<EchoReply, Status> {
    match Code::from_i32(request.status) {
        Code::Ok => {
            let whoami = server.whoami.clone();
            Ok(EchoReply { message: request.message, name: whoami.name, version: whoami.version, pod: whoami.pod })
        }
        code => Err(Status::new(code, request.message)),
    }
}
