//! `cssDecode`: the escapes of CSS 2.

use super::escapes::{digit, is_space, narrow, replace};

/// Most digits of an escape.
const DIGITS_MAX: usize = 6;

/// A backslash and one to six hexadecimal digits are a character, of which the lower byte remains, with one white space
/// behind them; a backslash before a line feed or at the end is nothing, and before all else that byte.
pub(super) fn decode(input: &[u8], out: &mut Vec<u8>) -> bool {
    replace(input, out, b'\\', |escape, out| {
        let behind = escape.get(1..).unwrap_or_default();
        let digits = behind
            .iter()
            .take(DIGITS_MAX)
            .map_while(|&byte| digit(byte));
        let (mut length, mut character) = (0, 0_u32);
        for digit in digits {
            length += 1;
            character = character << 4 | u32::from(digit);
        }
        if length == 0 {
            out.extend(behind.first().filter(|&&byte| byte != b'\n'));
            return 2;
        }
        out.push(narrow(character));
        let space = behind.get(length).is_some_and(|&byte| is_space(byte));
        1 + length + usize::from(space)
    })
}
