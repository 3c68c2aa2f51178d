//! A port, written as a number or as a string.

use std::fmt;
use std::num::NonZeroU16;

use serde::de::{self, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A port from 1 to 65535, in the spelling it was written in.
///
/// Some clients write ports as strings. The spelling is kept so that an object which is read and written again does not
/// change; `"08080"` or `"http"` are refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Port {
    number: NonZeroU16,
    is_text: bool,
}

impl Port {
    /// The port itself.
    pub fn number(self) -> NonZeroU16 {
        self.number
    }
}

impl From<NonZeroU16> for Port {
    fn from(number: NonZeroU16) -> Self {
        Self { number, is_text: false }
    }
}

impl fmt::Display for Port {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.number.fmt(f)
    }
}

impl Serialize for Port {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.is_text { serializer.collect_str(&self.number) } else { self.number.serialize(serializer) }
    }
}

impl<'de> Deserialize<'de> for Port {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(EitherSpelling)
    }
}

struct EitherSpelling;

impl Visitor<'_> for EitherSpelling {
    type Value = Port;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a port from 1 to 65535, as a number or the same number in a string")
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<Port, E> {
        let port = u16::try_from(number).ok().and_then(NonZeroU16::new);
        port.map(Port::from).ok_or_else(|| E::invalid_value(de::Unexpected::Unsigned(number), &self))
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<Port, E> {
        let number = u64::try_from(number).map_err(|_| E::invalid_value(de::Unexpected::Signed(number), &self))?;
        self.visit_u64(number)
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Port, E> {
        let number = text.parse::<NonZeroU16>().ok().filter(|number| number.to_string() == text);
        number
            .map(|number| Port { number, is_text: true })
            .ok_or_else(|| E::invalid_value(de::Unexpected::Str(text), &self))
    }
}
