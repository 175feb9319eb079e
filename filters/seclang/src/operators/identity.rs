//! `@verifyCC`, `@verifyCPF`, `@verifySSN`, `@verifySVNR` and `@validateNid`: numbers with check digits.
//!
//! Where the regular expression matches, the digits of the match are verified. The search goes on one byte behind the
//! beginning of the last match, so that a number is also found behind digits that do not belong to it.

use regex_automata::Input;

use super::search::Searcher;
use super::{Found, Necessary, Operator, Source, literals, rx};

/// A regular expression, and what its matches are verified by.
#[derive(Debug)]
pub struct Identity {
    searcher: Searcher,
    necessary: Necessary,
    valid: fn(&[u8]) -> bool,
}

/// How many matches in a value are verified: each is a search of its own.
const MATCHES_MAX: usize = 1_000;

/// Memory of the compiled expression, bytes.
const PROGRAM_BYTES_MAX: usize = 1 << 20;

pub(super) fn credit_card(source: &Source<'_>) -> Result<Operator, String> {
    Identity::operator(source.argument, luhn)
}

pub(super) fn cpf(source: &Source<'_>) -> Result<Operator, String> {
    Identity::operator(source.argument, is_cpf)
}

pub(super) fn ssn(source: &Source<'_>) -> Result<Operator, String> {
    Identity::operator(source.argument, is_ssn)
}

pub(super) fn svnr(source: &Source<'_>) -> Result<Operator, String> {
    Identity::operator(source.argument, is_svnr)
}

/// `@validateNid cl REGEX`
pub(super) fn national(source: &Source<'_>) -> Result<Operator, String> {
    match source.argument.split_once(' ') {
        Some(("cl", pattern)) => Identity::operator(pattern, is_rut),
        Some(("us", pattern)) => Identity::operator(pattern, is_ssn),
        _ => Err("write the country (cl or us), a space, and a regular expression".to_owned()),
    }
}

impl Identity {
    fn operator(pattern: &str, valid: fn(&[u8]) -> bool) -> Result<Operator, String> {
        if pattern.is_empty() {
            return Err("the regular expression is missing".to_owned());
        }
        let hir = rx::parse(pattern)?;
        Ok(Operator::Identity(Self {
            necessary: literals::necessary(&hir),
            searcher: Searcher::new(&hir, PROGRAM_BYTES_MAX)?,
            valid,
        }))
    }

    pub(super) fn evaluate(&self, value: &[u8], found: &mut Found) -> bool {
        let mut input = Input::new(value);
        for _ in 0..MATCHES_MAX {
            let mut slots = [None; 2];
            self.searcher.find(&input, &mut slots);
            let [Some(start), Some(end)] = slots.map(|slot| slot.map(|slot| slot.get())) else {
                return false;
            };
            if (self.valid)(value.get(start..end).unwrap_or_default()) {
                found.whole(start..end);
                return true;
            }
            if start >= value.len() {
                return false;
            }
            input.set_start(start + 1);
        }
        false
    }

    pub(super) fn necessary(&self) -> Necessary {
        self.necessary.clone()
    }
}

/// The digits of a text, at most one more than `most` of them.
fn digits(text: &[u8], most: usize) -> Vec<u32> {
    let digits = text.iter().filter(|byte| byte.is_ascii_digit());
    digits
        .take(most + 1)
        .map(|byte| u32::from(byte - b'0'))
        .collect()
}

fn all_the_same(digits: &[u32]) -> bool {
    digits
        .windows(2)
        .all(|pair| matches!(pair, [a, b] if a == b))
}

fn rising(digits: &[u32]) -> bool {
    digits
        .windows(2)
        .all(|pair| matches!(pair, [a, b] if a + 1 == *b))
}

/// Luhn's sum: every second digit from the right counts twice, with the digits of the product added.
fn luhn(text: &[u8]) -> bool {
    let digits = text.iter().rev().filter(|byte| byte.is_ascii_digit());
    let (mut sum, mut count) = (0_u64, 0_u64);
    for byte in digits {
        let digit = u64::from(byte - b'0');
        sum += match (count % 2, digit) {
            (0, digit) => digit,
            (_, 0..=4) => digit * 2,
            (_, _) => digit * 2 - 9,
        };
        count += 1;
    }
    count > 0 && sum % 10 == 0
}

/// Eleven digits, the last two of which are sums of the others modulo 11.
fn is_cpf(text: &[u8]) -> bool {
    // As in ModSecurity, what follows on the eleventh digit is not looked at.
    let mut digits = digits(text, 10);
    digits.truncate(11);
    let [body @ .., first, second] = digits.as_slice() else {
        return false;
    };
    let check = |weights: std::ops::RangeInclusive<u32>, digits: &[u32]| {
        let sum: u32 = weights
            .rev()
            .zip(digits)
            .map(|(weight, digit)| weight * digit)
            .sum();
        match sum % 11 {
            0 | 1 => 0,
            rest => 11 - rest,
        }
    };
    let made_up = all_the_same(&digits) || digits == [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 0];
    body.len() == 9
        && !made_up
        && check(2..=10, body) == *first
        && check(2..=11, digits.get(..10).unwrap_or_default()) == *second
}

/// Nine digits, none of whose three groups is zero, of an area that exists.
fn is_ssn(text: &[u8]) -> bool {
    let digits = digits(text, 9);
    let [a, b, c, d, e, f, g, h, i] = digits.as_slice() else {
        return false;
    };
    let area = a * 100 + b * 10 + c;
    let group = d * 10 + e;
    let serial = f * 1000 + g * 100 + h * 10 + i;
    let exists = area != 0 && area != 666 && area < 740;
    let made_up = all_the_same(&digits) || rising(&digits);
    exists && group != 0 && serial != 0 && !made_up
}

/// Ten digits, the fourth of which is a weighted sum of the others modulo 11.
fn is_svnr(text: &[u8]) -> bool {
    const WEIGHTS: [u32; 10] = [3, 7, 9, 0, 5, 8, 4, 2, 1, 6];
    let mut digits = digits(text, 9);
    digits.truncate(10);
    let Some(&check) = digits.get(3) else {
        return false;
    };
    let sum: u32 = WEIGHTS
        .iter()
        .zip(&digits)
        .map(|(weight, digit)| weight * digit)
        .sum();
    let expected = match sum % 11 {
        10 => 0,
        rest => rest,
    };
    let made_up =
        all_the_same(&digits) || rising(&digits) || digits == [1, 2, 3, 4, 5, 6, 7, 8, 9, 0];
    digits.len() == 10 && !made_up && check == expected
}

/// Chile's RUT: digits and a check digit, which may be a `k`.
fn is_rut(text: &[u8]) -> bool {
    let mut signs = text.iter().map(u8::to_ascii_lowercase);
    let signs: Vec<u8> = signs
        .by_ref()
        .filter(|byte| byte.is_ascii_digit() || *byte == b'k')
        .collect();
    let Some((check, body)) = signs.split_last() else {
        return false;
    };
    if text.len() < 8 || !body.iter().all(u8::is_ascii_digit) || body.len() > 18 {
        return false;
    }
    let weights = (2..=7).cycle();
    let sum: u32 = body
        .iter()
        .rev()
        .zip(weights)
        .map(|(byte, weight)| u32::from(byte - b'0') * weight)
        .sum();
    match sum % 11 {
        0 => *check == b'0',
        1 => *check == b'k',
        rest => u32::from(*check) == u32::from(b'0') + 11 - rest,
    }
}
