//! A JSON object written field by field, straight into a byte buffer.

use std::fmt;
use std::io::Write as _;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// An object under construction; [`Object::end`] closes it.
pub(super) struct Object<'a> {
    out: &'a mut Vec<u8>,
    empty: bool,
}

impl<'a> Object<'a> {
    pub(super) fn begin(out: &'a mut Vec<u8>) -> Self {
        out.push(b'{');
        Self { out, empty: true }
    }

    pub(super) fn end(self) {
        self.out.push(b'}');
    }

    fn key(&mut self, key: &'static str) -> &mut Vec<u8> {
        if !self.empty {
            self.out.push(b',');
        }
        self.empty = false;
        self.out.push(b'"');
        self.out.extend_from_slice(key.as_bytes());
        self.out.extend_from_slice(b"\":");
        self.out
    }

    /// Text as it came, which need not be UTF-8.
    pub(super) fn text(&mut self, key: &'static str, text: &[u8]) {
        string(self.key(key), text);
    }

    /// The field is left out where there is no text.
    pub(super) fn text_if(&mut self, key: &'static str, text: Option<&[u8]>) {
        if let Some(text) = text {
            self.text(key, text);
        }
    }

    pub(super) fn number(&mut self, key: &'static str, number: u64) {
        write(self.key(key), format_args!("{number}"));
    }

    /// Something whose text needs no escaping, such as an address.
    pub(super) fn display(&mut self, key: &'static str, plain: impl fmt::Display) {
        write(self.key(key), format_args!("\"{plain}\""));
    }

    /// Milliseconds with three decimals.
    pub(super) fn milliseconds(&mut self, key: &'static str, duration: Duration) {
        let micros = duration.as_micros();
        let (whole, rest) = (micros / 1_000, micros % 1_000);
        write(self.key(key), format_args!("{whole}.{rest:03}"));
    }

    /// RFC 3339, UTC, milliseconds.
    pub(super) fn time(&mut self, key: &'static str, time: SystemTime) {
        let out = self.key(key);
        let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
        let (days, second) = (since.as_secs() / 86_400, since.as_secs() % 86_400);
        let (year, month, day) = date(days);
        let (hour, minute, second) = (second / 3_600, second / 60 % 60, second % 60);
        let milli = since.subsec_millis();
        let text = format_args!(
            "\"{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{milli:03}Z\""
        );
        write(out, text);
    }

    pub(super) fn object(&mut self, key: &'static str) -> Object<'_> {
        Object::begin(self.key(key))
    }
}

fn write(out: &mut Vec<u8>, text: fmt::Arguments<'_>) {
    // Writing to a Vec does not fail.
    let _ = out.write_fmt(text);
}

/// A JSON string. Beside what JSON demands, everything is escaped that some reader takes for the end of a line or for
/// a command to its terminal: DEL, the C1 controls, and the separators U+2028 and U+2029.
fn string(out: &mut Vec<u8>, text: &[u8]) {
    out.push(b'"');
    for chunk in text.utf8_chunks() {
        let mut plain = 0;
        let valid = chunk.valid();
        for (index, c) in valid.char_indices() {
            if !escaped(c) {
                continue;
            }
            out.extend_from_slice(&valid.as_bytes()[plain..index]);
            plain = index + c.len_utf8();
            match c {
                '"' => out.extend_from_slice(b"\\\""),
                '\\' => out.extend_from_slice(b"\\\\"),
                _ => write(out, format_args!("\\u{:04x}", u32::from(c))),
            }
        }
        out.extend_from_slice(&valid.as_bytes()[plain..]);
        for byte in chunk.invalid() {
            write(out, format_args!("\\\\x{byte:02x}"));
        }
    }
    out.push(b'"');
}

fn escaped(c: char) -> bool {
    matches!(c, '"' | '\\' | '\u{2028}' | '\u{2029}') || c.is_control()
}

/// Year, month and day of a day counted from 1970-01-01 (proleptic Gregorian calendar).
fn date(days: u64) -> (u64, u64, u64) {
    // Years are counted from March, so that the leap day is the last of its year; 400 of them have 146,097 days.
    let days = days + 719_468;
    let (era, day) = (days / 146_097, days % 146_097);
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let (month, carry) = if month < 10 {
        (month + 3, 0)
    } else {
        (month - 9, 1)
    };
    (era * 400 + year + carry, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(fill: impl FnOnce(&mut Object<'_>)) -> String {
        let mut out = Vec::new();
        let mut object = Object::begin(&mut out);
        fill(&mut object);
        object.end();
        String::from_utf8(out).expect("UTF-8")
    }

    #[test]
    fn times_are_rfc_3339() {
        for (seconds, expected) in [
            (0, "1970-01-01T00:00:00.007Z"),
            (951_782_399, "2000-02-28T23:59:59.007Z"),
            (951_782_400, "2000-02-29T00:00:00.007Z"),
            (1_709_251_199, "2024-02-29T23:59:59.007Z"),
            (1_767_225_600, "2026-01-01T00:00:00.007Z"),
            (4_107_542_400, "2100-03-01T00:00:00.007Z"),
        ] {
            let time = UNIX_EPOCH + Duration::from_millis(seconds * 1_000 + 7);
            let line = written(|object| object.time("t", time));
            assert_eq!(line, format!("{{\"t\":\"{expected}\"}}"));
        }
    }

    #[test]
    fn durations_have_three_decimals() {
        let line = written(|object| object.milliseconds("d", Duration::from_nanos(1_234_056_999)));
        assert_eq!(line, r#"{"d":1234.056}"#);
    }

    #[test]
    fn any_bytes_make_one_line_of_json() {
        let hostile: Vec<u8> = (0..=255)
            .chain("é\u{85}\u{2028}\u{1f600}".bytes())
            .collect();
        let line = written(|object| object.text("x", &hostile));
        assert!(!line.chars().any(|c| c.is_control() || c == '\u{2028}'));
        let json: serde_json::Value = serde_json::from_str(&line).expect("JSON");
        let text = json["x"].as_str().expect("text");
        assert!(text.starts_with("\0\u{1}\u{2}"));
        assert!(text.contains("\"#$") && text.contains("[\\]"));
        assert!(text.contains("\\x80\\x81") && text.ends_with("é\u{85}\u{2028}\u{1f600}"));
    }
}
