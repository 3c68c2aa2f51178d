//! Who shares requests, and which requests.

use thiserror::Error;
use weft_policy::{
    http::{Conditions, InvalidMatch},
    split::{InvalidWeights, Schedule},
};
use weft_proxy_api::v1;

use super::{InvalidBackend, InvalidName, matches};
use crate::policy::{Backend, ConditionalSplit};

/// Why backends cannot share requests.
#[derive(Debug, PartialEq, Eq, Error)]
pub(crate) enum InvalidShares {
    #[error("it has no backends")]
    NoBackends,
    #[error("backend {position}: {error}")]
    Backend { position: usize, error: InvalidBackend },
    #[error(transparent)]
    Weights(#[from] InvalidWeights),
}

/// Why a split of some requests cannot be read.
#[derive(Debug, PartialEq, Eq, Error)]
pub(crate) enum InvalidConditional {
    #[error("it has no name")]
    NoName,
    #[error(transparent)]
    Name(#[from] InvalidName),
    #[error(transparent)]
    Match(#[from] InvalidMatch),
    #[error(transparent)]
    Shares(#[from] InvalidShares),
}

/// Backends that there is a schedule for.
pub(super) fn backends(wire: Vec<v1::Backend>) -> Result<Vec<Backend>, InvalidShares> {
    let backend = |(position, backend): (usize, v1::Backend)| {
        backend.try_into().map_err(|error| InvalidShares::Backend { position, error })
    };
    let backends: Vec<Backend> = wire.into_iter().enumerate().map(backend).collect::<Result<_, _>>()?;
    if backends.is_empty() {
        return Err(InvalidShares::NoBackends);
    }
    Schedule::new(backends.iter().map(|backend| backend.weight))?;
    Ok(backends)
}

impl TryFrom<v1::ConditionalSplit> for ConditionalSplit {
    type Error = InvalidConditional;

    fn try_from(wire: v1::ConditionalSplit) -> Result<Self, InvalidConditional> {
        Ok(Self {
            split: wire.split.ok_or(InvalidConditional::NoName)?.try_into()?,
            // Compiled here, so that no request has to wait for it.
            matches: wire
                .matches
                .into_iter()
                .map(|wire| matches::compiled(conditions(wire)))
                .collect::<Result<_, InvalidMatch>>()?,
            backends: backends(wire.backends)?,
        })
    }
}

fn conditions(wire: v1::HttpMatch) -> Conditions {
    Conditions {
        name: wire.name,
        path_regex: wire.path_regex,
        methods: wire.methods,
        headers: wire.headers.into_iter().map(|header| (header.name, header.regex)).collect(),
    }
}
