//! Durations as they are written in a configuration: a whole number and a unit, such as `60s` or `250ms`.

use std::time::Duration;

/// Units and their length in nanoseconds. `ms` stands before `m` and `s`, which are its ends.
const UNITS: [(&str, u64); 7] = [
    ("ns", 1),
    ("us", 1_000),
    ("ms", 1_000_000),
    ("s", 1_000_000_000),
    ("m", 60_000_000_000),
    ("h", 3_600_000_000_000),
    ("d", 86_400_000_000_000),
];

/// Reads `60s`, `250ms`, `1h`; none when the text is something else or longer than 584 years.
#[must_use]
pub fn parse(text: &str) -> Option<Duration> {
    let digits = text.find(|character: char| !character.is_ascii_digit())?;
    let (count, unit) = text.split_at(digits);
    let (_, nanoseconds) = UNITS.iter().find(|(name, _)| *name == unit)?;
    count
        .parse::<u64>()
        .ok()?
        .checked_mul(*nanoseconds)
        .map(Duration::from_nanos)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_a_number_and_a_unit() {
        assert_eq!(parse("60s"), Some(Duration::from_secs(60)));
        assert_eq!(parse("250ms"), Some(Duration::from_millis(250)));
        assert_eq!(parse("2m"), Some(Duration::from_secs(120)));
        assert_eq!(parse("0s"), Some(Duration::ZERO));
        assert_eq!(parse("1d"), Some(Duration::from_secs(86_400)));
    }

    #[test]
    fn refuses_what_is_not_a_duration() {
        for text in [
            "",
            "60",
            "s",
            "-1s",
            "1.5s",
            "1 s",
            "1S",
            "1week",
            "18446744073709551616s",
            "999999999999d",
        ] {
            assert_eq!(parse(text), None, "{text:?}");
        }
    }
}
