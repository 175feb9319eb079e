//! The request target, taken apart as ModSecurity does.
//!
//! `REQUEST_FILENAME` and `REQUEST_BASENAME` are decoded once, as everywhere (by Apache httpd for ModSecurity 2): rules
//! without transformations look for `(` in a path. All other parts are as they came; rules ask for more (`t:urlDecodeUni`).
//! (libmodsecurity 3 decodes `REQUEST_URI` too, so that `%2525` is decoded twice before a rule sees it.)

use memchr::{memchr, memchr2, memmem, memrchr2};

/// The parts of a request target. All but a missing path are slices of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Target<'a> {
    /// `REQUEST_URI_RAW`: the target as received.
    pub raw: &'a [u8],
    /// `REQUEST_URI`: path and query, without scheme, authority and fragment.
    pub uri: &'a [u8],
    /// The path; [`decoded`] it is `REQUEST_FILENAME` and `PATH_INFO`.
    pub path: &'a [u8],
    /// `QUERY_STRING`: what follows the first question mark.
    pub query: &'a [u8],
}

impl<'a> Target<'a> {
    /// Takes any bytes: origin-form, absolute-form, the authority of `CONNECT`, `*`, and what is none of these.
    pub fn parse(raw: &'a [u8]) -> Self {
        let without_fragment = split_at_byte(raw, b'#').0;
        let uri = without_authority(without_fragment);
        let (path, query) = split_at_byte(uri, b'?');
        let is_absolute = uri.len() < without_fragment.len();
        let path = if path.is_empty() && is_absolute {
            b"/"
        } else {
            path
        };
        Self {
            raw,
            uri,
            path,
            query,
        }
    }
}

/// A path with `%HH` decoded; what is no such sequence stays.
pub fn decoded(path: &[u8]) -> Vec<u8> {
    let digit = |byte: Option<&u8>| byte.and_then(|byte| char::from(*byte).to_digit(16));
    let mut decoded = Vec::with_capacity(path.len());
    let mut rest = path;
    while let Some((byte, after)) = rest.split_first() {
        rest = after;
        let escaped = match (byte, digit(after.first()), digit(after.get(1))) {
            (b'%', Some(high), Some(low)) => u8::try_from(high << 4 | low).ok(),
            _ => None,
        };
        if escaped.is_some() {
            rest = after.get(2..).unwrap_or_default();
        }
        decoded.push(escaped.unwrap_or(*byte));
    }
    decoded
}

/// `REQUEST_BASENAME`: what follows the last slash or backslash of the path.
pub fn basename(path: &[u8]) -> &[u8] {
    match memrchr2(b'/', b'\\', path) {
        Some(slash) => path.get(slash + 1..).unwrap_or_default(),
        None => path,
    }
}

/// Before and after the first `byte`; all and nothing where there is none.
fn split_at_byte(bytes: &[u8], byte: u8) -> (&[u8], &[u8]) {
    match memchr(byte, bytes) {
        Some(index) => (
            bytes.get(..index).unwrap_or_default(),
            bytes.get(index + 1..).unwrap_or_default(),
        ),
        None => (bytes, b""),
    }
}

/// `http://host/path?query` without what comes before the path; anything else as it is.
fn without_authority(target: &[u8]) -> &[u8] {
    if target.first() == Some(&b'/') {
        return target;
    }
    let Some(colon) = memmem::find(target, b"://") else {
        return target;
    };
    let (scheme, rest) = target.split_at(colon);
    let is_scheme = scheme.first().is_some_and(u8::is_ascii_alphabetic)
        && scheme
            .iter()
            .all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(byte));
    if !is_scheme {
        return target;
    }
    let authority = rest.get(3..).unwrap_or_default();
    let end = memchr2(b'/', b'?', authority).unwrap_or(authority.len());
    authority.get(end..).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::{Target, basename, decoded};

    fn parts(raw: &str) -> [&str; 4] {
        let target = Target::parse(raw.as_bytes());
        [target.uri, target.path, basename(target.path), target.query]
            .map(|part| str::from_utf8(part).unwrap_or("not UTF-8"))
    }

    #[test]
    fn a_path_is_decoded_once() {
        for (path, expected) in [
            ("/a%20b+c", "/a b+c"),
            ("/%2541%2f%2F", "/%41//"),
            ("/%", "/%"),
            ("/%4", "/%4"),
            ("/%g1%1g", "/%g1%1g"),
            ("/%%41", "/%A"),
            ("", ""),
        ] {
            assert_eq!(decoded(path.as_bytes()), expected.as_bytes(), "{path}");
        }
        assert_eq!(decoded(b"/%00%ff"), b"/\0\xff");
    }

    #[test]
    fn every_form_of_a_target_has_its_parts() {
        let cases = [
            ("/", ["/", "/", "", ""]),
            ("/a/b.php?x=1", ["/a/b.php?x=1", "/a/b.php", "b.php", "x=1"]),
            ("/a/?", ["/a/?", "/a/", "", ""]),
            ("/a?b?c", ["/a?b?c", "/a", "a", "b?c"]),
            ("/a#frag?x", ["/a", "/a", "a", ""]),
            ("/a?q#frag", ["/a?q", "/a", "a", "q"]),
            ("/%61/%2e", ["/%61/%2e", "/%61/%2e", "%2e", ""]),
            ("//a//b", ["//a//b", "//a//b", "b", ""]),
            ("/a\\b", ["/a\\b", "/a\\b", "b", ""]),
            (
                "/x?u=http://h/p",
                ["/x?u=http://h/p", "/x", "x", "u=http://h/p"],
            ),
            ("http://h:80/p/q?r", ["/p/q?r", "/p/q", "q", "r"]),
            ("HTTP://user@h", ["", "/", "", ""]),
            ("http://h?q", ["?q", "/", "", "q"]),
            ("1http://h/p", ["1http://h/p", "1http://h/p", "p", ""]),
            ("host:443", ["host:443", "host:443", "host:443", ""]),
            ("*", ["*", "*", "*", ""]),
            ("", ["", "", "", ""]),
            ("?x", ["?x", "", "", "x"]),
        ];
        for (raw, expected) in cases {
            assert_eq!(parts(raw), expected, "{raw}");
        }
    }

    #[test]
    fn bytes_that_no_target_has_are_kept() {
        let target = Target::parse(b"\xff\0/\x01?\r\n");
        assert_eq!(target.raw, b"\xff\0/\x01?\r\n");
        assert_eq!(target.path, b"\xff\0/\x01");
        assert_eq!(target.query, b"\r\n");
    }
}
