//! Refusals, in the words and the shape that Kubernetes' clients know: `kind: Status`.

use std::fmt;

use axum::{
    extract::rejection::QueryRejection,
    response::{IntoResponse, Response},
};
use http::{HeaderValue, StatusCode, header};
use kube::core::response::{Status, StatusDetails, StatusSummary};
use thiserror::Error;

use super::types::GROUP;

/// Why a request is not answered.
#[derive(Debug, Error)]
pub enum Refusal {
    /// Nobody knows who asks.
    #[error("Unauthorized")]
    Unauthorized,
    /// Who asks may not.
    #[error(transparent)]
    Forbidden(Box<Denial>),
    /// No such object.
    #[error("{resource}.{GROUP} {name:?} not found")]
    NotFound {
        /// Plural of the resource.
        resource: &'static str,
        /// Name of the object.
        name: String,
    },
    /// No such path.
    #[error("the server could not find the requested resource")]
    NoSuchPath,
    /// Metrics are only read.
    #[error("{verb} is not supported on resources of kind \"{resource}.{GROUP}\"")]
    MethodNotAllowed {
        /// What was to be done.
        verb: &'static str,
        /// Plural of the resource.
        resource: &'static str,
    },
    /// Documents are only read.
    #[error("the server does not allow this method on the requested resource")]
    ReadOnly,
    /// None of the acceptable representations exists.
    #[error("only the following media types are accepted: {0}")]
    NotAcceptable(&'static str),
    /// A parameter makes no sense.
    #[error("{parameter}: {value:?} {problem}")]
    BadRequest {
        /// Name of the parameter.
        parameter: &'static str,
        /// Its value.
        value: String,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// The parameters cannot be read.
    #[error(transparent)]
    Query(#[from] QueryRejection),
    /// The API server refused the operator's request for the same objects, for reasons in the client's request.
    #[error("{}", .0.message)]
    Relayed(Box<Status>),
    /// The API server cannot be asked.
    #[error("the API server could not be asked")]
    Unavailable(#[source] Box<kube::Error>),
    /// An answer cannot be written.
    #[error("the answer could not be written")]
    Internal(#[from] serde_json::Error),
}

/// A user may not do something.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub struct Denial {
    /// Who.
    pub user: String,
    /// What they may not do.
    pub verb: &'static str,
    /// Plural of the resource.
    pub resource: &'static str,
    /// Subresource; empty for none.
    pub subresource: &'static str,
    /// Name of the object; empty for a list.
    pub name: String,
    /// Namespace of the object; `None` for all.
    pub namespace: Option<String>,
    /// Why, if the authorizer tells.
    pub reason: String,
}

impl fmt::Display for Denial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { user, verb, resource, subresource, name, namespace, reason } = self;
        write!(f, "{resource}.{GROUP}")?;
        if !name.is_empty() {
            write!(f, " {name:?}")?;
        }
        write!(f, " is forbidden: User {user:?} cannot {verb} resource \"{resource}")?;
        if !subresource.is_empty() {
            write!(f, "/{subresource}")?;
        }
        write!(f, "\" in API group {GROUP:?} ")?;
        match namespace {
            Some(namespace) => write!(f, "in the namespace {namespace:?}")?,
            None => f.write_str("at the cluster scope")?,
        }
        if !reason.is_empty() {
            write!(f, ": {reason}")?;
        }
        Ok(())
    }
}

impl Refusal {
    /// The error of a request for objects: what is wrong with the parameters is told on, the operator's own troubles are not.
    pub(super) fn from_kube(error: kube::Error) -> Self {
        match error {
            kube::Error::Api(status) if matches!(status.code, 400 | 410 | 422) => Self::Relayed(status),
            other => {
                tracing::warn!(error = &other as &dyn std::error::Error, "Could not ask the API server");
                Self::Unavailable(Box::new(other))
            }
        }
    }

    fn code(&self) -> StatusCode {
        match self {
            Self::Unauthorized => StatusCode::UNAUTHORIZED,
            Self::Forbidden(_) => StatusCode::FORBIDDEN,
            Self::NotFound { .. } | Self::NoSuchPath => StatusCode::NOT_FOUND,
            Self::MethodNotAllowed { .. } | Self::ReadOnly => StatusCode::METHOD_NOT_ALLOWED,
            Self::NotAcceptable(_) => StatusCode::NOT_ACCEPTABLE,
            Self::BadRequest { .. } | Self::Query(_) => StatusCode::BAD_REQUEST,
            Self::Relayed(status) => StatusCode::from_u16(status.code).unwrap_or(StatusCode::BAD_REQUEST),
            Self::Unavailable(_) => StatusCode::SERVICE_UNAVAILABLE,
            Self::Internal(_) => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    fn reason(&self) -> &str {
        match self {
            Self::Unauthorized => "Unauthorized",
            Self::Forbidden(_) => "Forbidden",
            Self::NotFound { .. } | Self::NoSuchPath => "NotFound",
            Self::MethodNotAllowed { .. } | Self::ReadOnly => "MethodNotAllowed",
            Self::NotAcceptable(_) => "NotAcceptable",
            Self::BadRequest { .. } | Self::Query(_) => "BadRequest",
            Self::Relayed(status) => &status.reason,
            Self::Unavailable(_) => "ServiceUnavailable",
            Self::Internal(_) => "InternalError",
        }
    }

    fn details(&self) -> Option<StatusDetails> {
        let (kind, name) = match self {
            Self::Forbidden(denial) => (denial.resource, denial.name.clone()),
            Self::NotFound { resource, name } => (*resource, name.clone()),
            Self::MethodNotAllowed { resource, .. } => (*resource, String::new()),
            _ => return None,
        };
        Some(StatusDetails {
            name,
            group: GROUP.to_owned(),
            kind: kind.to_owned(),
            uid: String::new(),
            causes: Vec::new(),
            retry_after_seconds: 0,
        })
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let code = self.code();
        let status = Status {
            status: Some(StatusSummary::Failure),
            code: code.as_u16(),
            message: self.to_string(),
            metadata: None,
            reason: self.reason().to_owned(),
            details: self.details(),
        };
        let body = serde_json::json!({ "kind": "Status", "apiVersion": "v1", "metadata": {} });
        let body = match (body, serde_json::to_value(status)) {
            (serde_json::Value::Object(mut body), Ok(serde_json::Value::Object(status))) => {
                body.extend(status);
                serde_json::Value::Object(body)
            }
            (body, _) => body,
        };
        let mut response = (code, axum::Json(body)).into_response();
        if code == StatusCode::SERVICE_UNAVAILABLE {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
        }
        response
    }
}
