//! `urlDecode`, `urlDecodeUni` and `urlEncode`.

use super::UnicodeMap;
use super::escapes::{pair, quad};
use super::hex::sign;

/// `+` is a space, `%HH` a byte; a `%` before anything else stays.
pub(super) fn decode(input: &[u8], out: &mut Vec<u8>) -> bool {
    percent(input, out, |_| None)
}

/// The same with `%uHHHH`, for which the byte stands that the map has, and else the lower byte.
pub(super) fn decode_unicode(input: &[u8], out: &mut Vec<u8>, map: &UnicodeMap) -> bool {
    percent(input, out, |escape| match escape {
        [_, b'u' | b'U', digits @ ..] => Some(match quad(digits) {
            Some(character) => (map.byte(character), 6),
            // The `%` stays, and the letter behind it does.
            None => (b'%', 1),
        }),
        _ => None,
    })
}

fn percent(
    input: &[u8],
    out: &mut Vec<u8>,
    special: impl Fn(&[u8]) -> Option<(u8, usize)>,
) -> bool {
    let Some(first) = memchr::memchr2(b'%', b'+', input) else {
        return false;
    };
    out.reserve(input.len());
    let (mut rest, mut next) = (input, Some(first));
    while let Some(at) = next {
        let (before, escape) = rest.split_at(at);
        out.extend_from_slice(before);
        let (byte, length) = match escape {
            [b'+', ..] => (b' ', 1),
            escape => special(escape).unwrap_or_else(|| {
                let digits = escape.get(1..).and_then(pair);
                digits.map_or((b'%', 1), |byte| (byte, 3))
            }),
        };
        out.push(byte);
        rest = escape.get(length..).unwrap_or_default();
        next = memchr::memchr2(b'%', b'+', rest);
    }
    out.extend_from_slice(rest);
    true
}

/// All but letters, digits and `*` become `%hh`, a space becomes `+`.
pub(super) fn encode(input: &[u8], out: &mut Vec<u8>) -> bool {
    for &byte in input {
        match byte {
            b' ' => out.push(b'+'),
            b'*' | b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' => out.push(byte),
            byte => out.extend([b'%', sign(byte >> 4), sign(byte & 0xf)]),
        }
    }
    true
}
