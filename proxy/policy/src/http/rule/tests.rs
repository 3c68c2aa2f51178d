//! One table for each row of what `HTTPRouteGroup` means.

use ::http::{HeaderMap, HeaderName, HeaderValue};
use proptest::prelude::*;

use super::*;

/// A request that is written down: method, target, authority, header lines.
struct Sent {
    method: Method,
    path: String,
    authority: Option<String>,
    headers: HeaderMap,
}

fn get(path: &str) -> Sent {
    Sent { method: Method::GET, path: path.to_owned(), authority: None, headers: HeaderMap::new() }
}

impl Sent {
    fn method(mut self, method: &str) -> Self {
        self.method = method.parse().unwrap();
        self
    }

    fn to(mut self, authority: &str) -> Self {
        self.authority = Some(authority.to_owned());
        self
    }

    fn with(mut self, name: &'static str, value: &[u8]) -> Self {
        self.headers.append(HeaderName::from_static(name), HeaderValue::from_bytes(value).unwrap());
        self
    }

    fn request(&self) -> Request<'_> {
        Request::new(&self.method, self.path.as_bytes(), self.authority.as_deref().map(str::as_bytes), &self.headers)
    }
}

fn on_path(regex: &str) -> Conditions {
    Conditions { path_regex: Some(regex.to_owned()), ..Conditions::default() }
}

fn on_headers(headers: &[(&str, &str)]) -> Conditions {
    let headers = headers.iter().map(|(name, regex)| ((*name).to_owned(), (*regex).to_owned())).collect();
    Conditions { headers, ..Conditions::default() }
}

fn on_methods(methods: &[&str]) -> Conditions {
    Conditions { methods: methods.iter().map(|method| (*method).to_owned()).collect(), ..Conditions::default() }
}

fn check(rows: impl IntoIterator<Item = (&'static str, Conditions, Sent, bool)>) {
    for (name, conditions, sent, want) in rows {
        let compiled = Match::new(&conditions).unwrap();
        let got = compiled.compare(&sent.request());
        assert_eq!(got.is_ok(), want, "{name}: {got:?}");
    }
}

#[test]
fn path_regex_is_anchored_at_the_start_of_the_normalised_path_without_query() {
    check([
        ("start", on_path("/books"), get("/books/1"), true),
        ("not in the middle", on_path("/books"), get("/shop/books"), false),
        ("spelled out", on_path("^/books$"), get("/books/1"), false),
        ("escaped letter", on_path("/admin$"), get("/%61dmin"), true),
        ("dot segments", on_path("/admin$"), get("/public/../admin"), true),
        ("dot segments lead out", on_path("/public"), get("/public/../admin"), false),
        ("slashes", on_path("/admin$"), get("//admin"), true),
        ("the query is not looked at", on_path("/books$"), get("/books?a=/admin"), true),
        ("nor matched", on_path(".*admin"), get("/books?a=/admin"), false),
        ("escaped slash", on_path("/.*"), get("/a%2fb"), false),
        ("case", on_path("/books"), get("/Books"), false),
        ("ambiguous without pathRegex", Conditions::default(), get("/a%2fb"), true),
    ]);
}

#[test]
fn headers_are_all_met_whole_and_named_in_any_case() {
    let firefox = || get("/").with("user-agent", b"Mozilla/5.0 Firefox/125.0");
    let insider = "^(.*?;)?(type=insider)(;.*)?$";
    check([
        ("part of a value with the rest written", on_headers(&[("user-agent", ".*Firefox.*")]), firefox(), true),
        ("part of a value", on_headers(&[("user-agent", "Firefox")]), firefox(), false),
        ("name in another case", on_headers(&[("User-Agent", ".*Firefox.*")]), firefox(), true),
        ("absent", on_headers(&[("end-user", ".*")]), firefox(), false),
        ("empty", on_headers(&[("end-user", "")]), get("/").with("end-user", b""), true),
        (
            "both",
            on_headers(&[("user-agent", ".*Firefox.*"), ("cookie", insider)]),
            firefox().with("cookie", b"a=b;type=insider"),
            true,
        ),
        ("one of two", on_headers(&[("user-agent", ".*Firefox.*"), ("cookie", insider)]), firefox(), false),
        ("one name twice, both met", on_headers(&[("x", "a.*"), ("X", ".*b")]), get("/").with("x", b"a-b"), true),
        ("one name twice, one met", on_headers(&[("x", "a.*"), ("X", ".*b")]), get("/").with("x", b"a-c"), false),
        ("lines are one value", on_headers(&[("x", "a, b")]), get("/").with("x", b"a").with("x", b"b"), true),
        ("a line alone is not the value", on_headers(&[("x", "a")]), get("/").with("x", b"a").with("x", b"b"), false),
        (
            "crumbs of a cookie",
            on_headers(&[("cookie", insider)]),
            get("/").with("cookie", b"a=b").with("cookie", b"c=d").with("cookie", b"type=insider"),
            false,
        ),
        (
            "crumbs of a cookie, with the space written",
            on_headers(&[("cookie", "(.*; )?type=insider(; .*)?")]),
            get("/").with("cookie", b"a=b").with("cookie", b"type=insider"),
            true,
        ),
        ("not UTF-8", on_headers(&[("x", "a.b")]), get("/").with("x", b"a\xffb"), true),
        ("case of the value", on_headers(&[("x", "a")]), get("/").with("x", b"A"), false),
    ]);
}

#[test]
fn host_means_the_authority() {
    let host = |regex| on_headers(&[("host", regex)]);
    check([
        ("name", host(r"web\.shop"), get("/").to("web.shop"), true),
        ("the port need not be written", host(r"web\.shop"), get("/").to("web.shop:8080"), true),
        ("but may be", host(r"web\.shop:8080"), get("/").to("web.shop:8080"), true),
        ("and then matters", host(r"web\.shop:80"), get("/").to("web.shop:8080"), false),
        ("in any case", host(r"web\.shop"), get("/").to("WEB.Shop"), true),
        ("name in another case", on_headers(&[("Host", "web")]), get("/").to("web"), true),
        ("whole", host("web"), get("/").to("web.shop"), false),
        ("none", host(".*"), get("/"), false),
        ("not the header of that name", host("web"), get("/").with("host", b"web").to("api"), false),
        ("twice", on_headers(&[("host", "w.*"), ("HOST", ".*p")]), get("/").to("web.shop"), true),
    ]);
}

#[test]
fn methods_absent_or_asterisk_mean_any() {
    check([
        ("absent", on_methods(&[]), get("/").method("DELETE"), true),
        ("asterisk", on_methods(&["*"]), get("/").method("DELETE"), true),
        ("asterisk among others", on_methods(&["GET", "*"]), get("/").method("PURGE"), true),
        ("one of them", on_methods(&["GET", "POST"]), get("/").method("POST"), true),
        ("none of them", on_methods(&["GET", "POST"]), get("/").method("HEAD"), false),
        ("one without a name of its own", on_methods(&["PURGE"]), get("/").method("PURGE"), true),
        ("case", on_methods(&["GET"]), get("/").method("get"), false),
    ]);
}

#[test]
fn a_match_without_condition_matches_everything() {
    let nothing = Conditions::default;
    check([
        ("plain", nothing(), get("/"), true),
        ("no path", nothing(), get(""), true),
        ("any method", nothing(), get("*").method("OPTIONS"), true),
        ("empty patterns", on_path(""), get("/a"), true),
    ]);
}

#[test]
fn all_conditions_of_a_match_have_to_hold() {
    let all = || Conditions {
        name: "all".to_owned(),
        path_regex: Some("/books".to_owned()),
        methods: vec!["GET".to_owned()],
        headers: vec![("end-user".to_owned(), "jason".to_owned()), ("host".to_owned(), "web".to_owned())],
    };
    let sent = || get("/books").to("web").with("end-user", b"jason");
    let compiled = Match::new(&all()).unwrap();
    assert_eq!(compiled.name(), "all");
    for (name, sent, want) in [
        ("all", sent(), Ok(())),
        ("method", sent().method("POST"), Err(Unmet::Method)),
        ("path", Sent { path: "/".to_owned(), ..sent() }, Err(Unmet::Path)),
        (
            "ambiguous path",
            Sent { path: "/books%00".to_owned(), ..sent() },
            Err(Unmet::AmbiguousPath(AmbiguousPath::Control(6))),
        ),
        ("authority", sent().to("api"), Err(Unmet::Header("host"))),
        ("no authority", Sent { authority: None, ..sent() }, Err(Unmet::NoHeader("host"))),
        ("header", sent().with("end-user", b"eve"), Err(Unmet::Header("end-user"))),
        ("no header", Sent { headers: HeaderMap::new(), ..sent() }, Err(Unmet::NoHeader("end-user"))),
    ] {
        assert_eq!(compiled.compare(&sent.request()), want, "{name}");
        assert_eq!(compiled.is_met_by(&sent.request()), want.is_ok(), "{name}");
    }
}

#[test]
fn a_request_goes_by_the_first_split_of_which_it_meets_any_match() {
    let on = |regexes: &[&str]| regexes.iter().map(|regex| Match::new(&on_path(regex)).unwrap()).collect::<Vec<_>>();
    let splits = [on(&[]), on(&["/a", "/b"]), on(&["/b", "/c"])];
    for (name, path, want) in [
        ("first match", "/a", Some(1)),
        ("another match, and a later split as well", "/b", Some(1)),
        ("later split", "/c", Some(2)),
        ("none", "/d", None),
    ] {
        assert_eq!(first_met(splits.iter().map(Vec::as_slice), &get(path).request()), want, "{name}");
    }
}

#[test]
fn an_invalid_match_is_refused_with_field_and_fix() {
    let named = |conditions: Conditions| Conditions { name: "m".to_owned(), ..conditions };
    for (name, conditions, want) in [
        (
            "path",
            on_path("/("),
            r#"match "m": pathRegex: "/(" is no regular expression in RE2 syntax: unclosed group, at character 2"#,
        ),
        (
            "header",
            on_headers(&[("End-User", "*")]),
            r#"match "m": headers.End-User: "*" is no regular expression in RE2 syntax: repetition operator missing expression, at character 1"#,
        ),
        (
            "size",
            on_headers(&[("host", "(a{999}){999}")]),
            r#"match "m": headers.host: "(a{999}){999}" compiles to more than 262144 bytes; use smaller repetition counts"#,
        ),
        (
            "header name",
            on_headers(&[(":authority", "web")]),
            r#"match "m": headers: ":authority" is no name of a header; write letters, digits and dashes, or host for the authority"#,
        ),
        (
            "method",
            on_methods(&["G T"]),
            r#"match "m": methods: "G T" is no method, because it has characters that no method has; write one such as GET, or "*" for any"#,
        ),
        (
            "lower case",
            on_methods(&["get"]),
            r#"match "m": methods: "get" is no method, because methods are written in upper case; write one such as GET, or "*" for any"#,
        ),
        (
            "behind an asterisk",
            on_methods(&[""]),
            r#"match "m": methods: "" is no method, because it has characters that no method has; write one such as GET, or "*" for any"#,
        ),
    ] {
        let error = Match::new(&named(conditions)).unwrap_err();
        assert_eq!(error.to_string(), want, "{name}");
    }
}

proptest! {
    #[test]
    fn never_panics(
        method in "[A-Z]{1,6}",
        path in prop::collection::vec(any::<u8>(), 0..48),
        authority in prop::option::of(prop::collection::vec(any::<u8>(), 0..16)),
        values in prop::collection::vec("[ -~]{0,12}", 0..3),
        regex in r"[/a-c.*()|\[\]]{0,8}",
    ) {
        let method: Method = method.parse().unwrap();
        let mut headers = HeaderMap::new();
        for value in &values {
            headers.append("x", value.parse().unwrap());
        }
        let request = Request::new(&method, &path, authority.as_deref(), &headers);
        let mut conditions = on_path(&regex);
        conditions.headers = vec![("x".to_owned(), regex.clone()), ("host".to_owned(), regex)];
        if let Ok(compiled) = Match::new(&conditions) {
            prop_assert_eq!(compiled.compare(&request).is_ok(), compiled.is_met_by(&request));
        }
    }
}
