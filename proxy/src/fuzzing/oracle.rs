//! A second opinion about requests of HTTP/1: RFC 9112 without any of the liberties that it allows.

/// A request that can be read in one way only.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Request<'a> {
    pub(super) method: &'a [u8],
    pub(super) target: &'a [u8],
    pub(super) body: Body,
}

/// What follows a head.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Body {
    /// So many bytes.
    Length(usize),
    /// Chunks.
    Chunks,
}

/// The head that `bytes` begin with, and its length; `None` when it is none, or not one that all would read alike.
pub(super) fn head(bytes: &[u8]) -> Option<(Request<'_>, usize)> {
    let length = bytes.windows(4).position(|window| window == b"\r\n\r\n")? + 4;
    let mut lines = lines(&bytes[..length - 2])?.into_iter();
    let mut words = lines.next()?.split(|byte| *byte == b' ');
    let (method, target, version) = (words.next()?, words.next()?, words.next()?);
    let is_line = words.next().is_none()
        && !method.is_empty()
        && method.iter().all(is_token)
        && !target.is_empty()
        && target.iter().all(|byte| byte.is_ascii_graphic() || !byte.is_ascii())
        && matches!(version, b"HTTP/1.0" | b"HTTP/1.1");
    if !is_line {
        return None;
    }
    let (mut hosts, mut lengths, mut codings) = (0, Vec::new(), Vec::new());
    for line in lines {
        let (name, value) = field(line)?;
        match name.to_ascii_lowercase().as_slice() {
            b"host" => hosts += 1,
            b"content-length" => lengths.push(value),
            b"transfer-encoding" => codings.push(value.to_ascii_lowercase()),
            _ => {}
        }
    }
    if hosts > 1 || (hosts == 0 && version == b"HTTP/1.1") {
        return None;
    }
    let body = match (&lengths[..], &codings[..]) {
        ([], []) => Body::Length(0),
        ([length], []) => Body::Length(number(length, 10)?),
        ([], [coding]) if coding == b"chunked" && version == b"HTTP/1.1" => Body::Chunks,
        _ => return None,
    };
    Some((Request { method, target, body }, length))
}

/// The content of the chunks that `bytes` begin with, and their length; `None` when they are not whole.
pub(super) fn chunks(bytes: &[u8]) -> Option<(Vec<u8>, usize)> {
    let (mut content, mut at) = (Vec::new(), 0);
    loop {
        let line = line(&bytes[at..])?;
        at += line.len() + 2;
        let size = number(line.split(|byte| *byte == b';').next()?, 16)?;
        if size == 0 {
            break;
        }
        let chunk = bytes.get(at..at.checked_add(size)?)?;
        content.extend_from_slice(chunk);
        at += size;
        if bytes.get(at..at + 2)? != b"\r\n" {
            return None;
        }
        at += 2;
    }
    loop {
        let line = line(&bytes[at..])?;
        at += line.len() + 2;
        if line.is_empty() {
            return Some((content, at));
        }
        field(line)?;
    }
}

/// The lines of `bytes`, which end each; `None` when a carriage return or line feed stands alone.
fn lines(bytes: &[u8]) -> Option<Vec<&[u8]>> {
    let (mut lines, mut at) = (Vec::new(), 0);
    while at < bytes.len() {
        let line = line(&bytes[at..])?;
        at += line.len() + 2;
        lines.push(line);
    }
    Some(lines)
}

/// The line that `bytes` begin with, without its end.
fn line(bytes: &[u8]) -> Option<&[u8]> {
    let end = bytes.iter().position(|byte| matches!(byte, b'\r' | b'\n'))?;
    (bytes.get(end..end + 2)? == b"\r\n").then(|| &bytes[..end])
}

fn field(line: &[u8]) -> Option<(&[u8], &[u8])> {
    let colon = line.iter().position(|byte| *byte == b':')?;
    let (name, value) = (&line[..colon], &line[colon + 1..]);
    let is_field = !name.is_empty()
        && name.iter().all(is_token)
        && value.iter().all(|byte| *byte == b'\t' || !byte.is_ascii_control());
    is_field.then(|| (name, value.trim_ascii()))
}

fn number(digits: &[u8], base: u32) -> Option<usize> {
    let digits = std::str::from_utf8(digits).ok()?;
    // The standard library would take a sign.
    if digits.starts_with('+') { None } else { usize::from_str_radix(digits, base).ok() }
}

/// Source: RFC 9110 section 5.6.2.
fn is_token(byte: &u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte)
}
