//! `escapeSeqDecode`: the escapes of C.

use super::escapes::{control, octal, pair, replace};

/// `\n` and the like, `\xHH`, and one to three octal digits. A backslash before anything else goes; at the end it stays.
pub(super) fn decode(input: &[u8], out: &mut Vec<u8>) -> bool {
    replace(input, out, b'\\', |escape, out| {
        let Some((&letter, behind)) = escape.get(1..).and_then(<[u8]>::split_first) else {
            out.push(b'\\');
            return 1;
        };
        let hexadecimal = matches!(letter, b'x' | b'X')
            .then(|| pair(behind))
            .flatten();
        if let Some(byte) = control(letter) {
            out.push(byte);
            2
        } else if let Some(byte) = hexadecimal {
            out.push(byte);
            4
        } else if let Some((byte, length)) = octal(escape.get(1..).unwrap_or_default(), 3) {
            out.push(byte);
            1 + length
        } else {
            out.push(letter);
            2
        }
    })
}
