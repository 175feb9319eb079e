//! `hexDecode`, `hexEncode` and `sqlHexDecode`.

use super::escapes::{pair, replace};

/// Byte for byte two digits; an odd one at the end is dropped. What is no digit counts as ModSecurity counts it, by its
/// distance from `0` or `A`.
pub(super) fn decode(input: &[u8], out: &mut Vec<u8>) -> bool {
    out.reserve(input.len() / 2);
    for two in input.chunks_exact(2) {
        if let [high, low] = two {
            out.push(
                distance(*high)
                    .wrapping_mul(16)
                    .wrapping_add(distance(*low)),
            );
        }
    }
    !input.is_empty()
}

fn distance(byte: u8) -> u8 {
    match byte {
        b'A'.. => (byte & 0xdf).wrapping_sub(b'A').wrapping_add(10),
        _ => byte.wrapping_sub(b'0'),
    }
}

/// Two digits a byte, in lower case.
pub(super) fn encode(input: &[u8], out: &mut Vec<u8>) -> bool {
    out.reserve(input.len() * 2);
    for &byte in input {
        out.extend([byte >> 4, byte & 0xf].map(sign));
    }
    !input.is_empty()
}

/// The hexadecimal digit of a number below sixteen.
pub(super) fn sign(number: u8) -> u8 {
    match number {
        0..=9 => b'0' + number,
        _ => b'a' + number - 10,
    }
}

/// `0x414243` becomes `ABC`; an odd digit at its end stays.
pub(super) fn decode_sql(input: &[u8], out: &mut Vec<u8>) -> bool {
    replace(input, out, b'0', |number, out| {
        let mut length = 2;
        if matches!(number, [_, b'x' | b'X', ..]) {
            while let Some(byte) = number.get(length..).and_then(pair) {
                out.push(byte);
                length += 2;
            }
        }
        if length == 2 {
            out.push(b'0');
            return 1;
        }
        length
    })
}
