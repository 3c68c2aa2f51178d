//! `TCPRoute` and `UDPRoute`: ports that stand there more than once.

use std::{collections::HashMap, num::NonZeroU16};

use super::{Verdict, Warning};

/// Judges the ports of a route. All else that can be wrong with them is that they cannot be read.
pub(super) fn judge(ports: impl Iterator<Item = NonZeroU16>) -> Verdict {
    let mut verdict = Verdict::default();
    let mut known = HashMap::new();
    for (index, port) in ports.enumerate() {
        let first = *known.entry(port).or_insert(index);
        if first != index {
            verdict.warn(Warning::PortTwice { index, first, port });
        }
    }
    verdict
}
