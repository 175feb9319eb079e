//! Each transformation by a table of cases, and against a slow definition of its own.

mod definitions;
mod encodings;
mod escapes;
mod texts;

use super::*;

/// What becomes of a value; itself, if it does not change.
fn applied(transformation: Transformation, input: &[u8]) -> Vec<u8> {
    applied_with(transformation, input, &UnicodeMap::EMPTY)
}

fn applied_with(transformation: Transformation, input: &[u8], map: &UnicodeMap) -> Vec<u8> {
    let mut out = b"before".to_vec();
    let changed = transformation.apply_with(input, &mut out, map);
    let result = out.strip_prefix(b"before").expect("what was there stays");
    let shown = input.escape_ascii();
    let name = transformation.name();
    if changed {
        assert_ne!(result, input, "{name} of \"{shown}\" is the same");
        let triggered = transformation.triggers().intersects(&ByteSet::of(input));
        let empty = input.is_empty() && transformation.changes_the_empty_value();
        assert!(triggered || empty, "{name} of \"{shown}\" has no trigger");
        result.to_vec()
    } else {
        assert_eq!(result, b"", "{name} of \"{shown}\" wrote something");
        input.to_vec()
    }
}

fn table(name: &str, rows: &[(&[u8], &[u8])]) {
    let transformation = Transformation::parse(name).expect("a transformation");
    for &(input, expected) in rows {
        let output = applied(transformation, input);
        assert_eq!(
            output.escape_ascii().to_string(),
            expected.escape_ascii().to_string(),
            "{name} of \"{}\"",
            input.escape_ascii()
        );
    }
}

/// Texts of up to eight pieces each, always the same ones.
fn texts(pieces: &[&[u8]], count: usize) -> Vec<Vec<u8>> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    let mut texts = vec![Vec::new()];
    texts.resize_with(count, || {
        let length = next() % 9;
        let pick = |number: u64| pieces[(number % pieces.len() as u64) as usize];
        (0..length)
            .flat_map(|_| pick(next() >> 8))
            .copied()
            .collect()
    });
    texts
}

#[test]
fn only_triggers_make_a_change() {
    for &transformation in Transformation::ALL {
        let others: Vec<u8> = transformation.triggers().complement().iter().collect();
        let pieces: Vec<&[u8]> = others.chunks(1).collect();
        if !pieces.is_empty() {
            assert_eq!(
                applied(transformation, &others),
                others,
                "{}",
                transformation.name()
            );
            for text in texts(&pieces, 200) {
                applied(transformation, &text);
            }
        }
    }
}

#[test]
fn the_empty_value_changes_where_it_says_so() {
    for &transformation in Transformation::ALL {
        let changes = !applied(transformation, b"").is_empty();
        assert_eq!(
            changes,
            transformation.changes_the_empty_value(),
            "{}",
            transformation.name()
        );
    }
}

#[test]
fn some_do_nothing_the_second_time() {
    use Transformation as T;
    let idempotent = [
        T::CmdLine,
        T::CompressWhitespace,
        T::Lowercase,
        T::NormalizePath,
        T::NormalizePathWin,
        T::ParityZero7Bit,
        T::RemoveNulls,
        T::RemoveWhitespace,
        T::ReplaceNulls,
        T::Trim,
        T::TrimLeft,
        T::TrimRight,
        T::Uppercase,
    ];
    let pieces: &[&[u8]] = &[
        b"a", b"B", b" ", b"\t", b"\n", b"\0", b"/", b"..", b".", b"\\", b"(", b"^", b"'", b";",
        b"\xa0", b"\xc2", b"\xff",
    ];
    for text in texts(pieces, 4_000) {
        for transformation in idempotent {
            let once = applied(transformation, &text);
            let twice = applied(transformation, &once);
            assert_eq!(
                once,
                twice,
                "{} of \"{}\"",
                transformation.name(),
                text.escape_ascii()
            );
        }
    }
}

#[test]
fn encoders_and_decoders_are_inverse() {
    use Transformation as T;
    let every_byte: Vec<u8> = (0..=u8::MAX).collect();
    for length in 0..every_byte.len() {
        let value = &every_byte[length..];
        for (encode, decode) in [
            (T::Base64Encode, T::Base64Decode),
            (T::Base64Encode, T::Base64DecodeExt),
            (T::HexEncode, T::HexDecode),
            (T::UrlEncode, T::UrlDecode),
            (T::UrlEncode, T::UrlDecodeUni),
        ] {
            assert_eq!(
                applied(decode, &applied(encode, value)),
                value,
                "{}",
                encode.name()
            );
        }
    }
}

#[test]
fn transformations_agree_with_their_definitions() {
    for each in definitions::ALL {
        each(&mut |name, pieces, definition| {
            let transformation = Transformation::parse(name).expect("a transformation");
            for text in texts(pieces, 8_000) {
                let (output, expected) = (applied(transformation, &text), definition(&text));
                assert_eq!(
                    output.escape_ascii().to_string(),
                    expected.escape_ascii().to_string(),
                    "{name} of \"{}\"",
                    text.escape_ascii()
                );
            }
        });
    }
}
