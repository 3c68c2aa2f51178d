//! Names that no object of Kubernetes can have.
//!
//! Source: `k8s.io/apimachinery`, `util/validation`: RFC 1123 subdomains and labels.

use thiserror::Error;

/// Longest name of most objects, in bytes.
const MAX_SUBDOMAIN: usize = 253;
/// Longest name of a namespace, in bytes.
const MAX_LABEL: usize = 63;

/// Why a name is nobody's.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum InvalidObjectName {
    /// No object of the kind can have it.
    #[error(
        "no {kind} can have the name {name:?}: it is an RFC 1123 subdomain, so write at most {MAX_SUBDOMAIN} lower-case letters, digits, \
         dashes and dots, with a letter or digit at both ends of each part"
    )]
    Subdomain {
        /// What it should be the name of.
        kind: &'static str,
        /// As written.
        name: String,
    },
    /// No namespace can have it.
    #[error(
        "no namespace can have the name {0:?}: it is an RFC 1123 label, so write at most {MAX_LABEL} lower-case letters, digits and \
         dashes, with a letter or digit at both ends"
    )]
    Namespace(String),
}

/// Whether an object of `kind` can have the name. Holds for service accounts and for objects of SMI.
///
/// # Errors
/// When it cannot.
pub fn check(kind: &'static str, name: &str) -> Result<(), InvalidObjectName> {
    if name.len() <= MAX_SUBDOMAIN && name.split('.').all(is_label) {
        return Ok(());
    }
    Err(InvalidObjectName::Subdomain { kind, name: name.to_owned() })
}

/// Whether a namespace can have the name.
///
/// # Errors
/// When it cannot.
pub fn check_namespace(name: &str) -> Result<(), InvalidObjectName> {
    if name.len() <= MAX_LABEL && is_label(name) {
        return Ok(());
    }
    Err(InvalidObjectName::Namespace(name.to_owned()))
}

/// A label but for its length, which only a label by itself is limited in.
fn is_label(text: &str) -> bool {
    let is_end = |byte: Option<&u8>| byte.is_some_and(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
    let bytes = text.as_bytes();
    is_end(bytes.first()) && is_end(bytes.last()) && bytes.iter().all(|byte| *byte == b'-' || is_end(Some(byte)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_the_names_that_objects_can_have() {
        let (label, subdomain) = ("a".repeat(63), "a".repeat(253));
        for (name, text, object, namespace) in [
            ("plain", "web", true, true),
            ("digits and dashes", "0-9", true, true),
            ("dots", "web.v1", true, false),
            ("longest label", &label, true, true),
            ("longer than a label", &format!("{label}a"), true, false),
            ("longest subdomain", &subdomain, true, false),
            ("longer than a subdomain", &format!("{subdomain}a"), false, false),
            ("empty", "", false, false),
            ("capital", "Shop", false, false),
            ("underscore", "my_account", false, false),
            ("dash at the beginning", "-web", false, false),
            ("dash at the end", "web-", false, false),
            ("dash at the end of a part", "web-.v1", false, false),
            ("empty part", "web..v1", false, false),
            ("dot at the end", "web.", false, false),
            ("blank", "my web", false, false),
            ("other letter", "wéb", false, false),
        ] {
            let found = (check("ServiceAccount", text).is_ok(), check_namespace(text).is_ok());
            assert_eq!(found, (object, namespace), "{name}");
        }
    }
}
