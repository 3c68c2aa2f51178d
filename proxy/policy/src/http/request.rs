//! A request as matches see it.

use std::{borrow::Cow, cell::OnceCell};

use ::http::{HeaderMap, HeaderName, Method, header};

use super::path::{AmbiguousPath, normalise};

/// A request as matches see it. What is derived of it is derived once, when a match first asks.
#[derive(Debug)]
pub struct Request<'a> {
    method: &'a Method,
    path: &'a [u8],
    authority: Option<&'a [u8]>,
    headers: &'a HeaderMap,
    normal: OnceCell<Result<Cow<'a, str>, AmbiguousPath>>,
    /// The values of every header that has more than one line.
    joined: OnceCell<Vec<(&'a HeaderName, Vec<u8>)>>,
}

impl<'a> Request<'a> {
    /// A request. `path` is the path as it was sent; whatever follows a `?` is left out. `authority` is what the request is
    /// addressed to: `:authority`, the authority of an absolute target, else the field `host`.
    #[must_use]
    pub fn new(method: &'a Method, path: &'a [u8], authority: Option<&'a [u8]>, headers: &'a HeaderMap) -> Self {
        let end = path.iter().position(|&byte| byte == b'?').unwrap_or(path.len());
        let (normal, joined) = (OnceCell::new(), OnceCell::new());
        Self { method, path: &path[..end], authority, headers, normal, joined }
    }

    /// The request's method.
    #[must_use]
    pub fn method(&self) -> &Method {
        self.method
    }

    /// The path in its normal form.
    ///
    /// # Errors
    /// When servers are known to read the path in more than one way.
    pub fn path(&self) -> Result<&str, &AmbiguousPath> {
        self.normal.get_or_init(|| normalise(self.path)).as_deref()
    }

    /// What the request is addressed to, as it was sent.
    #[must_use]
    pub fn authority(&self) -> Option<&[u8]> {
        self.authority
    }

    /// The value of a header. Several lines are one value, as RFC 9110, section 5.3 has it, with `, ` between them; the crumbs of
    /// a cookie have `; ` (RFC 9113, section 8.2.3).
    #[must_use]
    pub fn header(&self, name: &HeaderName) -> Option<&[u8]> {
        let mut lines = self.headers.get_all(name).iter();
        let first = lines.next()?;
        if lines.next().is_none() {
            return Some(first.as_bytes());
        }
        let joined = self.joined.get_or_init(|| join(self.headers));
        joined.iter().find(|(known, _)| *known == name).map(|(_, value)| value.as_slice())
    }
}

fn join(headers: &HeaderMap) -> Vec<(&HeaderName, Vec<u8>)> {
    let several = headers.keys().filter(|name| headers.get_all(*name).iter().nth(1).is_some());
    let value = |name: &HeaderName| {
        let between: &[u8] = if *name == header::COOKIE { b"; " } else { b", " };
        let lines: Vec<&[u8]> = headers.get_all(name).iter().map(|line| line.as_bytes()).collect();
        lines.join(between)
    };
    several.map(|name| (name, value(name))).collect()
}

/// An authority without its port.
pub(super) fn host(authority: &[u8]) -> &[u8] {
    match authority.iter().rposition(|&byte| byte == b':') {
        Some(colon) if authority[colon + 1..].iter().all(u8::is_ascii_digit) => &authority[..colon],
        Some(_) | None => authority,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn several_lines_are_one_value() {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("x-user", "jason"),
            ("x-role", "guest"),
            ("x-role", "admin"),
            ("cookie", "type=insider"),
            ("cookie", "theme=dark"),
            ("x-empty", ""),
        ] {
            headers.append(HeaderName::from_static(name), value.parse().unwrap());
        }
        let request = Request::new(&Method::GET, b"/", None, &headers);
        for (name, want) in [
            ("x-user", Some("jason")),
            ("x-role", Some("guest, admin")),
            ("cookie", Some("type=insider; theme=dark")),
            ("x-empty", Some("")),
            ("x-none", None),
        ] {
            let found = request.header(&HeaderName::from_static(name));
            assert_eq!(found, want.map(str::as_bytes), "{name}");
        }
    }

    #[test]
    fn an_authority_may_have_a_port() {
        for (name, authority, want) in [
            ("name", "web", "web"),
            ("name and port", "web:80", "web"),
            ("empty port", "web:", "web"),
            ("address", "[fd00::1]:80", "[fd00::1]"),
            ("address alone", "[fd00::1]", "[fd00::1]"),
            ("no port", "web:http", "web:http"),
            ("nothing", "", ""),
        ] {
            assert_eq!(host(authority.as_bytes()), want.as_bytes(), "{name}");
        }
    }

    #[test]
    fn a_query_is_not_of_the_path() {
        let headers = HeaderMap::new();
        let path = |path: &'static str| {
            Request::new(&Method::GET, path.as_bytes(), None, &headers).path().map(str::to_owned).ok()
        };
        assert_eq!(path("/a?b=/c/.."), Some("/a".to_owned()));
        assert_eq!(path("/a%3Fb"), Some("/a%3Fb".to_owned()));
        assert_eq!(path("?b"), None);
    }
}
