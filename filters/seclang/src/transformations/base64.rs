//! `base64Decode`, `base64DecodeExt` and `base64Encode`.

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// Up to the first byte that is neither in the alphabet nor a line break. (ModSecurity 3 gives up the whole value there:
/// one stray byte would hide it. Coraza and ModSecurity 2 do as we do.)
pub(super) fn decode(input: &[u8], out: &mut Vec<u8>) -> bool {
    let digits = input.iter().filter(|byte| !matches!(byte, b'\r' | b'\n'));
    write(digits.map_while(|&byte| sextet(byte)), input.len(), out);
    !input.is_empty()
}

/// Leaves out whatever is not in the alphabet, padding in the middle included.
pub(super) fn decode_ext(input: &[u8], out: &mut Vec<u8>) -> bool {
    write(
        input.iter().filter_map(|&byte| sextet(byte)),
        input.len(),
        out,
    );
    !input.is_empty()
}

/// With padding, without line breaks.
pub(super) fn encode(input: &[u8], out: &mut Vec<u8>) -> bool {
    out.reserve(input.len().div_ceil(3) * 4);
    for chunk in input.chunks(3) {
        let mut bytes = [0; 3];
        for (to, from) in bytes.iter_mut().zip(chunk) {
            *to = *from;
        }
        let [a, b, c] = bytes;
        let group = u32::from_be_bytes([0, a, b, c]);
        for index in 0..4 {
            let sextet = (group >> (18 - 6 * index)) & 0x3f;
            let sign = ALPHABET
                .get(sextet as usize)
                .filter(|_| index <= chunk.len());
            out.push(sign.copied().unwrap_or(b'='));
        }
    }
    !input.is_empty()
}

fn write(sextets: impl Iterator<Item = u32>, length: usize, out: &mut Vec<u8>) {
    out.reserve(length / 4 * 3 + 2);
    let (mut bits, mut number) = (0_u32, 0_u32);
    for sextet in sextets {
        number = number << 6 | sextet;
        bits += 6;
        if bits >= 8 {
            bits -= 8;
            let [.., byte] = (number >> bits).to_be_bytes();
            out.push(byte);
        }
    }
}

fn sextet(byte: u8) -> Option<u32> {
    let value = match byte {
        b'A'..=b'Z' => byte - b'A',
        b'a'..=b'z' => byte - b'a' + 26,
        b'0'..=b'9' => byte - b'0' + 52,
        b'+' => 62,
        b'/' => 63,
        _ => return None,
    };
    Some(u32::from(value))
}
