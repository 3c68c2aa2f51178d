//! The ports of a TCPRoute or UDPRoute.

use std::num::NonZeroU16;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Port, schema};

/// The ports that a route of connections or datagrams stands for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PortMatch {
    /// Name of this match, for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253))]
    pub name: Option<String>,

    /// Ports of the destination, as numbers or as the same numbers in strings. Absent or empty: every port.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::ports")]
    pub ports: Option<Vec<Port>>,
}

impl PortMatch {
    /// The ports in the order they were written in; none means every port.
    pub fn numbers(&self) -> impl Iterator<Item = NonZeroU16> {
        self.ports.iter().flatten().map(|port| port.number())
    }
}
