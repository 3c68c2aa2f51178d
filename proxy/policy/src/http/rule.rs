//! A match of an `HTTPRouteGroup`: as it is written, and ready to be compared.

use std::borrow::Borrow;

use ::http::{HeaderName, Method, method::InvalidMethod};
use thiserror::Error;

use super::{
    path::AmbiguousPath,
    pattern::{Extent, Field, InvalidPattern, Pattern},
    request::{Request, host},
};

/// The header name that stands for the authority.
const HOST: &str = "host";
/// The method that stands for every one.
const ANY: &str = "*";

/// The conditions of one match, as written. All of them have to hold; where there is none, every request meets the match.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Conditions {
    /// Name of the match.
    pub name: String,
    /// Pattern that the normalised path has to begin with. `None`: any path.
    pub path_regex: Option<String>,
    /// Methods of which the request must have one. Empty, or `*` among them: any.
    pub methods: Vec<String>,
    /// Header names, in any case, and the pattern that has to match the whole value. A name may stand here more than once; then
    /// every pattern has to match.
    pub headers: Vec<(String, String)>,
}

/// Why conditions cannot be compared with anything.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum InvalidMatch {
    /// A pattern cannot be used.
    #[error("match {name:?}: {field}: {problem}")]
    Pattern {
        /// Name of the match.
        name: String,
        /// Where the pattern stands.
        field: Field,
        /// What is wrong with it.
        #[source]
        problem: InvalidPattern,
    },
    /// A header cannot have such a name.
    #[error(
        "match {name:?}: headers: {header:?} is no name of a header; write letters, digits and dashes, or host for the authority"
    )]
    HeaderName {
        /// Name of the match.
        name: String,
        /// As written.
        header: String,
    },
    /// There is no such method.
    #[error("match {name:?}: methods: {method:?} is no method, {source}; write one such as GET, or \"*\" for any")]
    Method {
        /// Name of the match.
        name: String,
        /// As written.
        method: String,
        /// Why not.
        #[source]
        source: MethodProblem,
    },
}

/// Why a text is no method.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum MethodProblem {
    /// It has characters that no method has.
    #[error("because it has characters that no method has")]
    Characters,
    /// It is in lower case; methods are compared as they are.
    #[error("because methods are written in upper case")]
    LowerCase,
}

impl From<InvalidMethod> for MethodProblem {
    fn from(_: InvalidMethod) -> Self {
        Self::Characters
    }
}

/// The first condition of a match that a request does not meet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Unmet<'a> {
    /// The method is another.
    #[error("its method is another")]
    Method,
    /// The path is another.
    #[error("its path does not match pathRegex")]
    Path,
    /// The path is compared with no pattern, because servers do not agree on what it means.
    #[error("its path is compared with no pathRegex: {0}")]
    AmbiguousPath(AmbiguousPath),
    /// The request has no such header.
    #[error("it has no header {0}")]
    NoHeader(&'a str),
    /// The value of a header is another.
    #[error("its header {0} has another value")]
    Header(&'a str),
}

/// A match that is ready to be compared with requests. Two are equal when their conditions are.
#[derive(Debug, Clone)]
pub struct Match {
    conditions: Conditions,
    path: Option<Pattern>,
    /// Empty: any.
    methods: Vec<Method>,
    authority: Vec<Pattern>,
    headers: Vec<(HeaderName, Pattern)>,
}

impl Match {
    /// Compiles the conditions of a match.
    ///
    /// # Errors
    /// When a pattern is not in RE2 syntax or beyond its bounds, or a header or method cannot have such a name.
    pub fn new(conditions: &Conditions) -> Result<Self, InvalidMatch> {
        let name = &conditions.name;
        let compile = |pattern: &str, extent, field: &dyn Fn() -> Field| {
            Pattern::new(pattern, extent).map_err(|problem| InvalidMatch::Pattern {
                name: name.clone(),
                field: field(),
                problem,
            })
        };
        let path = conditions.path_regex.as_deref().map(|regex| compile(regex, Extent::Start, &|| Field::Path));
        let (mut authority, mut headers) = (Vec::new(), Vec::new());
        for (header, regex) in &conditions.headers {
            let field = || Field::Header(header.clone());
            if header.eq_ignore_ascii_case(HOST) {
                authority.push(compile(regex, Extent::WholeInAnyCase, &field)?);
            } else {
                let known: HeaderName = header.parse().map_err(|_: ::http::header::InvalidHeaderName| {
                    InvalidMatch::HeaderName { name: name.clone(), header: header.clone() }
                })?;
                headers.push((known, compile(regex, Extent::Whole, &field)?));
            }
        }
        let any = conditions.methods.iter().any(|method| method == ANY);
        let methods = conditions.methods.iter().filter(|_| !any).map(|method| {
            read_method(method).map_err(|source| InvalidMatch::Method {
                name: name.clone(),
                method: method.clone(),
                source,
            })
        });
        Ok(Self {
            conditions: conditions.clone(),
            path: path.transpose()?,
            methods: methods.collect::<Result<_, _>>()?,
            authority,
            headers,
        })
    }

    /// Name of the match.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.conditions.name
    }

    /// Whether `request` meets every condition.
    #[must_use]
    pub fn is_met_by(&self, request: &Request<'_>) -> bool {
        self.compare(request).is_ok()
    }

    /// Compares `request` with every condition, the cheap ones first.
    ///
    /// # Errors
    /// With the first condition that is not met.
    pub fn compare(&self, request: &Request<'_>) -> Result<(), Unmet<'_>> {
        if !self.methods.is_empty() && !self.methods.contains(request.method()) {
            return Err(Unmet::Method);
        }
        if let Some(pattern) = &self.path {
            let path = request.path().map_err(|ambiguous| Unmet::AmbiguousPath(*ambiguous))?;
            if !pattern.is_match(path.as_bytes()) {
                return Err(Unmet::Path);
            }
        }
        if !self.authority.is_empty() {
            let authority = request.authority().ok_or(Unmet::NoHeader(HOST))?;
            let named = |pattern: &Pattern| pattern.is_match(authority) || pattern.is_match(host(authority));
            if !self.authority.iter().all(named) {
                return Err(Unmet::Header(HOST));
            }
        }
        for (name, pattern) in &self.headers {
            let value = request.header(name).ok_or(Unmet::NoHeader(name.as_str()))?;
            if !pattern.is_match(value) {
                return Err(Unmet::Header(name.as_str()));
            }
        }
        Ok(())
    }
}

/// Which of several splits a request goes by, each of which is given by its matches: the first of which it meets any.
pub fn first_met<'a, M: Borrow<Match> + 'a>(
    splits: impl IntoIterator<Item = &'a [M]>,
    request: &Request<'_>,
) -> Option<usize> {
    splits.into_iter().position(|matches| matches.iter().any(|one| one.borrow().is_met_by(request)))
}

impl PartialEq for Match {
    fn eq(&self, other: &Self) -> bool {
        self.conditions == other.conditions
    }
}

impl Eq for Match {}

fn read_method(text: &str) -> Result<Method, MethodProblem> {
    if text.bytes().any(|byte| byte.is_ascii_lowercase()) {
        return Err(MethodProblem::LowerCase);
    }
    Ok(Method::from_bytes(text.as_bytes())?)
}

#[cfg(test)]
mod tests;
