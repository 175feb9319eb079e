//! `htmlEntityDecode`.

use super::escapes::{digit, replace};

/// Numbers of any length (the lower byte remains) and the names `quot`, `amp`, `lt`, `gt` and `nbsp`, in any case, with or
/// without a semicolon behind them. Newer versions of ModSecurity 3 read three digits at most, and names by how they
/// begin; here it is as in ModSecurity 2 and 3.0.9: `&#0000060;` is a `<`, and `&ltimes` is no entity.
pub(super) fn decode(input: &[u8], out: &mut Vec<u8>) -> bool {
    replace(input, out, b'&', |entity, out| match read(entity) {
        Some((byte, length)) => {
            out.push(byte);
            length + usize::from(entity.get(length) == Some(&b';'))
        }
        None => {
            out.push(b'&');
            1
        }
    })
}

/// The byte that an entity stands for, and its length without the semicolon.
fn read(entity: &[u8]) -> Option<(u8, usize)> {
    match entity {
        [_, b'#', b'x' | b'X', digits @ ..] => {
            let (byte, length) = number(digits, 16)?;
            Some((byte, 3 + length))
        }
        [_, b'#', digits @ ..] => {
            let (byte, length) = number(digits, 10)?;
            Some((byte, 2 + length))
        }
        [_, name @ ..] => {
            // The longest name has four letters: more need not be looked at than one that makes it too long.
            let length = name
                .iter()
                .take(5)
                .take_while(|byte| byte.is_ascii_alphanumeric())
                .count();
            let (name, _) = name.split_at_checked(length)?;
            let byte = match name.to_ascii_lowercase().as_slice() {
                b"quot" => b'"',
                b"amp" => b'&',
                b"lt" => b'<',
                b"gt" => b'>',
                b"nbsp" => 0xa0,
                _ => return None,
            };
            Some((byte, 1 + length))
        }
        [] => None,
    }
}

fn number(text: &[u8], radix: u8) -> Option<(u8, usize)> {
    let digits = text
        .iter()
        .map_while(|&byte| digit(byte).filter(|&digit| digit < radix));
    let (mut number, mut length) = (0_u64, 0);
    for digit in digits {
        // Stays at the biggest number, as C's `strtol` does.
        number = number
            .saturating_mul(u64::from(radix))
            .saturating_add(u64::from(digit));
        length += 1;
    }
    let [.., byte] = number.to_be_bytes();
    (length > 0).then_some((byte, length))
}
