//! Prints what it costs to compile matches and to compare a request with them.

use std::{hint::black_box, time::Instant};

use http::{HeaderMap, HeaderValue, Method};
use weft_policy::http::{Conditions, InvalidMatch, Match, Request};

const ROUNDS: u32 = 20_000;

fn main() -> Result<(), InvalidMatch> {
    let mut headers = HeaderMap::new();
    let browser = "Mozilla/5.0 (X11; Linux x86_64; rv:125.0) Gecko/20100101 Firefox/125.0";
    headers.insert("user-agent", HeaderValue::from_static(browser));
    headers.insert("cookie", HeaderValue::from_static("session=5f2a9c; theme=dark; type=insider"));
    for (name, path) in [("normal path", "/shop/books/17"), ("path to normalise", "/shop/./b%6foks/17")] {
        for count in [1, 10, 100] {
            // The last is the one that is met.
            let conditions = (0..count).map(|number| {
                let kind = if number + 1 == count { "insider".to_owned() } else { format!("kind-{number}") };
                Conditions {
                    name: kind.clone(),
                    path_regex: Some("/shop/[a-z]+/[0-9]+".to_owned()),
                    methods: vec!["GET".to_owned(), "HEAD".to_owned()],
                    headers: vec![
                        ("user-agent".to_owned(), ".*Firefox.*".to_owned()),
                        ("cookie".to_owned(), format!("(.*; )?type={kind}(; .*)?")),
                    ],
                }
            });
            let conditions: Vec<Conditions> = conditions.collect();
            let begun = Instant::now();
            let matches: Vec<Match> = conditions.iter().map(Match::new).collect::<Result<_, _>>()?;
            let compiled = begun.elapsed() / count;
            let begun = Instant::now();
            for _ in 0..ROUNDS {
                let request = Request::new(&Method::GET, path.as_bytes(), Some(b"web.shop:8080"), &headers);
                assert!(black_box(&matches).iter().any(|one| one.is_met_by(&request)), "the last is met");
            }
            let compared = begun.elapsed() / ROUNDS;
            println!(
                "{name}, {count} matches: {compared:?} a request, {:?} a match; compiled in {compiled:?} each",
                compared / count
            );
        }
    }
    Ok(())
}
