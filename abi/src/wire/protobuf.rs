//! The part of Protocol Buffers that small messages of the ABI need: reading fields one by one, and writing them.
//!
//! Source: the encoding specification of Protocol Buffers. Unknown fields are passed over, the last value of a field
//! wins, groups are refused.

/// Bytes that are no message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("malformed protobuf message")]
pub struct Malformed;

/// The value of one field.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Value<'a> {
    /// Numbers, truth values and enums.
    Varint(u64),
    Fixed64(u64),
    Fixed32(u32),
    /// Strings, bytes, messages and packed lists.
    Bytes(&'a [u8]),
}

impl<'a> Value<'a> {
    /// A string, bytes or a message.
    ///
    /// # Errors
    /// Another type.
    pub fn bytes(self) -> Result<&'a [u8], Malformed> {
        match self {
            Self::Bytes(bytes) => Ok(bytes),
            Self::Varint(_) | Self::Fixed64(_) | Self::Fixed32(_) => Err(Malformed),
        }
    }

    /// A string.
    ///
    /// # Errors
    /// Another type, or no UTF-8.
    pub fn text(self) -> Result<&'a str, Malformed> {
        std::str::from_utf8(self.bytes()?).map_err(|_| Malformed)
    }

    /// A number, a truth value or an enum.
    ///
    /// # Errors
    /// Another type.
    pub fn number(self) -> Result<u64, Malformed> {
        match self {
            Self::Varint(number) => Ok(number),
            Self::Fixed64(_) | Self::Fixed32(_) | Self::Bytes(_) => Err(Malformed),
        }
    }
}

/// The fields of a message in order; the first error is the last item.
pub fn fields(message: &[u8]) -> impl Iterator<Item = Result<(u32, Value<'_>), Malformed>> {
    let mut rest = message;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let field = field(&mut rest);
        if field.is_err() {
            rest = &[];
        }
        Some(field)
    })
}

fn field<'a>(rest: &mut &'a [u8]) -> Result<(u32, Value<'a>), Malformed> {
    let key = varint(rest)?;
    let number = u32::try_from(key >> 3).map_err(|_| Malformed)?;
    if number == 0 || number > FIELD_MAX {
        return Err(Malformed);
    }
    let value = match key & 7 {
        0 => Value::Varint(varint(rest)?),
        1 => Value::Fixed64(u64::from_le_bytes(chunk(rest)?)),
        2 => {
            let size = usize::try_from(varint(rest)?).map_err(|_| Malformed)?;
            let (bytes, after) = rest.split_at_checked(size).ok_or(Malformed)?;
            *rest = after;
            Value::Bytes(bytes)
        }
        5 => Value::Fixed32(u32::from_le_bytes(chunk(rest)?)),
        _ => return Err(Malformed),
    };
    Ok((number, value))
}

/// The largest number of a field.
const FIELD_MAX: u32 = (1 << 29) - 1;

fn chunk<const N: usize>(rest: &mut &[u8]) -> Result<[u8; N], Malformed> {
    let (chunk, after) = rest.split_first_chunk::<N>().ok_or(Malformed)?;
    *rest = after;
    Ok(*chunk)
}

fn varint(rest: &mut &[u8]) -> Result<u64, Malformed> {
    let mut value = 0_u64;
    for shift in (0..64).step_by(7) {
        let (byte, after) = rest.split_first().ok_or(Malformed)?;
        *rest = after;
        let bits = u64::from(byte & 0x7f);
        // The tenth byte has room for one bit.
        if shift == 63 && bits > 1 {
            return Err(Malformed);
        }
        value |= bits << shift;
        if byte & 0x80 == 0 {
            return Ok(value);
        }
    }
    Err(Malformed)
}

/// Appends a number, truth value or enum. 0 is not written: readers take it for granted.
pub fn put_number(field: u32, value: u64, out: &mut Vec<u8>) {
    if value != 0 {
        put_varint(u64::from(field) << 3, out);
        put_varint(value, out);
    }
}

/// Appends a string, bytes or a message. An empty one is not written.
pub fn put_bytes(field: u32, value: &[u8], out: &mut Vec<u8>) {
    if !value.is_empty() {
        put_message(field, value, out);
    }
}

/// Appends a message, also an empty one: that it is there may have a meaning.
pub fn put_message(field: u32, value: &[u8], out: &mut Vec<u8>) {
    put_varint(u64::from(field) << 3 | 2, out);
    put_varint(u64::try_from(value.len()).unwrap_or(u64::MAX), out);
    out.extend_from_slice(value);
}

/// Appends a number of floating point, 0 included.
pub fn put_double(field: u32, value: f64, out: &mut Vec<u8>) {
    put_varint(u64::from(field) << 3 | 1, out);
    out.extend_from_slice(&value.to_le_bytes());
}

fn put_varint(mut value: u64, out: &mut Vec<u8>) {
    loop {
        let [low, ..] = value.to_le_bytes();
        value >>= 7;
        if value == 0 {
            out.push(low & 0x7f);
            return;
        }
        out.push(low | 0x80);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(message: &[u8]) -> Result<Vec<(u32, Value<'_>)>, Malformed> {
        fields(message).collect()
    }

    #[test]
    fn fields_of_every_type_are_read() {
        // The examples of the encoding specification, and one of each fixed type.
        assert_eq!(
            read(b"\x08\x96\x01\x12\x07testing\x19\x01\0\0\0\0\0\0\0\x25\x02\0\0\0").unwrap(),
            [
                (1, Value::Varint(150)),
                (2, Value::Bytes(b"testing")),
                (3, Value::Fixed64(1)),
                (4, Value::Fixed32(2)),
            ]
        );
        assert_eq!(read(b"").unwrap(), []);
        assert_eq!(
            read(b"\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01").unwrap(),
            [(1, Value::Varint(u64::MAX))]
        );
    }

    #[test]
    fn what_is_no_message_is_an_error_and_never_a_panic() {
        for bytes in [
            &b"\x08"[..],
            b"\x12\x05abc",
            b"\x00\x01",
            b"\x0b\x08\x01\x0c",
            b"\x19\0\0\0",
            b"\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02",
            b"\x12\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
        ] {
            assert_eq!(read(bytes), Err(Malformed), "{bytes:?}");
        }
        for (bytes, number) in [(&b"\x12\x01a"[..], true), (b"\x08\x01", false)] {
            let value = read(bytes).unwrap()[0].1;
            assert_eq!(value.number().is_err(), number);
            assert_eq!(value.bytes().is_err(), !number);
        }
        assert_eq!(Value::Bytes(b"\xff").text(), Err(Malformed));
    }

    #[test]
    fn what_is_written_is_read_again() {
        let mut out = Vec::new();
        put_number(1, 150, &mut out);
        put_number(2, 0, &mut out);
        put_bytes(2, b"testing", &mut out);
        put_bytes(3, b"", &mut out);
        put_message(4, b"", &mut out);
        assert_eq!(out, b"\x08\x96\x01\x12\x07testing\x22\x00");
        put_number(5, u64::MAX, &mut out);
        assert_eq!(read(&out).unwrap()[3], (5, Value::Varint(u64::MAX)));
    }
}
