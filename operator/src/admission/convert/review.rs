//! Pure: one `ConversionReview`, from text to text.

use std::fmt;

use kube::core::TypeMeta;
use serde::{Deserialize, Serialize};
use serde_json::{Value, value::RawValue};
use smi_crds::ConversionError;
use thiserror::Error;

use crate::admission::shortened;

/// The one form of review that is answered.
const META_KIND: &str = "ConversionReview";
const META_API_VERSION_V1: &str = "apiextensions.k8s.io/v1";
/// How many objects that cannot be converted a message names.
const NAMED: usize = 10;
/// How much is said of each in bytes, because what is wrong may be repeated and have any size.
const NAMED_BYTES: usize = 1024;
/// Largest object. The API server takes no larger request, and etcd keeps half of it; what an object takes in memory while it is
/// converted may be sixteen times its text and more.
const MAX_OBJECT_BYTES: usize = 3 * 1024 * 1024;

/// Why a review cannot be answered: it is none.
#[derive(Debug, Error)]
pub(super) enum ReviewError {
    /// Not of the form that reviews have.
    #[error("the body is no ConversionReview: {0}")]
    Syntax(#[from] serde_json::Error),
    /// Another kind, or a version of it that is not answered.
    #[error("the body is {kind} of {api_version}: only ConversionReview of {META_API_VERSION_V1} is answered")]
    Version {
        /// What kind it is of.
        kind: String,
        /// What version it is of.
        api_version: String,
    },
    /// Nothing is asked.
    #[error("the ConversionReview holds no request")]
    NoRequest,
}

/// Why one object of a review is not converted.
#[derive(Debug, Error)]
enum ObjectError {
    /// It cannot be read at all.
    #[error("object {index} of the review is no JSON object: {source}")]
    Syntax { index: usize, source: serde_json::Error },
    /// The API server has none of this size.
    #[error(
        "object {index} of the review has {bytes} bytes: make it smaller, at most {MAX_OBJECT_BYTES} are converted"
    )]
    TooLarge { index: usize, bytes: usize },
    /// It has no place in the version that is asked for.
    #[error(transparent)]
    Conversion(#[from] ConversionError),
}

/// A review as the API server sends it. The objects stay text until their turn comes, so that a long list is never in memory twice.
#[derive(Deserialize)]
struct Asked<'a> {
    #[serde(flatten)]
    types: TypeMeta,
    #[serde(borrow)]
    request: Option<Request<'a>>,
}

#[derive(Deserialize)]
struct Request<'a> {
    uid: String,
    #[serde(rename = "desiredAPIVersion")]
    desired_api_version: String,
    #[serde(borrow)]
    objects: Vec<&'a RawValue>,
}

#[derive(Serialize)]
struct Answered<'a> {
    #[serde(flatten)]
    types: TypeMeta,
    response: Response<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Response<'a> {
    uid: &'a str,
    result: Outcome,
    converted_objects: Vec<Box<RawValue>>,
}

#[derive(Serialize)]
#[serde(tag = "status")]
enum Outcome {
    Success,
    Failed { message: String },
}

/// What is sent back.
#[derive(Debug)]
pub(super) struct Answer {
    /// A `ConversionReview` in JSON.
    pub(super) body: Vec<u8>,
    /// How many objects were asked for.
    pub(super) objects: usize,
    /// Why none of them is in the answer: one that cannot be converted fails the whole review, which is the protocol.
    pub(super) failure: Option<String>,
}

/// Answers the review in `body`.
///
/// # Errors
/// When it is no review, so that there is nobody to answer.
pub(super) fn answer(body: &[u8]) -> Result<Answer, ReviewError> {
    // The types first: a review of another kind is told so, and not which field it lacks.
    let types: TypeMeta = serde_json::from_slice(body)?;
    if types.kind != META_KIND || types.api_version != META_API_VERSION_V1 {
        return Err(ReviewError::Version { kind: types.kind, api_version: types.api_version });
    }
    let asked: Asked<'_> = serde_json::from_slice(body)?;
    let request = asked.request.ok_or(ReviewError::NoRequest)?;
    let mut converted = Vec::with_capacity(request.objects.len());
    let mut failures = Failures::default();
    for (index, object) in request.objects.iter().enumerate() {
        match convert(index, object, &request.desired_api_version) {
            // After a failure nothing is sent but failures.
            Ok(object) if failures.count == 0 => converted.push(object),
            Ok(_) => {}
            Err(error) => failures.note(&error),
        }
    }
    let failure = failures.message();
    let result = match &failure {
        None => Outcome::Success,
        Some(message) => {
            converted.clear();
            Outcome::Failed { message: message.clone() }
        }
    };
    let response = Response { uid: &request.uid, result, converted_objects: converted };
    let body = serde_json::to_vec(&Answered { types: asked.types, response })?;
    Ok(Answer { body, objects: request.objects.len(), failure })
}

fn convert(index: usize, object: &RawValue, to: &str) -> Result<Box<RawValue>, ObjectError> {
    let syntax = |source| ObjectError::Syntax { index, source };
    let bytes = object.get().len();
    if bytes > MAX_OBJECT_BYTES {
        return Err(ObjectError::TooLarge { index, bytes });
    }
    let object: Value = serde_json::from_str(object.get()).map_err(syntax)?;
    let mut converted = smi_crds::convert(object, to)?;
    // A server-side apply converts parts of objects as well, and the API server takes no answer without metadata.
    if let Value::Object(fields) = &mut converted
        && !fields.get("metadata").is_some_and(Value::is_object)
    {
        fields.insert("metadata".to_owned(), Value::Object(serde_json::Map::new()));
    }
    serde_json::value::to_raw_value(&converted).map_err(syntax)
}

/// What is said of the objects that cannot be converted.
#[derive(Default)]
struct Failures {
    named: Vec<String>,
    count: usize,
}

impl Failures {
    fn note(&mut self, error: &ObjectError) {
        self.count += 1;
        if self.named.len() < NAMED {
            self.named.push(shortened(error.to_string(), NAMED_BYTES));
        }
    }

    fn message(&self) -> Option<String> {
        (self.count > 0).then(|| self.to_string())
    }
}

impl fmt::Display for Failures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.named.join("; "))?;
        match self.count - self.named.len() {
            0 => Ok(()),
            more => write!(f, "; and {more} more"),
        }
    }
}
