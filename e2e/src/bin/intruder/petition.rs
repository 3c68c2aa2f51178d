//! Asks the operator for a certificate.

use axum::Json;
use e2e::intrusion::{Petition, Ruling};
use thiserror::Error;
use tonic::{
    Request,
    metadata::errors::InvalidMetadataValue,
    transport::{Certificate, Channel, ClientTlsConfig},
};
use weft_proxy_api::v1::{CertificateRequest, identity_client::IdentityClient};

use crate::{Refusal, refuse};

/// Why the operator cannot be asked.
#[derive(Debug, Error)]
enum Unasked {
    #[error("{0:?} is not a URI")]
    Uri(String, #[source] axum::http::uri::InvalidUri),
    #[error("the operator is not reached: {0:?}")]
    Transport(#[from] tonic::transport::Error),
    #[error("the token cannot be a header")]
    Token(#[from] InvalidMetadataValue),
}

/// Asks, and tells what the operator said.
pub(crate) async fn run(Json(petition): Json<Petition>) -> Result<Json<Ruling>, Refusal> {
    ask(petition).await.map(Json).map_err(refuse)
}

async fn ask(petition: Petition) -> Result<Ruling, Unasked> {
    let uri = petition.operator.parse().map_err(|error| Unasked::Uri(petition.operator.clone(), error))?;
    let tls = ClientTlsConfig::new().ca_certificate(Certificate::from_pem(&petition.trust_roots));
    let channel = Channel::builder(uri).tls_config(tls)?.connect().await?;
    let mut request = Request::new(CertificateRequest { csr: petition.csr });
    request.metadata_mut().insert("authorization", format!("Bearer {}", petition.token).parse()?);
    Ok(match IdentityClient::new(channel).certify(request).await {
        Ok(signed) => Ruling { code: "Ok".to_owned(), message: String::new(), certificates: signed.into_inner().chain },
        Err(status) => Ruling {
            code: format!("{:?}", status.code()),
            message: status.message().to_owned(),
            certificates: Vec::new(),
        },
    })
}
