//! What the intruder is asked to do and what it says about it: the words that it and the harness share.

mod attack;
mod capture;
mod tls;

pub use attack::{Attack, Damage, Method};
pub use capture::{Capture, Flow};
pub use tls::{Approach, Credentials, Outcome, Petition, Pose, Ruling, Seen};

/// Port of the intruder's control API, another than that of an application in the same pod.
pub const CONTROL_PORT: u16 = 9100;
