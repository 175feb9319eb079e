//! The request target as Pingora's parser takes it.
//!
//! Clients, and attackers, send bytes in targets that no URI has: quotes, angle brackets, characters outside of ASCII.
//! Pingora would refuse them by itself, before any filter or log heard of the request. So it gets them encoded, which
//! means the same to an origin; what the client sent stays readable as the raw head.

use bytes::Bytes;
use memchr::memchr;

/// The head with such bytes of its target encoded; `None`: there are none.
pub(in crate::listener) fn encoded(head: &Bytes) -> Option<Bytes> {
    let start = memchr(b' ', head)? + 1;
    let rest = head.get(start..)?;
    let (target, after) = rest.split_at_checked(memchr(b' ', rest)?)?;
    if !target.iter().copied().any(is_foreign) {
        return None;
    }
    let mut encoded = Vec::with_capacity(head.len() + 64);
    encoded.extend_from_slice(head.get(..start)?);
    for byte in target {
        if is_foreign(*byte) {
            const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
            let digit = |half: u8| DIGITS.get(usize::from(half)).copied().unwrap_or(b'0');
            encoded.extend_from_slice(&[b'%', digit(byte >> 4), digit(byte & 0xf)]);
        } else {
            encoded.push(*byte);
        }
    }
    encoded.extend_from_slice(after);
    Some(encoded.into())
}

fn is_foreign(byte: u8) -> bool {
    matches!(byte, b'"' | b'<' | b'>' | b'`' | 0x80..)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_target_changes() {
        for (head, expected) in [
            ("GET /a?b=c HTTP/1.1\r\nX: <\r\n\r\n", None),
            (
                "GET /<a>?\"\u{e9}\" HTTP/1.1\r\nX: <\r\n\r\n",
                Some("GET /%3Ca%3E?%22%C3%A9%22 HTTP/1.1\r\nX: <\r\n\r\n"),
            ),
            (
                "GET http://h/\\^` HTTP/1.1\r\n\r\n",
                Some("GET http://h/\\^%60 HTTP/1.1\r\n\r\n"),
            ),
            ("nothing", None),
            ("GET /<", None),
        ] {
            let encoded = encoded(&Bytes::from(head));
            let expected = expected.map(|text| Bytes::from(text.as_bytes()));
            assert_eq!(encoded, expected, "{head}");
        }
    }
}
