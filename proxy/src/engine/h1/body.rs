//! Bodies of requests: which bytes belong to one, and whether its chunks are any.

use super::head::{Follows, Malformed};
use crate::accept::is_token;

/// Bytes of one chunk's extension. They are passed over, but whoever sends more wastes the reader's time only.
const MAX_EXTENSION: u16 = 4096;
/// Bytes of all trailers of a body.
const MAX_TRAILERS: u32 = 8192;

/// What is left of a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Body {
    /// So many bytes.
    Length(u64),
    /// In chunks, of which the next byte is expected to be this.
    Chunks(Chunks),
}

/// What the next byte of a body in chunks is part of (RFC 9112 section 7.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Chunks {
    Size { digits: u8, size: u64 },
    Extension { size: u64, bytes: u16 },
    SizeFeed { size: u64 },
    Data { left: u64 },
    DataReturn,
    DataFeed,
    TrailerStart { bytes: u32 },
    TrailerName { bytes: u32 },
    TrailerValue { bytes: u32 },
    TrailerFeed { bytes: u32 },
    LastFeed,
    Ended,
}

impl Body {
    pub(super) fn after(follows: Follows) -> Self {
        match follows {
            Follows::Length(length) => Self::Length(length),
            Follows::Chunks => Self::Chunks(Chunks::Size { digits: 0, size: 0 }),
        }
    }

    /// All of it has come.
    pub(super) fn has_ended(self) -> bool {
        matches!(self, Self::Length(0) | Self::Chunks(Chunks::Ended))
    }

    /// Takes those of `bytes` that belong to the body, and says how many they are.
    ///
    /// # Errors
    /// When what comes is no body.
    pub(super) fn take(&mut self, bytes: &[u8]) -> Result<usize, Malformed> {
        match self {
            Self::Length(left) => {
                let length = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
                if *left <= length {
                    let taken = usize::try_from(*left).unwrap_or(bytes.len());
                    *left = 0;
                    return Ok(taken);
                }
                *left -= length;
                Ok(bytes.len())
            }
            Self::Chunks(state) => {
                let mut taken = 0;
                while taken < bytes.len() && *state != Chunks::Ended {
                    taken += state.step(&bytes[taken..])?;
                }
                Ok(taken)
            }
        }
    }
}

impl Chunks {
    /// Takes the first of `bytes`, of which there is one at least, or of a chunk's data all.
    fn step(&mut self, bytes: &[u8]) -> Result<usize, Malformed> {
        if let Self::Data { left } = self {
            let there = u64::try_from(bytes.len()).unwrap_or(u64::MAX).min(*left);
            *left -= there;
            if *left == 0 {
                *self = Self::DataReturn;
            }
            return Ok(usize::try_from(there).unwrap_or(bytes.len()));
        }
        *self = self.next(bytes[0])?;
        Ok(1)
    }

    fn next(self, byte: u8) -> Result<Self, Malformed> {
        Ok(match (self, byte) {
            // 15 digits are more than anybody sends, and can neither overflow nor be taken for less than nothing.
            (Self::Size { digits: digits @ 0..15, size }, byte) if byte.is_ascii_hexdigit() => {
                let digit = char::from(byte).to_digit(16).map_or(0, u64::from);
                Self::Size { digits: digits + 1, size: size * 16 + digit }
            }
            (Self::Size { digits: 1.., size }, b'\r') => Self::SizeFeed { size },
            (Self::Size { digits: 1.., size }, b';') => Self::Extension { size, bytes: 0 },
            (Self::Size { .. }, _) => return Err(Malformed::ChunkSize),
            (Self::Extension { size, .. }, b'\r') => Self::SizeFeed { size },
            (Self::Extension { size, bytes: bytes @ 0..MAX_EXTENSION }, byte) if is_text(byte) => {
                Self::Extension { size, bytes: bytes + 1 }
            }
            (Self::Extension { .. }, _) => return Err(Malformed::ChunkExtension),
            (Self::SizeFeed { size: 0 }, b'\n') => Self::TrailerStart { bytes: 0 },
            (Self::SizeFeed { size }, b'\n') => Self::Data { left: size },
            (Self::SizeFeed { .. }, _) => return Err(Malformed::BareCarriageReturn),
            (Self::DataReturn, b'\r') => Self::DataFeed,
            (Self::DataFeed, b'\n') => Self::Size { digits: 0, size: 0 },
            (Self::DataReturn | Self::DataFeed, _) => return Err(Malformed::ChunkEnd),
            (Self::TrailerStart { .. }, b'\r') => Self::LastFeed,
            (
                Self::TrailerStart { bytes: bytes @ 0..MAX_TRAILERS }
                | Self::TrailerName { bytes: bytes @ 0..MAX_TRAILERS },
                byte,
            ) if is_token(byte) => Self::TrailerName { bytes: bytes + 1 },
            (Self::TrailerName { bytes: bytes @ 0..MAX_TRAILERS }, b':') => Self::TrailerValue { bytes: bytes + 1 },
            (Self::TrailerValue { bytes }, b'\r') => Self::TrailerFeed { bytes },
            (Self::TrailerValue { bytes: bytes @ 0..MAX_TRAILERS }, byte) if is_text(byte) => {
                Self::TrailerValue { bytes: bytes + 1 }
            }
            (Self::TrailerFeed { bytes }, b'\n') => Self::TrailerStart { bytes },
            (Self::LastFeed, b'\n') => Self::Ended,
            (
                Self::TrailerStart { .. }
                | Self::TrailerName { .. }
                | Self::TrailerValue { .. }
                | Self::TrailerFeed { .. }
                | Self::LastFeed,
                _,
            ) => return Err(Malformed::Trailer),
            (Self::Data { .. } | Self::Ended, _) => self,
        })
    }
}

/// Visible, above ASCII, or white space within a line.
fn is_text(byte: u8) -> bool {
    !byte.is_ascii_control() || byte == b'\t'
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chunks() -> Body {
        Body::after(Follows::Chunks)
    }

    const WHOLE: [(&str, &[u8]); 9] = [
        ("none", b"0\r\n\r\n"),
        ("one", b"3\r\nabc\r\n0\r\n\r\n"),
        ("two", b"3\r\nabc\r\n00a\r\n0123456789\r\n0\r\n\r\n"),
        ("data that looks like chunks", b"7\r\n0\r\n\r\nGE\r\n0\r\n\r\n"),
        ("extension", b"3;a=b;c=\"d;e\"\r\nabc\r\n0;x\r\n\r\n"),
        ("zeros", b"003\r\nabc\r\n000\r\n\r\n"),
        ("both cases", b"B\r\n01234567890\r\nb\r\n01234567890\r\n0\r\n\r\n"),
        ("trailer", b"0\r\nX-Sum: 1\r\n\r\n"),
        ("trailers", b"1\r\na\r\n0\r\nA:\r\nB: \tb\r\n\r\n"),
    ];

    #[test]
    fn takes_a_body_and_nothing_behind_it() {
        for (name, bytes) in WHOLE {
            for behind in [&b""[..], b"GET / HTTP/1.1\r\n", b"0\r\n\r\n"] {
                let mut body = chunks();
                let all = [bytes, behind].concat();
                assert_eq!(body.take(&all), Ok(bytes.len()), "{name}");
                assert!(body.has_ended(), "{name}");
                assert_eq!(body.take(behind), Ok(0), "{name}");
            }
        }
        let mut body = Body::after(Follows::Length(3));
        assert_eq!((body.take(b"ab"), body.has_ended()), (Ok(2), false));
        assert_eq!((body.take(b"cde"), body.has_ended()), (Ok(1), true));
    }

    #[test]
    fn takes_it_byte_by_byte_as_well() {
        for (name, bytes) in WHOLE {
            let mut body = chunks();
            for (index, byte) in bytes.iter().enumerate() {
                assert!(!body.has_ended(), "{name}: ended before byte {index}");
                assert_eq!(body.take(&[*byte]), Ok(1), "{name}");
            }
            assert!(body.has_ended(), "{name}");
        }
    }

    #[test]
    fn refuses_what_is_no_body_in_chunks() {
        let long = |begin: &str, count: usize, end: &str| [begin, &"a".repeat(count), end].concat();
        for (name, bytes, want) in [
            ("no size", "\r\n".to_owned(), Malformed::ChunkSize),
            ("minus", "-1\r\n".to_owned(), Malformed::ChunkSize),
            ("plus", "+1\r\n".to_owned(), Malformed::ChunkSize),
            ("0x", "0x3\r\nabc\r\n".to_owned(), Malformed::ChunkSize),
            ("underscore", "1_0\r\n".to_owned(), Malformed::ChunkSize),
            ("space before", " 3\r\nabc\r\n".to_owned(), Malformed::ChunkSize),
            ("space behind", "3 \r\nabc\r\n".to_owned(), Malformed::ChunkSize),
            ("tab before the extension", "3\t;a\r\nabc\r\n".to_owned(), Malformed::ChunkSize),
            ("no number", "g\r\n".to_owned(), Malformed::ChunkSize),
            ("2^64 + 3", "10000000000000003\r\nabc\r\n".to_owned(), Malformed::ChunkSize),
            ("bare line feed", "3\nabc\r\n".to_owned(), Malformed::ChunkSize),
            ("bare carriage return", "3\rabc\r\n".to_owned(), Malformed::BareCarriageReturn),
            ("line feed in an extension", "3;a\nabc\r\n".to_owned(), Malformed::ChunkExtension),
            ("NUL in an extension", "3;\0\r\nabc\r\n".to_owned(), Malformed::ChunkExtension),
            ("long extension", long("3;", 4097, "\r\n"), Malformed::ChunkExtension),
            ("longer than it says", "3\r\nabcd\r\n".to_owned(), Malformed::ChunkEnd),
            ("ends in a line feed", "3\r\nabc\n0\r\n\r\n".to_owned(), Malformed::ChunkEnd),
            ("ends in a carriage return", "3\r\nabc\r0\r\n\r\n".to_owned(), Malformed::ChunkEnd),
            ("a request for a trailer", "0\r\nGET / HTTP/1.1\r\n\r\n".to_owned(), Malformed::Trailer),
            ("fold in a trailer", "0\r\nA: b\r\n c\r\n\r\n".to_owned(), Malformed::Trailer),
            ("space before the colon", "0\r\nA : b\r\n\r\n".to_owned(), Malformed::Trailer),
            ("line feed for the end", "0\r\n\n".to_owned(), Malformed::Trailer),
            ("long trailer", long("0\r\nA: ", 8192, "\r\n\r\n"), Malformed::Trailer),
        ] {
            assert_eq!(chunks().take(bytes.as_bytes()), Err(want), "{name}");
            let mut slow = chunks();
            let end = bytes.bytes().find_map(|byte| slow.take(&[byte]).err());
            assert_eq!(end, Some(want), "{name}, byte by byte");
        }
    }
}
