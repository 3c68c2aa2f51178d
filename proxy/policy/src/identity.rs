//! Who a workload is: SPIFFE IDs, and the host name that stands for one in TLS.
//!
//! Source: the SPIFFE-ID standard, sections 2.1 (trust domain) and 2.2 (path).

use std::{fmt, str::FromStr};

use data_encoding::BASE32_NOPAD;
use sha2::{Digest, Sha256};
use thiserror::Error;

/// What every server name of the mesh ends with. No public name does: `weft` is no top-level domain.
const SUFFIX: &str = ".id.weft";
/// Longest trust domain in bytes.
const MAX_TRUST_DOMAIN: usize = 255;

/// `spiffe://TRUST-DOMAIN/ns/NAMESPACE/sa/SERVICE-ACCOUNT`, the form that Istio and Linkerd use as well.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SpiffeId {
    trust_domain: String,
    namespace: String,
    service_account: String,
}

/// Why a text is no identity of the mesh.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum InvalidId {
    /// It has another form.
    #[error("{0:?} is not spiffe://TRUST-DOMAIN/ns/NAMESPACE/sa/SERVICE-ACCOUNT")]
    Form(String),
    /// It has the form, but a part of it is not what may stand there.
    #[error("{part:?} is not a {what}")]
    Part {
        /// Which part.
        what: &'static str,
        /// What stands there.
        part: String,
    },
}

impl SpiffeId {
    /// The identity of a service account.
    ///
    /// # Errors
    /// When a part is empty or has characters that it cannot have.
    pub fn new(trust_domain: &str, namespace: &str, service_account: &str) -> Result<Self, InvalidId> {
        let invalid = |what, part: &str| Err(InvalidId::Part { what, part: part.to_owned() });
        let is_domain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-._".contains(&byte);
        let is_name = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-.".contains(&byte);
        let good = |part: &str, longest: usize, takes: &dyn Fn(u8) -> bool| {
            !part.is_empty() && part.len() <= longest && part.bytes().all(takes) && part != "." && part != ".."
        };
        if !good(trust_domain, MAX_TRUST_DOMAIN, &is_domain) {
            return invalid("trust domain", trust_domain);
        }
        if !good(namespace, 63, &is_name) {
            return invalid("namespace", namespace);
        }
        if !good(service_account, 253, &is_name) {
            return invalid("service account", service_account);
        }
        Ok(Self {
            trust_domain: trust_domain.to_owned(),
            namespace: namespace.to_owned(),
            service_account: service_account.to_owned(),
        })
    }

    /// Such as `cluster.local`.
    #[must_use]
    pub fn trust_domain(&self) -> &str {
        &self.trust_domain
    }

    /// Of the service account.
    #[must_use]
    pub fn namespace(&self) -> &str {
        &self.namespace
    }

    /// Without its namespace.
    #[must_use]
    pub fn service_account(&self) -> &str {
        &self.service_account
    }

    /// The host name that stands for this identity where TLS knows only host names: as the name that a client asks for, and
    /// beside the identity itself in a certificate.
    ///
    /// 52 characters of a hash (SHA-256, base 32) make one label, whatever the identity's length.
    #[must_use]
    pub fn server_name(&self) -> String {
        let mut name = BASE32_NOPAD.encode(&Sha256::digest(self.to_string()));
        name.make_ascii_lowercase();
        name.push_str(SUFFIX);
        name
    }
}

/// Whether `name` is of the form of [`SpiffeId::server_name`]: then a client that asks for it speaks to the mesh, not to the
/// application.
#[must_use]
pub fn is_server_name(name: &str) -> bool {
    name.strip_suffix(SUFFIX).is_some_and(|label| {
        label.len() == 52 && label.bytes().all(|byte| byte.is_ascii_lowercase() || (b'2'..=b'7').contains(&byte))
    })
}

impl fmt::Display for SpiffeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "spiffe://{}/ns/{}/sa/{}", self.trust_domain, self.namespace, self.service_account)
    }
}

impl FromStr for SpiffeId {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        let form = || InvalidId::Form(text.to_owned());
        let rest = text.strip_prefix("spiffe://").ok_or_else(form)?;
        let mut parts = rest.split('/');
        let mut part = || parts.next();
        match (part(), part(), part(), part(), part(), part()) {
            (Some(domain), Some("ns"), Some(namespace), Some("sa"), Some(account), None) => {
                Self::new(domain, namespace, account)
            }
            _ => Err(form()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_identities_of_the_mesh_only() {
        for (name, text, good) in [
            ("plain", "spiffe://cluster.local/ns/shop/sa/web", true),
            ("dots in the account", "spiffe://cluster.local/ns/shop/sa/web.v1", true),
            ("underscore in the domain", "spiffe://a_b/ns/shop/sa/web", true),
            ("nothing", "", false),
            ("no scheme", "cluster.local/ns/shop/sa/web", false),
            ("another scheme", "https://cluster.local/ns/shop/sa/web", false),
            ("upper-case scheme", "SPIFFE://cluster.local/ns/shop/sa/web", false),
            ("no domain", "spiffe:///ns/shop/sa/web", false),
            ("a port", "spiffe://cluster.local:443/ns/shop/sa/web", false),
            ("a user", "spiffe://me@cluster.local/ns/shop/sa/web", false),
            ("upper case", "spiffe://cluster.local/ns/Shop/sa/web", false),
            ("another path", "spiffe://cluster.local/shop/web", false),
            ("one part more", "spiffe://cluster.local/ns/shop/sa/web/x", false),
            ("slash at the end", "spiffe://cluster.local/ns/shop/sa/web/", false),
            ("no namespace", "spiffe://cluster.local/ns//sa/web", false),
            ("dots only", "spiffe://cluster.local/ns/shop/sa/..", false),
            ("a query", "spiffe://cluster.local/ns/shop/sa/web?x", false),
            ("a percent", "spiffe://cluster.local/ns/shop/sa/w%65b", false),
        ] {
            let id = text.parse::<SpiffeId>();
            assert_eq!(id.is_ok(), good, "{name}: {id:?}");
            if let Ok(id) = id {
                assert_eq!(id.to_string(), text, "{name}");
            }
        }
    }

    #[test]
    fn a_server_name_stands_for_one_identity() {
        let web = SpiffeId::new("cluster.local", "shop", "web").unwrap();
        let other = SpiffeId::new("cluster.local", "shop", "webb").unwrap();
        assert_ne!(web.server_name(), other.server_name());
        assert!(is_server_name(&web.server_name()));
        for (name, text) in [
            ("a host", "web.shop.svc"),
            ("the suffix alone", ".id.weft"),
            ("too short", "abc.id.weft"),
            ("upper case", &web.server_name().to_uppercase()),
            ("another domain", &web.server_name().replace("weft", "com")),
            ("a label more", &format!("x.{}", web.server_name())),
        ] {
            assert!(!is_server_name(text), "{name}");
        }
    }
}
