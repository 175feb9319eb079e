//! `length`, `md5` and `sha1`: what becomes of the empty value, too, is not empty.

use md5::{Digest, Md5};
use sha1::Sha1;

/// Bytes, in decimal digits.
pub(super) fn length(input: &[u8], out: &mut Vec<u8>) -> bool {
    out.extend_from_slice(input.len().to_string().as_bytes());
    true
}

/// Sixteen bytes, not their digits: `hexEncode` follows.
pub(super) fn md5(input: &[u8], out: &mut Vec<u8>) -> bool {
    out.extend_from_slice(&Md5::digest(input));
    true
}

/// Twenty bytes.
pub(super) fn sha1(input: &[u8], out: &mut Vec<u8>) -> bool {
    out.extend_from_slice(&Sha1::digest(input));
    true
}
