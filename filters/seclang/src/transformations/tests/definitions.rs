//! Slow definitions of the transformations, written as they would be explained.

#[path = "definitions/texts.rs"]
mod texts;

/// Gets the name of a transformation, what values for it are made of, and its definition.
pub(super) type Agree<'a> = &'a mut dyn FnMut(&str, &[&[u8]], fn(&[u8]) -> Vec<u8>);

/// All definitions. They are of ASCII, but for `utf8toUnicode`, which is of UTF-8.
pub(super) const ALL: &[fn(Agree<'_>)] = &[
    url_decode_uni_is_defined,
    url_decode_is_defined,
    html_entity_decode_is_defined,
    js_decode_is_defined,
    escape_seq_decode_is_defined,
    css_decode_is_defined,
    encodings_are_defined,
    utf8_to_unicode_is_defined_for_what_is_utf8,
    texts::normalize_path_is_defined,
    texts::cmd_line_is_defined,
    texts::white_space_is_defined,
    texts::comments_are_defined,
];

fn number(digits: &[u8], radix: u32) -> Option<u32> {
    u32::from_str_radix(std::str::from_utf8(digits).ok()?, radix)
        .ok()
        .filter(|_| !digits.starts_with(b"+"))
}

/// The lower byte of a number of any length, which stays at the biggest number of 64 bits.
fn entity(digits: &[u8], radix: u32) -> Option<u8> {
    let digits = std::str::from_utf8(digits)
        .ok()
        .filter(|digits| !digits.is_empty())?;
    let number = u128::from_str_radix(digits, radix)
        .map_or(u64::MAX, |number| u64::try_from(number).unwrap_or(u64::MAX));
    Some((number % 256) as u8)
}

fn hex(text: &[u8], at: usize, length: usize) -> Option<u32> {
    number(text.get(at..at + length)?, 16)
}

fn low(number: u32) -> u8 {
    (number % 256) as u8
}

fn fold_wide(number: u32) -> u8 {
    match number {
        0xff01..=0xff5e => (number - 0xfee0) as u8,
        number => low(number),
    }
}

/// Goes through a text by steps: each answers what is written and how far it goes.
fn stepwise(text: &[u8], step: impl Fn(&[u8], usize) -> (Vec<u8>, usize)) -> Vec<u8> {
    let (mut out, mut at) = (Vec::new(), 0);
    while at < text.len() {
        let (written, length) = step(text, at);
        out.extend(written);
        at += length;
    }
    out
}

pub(super) fn url_decode_uni_is_defined(agree: Agree<'_>) {
    let pieces: &[&[u8]] = &[
        b"%", b"u", b"U", b"f", b"1", b"+", b"a", b"G", b"%41", b"%uff1c", b"\xff",
    ];
    agree("urlDecodeUni", pieces, |text| {
        stepwise(text, |text, at| match text[at] {
            b'+' => (vec![b' '], 1),
            b'%' if matches!(text.get(at + 1), Some(b'u' | b'U')) => match hex(text, at + 2, 4) {
                Some(number) => (vec![fold_wide(number)], 6),
                None => (vec![b'%', text[at + 1]], 2),
            },
            b'%' => hex(text, at + 1, 2).map_or((vec![b'%'], 1), |number| (vec![low(number)], 3)),
            byte => (vec![byte], 1),
        })
    });
}

pub(super) fn url_decode_is_defined(agree: Agree<'_>) {
    let pieces: &[&[u8]] = &[b"%", b"u", b"f", b"1", b"+", b"a", b"G", b"%41", b"\xff"];
    agree("urlDecode", pieces, |text| {
        stepwise(text, |text, at| match text[at] {
            b'+' => (vec![b' '], 1),
            b'%' => hex(text, at + 1, 2).map_or((vec![b'%'], 1), |number| (vec![low(number)], 3)),
            byte => (vec![byte], 1),
        })
    });
}

pub(super) fn html_entity_decode_is_defined(agree: Agree<'_>) {
    let pieces: &[&[u8]] = &[
        b"&", b"#", b"x", b"3", b"c", b"lt", b"gT", b"quot", b"amp", b"nbsp", b";", b"&#", b" ",
        b"00",
    ];
    agree("htmlEntityDecode", pieces, |text| {
        stepwise(text, |text, at| {
            let run = |from: usize, good: fn(&u8) -> bool| {
                text[from.min(text.len())..]
                    .iter()
                    .take_while(|byte| good(byte))
                    .count()
            };
            let ended = |length: usize| length + usize::from(text.get(at + length) == Some(&b';'));
            if text[at] != b'&' {
                return (vec![text[at]], 1);
            }
            let hexadecimal =
                text.get(at + 1) == Some(&b'#') && matches!(text.get(at + 2), Some(b'x' | b'X'));
            if hexadecimal {
                let length = run(at + 3, u8::is_ascii_hexdigit);
                if let Some(byte) = entity(&text[at + 3..][..length], 16) {
                    return (vec![byte], ended(3 + length));
                }
            } else if text.get(at + 1) == Some(&b'#') {
                let length = run(at + 2, u8::is_ascii_digit);
                if let Some(byte) = entity(&text[(at + 2).min(text.len())..][..length], 10) {
                    return (vec![byte], ended(2 + length));
                }
            } else {
                let length = run(at + 1, u8::is_ascii_alphanumeric);
                let name = String::from_utf8_lossy(&text[at + 1..][..length]).to_lowercase();
                for (known, byte) in [
                    ("quot", b'"'),
                    ("amp", b'&'),
                    ("lt", b'<'),
                    ("gt", b'>'),
                    ("nbsp", 0xa0),
                ] {
                    if name == known {
                        return (vec![byte], ended(1 + length));
                    }
                }
            }
            (vec![b'&'], 1)
        })
    });
}

pub(super) fn js_decode_is_defined(agree: Agree<'_>) {
    let pieces: &[&[u8]] = &[
        b"\\", b"u", b"x", b"0", b"1", b"7", b"f", b"ff", b"{", b"}", b"n", b"g", b"\\u00", b"\\4",
    ];
    agree("jsDecode", pieces, |text| {
        stepwise(text, |text, at| {
            if text[at] != b'\\' || at + 1 == text.len() {
                return (vec![text[at]], 1);
            }
            let letter = text[at + 1];
            if letter == b'u' {
                if let Some(number) = hex(text, at + 2, 4) {
                    return (vec![fold_wide(number)], 6);
                }
                for length in 1..=6 {
                    let braces =
                        text.get(at + 2) == Some(&b'{') && text.get(at + 3 + length) == Some(&b'}');
                    if let Some(number) = hex(text, at + 3, length).filter(|_| braces) {
                        return (vec![fold_wide(number)], length + 4);
                    }
                }
            }
            if let Some(number) = hex(text, at + 2, 2).filter(|_| letter == b'x') {
                return (vec![low(number)], 4);
            }
            // The longest of three, two or one octal digits that is a byte.
            for length in [3, 2, 1] {
                let digits = text.get(at + 1..at + 1 + length);
                if let Some(number) = digits
                    .and_then(|digits| number(digits, 8))
                    .filter(|number| *number < 256)
                {
                    return (vec![low(number)], 1 + length);
                }
            }
            let control = b"abfnrtv".iter().position(|known| *known == letter);
            let byte = control.map_or(letter, |index| b"\x07\x08\x0c\n\r\t\x0b"[index]);
            (vec![byte], 2)
        })
    });
}

pub(super) fn escape_seq_decode_is_defined(agree: Agree<'_>) {
    let pieces: &[&[u8]] = &[
        b"\\", b"x", b"X", b"0", b"1", b"7", b"f", b"8", b"n", b"g", b"\\4", b"\"",
    ];
    agree("escapeSeqDecode", pieces, |text| {
        stepwise(text, |text, at| {
            if text[at] != b'\\' || at + 1 == text.len() {
                return (vec![text[at]], 1);
            }
            let letter = text[at + 1];
            if let Some(number) = hex(text, at + 2, 2).filter(|_| letter == b'x' || letter == b'X')
            {
                return (vec![low(number)], 4);
            }
            for length in [3, 2, 1] {
                let digits = text.get(at + 1..at + 1 + length);
                if let Some(number) = digits.and_then(|digits| number(digits, 8)) {
                    return (vec![low(number)], 1 + length);
                }
            }
            let control = b"abfnrtv".iter().position(|known| *known == letter);
            let byte = control.map_or(letter, |index| b"\x07\x08\x0c\n\r\t\x0b"[index]);
            (vec![byte], 2)
        })
    });
}

pub(super) fn css_decode_is_defined(agree: Agree<'_>) {
    let pieces: &[&[u8]] = &[
        b"\\", b"0", b"1", b"ff", b"3c", b"F", b" ", b"\n", b"g", b"\t", b"\\0",
    ];
    agree("cssDecode", pieces, |text| {
        stepwise(text, |text, at| {
            if text[at] != b'\\' {
                return (vec![text[at]], 1);
            }
            for length in (1..=6).rev() {
                if let Some(number) = hex(text, at + 1, length) {
                    let space = text
                        .get(at + 1 + length)
                        .is_some_and(|byte| b" \t\n\x0b\x0c\r".contains(byte));
                    return (vec![fold_wide(number)], 1 + length + usize::from(space));
                }
            }
            match text.get(at + 1) {
                None | Some(b'\n') => (Vec::new(), 2),
                Some(&byte) => (vec![byte], 2),
            }
        })
    });
}

pub(super) fn encodings_are_defined(agree: Agree<'_>) {
    let pieces: &[&[u8]] = &[
        b"A", b"z", b"0", b"x", b"X", b"4", b"1f", b"+", b"/", b"=", b"\n", b"!", b"-", b"Zz9",
    ];
    fn bits(text: impl Iterator<Item = u8>) -> Vec<u8> {
        let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
        let numbers = text.map(|byte| {
            alphabet
                .iter()
                .position(|sign| *sign == byte)
                .expect("filtered")
        });
        let bits: Vec<bool> = numbers
            .flat_map(|number| (0..6).rev().map(move |bit| number >> bit & 1 == 1))
            .collect();
        bits.chunks_exact(8)
            .map(|byte| byte.iter().fold(0, |sum, bit| sum << 1 | u8::from(*bit)))
            .collect()
    }
    agree("base64DecodeExt", pieces, |text| {
        bits(
            text.iter()
                .copied()
                .filter(|byte| byte.is_ascii_alphanumeric() || b"+/".contains(byte)),
        )
    });
    agree("base64Decode", pieces, |text| {
        let kept = text.iter().copied().filter(|byte| !b"\r\n".contains(byte));
        bits(kept.take_while(|byte| byte.is_ascii_alphanumeric() || b"+/".contains(byte)))
    });
    agree("sqlHexDecode", pieces, |text| {
        stepwise(text, |text, at| {
            let mut bytes = Vec::new();
            if text[at] == b'0' && matches!(text.get(at + 1), Some(b'x' | b'X')) {
                while let Some(byte) = hex(text, at + 2 + 2 * bytes.len(), 2) {
                    bytes.push(low(byte));
                }
            }
            match bytes.len() {
                0 => (vec![text[at]], 1),
                count => (bytes, 2 + 2 * count),
            }
        })
    });
    agree("hexEncode", pieces, |text| {
        text.iter()
            .flat_map(|byte| format!("{byte:02x}").into_bytes())
            .collect()
    });
    agree(
        "urlEncode",
        &[b" ", b"*", b"a", b"Z", b"0", b"-", b"\0", b"\xff", b"%"],
        |text| {
            let sign = |byte: &u8| match byte {
                b' ' => "+".to_owned(),
                byte if byte.is_ascii_alphanumeric() || *byte == b'*' => {
                    char::from(*byte).to_string()
                }
                byte => format!("%{byte:02x}"),
            };
            text.iter()
                .flat_map(|byte| sign(byte).into_bytes())
                .collect()
        },
    );
    agree(
        "parityEven7bit",
        &[b"\0", b"a", b"c", b"\x81", b"\xff", b"\xfe"],
        |text| {
            let odd = |byte: u8| (0..8).filter(|bit| byte >> bit & 1 == 1).count() % 2 == 1;
            text.iter()
                .map(|&byte| if odd(byte) { byte | 128 } else { byte % 128 })
                .collect()
        },
    );
}

pub(super) fn utf8_to_unicode_is_defined_for_what_is_utf8(agree: Agree<'_>) {
    let pieces: &[&[u8]] = &[
        b"a",
        "é".as_bytes(),
        "\u{7ff}\u{800}".as_bytes(),
        "€".as_bytes(),
        "\u{ffff}".as_bytes(),
        "😀".as_bytes(),
        "\u{10ffff}".as_bytes(),
        b"\0",
    ];
    agree("utf8toUnicode", pieces, |text| {
        let text = std::str::from_utf8(text).expect("made of characters");
        let shown = |character: char| match character.is_ascii() {
            true => character.to_string(),
            false => format!("%u{:04x}", u32::from(character)),
        };
        text.chars().map(shown).collect::<String>().into_bytes()
    });
}
