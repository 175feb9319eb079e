//! `@validateByteRange`, `@validateUrlEncoding` and `@validateUtf8Encoding`: they match what is *not* valid.

use super::{Found, Operator, Source};
use crate::byte_set::ByteSet;

/// `@validateByteRange`: numbers and ranges of numbers of the bytes that are allowed, with commas between them.
pub(super) fn byte_range(source: &Source<'_>) -> Result<Operator, String> {
    let mut allowed = ByteSet::NONE;
    for item in source.argument.split(',').map(str::trim) {
        let (first, last) = item.split_once('-').unwrap_or((item, item));
        let (first, last) = (byte(first)?, byte(last)?);
        if first > last {
            return Err(format!("the range {item:?} ends before it begins"));
        }
        allowed = allowed.union(ByteSet::range(first, last));
    }
    Ok(Operator::ByteRange(allowed))
}

fn byte(text: &str) -> Result<u8, String> {
    text.trim().parse().map_err(|_| {
        format!(
            "{text:?} is no number from 0 to 255; write bytes and ranges of them: 9,10,13,32-126"
        )
    })
}

/// Whether a byte is not allowed.
pub(super) fn outside(allowed: &ByteSet, value: &[u8], found: &mut Found) -> bool {
    match value.iter().position(|&byte| !allowed.contains(byte)) {
        Some(at) => {
            found.at(at..at + 1);
            true
        }
        None => false,
    }
}

/// Whether a `%` is not followed by two hexadecimal digits.
pub(super) fn bad_url_encoding(value: &[u8], found: &mut Found) -> bool {
    let bad = memchr::memchr_iter(b'%', value).find(|&at| {
        let digits = value.get(at + 1..at + 3).unwrap_or_default();
        digits.len() < 2 || !digits.iter().all(u8::is_ascii_hexdigit)
    });
    if let Some(at) = bad {
        found.at(at..value.len().min(at + 3));
    }
    bad.is_some()
}

/// Whether the value is not UTF-8: cut characters, overlong ones, surrogates, and what lies beyond U+10FFFF.
pub(super) fn bad_utf8(value: &[u8], found: &mut Found) -> bool {
    match std::str::from_utf8(value) {
        Ok(_) => false,
        Err(error) => {
            let at = error.valid_up_to();
            let length = error.error_len().unwrap_or(value.len() - at);
            found.at(at..at + length);
            true
        }
    }
}
