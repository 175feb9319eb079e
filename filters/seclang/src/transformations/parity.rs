//! `parityEven7bit`, `parityOdd7bit` and `parityZero7bit`: the highest bit of each byte.

/// Set where the byte as it is has an odd number of bits, and cleared elsewhere.
pub(super) fn even(input: &[u8], out: &mut Vec<u8>) -> bool {
    out.extend(
        input
            .iter()
            .map(|byte| with_top(*byte, byte.count_ones() % 2 == 1)),
    );
    true
}

/// Set where the byte as it is has an even number of bits, and cleared elsewhere.
pub(super) fn odd(input: &[u8], out: &mut Vec<u8>) -> bool {
    out.extend(
        input
            .iter()
            .map(|byte| with_top(*byte, byte.count_ones() % 2 == 0)),
    );
    true
}

/// Cleared.
pub(super) fn zero(input: &[u8], out: &mut Vec<u8>) -> bool {
    out.extend(input.iter().map(|byte| byte & 0x7f));
    true
}

fn with_top(byte: u8, top: bool) -> u8 {
    if top { byte | 0x80 } else { byte & 0x7f }
}
