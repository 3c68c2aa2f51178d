//! Tests that need the mesh for themselves: they run the operator with other options, replace all of Weft, or measure. No two of
//! them run at the same time.

mod conversion_cost;
mod hostile_clients;
mod one_bad_object;
mod rollout;
mod rotation;
mod scale;
mod upgrade;

use e2e::harness::{loads, more, stop};

/// The root service of the tests.
const WEB: &str = "http://web:8080/";
