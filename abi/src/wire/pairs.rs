//! Header maps as bytes (specification 0.2.1, "Serialized maps").
//!
//! `u32 count`, then `count` times `u32 key length, u32 value length`, then each key and value followed by NUL; little
//! endian, ending exactly. An empty map may be no bytes at all.

use crate::limits::{PAIRS_BYTES_MAX, PAIRS_MAX};

/// Why bytes are no header map.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PairsError {
    /// More than [`PAIRS_BYTES_MAX`] or [`PAIRS_MAX`].
    #[error("the header map is over the limit")]
    TooLarge,
    /// Lengths that do not fit, a missing NUL, or bytes left over.
    #[error("the header map is malformed")]
    Malformed,
}

/// A name and a value, borrowed.
pub type Pair<'a> = (&'a [u8], &'a [u8]);

/// A name and a value.
pub type OwnedPair = (Vec<u8>, Vec<u8>);

/// Reads pairs, borrowing from `bytes`. Allocates at most one slice pair for each 8 bytes that are really there.
///
/// # Errors
/// Over the limits, or not exactly one map.
pub fn decode(bytes: &[u8]) -> Result<Vec<Pair<'_>>, PairsError> {
    if bytes.is_empty() {
        return Ok(Vec::new());
    }
    if bytes.len() > PAIRS_BYTES_MAX {
        return Err(PairsError::TooLarge);
    }
    let (count, rest) = split_u32(bytes)?;
    if count > PAIRS_MAX {
        return Err(PairsError::TooLarge);
    }
    let (mut lengths, mut data) = count
        .checked_mul(8)
        .and_then(|size| rest.split_at_checked(size))
        .ok_or(PairsError::Malformed)?;
    let mut pairs = Vec::with_capacity(count);
    for _ in 0..count {
        let (key_length, after_key) = split_u32(lengths)?;
        let (value_length, after_value) = split_u32(after_key)?;
        lengths = after_value;
        let key = take_terminated(&mut data, key_length)?;
        let value = take_terminated(&mut data, value_length)?;
        pairs.push((key, value));
    }
    if data.is_empty() {
        Ok(pairs)
    } else {
        Err(PairsError::Malformed)
    }
}

/// Reads pairs into values of their own.
///
/// # Errors
/// As [`decode`].
pub fn decode_owned(bytes: &[u8]) -> Result<Vec<OwnedPair>, PairsError> {
    Ok(decode(bytes)?
        .into_iter()
        .map(|(key, value)| (key.to_vec(), value.to_vec()))
        .collect())
}

/// Visits every pair of a map; false where there is no such map.
type Visit<'a> = dyn FnMut(&mut dyn FnMut(&[u8], &[u8])) -> bool + 'a;

/// Appends the map that `each` visits to `out`, with exactly the capacity needed: `each` runs twice, once to measure.
/// An empty map adds nothing. False: `each` said that there is no map, or the map is beyond 4 GiB.
pub fn encode(each: &mut Visit<'_>, out: &mut Vec<u8>) -> bool {
    let mut count = 0_usize;
    let mut size = 0_usize;
    let exists = each(&mut |key, value| {
        count += 1;
        size = size
            .saturating_add(key.len())
            .saturating_add(value.len())
            .saturating_add(10);
    });
    if !exists || u32::try_from(size).is_err() {
        return false;
    }
    if count == 0 {
        return true;
    }
    out.reserve_exact(size + 4);
    out.extend_from_slice(&length(count));
    each(&mut |key, value| {
        out.extend_from_slice(&length(key.len()));
        out.extend_from_slice(&length(value.len()));
    });
    each(&mut |key, value| {
        out.extend_from_slice(key);
        out.push(0);
        out.extend_from_slice(value);
        out.push(0);
    });
    true
}

/// Encodes pairs held in memory.
pub fn encode_pairs<K: AsRef<[u8]>, V: AsRef<[u8]>>(pairs: &[(K, V)]) -> Vec<u8> {
    let mut out = Vec::new();
    encode(
        &mut |visit| {
            for (key, value) in pairs {
                visit(key.as_ref(), value.as_ref());
            }
            true
        },
        &mut out,
    );
    out
}

/// A length that [`encode`] has found to be below 4 GiB.
fn length(value: usize) -> [u8; 4] {
    u32::try_from(value).unwrap_or(u32::MAX).to_le_bytes()
}

fn split_u32(bytes: &[u8]) -> Result<(usize, &[u8]), PairsError> {
    let (head, rest) = bytes
        .split_first_chunk::<4>()
        .ok_or(PairsError::Malformed)?;
    let value = usize::try_from(u32::from_le_bytes(*head)).map_err(|_| PairsError::TooLarge)?;
    Ok((value, rest))
}

fn take_terminated<'a>(data: &mut &'a [u8], length: usize) -> Result<&'a [u8], PairsError> {
    let (value, rest) = data.split_at_checked(length).ok_or(PairsError::Malformed)?;
    let (terminator, rest) = rest.split_first().ok_or(PairsError::Malformed)?;
    if *terminator != 0 {
        return Err(PairsError::Malformed);
    }
    *data = rest;
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_map_survives_the_round_trip_with_exact_capacity() {
        let pairs = [
            (&b":path"[..], &b"/a"[..]),
            (b"set-cookie", b"a=1"),
            (b"set-cookie", b""),
            (b"", b"x"),
        ];
        let bytes = encode_pairs(&pairs);
        assert_eq!(bytes.capacity(), bytes.len());
        assert_eq!(decode(&bytes).unwrap(), pairs);
    }

    #[test]
    fn one_pair_has_the_documented_bytes() {
        let bytes = encode_pairs(&[("a", "bc")]);
        assert_eq!(bytes, b"\x01\0\0\0\x01\0\0\0\x02\0\0\0a\0bc\0");
    }

    #[test]
    fn an_empty_map_is_no_bytes_and_a_zero_count_is_read() {
        assert!(encode_pairs::<&str, &str>(&[]).is_empty());
        assert_eq!(decode(b"").unwrap(), vec![]);
        assert_eq!(decode(&[0, 0, 0, 0]).unwrap(), vec![]);
    }

    #[test]
    fn every_truncation_and_every_addition_is_malformed() {
        let bytes = encode_pairs(&[("key", "value"), ("k", "")]);
        for end in 1..bytes.len() {
            assert_eq!(
                decode(&bytes[..end]),
                Err(PairsError::Malformed),
                "first {end} bytes"
            );
        }
        let mut longer = bytes;
        longer.push(0);
        assert_eq!(decode(&longer), Err(PairsError::Malformed));
    }

    #[test]
    fn a_huge_count_allocates_nothing() {
        assert_eq!(decode(&[0xff; 4]), Err(PairsError::TooLarge));
        assert_eq!(
            decode(&[0, 4, 0, 0, 1, 0, 0, 0]),
            Err(PairsError::Malformed)
        ); // 1024 pairs in 8 bytes
        assert_eq!(decode(&[1, 4, 0, 0, 1, 0, 0, 0]), Err(PairsError::TooLarge));
        let mut lengths = vec![1, 0, 0, 0];
        lengths.extend_from_slice(&[0xff; 8]);
        assert_eq!(decode(&lengths), Err(PairsError::Malformed));
        assert_eq!(
            decode(&vec![0; PAIRS_BYTES_MAX + 1]),
            Err(PairsError::TooLarge)
        );
    }

    #[test]
    fn a_missing_terminator_is_malformed() {
        let mut bytes = encode_pairs(&[("a", "b")]);
        *bytes.last_mut().unwrap() = b'x';
        assert_eq!(decode(&bytes), Err(PairsError::Malformed));
    }

    #[test]
    fn random_bytes_never_panic_and_what_decodes_encodes_back() {
        let mut seed = 0x2545_f491_4f6c_dd1d_u64;
        for _ in 0..20_000 {
            let mut bytes = encode_pairs(&[("ab", "c"), ("d", "efg")]);
            for _ in 0..3 {
                seed ^= seed << 13;
                seed ^= seed >> 7;
                seed ^= seed << 17;
                let at = (seed % bytes.len() as u64) as usize;
                bytes[at] = (seed >> 32) as u8;
            }
            if let Ok(pairs) = decode(&bytes) {
                let pairs: Vec<_> = pairs
                    .into_iter()
                    .map(|(k, v)| (k.to_vec(), v.to_vec()))
                    .collect();
                if !pairs.is_empty() {
                    assert_eq!(encode_pairs(&pairs), bytes);
                }
            }
        }
    }
}
