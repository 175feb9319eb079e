//! One form of a path for routing, filters and origin.

use std::borrow::Cow;

/// Why a request target is refused: what two parsers may read differently is not forwarded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PathError {
    /// Neither `/...` nor `*`.
    #[error("the path does not begin with a slash")]
    Relative,
    /// Also a space, and NUL in either spelling.
    #[error("the path holds the control character 0x{0:02x}")]
    Control(u8),
    /// Some origins take it for a slash.
    #[error("the path holds a backslash")]
    Backslash,
    /// A fragment is never sent (RFC 9112 section 3.2): some parsers cut it off, some do not.
    #[error("the path holds a fragment")]
    Fragment,
    /// `%` without two hexadecimal digits.
    #[error("the path holds an invalid percent-encoding")]
    Encoding,
}

/// Brings the path of a request target into one form; a query is kept as it is.
///
/// What RFC 3986 calls equivalent becomes equal: escapes of unreserved characters are decoded (`%41` is `A`, section
/// 6.2.2.2), the digits of all others are upper case (6.2.2.1), and then dot segments are removed (6.2.2.3), so also
/// those spelled `%2e`. Bytes outside of ASCII are percent-encoded, as a client should have done. Nothing else is
/// merged: `%2F` stays an escape, `//` stays two slashes, `%252e` is decoded no further. An empty path becomes `/`.
///
/// The result of a second pass is the result of the first; it is borrowed where nothing changed.
///
/// # Errors
/// See [`PathError`]; the request should be answered by 400.
pub fn normalize_path(raw: &str) -> Result<Cow<'_, str>, PathError> {
    if raw == "*" {
        return Ok(Cow::Borrowed(raw));
    }
    let (path, query) = raw.split_at(raw.find('?').unwrap_or(raw.len()));
    if path.is_empty() {
        return Ok(Cow::Owned(format!("/{query}")));
    }
    if !path.starts_with('/') {
        return Err(PathError::Relative);
    }
    if is_plain(path)? {
        return Ok(Cow::Borrowed(raw));
    }
    let mut normal = remove_dot_segments(&normalize_escapes(path)?);
    normal.push_str(query);
    Ok(if normal == raw {
        Cow::Borrowed(raw)
    } else {
        Cow::Owned(normal)
    })
}

/// Refuses what must not be there unescaped; true where there is nothing to change.
fn is_plain(path: &str) -> Result<bool, PathError> {
    let mut plain = true;
    let mut before = 0;
    for byte in path.bytes() {
        match byte {
            0..=0x20 | 0x7f => return Err(PathError::Control(byte)),
            b'\\' => return Err(PathError::Backslash),
            b'#' => return Err(PathError::Fragment),
            b'%' | 0x80.. => plain = false,
            // A dot segment, or a name such as `.well-known`: the slow way tells them apart.
            b'.' if before == b'/' => plain = false,
            _ => {}
        }
        before = byte;
    }
    Ok(plain)
}

fn normalize_escapes(path: &str) -> Result<String, PathError> {
    let mut out = String::with_capacity(path.len());
    let mut bytes = path.bytes();
    while let Some(byte) = bytes.next() {
        match byte {
            b'%' => match escaped(bytes.next(), bytes.next())? {
                0 => return Err(PathError::Control(0)),
                byte if is_unreserved(byte) => out.push(char::from(byte)),
                byte => push_escape(&mut out, byte),
            },
            0x80.. => push_escape(&mut out, byte),
            _ => out.push(char::from(byte)),
        }
    }
    Ok(out)
}

fn escaped(high: Option<u8>, low: Option<u8>) -> Result<u8, PathError> {
    let digit = |byte: Option<u8>| {
        byte.and_then(|byte| char::from(byte).to_digit(16))
            .and_then(|d| u8::try_from(d).ok())
    };
    match (digit(high), digit(low)) {
        (Some(high), Some(low)) => Ok(high << 4 | low),
        _ => Err(PathError::Encoding),
    }
}

/// RFC 3986 section 2.3.
fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~')
}

fn push_escape(out: &mut String, byte: u8) {
    const DIGITS: [char; 16] = [
        '0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'A', 'B', 'C', 'D', 'E', 'F',
    ];
    out.push('%');
    out.push(DIGITS[usize::from(byte >> 4)]);
    out.push(DIGITS[usize::from(byte & 15)]);
}

/// RFC 3986 section 5.2.4, for a path that begins with a slash.
fn remove_dot_segments(path: &str) -> String {
    let mut out = String::with_capacity(path.len());
    let mut segments = path.split('/').skip(1).peekable();
    while let Some(segment) = segments.next() {
        match segment {
            "." => {}
            ".." => out.truncate(out.rfind('/').unwrap_or(0)),
            name => {
                out.push('/');
                out.push_str(name);
                continue;
            }
        }
        // `/a/..` names a folder: its slash stays.
        if segments.peek().is_none() {
            out.push('/');
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use rand::rngs::StdRng;
    use rand::{Rng, SeedableRng};

    use super::*;

    const NUL: PathError = PathError::Control(0);

    /// Raw request target, and what becomes of it.
    const TABLE: &[(&str, Result<&str, PathError>)] = &[
        // Nothing to do.
        ("/", Ok("/")),
        ("*", Ok("*")),
        ("/a", Ok("/a")),
        ("/a/b/c", Ok("/a/b/c")),
        ("/a/", Ok("/a/")),
        ("/a.b/c.d", Ok("/a.b/c.d")),
        ("/.well-known/x", Ok("/.well-known/x")),
        ("/...", Ok("/...")),
        ("/..a/.b./c..", Ok("/..a/.b./c..")),
        ("/a;b=c/d", Ok("/a;b=c/d")),
        ("/a..;/b", Ok("/a..;/b")),
        ("/..;/b", Ok("/..;/b")),
        ("/a!$&'()*+,;=:@b", Ok("/a!$&'()*+,;=:@b")),
        ("/a|b^c{d}[e]\"f`<g>", Ok("/a|b^c{d}[e]\"f`<g>")),
        ("", Ok("/")),
        ("?q=1", Ok("/?q=1")),
        // Dot segments.
        ("/.", Ok("/")),
        ("/./", Ok("/")),
        ("/..", Ok("/")),
        ("/../", Ok("/")),
        ("/../../a", Ok("/a")),
        ("/a/.", Ok("/a/")),
        ("/a/./b", Ok("/a/b")),
        ("/a/..", Ok("/")),
        ("/a/b/..", Ok("/a/")),
        ("/a/b/../", Ok("/a/")),
        ("/a/b/../c", Ok("/a/c")),
        ("/a/b/../../c", Ok("/c")),
        ("/a/b/../../../c", Ok("/c")),
        ("/a/b/c/./../../g", Ok("/a/g")),
        ("/mid/content=5/../6", Ok("/mid/6")),
        // Empty segments count as segments.
        ("//", Ok("//")),
        ("/a//b", Ok("/a//b")),
        ("//a", Ok("//a")),
        ("/a//../b", Ok("/a/b")),
        ("//../a", Ok("/a")),
        ("/a/..//b", Ok("//b")),
        // Encoded dots.
        ("/%2e", Ok("/")),
        ("/a/%2E%2e/b", Ok("/b")),
        ("/a/.%2e/b", Ok("/b")),
        ("/a/%2e./b", Ok("/b")),
        ("/a/%2e/b", Ok("/a/b")),
        ("/%2e%2e/%2e%2e/etc/passwd", Ok("/etc/passwd")),
        ("/a%2eb", Ok("/a.b")),
        // Encoded slashes and backslashes are no separators.
        ("/a%2Fb", Ok("/a%2Fb")),
        ("/a%2fb", Ok("/a%2Fb")),
        ("/a/..%2Fb", Ok("/a/..%2Fb")),
        ("/a/%2e%2e%2fb", Ok("/a/..%2Fb")),
        ("/a/%2f../b", Ok("/a/%2F../b")),
        ("/a%5cb", Ok("/a%5Cb")),
        // Other escapes.
        ("/%41%7a%30%2D%5f%7E", Ok("/Az0-_~")),
        ("/a%20b", Ok("/a%20b")),
        ("/a%3fb%23c", Ok("/a%3Fb%23c")),
        ("/%252e%252e/a", Ok("/%252e%252e/a")),
        ("/%25%32%65", Ok("/%252e")),
        ("/%0d%0a", Ok("/%0D%0A")),
        ("/caf\u{e9}", Ok("/caf%C3%A9")),
        ("/caf%c3%a9", Ok("/caf%C3%A9")),
        ("/%c0%ae%c0%ae/a", Ok("/%C0%AE%C0%AE/a")),
        // The query is no path.
        ("/a?b/../c", Ok("/a?b/../c")),
        ("/a/../b?%41%zz%00\\#", Ok("/b?%41%zz%00\\#")),
        ("/a/..?x", Ok("/?x")),
        // Refused.
        ("a", Err(PathError::Relative)),
        ("../a", Err(PathError::Relative)),
        ("**", Err(PathError::Relative)),
        ("*?a", Err(PathError::Relative)),
        ("%2Fa", Err(PathError::Relative)),
        ("/a\\b", Err(PathError::Backslash)),
        ("/..\\a", Err(PathError::Backslash)),
        ("/a\0", Err(NUL)),
        ("/a%00", Err(NUL)),
        ("/a%00/../b", Err(NUL)),
        ("/a b", Err(PathError::Control(b' '))),
        ("/a\tb", Err(PathError::Control(b'\t'))),
        ("/a\r\nb", Err(PathError::Control(b'\r'))),
        ("/a\x7f", Err(PathError::Control(0x7f))),
        ("/a#b", Err(PathError::Fragment)),
        ("/%", Err(PathError::Encoding)),
        ("/%4", Err(PathError::Encoding)),
        ("/%4?1", Err(PathError::Encoding)),
        ("/%zz", Err(PathError::Encoding)),
        ("/%u0041", Err(PathError::Encoding)),
        ("/%+1", Err(PathError::Encoding)),
        ("/a%2", Err(PathError::Encoding)),
        ("/%\u{e9}1", Err(PathError::Encoding)),
    ];

    #[test]
    fn every_row_becomes_what_it_should() {
        assert!(TABLE.len() >= 60);
        for &(raw, wanted) in TABLE {
            let normal = normalize_path(raw);
            assert_eq!(normal.as_deref().map_err(|error| *error), wanted, "{raw:?}");
        }
    }

    #[test]
    fn what_is_normal_is_borrowed_and_stays() {
        for (_, normal) in TABLE {
            if let Ok(normal) = normal {
                assert!(
                    matches!(normalize_path(normal), Ok(Cow::Borrowed(again)) if again == *normal),
                    "{normal:?}"
                );
            }
        }
    }

    /// Any text of the bytes that matter here, twice through: nothing left to do, nothing to climb out by.
    #[test]
    fn a_second_pass_changes_nothing() {
        const PARTS: &[&str] = &[
            "/", ".", "..", "%2e", "%2E", "%2f", "%25", "%41", "a", "%", "2", "e", "?", "\u{e9}",
            ";", "//", "%5c", "#",
        ];
        let mut random = StdRng::seed_from_u64(1);
        let mut accepted = 0;
        for _ in 0..20_000 {
            let parts = random.random_range(0..12);
            let raw: String = std::iter::once("/")
                .chain((0..parts).map(|_| PARTS[random.random_range(0..PARTS.len())]))
                .collect();
            let Ok(once) = normalize_path(&raw) else {
                continue;
            };
            accepted += 1;
            assert!(
                matches!(normalize_path(&once), Ok(Cow::Borrowed(twice)) if twice == once),
                "{raw:?} -> {once:?}"
            );
            let path = once.split('?').next().unwrap_or_default();
            assert!(
                path.starts_with('/') && !path.split('/').any(|s| s == "." || s == ".."),
                "{raw:?} -> {once:?}"
            );
        }
        assert!(accepted > 5_000, "only {accepted} of the texts were paths");
    }
}
