//! `jsDecode`: the escapes of JavaScript.

use super::escapes::{control, digit, narrow, octal, pair, quad, replace};

/// `\uHHHH` and `\u{H...}`, of which the lower byte remains; `\xHH`; up to three octal digits as long as they are a byte;
/// `\n` and the like. A backslash before anything else goes; at the end it stays. (`\u{...}` is newer than ModSecurity,
/// and as in Coraza.)
pub(super) fn decode(input: &[u8], out: &mut Vec<u8>) -> bool {
    replace(input, out, b'\\', |escape, out| {
        let Some((&letter, behind)) = escape.get(1..).and_then(<[u8]>::split_first) else {
            out.push(b'\\');
            return 1;
        };
        let (byte, length) = match letter {
            b'u' => unicode(behind),
            b'x' => pair(behind).map(|byte| (byte, 2)),
            b'0'..=b'3' => octal(behind, 2).map_or(Some((letter - b'0', 0)), |(low, length)| {
                Some(((letter - b'0') << (3 * length) | low, length))
            }),
            b'4'..=b'7' => octal(behind, 1).map_or(Some((letter - b'0', 0)), |(low, length)| {
                Some(((letter - b'0') << 3 | low, length))
            }),
            _ => None,
        }
        .unwrap_or((control(letter).unwrap_or(letter), 0));
        out.push(byte);
        2 + length
    })
}

/// Behind `\u`: the byte and the length.
fn unicode(behind: &[u8]) -> Option<(u8, usize)> {
    if let Some(number) = quad(behind) {
        return Some((narrow(u32::from(number)), 4));
    }
    let digits = behind.strip_prefix(b"{")?;
    let length = digits
        .iter()
        .take(6)
        .take_while(|&&byte| digit(byte).is_some())
        .count();
    let number = digits
        .iter()
        .take(length)
        .filter_map(|&byte| digit(byte))
        .fold(0_u32, |number, digit| number << 4 | u32::from(digit));
    let closed = digits.get(length) == Some(&b'}');
    (closed && length > 0).then(|| (narrow(number), length + 2))
}
