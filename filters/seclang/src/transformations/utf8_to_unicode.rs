//! `utf8toUnicode`: characters of more than one byte as `%uHHHH`, for `urlDecodeUni` to make bytes of them.

use super::hex::sign;

/// What looks like a character, overlong ones included, becomes `%u` and at least four digits; overlong ones and surrogates
/// keep their first byte behind that. A first byte whose followers are missing goes; other bytes stay, NUL also where
/// ModSecurity drops it.
pub(super) fn encode(input: &[u8], out: &mut Vec<u8>) -> bool {
    let Some(first) = input.iter().position(|byte| !byte.is_ascii()) else {
        return false;
    };
    let (before, mut rest) = input.split_at(first);
    out.reserve(input.len() * 2);
    out.extend_from_slice(before);
    while let Some((&byte, after)) = rest.split_first() {
        let followers = match byte {
            0xc0..=0xdf => 1,
            0xe0..=0xef => 2,
            0xf0..=0xf7 => 3,
            byte => {
                out.push(byte);
                rest = after;
                continue;
            }
        };
        if byte >= 0xf5 {
            out.push(byte);
        }
        match character(byte, followers, after) {
            Some(number) => {
                write(number, out);
                let least = [0, 0x80, 0x800, 0x1_0000]
                    .get(followers)
                    .copied()
                    .unwrap_or(0);
                if number < least || (0xd800..=0xdfff).contains(&number) {
                    out.push(byte);
                }
                rest = after.get(followers..).unwrap_or_default();
            }
            None => rest = after,
        }
    }
    true
}

/// The number that a first byte and as many followers make.
fn character(first: u8, followers: usize, behind: &[u8]) -> Option<u32> {
    let bits = u32::from(first & (0x3f >> followers));
    behind
        .get(..followers)?
        .iter()
        .try_fold(bits, |number, byte| {
            (byte & 0xc0 == 0x80).then(|| number << 6 | u32::from(byte & 0x3f))
        })
}

fn write(number: u32, out: &mut Vec<u8>) {
    out.extend_from_slice(b"%u");
    let digits = (8 - number.leading_zeros() / 4).max(4);
    for index in (0..digits).rev() {
        let [.., low] = (number >> (4 * index)).to_be_bytes();
        out.push(sign(low & 0xf));
    }
}
