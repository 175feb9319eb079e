//! `removeNulls` and `replaceNulls`.

use super::escapes::replace;

pub(super) fn remove(input: &[u8], out: &mut Vec<u8>) -> bool {
    replace(input, out, 0, |_, _| 1)
}

/// A space for each.
pub(super) fn to_spaces(input: &[u8], out: &mut Vec<u8>) -> bool {
    replace(input, out, 0, |_, out| {
        out.push(b' ');
        1
    })
}
