//! Property values in Envoy's encoding, which portable modules rely on, and property paths.
//!
//! Strings are raw bytes; numbers, times and durations 8 bytes little endian; booleans 1 byte; maps are serialized
//! pairs. All encoders append to `out`.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::pairs;

/// The segments of a path, which are joined by NUL. One NUL at the end, as some SDKs send it, is no segment.
pub fn segments(path: &[u8]) -> impl Iterator<Item = &[u8]> {
    normalised(path).split(|byte| *byte == 0)
}

/// The path without the one NUL that some SDKs put at its end.
pub fn normalised(path: &[u8]) -> &[u8] {
    path.strip_suffix(b"\0").unwrap_or(path)
}

/// A string or bytes, raw.
pub fn string(value: impl AsRef<[u8]>, out: &mut Vec<u8>) {
    out.extend_from_slice(value.as_ref());
}

/// A signed number.
pub fn int(value: i64, out: &mut Vec<u8>) {
    out.extend_from_slice(&value.to_le_bytes());
}

/// An unsigned number.
pub fn uint(value: u64, out: &mut Vec<u8>) {
    out.extend_from_slice(&value.to_le_bytes());
}

/// A floating-point number.
pub fn double(value: f64, out: &mut Vec<u8>) {
    out.extend_from_slice(&value.to_le_bytes());
}

/// A truth value: one byte, not eight.
pub fn bool(value: bool, out: &mut Vec<u8>) {
    out.push(u8::from(value));
}

/// Nanoseconds since 1970; before it 0, beyond the year 2262 the largest.
pub fn timestamp(value: SystemTime, out: &mut Vec<u8>) {
    duration(value.duration_since(UNIX_EPOCH).unwrap_or_default(), out);
}

/// Nanoseconds.
pub fn duration(value: Duration, out: &mut Vec<u8>) {
    int(i64::try_from(value.as_nanos()).unwrap_or(i64::MAX), out);
}

/// A map of names to values already encoded.
pub fn map<K: AsRef<[u8]>, V: AsRef<[u8]>>(entries: &[(K, V)], out: &mut Vec<u8>) {
    pairs::encode(
        &mut |visit| {
            for (key, value) in entries {
                visit(key.as_ref(), value.as_ref());
            }
            true
        },
        out,
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encoded(encode: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
        let mut out = Vec::new();
        encode(&mut out);
        out
    }

    #[test]
    fn values_have_envoys_bytes() {
        assert_eq!(encoded(|out| string("ab", out)), b"ab");
        assert_eq!(
            encoded(|out| int(-2, out)),
            [0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]
        );
        assert_eq!(
            encoded(|out| uint(8080, out)),
            [0x90, 0x1f, 0, 0, 0, 0, 0, 0]
        );
        assert_eq!(encoded(|out| double(1.5, out)), 1.5_f64.to_le_bytes());
        assert_eq!(encoded(|out| bool(true, out)), [1]);
        assert_eq!(
            encoded(|out| duration(Duration::from_micros(1), out)),
            1000_i64.to_le_bytes()
        );
        let late = UNIX_EPOCH + Duration::from_secs(2);
        assert_eq!(
            encoded(|out| timestamp(late, out)),
            2_000_000_000_i64.to_le_bytes()
        );
        assert_eq!(
            encoded(|out| timestamp(UNIX_EPOCH - Duration::from_secs(2), out)),
            [0; 8]
        );
        assert_eq!(
            encoded(|out| map(&[("a", "b")], out)),
            b"\x01\0\0\0\x01\0\0\0\x01\0\0\0a\0b\0"
        );
    }

    #[test]
    fn paths_split_at_nul() {
        let split = |path: &'static [u8]| segments(path).collect::<Vec<_>>();
        assert_eq!(
            split(b"request\0headers\0x-a"),
            [&b"request"[..], b"headers", b"x-a"]
        );
        assert_eq!(split(b"plugin_name\0"), [&b"plugin_name"[..]]);
        assert_eq!(split(b"a\0\0b"), [&b"a"[..], b"", b"b"]);
    }
}
