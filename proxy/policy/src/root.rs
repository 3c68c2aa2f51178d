//! The name of a Service as a user may write it.

use thiserror::Error;

/// Why a name does not say which Service of a namespace is meant.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum InvalidName {
    /// Nothing is left once the domain is taken away.
    #[error("the name of a service is empty")]
    Empty,
    /// The name has labels that are neither namespace nor cluster domain.
    #[error("{name:?} is not a service name: write SERVICE, SERVICE.{namespace} or SERVICE.{namespace}.svc.{domain}")]
    Malformed {
        /// What was written.
        name: String,
        /// Where it was written.
        namespace: String,
        /// The cluster's DNS domain.
        domain: String,
    },
    /// The name is of another namespace.
    #[error("{name:?} is in the namespace {found:?}, but a split serves only its own namespace {namespace:?}")]
    OtherNamespace {
        /// What was written.
        name: String,
        /// Where it was written.
        namespace: String,
        /// The namespace that the name says.
        found: String,
    },
}

/// Namespace and name of the Service that `host` means to a client in `namespace`.
///
/// `web`, `web.ns`, `web.ns.svc` and `web.ns.svc.<domain>` mean a Service, with or without a trailing dot and in any case;
/// anything else is `None`. `domain` is the cluster's DNS domain without a trailing dot.
#[must_use]
pub fn resolve(host: &str, namespace: &str, domain: &str) -> Option<(String, String)> {
    let host = host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase();
    let (name, rest) = match host.split_once('.') {
        None => (host.as_str(), None),
        Some((name, rest)) => (name, Some(rest)),
    };
    let found = match rest {
        None => namespace,
        Some(rest) => {
            let (found, suffix) = rest.split_once('.').map_or((rest, None), |(found, suffix)| (found, Some(suffix)));
            let known = suffix.is_none_or(|suffix| {
                suffix == "svc" || suffix.strip_prefix("svc.").is_some_and(|s| s.eq_ignore_ascii_case(domain))
            });
            if !known {
                return None;
            }
            found
        }
    };
    (!name.is_empty() && !found.is_empty()).then(|| (found.to_owned(), name.to_owned()))
}

/// The Service that `name` means in a `TrafficSplit` of `namespace`: always one of that namespace.
///
/// # Errors
/// When the name is empty, is no name of a Service, or says another namespace.
pub fn parse(name: &str, namespace: &str, domain: &str) -> Result<String, InvalidName> {
    if name.trim_end_matches('.').is_empty() {
        return Err(InvalidName::Empty);
    }
    match resolve(name, namespace, domain) {
        None => Err(InvalidName::Malformed {
            name: name.to_owned(),
            namespace: namespace.to_owned(),
            domain: domain.to_owned(),
        }),
        Some((found, _)) if found != namespace => {
            Err(InvalidName::OtherNamespace { name: name.to_owned(), namespace: namespace.to_owned(), found })
        }
        Some((_, service)) => Ok(service),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_every_way_to_name_a_service() {
        for (name, want) in [
            ("web", Some("web")),
            ("web.", Some("web")),
            ("WEB", Some("web")),
            ("web.shop", Some("web")),
            ("web.shop.svc", Some("web")),
            ("web.shop.svc.cluster.local", Some("web")),
            ("web.shop.svc.cluster.local.", Some("web")),
            ("web.shop.svc.Cluster.Local", Some("web")),
            ("", None),
            (".", None),
            (".shop", None),
            ("web..svc", None),
            ("web.other", None),
            ("web.shop.pod", None),
            ("web.shop.svc.example.org", None),
            ("web.shop.svcs", None),
        ] {
            assert_eq!(parse(name, "shop", "cluster.local").ok().as_deref(), want, "{name:?}");
        }
    }

    #[test]
    fn says_what_is_wrong() {
        let message = |name| parse(name, "shop", "cluster.local").unwrap_err().to_string();
        assert_eq!(
            message("web.other"),
            r#""web.other" is in the namespace "other", but a split serves only its own namespace "shop""#
        );
        assert_eq!(
            message("web.shop.example.org"),
            r#""web.shop.example.org" is not a service name: write SERVICE, SERVICE.shop or SERVICE.shop.svc.cluster.local"#
        );
        assert_eq!(message(""), "the name of a service is empty");
    }

    #[test]
    fn a_client_may_name_another_namespace() {
        let found = resolve("web.other.svc", "shop", "cluster.local");
        assert_eq!(found, Some(("other".to_owned(), "web".to_owned())));
        assert_eq!(resolve("example.org.uk.", "shop", "cluster.local"), None);
    }
}
