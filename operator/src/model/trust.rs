//! Whom the mesh believes, and who signs for it.

use std::{fmt, str::FromStr};

/// SHA-256 of a certificate in DER, written as 64 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Fingerprint([u8; 32]);

/// A text is no fingerprint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotAFingerprint(pub String);

impl Fingerprint {
    /// From the hash itself.
    #[must_use]
    pub const fn new(hash: [u8; 32]) -> Self {
        Self(hash)
    }

    /// The hash itself.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Fingerprint {
    type Err = NotAFingerprint;

    fn from_str(text: &str) -> Result<Self, NotAFingerprint> {
        let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
        let bytes: Option<Vec<u8>> =
            text.as_bytes().chunks(2).map(|pair| Some(digit(pair[0])? << 4 | digit(*pair.get(1)?)?)).collect();
        let hash = bytes.and_then(|bytes| <[u8; 32]>::try_from(bytes).ok());
        hash.map(Self).ok_or_else(|| NotAFingerprint(text.to_owned()))
    }
}

impl fmt::Display for NotAFingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} is not 64 hexadecimal digits", self.0)
    }
}

impl std::error::Error for NotAFingerprint {}

/// What every sidecar is told about trust.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trust {
    /// As in `spiffe://TRUST-DOMAIN/ns/NAMESPACE/sa/SERVICE-ACCOUNT`.
    pub trust_domain: String,
    /// Root certificates in DER, sorted; more than one while a root is replaced by another.
    pub roots: Vec<Vec<u8>>,
    /// The issuer that signs now.
    pub issuer: Fingerprint,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_it_writes_and_nothing_else() {
        let text = "00ff".repeat(16);
        assert_eq!(text.parse::<Fingerprint>().unwrap().to_string(), text);
        for (name, text) in [
            ("nothing", String::new()),
            ("a digit less", "0".repeat(63)),
            ("two digits more", "0".repeat(66)),
            ("a sign", format!("+0{}", "0".repeat(62))),
            ("no digit", "g".repeat(64)),
            ("no ASCII", "ä".repeat(32)),
        ] {
            assert!(text.parse::<Fingerprint>().is_err(), "{name}");
        }
    }
}
