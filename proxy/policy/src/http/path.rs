//! The one spelling of a path that patterns are compared with.
//!
//! Source: RFC 3986, section 6.2.2 (case, escapes of unreserved characters, dot segments). What servers are known to read in
//! two ways is not guessed at: a rule that was meant for one reading would be passed by in the other.

use std::borrow::Cow;

use thiserror::Error;

/// Why a path has no spelling that every server agrees on. Offsets count bytes from 0, in the path as it was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum AmbiguousPath {
    /// It does not begin with a slash, and is not `*`.
    #[error("the path does not begin with a slash")]
    Relative,
    /// A percent sign is not followed by two hexadecimal digits.
    #[error("the escape at byte {0} of the path is not two hexadecimal digits")]
    InvalidEscape(usize),
    /// `%2F` or `%5C`: some servers take it for a slash.
    #[error("the path has an escaped slash or backslash at byte {0}")]
    EscapedSeparator(usize),
    /// A backslash, which some servers take for a slash.
    #[error("the path has a backslash at byte {0}")]
    Backslash(usize),
    /// A control character or a NUL, as it is or escaped.
    #[error("the path has a control character at byte {0}")]
    Control(usize),
    /// A `#`, which never belongs into a request.
    #[error("the path has a fragment at byte {0}")]
    Fragment(usize),
    /// `/..` after an empty segment: with slashes merged first it takes away another segment than without.
    #[error("the path has dots after an empty segment, so that it depends on the order of normalising where it leads")]
    DotsAfterEmpty,
    /// A dot segment with parameters, as in `/..;x/`: some servers drop the parameters first.
    #[error("the path has a dot segment with parameters")]
    DotsWithParameters,
    /// More `..` than there are segments to take away.
    #[error("the path leads above its root")]
    AboveRoot,
}

/// The normal form of `path`, which has no query: escapes of unreserved characters are decoded, the others in upper case, bytes
/// that are not ASCII escaped, dot segments taken away and slashes merged. The result is ASCII, begins with a slash (or is `*`)
/// and is its own normal form. A path that is normal already costs no allocation.
///
/// # Errors
/// When servers are known to read the path in more than one way.
pub fn normalise(path: &[u8]) -> Result<Cow<'_, str>, AmbiguousPath> {
    if path == b"*" {
        return Ok(Cow::Borrowed("*"));
    }
    if path.first() != Some(&b'/') {
        return Err(AmbiguousPath::Relative);
    }
    if let Some(plain) = plain(path) {
        return Ok(Cow::Borrowed(plain));
    }
    without_dots(&unescaped(path)?).map(Cow::Owned)
}

/// The path, if there is nothing to normalise.
fn plain(path: &[u8]) -> Option<&str> {
    let dull = |pair: &[u8]| {
        let [before, byte] = pair else { return true };
        byte.is_ascii_graphic() && !b"%\\#".contains(byte) && (*before != b'/' || !b"/.".contains(byte))
    };
    path.windows(2).all(dull).then(|| std::str::from_utf8(path).ok())?
}

/// Decodes what may be decoded and escapes what is not ASCII.
fn unescaped(path: &[u8]) -> Result<String, AmbiguousPath> {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    let mut text = String::with_capacity(path.len());
    let escape = |text: &mut String, byte: u8| {
        text.push('%');
        text.push(char::from(HEX[usize::from(byte >> 4)]));
        text.push(char::from(HEX[usize::from(byte & 15)]));
    };
    let digit = |at: usize| path.get(at).and_then(|&byte| char::from(byte).to_digit(16));
    let mut at = 0;
    while let Some(&byte) = path.get(at) {
        match byte {
            b'\\' => return Err(AmbiguousPath::Backslash(at)),
            b'#' => return Err(AmbiguousPath::Fragment(at)),
            0..=b' ' | 0x7F => return Err(AmbiguousPath::Control(at)),
            b'%' => {
                let (Some(high), Some(low)) = (digit(at + 1), digit(at + 2)) else {
                    return Err(AmbiguousPath::InvalidEscape(at));
                };
                match u8::try_from(high << 4 | low) {
                    Err(_) => return Err(AmbiguousPath::InvalidEscape(at)),
                    Ok(b'/' | b'\\') => return Err(AmbiguousPath::EscapedSeparator(at)),
                    Ok(0..=0x1F | 0x7F) => return Err(AmbiguousPath::Control(at)),
                    Ok(byte) if is_unreserved(byte) => text.push(char::from(byte)),
                    Ok(byte) => escape(&mut text, byte),
                }
                at += 2;
            }
            0x80.. => escape(&mut text, byte),
            _ => text.push(char::from(byte)),
        }
        at += 1;
    }
    Ok(text)
}

/// Source: RFC 3986, section 2.3.
fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~".contains(&byte)
}

/// Takes dot segments away and merges slashes.
fn without_dots(path: &str) -> Result<String, AmbiguousPath> {
    let mut kept = String::with_capacity(path.len());
    let mut after_empty = false;
    let mut segments = path.split('/').skip(1).peekable();
    while let Some(segment) = segments.next() {
        let is_last = segments.peek().is_none();
        match segment {
            "" | "." => {}
            ".." if after_empty => return Err(AmbiguousPath::DotsAfterEmpty),
            ".." => kept.truncate(kept.rfind('/').ok_or(AmbiguousPath::AboveRoot)?),
            _ if has_dots_with_parameters(segment) => return Err(AmbiguousPath::DotsWithParameters),
            _ => {
                kept.push('/');
                kept.push_str(segment);
            }
        }
        if is_last && matches!(segment, "" | "." | "..") {
            kept.push('/');
        }
        after_empty = segment.is_empty() || (segment == "." && after_empty);
    }
    Ok(kept)
}

fn has_dots_with_parameters(segment: &str) -> bool {
    let rest = segment.strip_prefix("..").or_else(|| segment.strip_prefix('.'));
    rest.is_some_and(|rest| rest.starts_with(';') || rest.starts_with("%3B"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn writes_every_path_in_one_way() {
        for (name, path, want) in [
            ("root", "/", "/"),
            ("plain", "/a/b", "/a/b"),
            ("slash at the end", "/a/", "/a/"),
            ("asterisk", "*", "*"),
            ("escaped letter", "/%61dmin", "/admin"),
            ("escaped tilde, dash and underscore", "/%7e%2D%5f", "/~-_"),
            ("an escape that must stay", "/a%20b%3f", "/a%20b%3F"),
            ("lower-case escape", "/%c3%a4", "/%C3%A4"),
            ("raw bytes", "/ä", "/%C3%A4"),
            ("an escaped percent sign is not decoded twice", "/%252e%252e/a", "/%252e%252e/a"),
            ("one dot", "/a/./b", "/a/b"),
            ("two dots", "/a/../b", "/b"),
            ("escaped dots", "/a/%2e%2E/b", "/b"),
            ("dots at the end", "/a/b/..", "/a/"),
            ("a dot at the end", "/a/.", "/a/"),
            ("up to the root", "/a/..", "/"),
            ("slashes", "//a///b//", "/a/b/"),
            ("a hidden file", "/.well-known/x", "/.well-known/x"),
            ("three dots", "/.../a", "/.../a"),
            ("parameters", "/a;v=1/b", "/a;v=1/b"),
            ("a query does not belong here, and is kept", "/a?b", "/a?b"),
        ] {
            assert_eq!(normalise(path.as_bytes()).as_deref(), Ok(want), "{name}");
        }
    }

    #[test]
    fn does_not_guess() {
        use AmbiguousPath as A;
        for (name, path, want) in [
            ("nothing", "", A::Relative),
            ("no slash", "a", A::Relative),
            ("escaped slash", "/a%2fb", A::EscapedSeparator(2)),
            ("escaped slash, upper case", "/a%2Fb", A::EscapedSeparator(2)),
            ("escaped backslash", "/a%5cb", A::EscapedSeparator(2)),
            ("backslash", "/a\\b", A::Backslash(2)),
            ("percent sign at the end", "/a%", A::InvalidEscape(2)),
            ("half an escape", "/a%4", A::InvalidEscape(2)),
            ("no digits", "/%zz", A::InvalidEscape(1)),
            ("a sign is no digit", "/%+1", A::InvalidEscape(1)),
            ("escaped NUL", "/a%00", A::Control(2)),
            ("escaped line feed", "/a%0a", A::Control(2)),
            ("NUL", "/a\0", A::Control(2)),
            ("space", "/a b", A::Control(2)),
            ("delete", "/a\x7f", A::Control(2)),
            ("fragment", "/a#b", A::Fragment(2)),
            ("above the root", "/../a", A::AboveRoot),
            ("far above the root", "/a/../../b", A::AboveRoot),
            ("dots after an empty segment", "/a//../b", A::DotsAfterEmpty),
            ("dots after an empty segment and a dot", "/a//./../b", A::DotsAfterEmpty),
            ("dots with parameters", "/a/..;x=1/b", A::DotsWithParameters),
            ("a dot with parameters", "/a/.;/b", A::DotsWithParameters),
            ("dots with an escaped semicolon", "/a/..%3bx/b", A::DotsWithParameters),
        ] {
            assert_eq!(normalise(path.as_bytes()), Err(want), "{name}");
        }
    }

    #[test]
    fn a_normal_path_costs_no_allocation() {
        for path in ["/", "/a/b.c", "/a/b/", "*", "/.../x"] {
            let borrowed = matches!(normalise(path.as_bytes()), Ok(Cow::Borrowed(_)));
            assert_eq!(borrowed, path != "/.../x", "{path}");
        }
    }

    /// Paths made of what normalising is about, which random bytes would hardly hit.
    fn crafted() -> impl Strategy<Value = Vec<u8>> {
        let piece = prop::sample::select(vec![
            "/", "/", ".", "..", "a", "%2e", "%41", "%2f", "%25", "%", "4", ";", "ä", "%3b", "\\",
        ]);
        prop::collection::vec(piece, 0..12).prop_map(|pieces| format!("/{}", pieces.concat()).into_bytes())
    }

    proptest! {
        #[test]
        fn never_panics(path in prop::collection::vec(any::<u8>(), 0..64)) {
            let _ = normalise(&path);
        }

        #[test]
        fn what_is_normal_stays_as_it_is(path in prop_oneof![crafted(), prop::collection::vec(any::<u8>(), 0..64)]) {
            if let Ok(once) = normalise(&path) {
                prop_assert!(once.is_ascii());
                prop_assert_eq!(normalise(once.as_bytes()), Ok(Cow::Borrowed(&*once)));
                let segments: Vec<&str> = once.split('/').collect();
                prop_assert!(!segments.iter().any(|segment| matches!(*segment, "." | "..")), "{once}");
                prop_assert!(!once.contains("//"), "{once}");
            }
        }

        #[test]
        fn an_escape_of_an_unreserved_character_says_nothing(letters in "[a-z0-9._~-]{1,8}") {
            let escaped: String = letters.bytes().map(|byte| format!("%{byte:02x}")).collect();
            let plain = normalise(format!("/x/y/{letters}/z").as_bytes()).map(Cow::into_owned);
            let decoded = normalise(format!("/x/y/{escaped}/z").as_bytes()).map(Cow::into_owned);
            prop_assert_eq!(plain, decoded);
        }
    }
}
