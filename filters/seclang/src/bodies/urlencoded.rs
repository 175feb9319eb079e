//! `application/x-www-form-urlencoded`: query strings and bodies of forms.

use memchr::memchr;

use crate::pairs::Pairs;

/// What was odd.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// A percent sign without two hexadecimal digits after it; it was kept as it is.
    pub invalid_escape: bool,
    /// There were more arguments than `arguments` may hold; those after it are missing.
    pub over_limit: bool,
}

/// Adds the arguments of `input` to `arguments` until these are `limit`. An argument without `=` has an empty value; one
/// between two separators has an empty name, too; nothing after the last separator is no argument. As ModSecurity.
pub fn parse(input: &[u8], separator: u8, limit: usize, arguments: &mut Pairs) -> Outcome {
    let mut outcome = Outcome::default();
    let mut rest = input;
    while !rest.is_empty() {
        let (argument, after) = split(rest, separator);
        rest = after;
        if arguments.len() >= limit {
            outcome.over_limit = true;
            break;
        }
        let (name, value) = split(argument, b'=');
        let (mut name_valid, mut value_valid) = (true, true);
        arguments.push_with(
            |out| name_valid = decode(name, out),
            |out| value_valid = decode(value, out),
        );
        outcome.invalid_escape |= !(name_valid && value_valid);
    }
    outcome
}

fn split(input: &[u8], separator: u8) -> (&[u8], &[u8]) {
    match memchr(separator, input) {
        Some(at) => (
            input.get(..at).unwrap_or_default(),
            input.get(at + 1..).unwrap_or_default(),
        ),
        None => (input, &[]),
    }
}

/// Whether all percent signs were followed by two hexadecimal digits.
fn decode(input: &[u8], out: &mut Vec<u8>) -> bool {
    let mut valid = true;
    let mut rest = input;
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        match byte {
            b'+' => out.push(b' '),
            b'%' => match hex_pair(after) {
                Some(decoded) => {
                    out.push(decoded);
                    rest = after.get(2..).unwrap_or_default();
                }
                None => {
                    out.push(b'%');
                    valid = false;
                }
            },
            _ => out.push(byte),
        }
    }
    valid
}

/// The byte that two hexadecimal digits at the beginning stand for.
pub(super) fn hex_pair(digits: &[u8]) -> Option<u8> {
    let [high, low, ..] = digits else {
        return None;
    };
    let high = char::from(*high).to_digit(16)?;
    let low = char::from(*low).to_digit(16)?;
    u8::try_from(high * 16 + low).ok()
}

#[cfg(test)]
mod tests {
    use super::{Outcome, parse};
    use crate::pairs::Pairs;

    fn arguments(input: &[u8]) -> (Pairs, Outcome) {
        let mut pairs = Pairs::default();
        let outcome = parse(input, b'&', 1000, &mut pairs);
        (pairs, outcome)
    }

    #[test]
    fn arguments_are_split_before_they_are_decoded() {
        let cases: [(&str, &[(&str, &str)]); 12] = [
            ("a=1&b=2", &[("a", "1"), ("b", "2")]),
            ("a=1&a=2", &[("a", "1"), ("a", "2")]),
            ("a%26b=c%3Dd", &[("a&b", "c=d")]),
            ("a=b=c", &[("a", "b=c")]),
            ("a+b=c+d", &[("a b", "c d")]),
            ("a", &[("a", "")]),
            ("a=1&&b", &[("a", "1"), ("", ""), ("b", "")]),
            ("a=1&", &[("a", "1")]),
            ("=", &[("", "")]),
            ("=x", &[("", "x")]),
            ("a=%00%fF", &[("a", "\0\u{fffd}")]),
            ("", &[]),
        ];
        for (input, expected) in cases {
            let (pairs, outcome) = arguments(input.as_bytes());
            let found: Vec<_> = pairs
                .iter()
                .map(|(name, value)| {
                    (
                        String::from_utf8_lossy(name),
                        String::from_utf8_lossy(value),
                    )
                })
                .collect();
            let expected: Vec<_> = expected
                .iter()
                .map(|(name, value)| ((*name).into(), (*value).into()))
                .collect();
            assert_eq!(found, expected, "{input}");
            assert_eq!(outcome, Outcome::default(), "{input}");
        }
    }

    #[test]
    fn an_invalid_escape_is_kept_and_told() {
        for (input, value) in [
            ("%", "%"),
            ("%4", "%4"),
            ("%zz", "%zz"),
            ("%%41", "%A"),
            ("%4%41", "%4A"),
        ] {
            let (pairs, outcome) = arguments(format!("a={input}").as_bytes());
            assert_eq!(pairs.get(0), Some((&b"a"[..], value.as_bytes())), "{input}");
            assert!(outcome.invalid_escape, "{input}");
        }
    }

    #[test]
    fn the_limit_counts_what_is_already_there() {
        let mut pairs = Pairs::default();
        assert!(!parse(b"a&b", b'&', 2, &mut pairs).over_limit);
        assert!(parse(b"c", b'&', 2, &mut pairs).over_limit);
        assert_eq!(pairs.len(), 2);
    }

    #[test]
    fn another_separator_leaves_the_usual_one_alone() {
        let mut pairs = Pairs::default();
        parse(b"a=1;b=2&c=3", b';', 10, &mut pairs);
        assert_eq!(pairs.get(1), Some((&b"b"[..], &b"2&c=3"[..])));
    }

    #[test]
    fn what_is_encoded_is_read_back() {
        let bytes: Vec<u8> = (0..=255).collect();
        let encoded: String = bytes.iter().map(|byte| format!("%{byte:02x}")).collect();
        let (pairs, outcome) = arguments(format!("{encoded}={encoded}&{encoded}=").as_bytes());
        let expected: [(&[u8], &[u8]); 2] = [(&bytes, &bytes), (&bytes, b"")];
        assert!(pairs.iter().eq(expected));
        assert_eq!(outcome, Outcome::default());
    }
}
