//! Heads of requests: which are read, and where their bodies end.

use thiserror::Error;

use crate::accept::is_token;

/// Fields of one head; the engine has no room for more.
pub(super) const MAX_FIELDS: usize = 256;

/// Names that a client must not declare to concern one hop only, by which they would be taken out: those that say where a request
/// ends, where it goes and who sent it. Those that begin with `x-forwarded-` are among them.
const NEVER_NOMINATED: [&[u8]; 10] = [
    b"authorization",
    b"content-length",
    b"content-type",
    b"cookie",
    b"forwarded",
    b"host",
    b"traceparent",
    b"tracestate",
    b"transfer-encoding",
    b"weft-client-id",
];

/// Why a request is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub(crate) enum Malformed {
    /// RFC 9112 section 2.2 lets a recipient read it as a line's end; not every recipient does.
    #[error("a line ends without a carriage return")]
    BareLineFeed,
    /// RFC 9112 section 2.2.
    #[error("a carriage return stands inside a line")]
    BareCarriageReturn,
    /// RFC 9112 section 3.
    #[error("the request line is not one")]
    RequestLine,
    /// RFC 9112 section 3.2.
    #[error("the target is not one")]
    Target,
    /// RFC 9112 section 5.
    #[error("a header has no name, or one with other characters than names have")]
    Name,
    /// RFC 9112 section 5.2.
    #[error("a header goes on in the next line")]
    Fold,
    /// RFC 9110 section 5.5.
    #[error("a header has a control character")]
    Value,
    /// Two parties could disagree about where the request ends (RFC 9112 section 6.3): request smuggling.
    #[error("the request has both Content-Length and Transfer-Encoding")]
    TwoLengths,
    /// RFC 9112 section 6.3.
    #[error("Content-Length is not one number")]
    Length,
    /// RFC 9112 section 6.1. Nobody sends others than `chunked`, which must be the last and stand there once.
    #[error("Transfer-Encoding is not chunked")]
    Coding,
    /// RFC 9112 section 3.2.
    #[error("the request has no Host")]
    NoHost,
    /// RFC 9112 section 3.2.
    #[error("the request has more than one Host")]
    TwoHosts,
    /// RFC 9112 section 3.2.
    #[error("Host is no host")]
    Host,
    /// RFC 9112 section 3.2.2 would have the target count; not every server knows that.
    #[error("Host is not the target's")]
    OtherHost,
    /// RFC 9110 section 7.6.1.
    #[error("Connection names a header that is not the connection's")]
    Nominated,
    /// RFC 9112 section 7.1.
    #[error("a chunk has no size, or one that is not a hexadecimal number")]
    ChunkSize,
    /// RFC 9112 section 7.1.1.
    #[error("a chunk's extension is too long, or has a control character")]
    ChunkExtension,
    /// RFC 9112 section 7.1.
    #[error("a chunk does not end where its size says")]
    ChunkEnd,
    /// RFC 9112 section 7.1.2.
    #[error("the trailers are too long, or are none")]
    Trailer,
}

/// What a head says about the bytes after it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Follows {
    /// So many bytes of body; often none.
    Length(u64),
    /// A body in chunks.
    Chunks,
}

/// A head that may be passed on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) follows: Follows,
    /// The client offers to go on in another protocol.
    pub(super) upgrade: bool,
}

/// Why a head is not read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub(super) enum BadHead {
    #[error(transparent)]
    Malformed(#[from] Malformed),
    #[error("the head has more fields than {MAX_FIELDS}")]
    TooManyFields,
}

/// Where the head that begins in `bytes` ends, if its end has come. The first `scanned` bytes were looked at before.
pub(super) fn end(bytes: &[u8], scanned: usize) -> Result<Option<usize>, Malformed> {
    let mut from = scanned;
    while let Some(length) = bytes[from..].iter().position(|byte| *byte == b'\n') {
        let feed = from + length;
        if feed == 0 || bytes[feed - 1] != b'\r' {
            return Err(Malformed::BareLineFeed);
        }
        if bytes[..feed - 1].ends_with(b"\r\n") {
            return Ok(Some(feed + 1));
        }
        from = feed + 1;
    }
    Ok(None)
}

/// Reads a whole head, to the empty line at its end.
pub(super) fn read(head: &[u8]) -> Result<Head, BadHead> {
    let mut lines = head.split(|byte| *byte == b'\n');
    let request = lines.next().and_then(|line| line.strip_suffix(b"\r")).ok_or(Malformed::BareLineFeed)?;
    let line = RequestLine::read(request)?;
    let mut fields = Fields::default();
    let mut count = 0;
    for field in lines {
        let Some(field) = field.strip_suffix(b"\r") else {
            // Behind the last line feed is nothing.
            if field.is_empty() {
                break;
            }
            return Err(Malformed::BareLineFeed.into());
        };
        if field.is_empty() {
            break;
        }
        count += 1;
        if count > MAX_FIELDS {
            return Err(BadHead::TooManyFields);
        }
        fields.add(field)?;
    }
    Ok(fields.head(&line)?)
}

struct RequestLine<'a> {
    /// Of a target in absolute form.
    authority: Option<&'a [u8]>,
    /// HTTP/1.1, not 1.0.
    current: bool,
}

impl<'a> RequestLine<'a> {
    fn read(line: &'a [u8]) -> Result<Self, Malformed> {
        if line.contains(&b'\r') {
            return Err(Malformed::BareCarriageReturn);
        }
        let mut parts = line.split(|byte| *byte == b' ');
        let (Some(method), Some(target), Some(version), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(Malformed::RequestLine);
        };
        if method.is_empty() || !method.iter().copied().all(is_token) {
            return Err(Malformed::RequestLine);
        }
        let current = match version {
            b"HTTP/1.1" => true,
            b"HTTP/1.0" => false,
            _ => return Err(Malformed::RequestLine),
        };
        Ok(Self { authority: authority(method, target)?, current })
    }
}

/// The authority that a target names, in the one form that has any.
fn authority<'a>(method: &[u8], target: &'a [u8]) -> Result<Option<&'a [u8]>, Malformed> {
    // Bytes above ASCII are no part of a URI either, but common, and nobody takes them for anything else.
    if target.is_empty() || target.iter().any(|byte| byte.is_ascii_control() || *byte == b'#') {
        return Err(Malformed::Target);
    }
    if target.starts_with(b"/") || (target == b"*" && method == b"OPTIONS") || method == b"CONNECT" {
        return Ok(None);
    }
    let colon = target.iter().position(|byte| *byte == b':').ok_or(Malformed::Target)?;
    let (scheme, rest) = target.split_at(colon);
    let rest = rest.strip_prefix(b"://").ok_or(Malformed::Target)?;
    if !scheme.eq_ignore_ascii_case(b"http") && !scheme.eq_ignore_ascii_case(b"https") {
        return Err(Malformed::Target);
    }
    let end = rest.iter().position(|byte| matches!(byte, b'/' | b'?')).unwrap_or(rest.len());
    let authority = &rest[..end];
    if authority.is_empty() || !is_host(authority) {
        return Err(Malformed::Target);
    }
    Ok(Some(authority))
}

/// What the fields say that matters here.
#[derive(Default)]
struct Fields<'a> {
    host: Option<&'a [u8]>,
    length: Option<u64>,
    chunked: bool,
    upgrade: bool,
}

impl<'a> Fields<'a> {
    fn add(&mut self, field: &'a [u8]) -> Result<(), Malformed> {
        if matches!(field.first(), Some(b' ' | b'\t')) {
            return Err(Malformed::Fold);
        }
        let colon = field.iter().position(|byte| *byte == b':').ok_or(Malformed::Name)?;
        let (name, value) = (&field[..colon], &field[colon + 1..]);
        if name.is_empty() || !name.iter().copied().all(is_token) {
            return Err(Malformed::Name);
        }
        if value.iter().any(|byte| byte.is_ascii_control() && *byte != b'\t') {
            return Err(if value.contains(&b'\r') { Malformed::BareCarriageReturn } else { Malformed::Value });
        }
        let value = value.trim_ascii();
        // By length first: most names are none of these.
        match name.len() {
            4 if name.eq_ignore_ascii_case(b"host") => self.add_host(value),
            7 if name.eq_ignore_ascii_case(b"upgrade") => {
                self.upgrade = true;
                Ok(())
            }
            10 if name.eq_ignore_ascii_case(b"connection") => nominated(value),
            14 if name.eq_ignore_ascii_case(b"content-length") => self.add_length(value),
            17 if name.eq_ignore_ascii_case(b"transfer-encoding") => self.add_coding(value),
            _ => Ok(()),
        }
    }

    fn add_host(&mut self, value: &'a [u8]) -> Result<(), Malformed> {
        if self.host.replace(value).is_some() {
            return Err(Malformed::TwoHosts);
        }
        if is_host(value) { Ok(()) } else { Err(Malformed::Host) }
    }

    /// One number, in digits alone. Equal ones in a list are allowed to be read as one (RFC 9110 section 8.6), and allowed not to.
    fn add_length(&mut self, value: &[u8]) -> Result<(), Malformed> {
        let digits = !value.is_empty() && value.iter().all(u8::is_ascii_digit);
        let text = std::str::from_utf8(value).ok().filter(|_| digits);
        let number = text.and_then(|text| text.parse::<i64>().ok()).ok_or(Malformed::Length)?;
        let number = u64::try_from(number).map_err(|_negative| Malformed::Length)?;
        if self.length.replace(number).is_some() { Err(Malformed::Length) } else { Ok(()) }
    }

    fn add_coding(&mut self, value: &[u8]) -> Result<(), Malformed> {
        if self.chunked || !value.eq_ignore_ascii_case(b"chunked") {
            return Err(Malformed::Coding);
        }
        self.chunked = true;
        Ok(())
    }

    fn head(self, line: &RequestLine<'_>) -> Result<Head, Malformed> {
        match self.host {
            None if line.current => return Err(Malformed::NoHost),
            Some(host) if line.authority.is_some_and(|authority| authority != host) => {
                return Err(Malformed::OtherHost);
            }
            _ => {}
        }
        let follows = match (self.length, self.chunked) {
            (Some(_), true) => return Err(Malformed::TwoLengths),
            // RFC 9112 section 6.1: HTTP/1.0 has no chunks.
            (None, true) if !line.current => return Err(Malformed::Coding),
            (None, true) => Follows::Chunks,
            (length, false) => Follows::Length(length.unwrap_or(0)),
        };
        Ok(Head { follows, upgrade: self.upgrade })
    }
}

fn nominated(value: &[u8]) -> Result<(), Malformed> {
    let protected = |option: &[u8]| {
        let begins = |prefix: &[u8]| option.get(..prefix.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(prefix));
        NEVER_NOMINATED.iter().any(|name| option.eq_ignore_ascii_case(name)) || begins(b"x-forwarded-")
    };
    let mut options = value.split(|byte| *byte == b',').map(<[u8]>::trim_ascii);
    if options.any(|option| !option.iter().copied().all(is_token) || protected(option)) {
        return Err(Malformed::Nominated);
    }
    Ok(())
}

/// Whether `value` has only characters that a host and a port may have (RFC 3986 section 3.2.2), and one colon outside of an IPv6
/// address. It may be empty.
pub(crate) fn is_host(value: &[u8]) -> bool {
    let after_address = match value.iter().position(|byte| *byte == b']') {
        Some(end) if value.starts_with(b"[") => &value[end + 1..],
        Some(_) => return false,
        None => value,
    };
    let known = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._~%!$&'()*+;=:[".contains(byte);
    value[..value.len() - after_address.len()].iter().all(|byte| known(byte) || *byte == b']')
        && after_address.iter().all(|byte| known(byte) && *byte != b'[')
        && after_address.iter().filter(|byte| **byte == b':').count() <= 1
}

#[cfg(test)]
mod tests;
