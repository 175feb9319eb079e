//! What the transformations that take escapes away have in common.

/// Copies `input` to `out` with every `marker` replaced by what `decode` makes of it: `decode` gets the rest of the input
/// from the marker on, writes what it means, and says how many bytes of it that was (at least one is taken).
///
/// Answers false, and writes nothing, if there is no marker.
pub(super) fn replace(
    input: &[u8],
    out: &mut Vec<u8>,
    marker: u8,
    mut decode: impl FnMut(&[u8], &mut Vec<u8>) -> usize,
) -> bool {
    let Some(first) = memchr::memchr(marker, input) else {
        return false;
    };
    out.reserve(input.len());
    let (mut rest, mut next) = (input, Some(first));
    while let Some(at) = next {
        let (before, escape) = rest.split_at(at);
        out.extend_from_slice(before);
        let length = decode(escape, out).max(1);
        rest = escape.get(length..).unwrap_or_default();
        next = memchr::memchr(marker, rest);
    }
    out.extend_from_slice(rest);
    true
}

/// The value of a hexadecimal digit.
pub(super) fn digit(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        b'A'..=b'F' => Some(byte - b'A' + 10),
        _ => None,
    }
}

/// The byte that two hexadecimal digits at the beginning of `text` make.
pub(super) fn pair(text: &[u8]) -> Option<u8> {
    match text {
        [high, low, ..] => Some(digit(*high)? << 4 | digit(*low)?),
        _ => None,
    }
}

/// The number that four hexadecimal digits at the beginning of `text` make.
pub(super) fn quad(text: &[u8]) -> Option<u16> {
    let (high, low) = (pair(text)?, pair(text.get(2..)?)?);
    Some(u16::from_be_bytes([high, low]))
}

/// The byte that stands for a character: itself for the full-width forms of ASCII, and else its lower half.
pub(super) fn narrow(character: u32) -> u8 {
    let [_, _, _, low] = character.to_be_bytes();
    match character {
        0xff01..=0xff5e => low + 0x20,
        _ => low,
    }
}

/// The byte that one to `most` octal digits at the beginning of `text` make (its lower eight bits), and how many they are.
pub(super) fn octal(text: &[u8], most: usize) -> Option<(u8, usize)> {
    let digits = text.iter().take(most);
    let length = digits
        .take_while(|byte| matches!(byte, b'0'..=b'7'))
        .count();
    let number = text
        .iter()
        .take(length)
        .fold(0_u8, |number, digit| number << 3 | (digit - b'0'));
    (length > 0).then_some((number, length))
}

/// The control character that a letter behind a backslash stands for in C.
pub(super) fn control(letter: u8) -> Option<u8> {
    Some(match letter {
        b'a' => 0x07,
        b'b' => 0x08,
        b'f' => 0x0c,
        b'n' => b'\n',
        b'r' => b'\r',
        b't' => b'\t',
        b'v' => 0x0b,
        _ => return None,
    })
}

/// White space as C's `isspace` has it.
pub(super) fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t'..=b'\r')
}
