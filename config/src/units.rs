//! Quantities as people write them: durations, sizes, rates, percentages.
//!
//! Every parser takes the text without surrounding blanks and answers [`Invalid`], which never holds the text itself:
//! it may have come from a secret.

use std::fmt;
use std::time::Duration;

/// Longest duration taken. Deadlines are sums of instants and durations, which must not overflow.
pub const DURATION_MAX: Duration = Duration::from_secs(366 * 24 * 3600);

const DURATION_UNITS: [(&str, u64); 5] = [
    ("us", 1),
    ("ms", 1_000),
    ("s", 1_000_000),
    ("m", 60_000_000),
    ("h", 3_600_000_000),
];

const SIZE_UNITS: [(&str, u64); 10] = [
    ("", 1),
    ("B", 1),
    ("KB", 1_000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
    ("TB", 1_000_000_000_000),
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("TiB", 1 << 40),
];

/// Why a text is no such quantity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Invalid {
    /// What is wrong, to follow the text: "is not a duration".
    pub reason: &'static str,
    /// The accepted forms.
    pub forms: &'static str,
}

impl fmt::Display for Invalid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}; {}", self.reason, self.forms)
    }
}

impl std::error::Error for Invalid {}

/// So many in so long: `100/1s`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// At least 1.
    pub count: u64,
    /// Longer than zero.
    pub per: Duration,
}

/// A part of a hundred, from 0 to 100, to four decimals.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Percentage {
    /// Millionths of the whole: 5 % is 50,000.
    pub millionths: u32,
}

impl Percentage {
    /// From 0.0 to 1.0.
    pub fn fraction(self) -> f64 {
        f64::from(self.millionths) / 1e6
    }
}

/// The accepted forms of a duration, in words.
pub const DURATION_FORMS: &str =
    "write a whole number and a unit (us, ms, s, m, h), such as 500ms, 15s, 2m or 1h";
/// The accepted forms of a size, in words.
pub const SIZE_FORMS: &str = "write bytes as a plain number, or with a unit: 500B, 64KiB, 16MiB, 1GiB (powers of 1024), 64KB (powers of 1000)";
/// The accepted forms of a rate, in words.
pub const RATE_FORMS: &str = "write a count, a slash and a duration, such as 100/1s, 20/1m or 5/m";
/// The accepted forms of a percentage, in words.
pub const PERCENTAGE_FORMS: &str =
    "write a number from 0 to 100 and a percent sign, such as 5% or 0.5%";

/// `500ms`, `15s`, `2m`, `1h`; at most [`DURATION_MAX`].
///
/// # Errors
/// When the text has another form or is too long a time.
pub fn duration(text: &str) -> Result<Duration, Invalid> {
    let invalid = |reason| Invalid {
        reason,
        forms: DURATION_FORMS,
    };
    let (digits, unit) = split_number(text);
    if !digits.is_empty() && unit.is_empty() {
        return Err(invalid("has no unit"));
    }
    let (_, micros) = DURATION_UNITS
        .iter()
        .find(|(name, _)| *name == unit)
        .ok_or(invalid("is not a duration"))?;
    let number = whole(digits).ok_or(invalid("is not a duration"))?;
    let micros = number
        .and_then(|number| number.checked_mul(*micros))
        .ok_or(invalid("is too long"))?;
    Some(Duration::from_micros(micros))
        .filter(|d| *d <= DURATION_MAX)
        .ok_or(invalid("is longer than a year"))
}

/// Bytes: `500B`, `64KiB`, `16MiB`, `1GiB`, `64KB`, or a plain number.
///
/// # Errors
/// When the text has another form or does not fit in 64 bits.
pub fn size(text: &str) -> Result<u64, Invalid> {
    let invalid = |reason| Invalid {
        reason,
        forms: SIZE_FORMS,
    };
    let (digits, unit) = split_number(text);
    let (_, bytes) = SIZE_UNITS
        .iter()
        .find(|(name, _)| *name == unit)
        .ok_or(invalid("is not a size"))?;
    let number = whole(digits).ok_or(invalid("is not a size"))?;
    number
        .and_then(|number| number.checked_mul(*bytes))
        .ok_or(invalid("is too large"))
}

/// `100/1s`, `20/1m`; `5/m` is `5/1m`.
///
/// # Errors
/// When the text has another form, or a side is zero.
pub fn rate(text: &str) -> Result<Rate, Invalid> {
    let invalid = |reason| Invalid {
        reason,
        forms: RATE_FORMS,
    };
    let (count, per) = text.split_once('/').ok_or(invalid("is not a rate"))?;
    let count = whole(count)
        .ok_or(invalid("is not a rate"))?
        .ok_or(invalid("is too large"))?;
    let per = match DURATION_UNITS.iter().find(|(name, _)| *name == per) {
        Some((_, micros)) => Duration::from_micros(*micros),
        None => duration(per).map_err(|_| invalid("is not a rate"))?,
    };
    if count == 0 || per.is_zero() {
        return Err(invalid("is zero"));
    }
    Ok(Rate { count, per })
}

/// `5%`, `0.5%`, `100%`; at most four decimals.
///
/// # Errors
/// When the text has another form or is above 100 %.
pub fn percentage(text: &str) -> Result<Percentage, Invalid> {
    let invalid = |reason| Invalid {
        reason,
        forms: PERCENTAGE_FORMS,
    };
    let number = text
        .strip_suffix('%')
        .ok_or(invalid("is not a percentage"))?;
    let (units, decimals) = match number.split_once('.') {
        Some((units, decimals)) if (1..=4).contains(&decimals.len()) => (units, decimals),
        Some(_) => return Err(invalid("is not a percentage")),
        None => (number, "0"),
    };
    let units = whole(units)
        .ok_or(invalid("is not a percentage"))?
        .unwrap_or(u64::MAX);
    let decimals = whole(&format!("{decimals:0<4}"))
        .flatten()
        .ok_or(invalid("is not a percentage"))?;
    units
        .checked_mul(10_000)
        .and_then(|millionths| u32::try_from(millionths.checked_add(decimals)?).ok())
        .filter(|millionths| *millionths <= 1_000_000)
        .map(|millionths| Percentage { millionths })
        .ok_or(invalid("is above 100%"))
}

fn split_number(text: &str) -> (&str, &str) {
    text.split_at(
        text.find(|c: char| !c.is_ascii_digit())
            .unwrap_or(text.len()),
    )
}

/// `None` where these are no decimal digits, `Some(None)` where they do not fit in 64 bits.
fn whole(digits: &str) -> Option<Option<u64>> {
    let is_number = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
    is_number.then(|| digits.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        for (text, micros) in [
            ("0s", 0),
            ("7us", 7),
            ("500ms", 500_000),
            ("15s", 15_000_000),
            ("2m", 120_000_000),
            ("1h", 3_600_000_000),
        ] {
            assert_eq!(duration(text), Ok(Duration::from_micros(micros)), "{text}");
        }
        for text in [
            "", "s", "1.5s", "-1s", "+1s", " 1s", "1 s", "1S", "1d", "1m30s", "1sec", "١s", "1s\n",
        ] {
            assert_eq!(
                duration(text).map_err(|e| e.reason),
                Err("is not a duration"),
                "{text:?}"
            );
        }
        assert_eq!(duration("15").map_err(|e| e.reason), Err("has no unit"));
        assert_eq!(
            duration("9000h").map_err(|e| e.reason),
            Err("is longer than a year")
        );
        assert_eq!(
            duration("99999999999999999999h").map_err(|e| e.reason),
            Err("is too long")
        );
        assert_eq!(
            duration("18446744073709551615h").map_err(|e| e.reason),
            Err("is too long")
        );
    }

    #[test]
    fn sizes() {
        for (text, bytes) in [
            ("0", 0),
            ("500", 500),
            ("500B", 500),
            ("64KB", 64_000),
            ("64KiB", 65_536),
            ("16MiB", 16 << 20),
            ("1GiB", 1 << 30),
            ("2TiB", 2 << 40),
        ] {
            assert_eq!(size(text), Ok(bytes), "{text}");
        }
        for text in [
            "", "B", "64K", "64kb", "64Mb", "1.5MiB", "-1", "0x10", "1 KiB", "1e3",
        ] {
            assert_eq!(
                size(text).map_err(|e| e.reason),
                Err("is not a size"),
                "{text:?}"
            );
        }
        assert_eq!(
            size("18446744073709551616").map_err(|e| e.reason),
            Err("is too large")
        );
        assert_eq!(
            size("99999999TiB").map_err(|e| e.reason),
            Err("is too large")
        );
    }

    #[test]
    fn rates() {
        for (text, count, millis) in [
            ("100/1s", 100, 1_000),
            ("5/m", 5, 60_000),
            ("20/1m", 20, 60_000),
            ("1/250ms", 1, 250),
        ] {
            assert_eq!(
                rate(text),
                Ok(Rate {
                    count,
                    per: Duration::from_millis(millis)
                }),
                "{text}"
            );
        }
        for text in [
            "", "/", "100", "100/", "/s", "a/s", "1/s/s", "1/1", "-1/s", "1 / s",
        ] {
            assert_eq!(
                rate(text).map_err(|e| e.reason),
                Err("is not a rate"),
                "{text:?}"
            );
        }
        for text in ["0/s", "5/0s"] {
            assert_eq!(rate(text).map_err(|e| e.reason), Err("is zero"), "{text:?}");
        }
    }

    #[test]
    fn percentages() {
        for (text, millionths) in [
            ("0%", 0),
            ("5%", 50_000),
            ("0.5%", 5_000),
            ("12.3456%", 123_456),
            ("100%", 1_000_000),
            ("100.0%", 1_000_000),
        ] {
            assert_eq!(percentage(text), Ok(Percentage { millionths }), "{text}");
        }
        assert!((Percentage { millionths: 50_000 }.fraction() - 0.05).abs() < 1e-12);
        for text in [
            "", "%", "5", "5 %", "-5%", ".5%", "5.%", "1.23456%", "5%%", "1.-5%",
        ] {
            assert_eq!(
                percentage(text).map_err(|e| e.reason),
                Err("is not a percentage"),
                "{text:?}"
            );
        }
        for text in ["100.0001%", "101%", "99999999999999999999%"] {
            assert_eq!(
                percentage(text).map_err(|e| e.reason),
                Err("is above 100%"),
                "{text:?}"
            );
        }
    }
}
