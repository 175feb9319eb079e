//! Messages on the wire: one byte that says whether it is compressed, four of length, big endian, then the message.
//!
//! Source: "gRPC over HTTP2", Length-Prefixed-Message. Compression is not offered, so none may come.

use bytes::{Buf, BufMut, Bytes, BytesMut};
use portcullis_abi::limits::GRPC_MESSAGE_BYTES_MAX;

use super::GrpcError;

/// Bytes in front of each message.
const PREFIX_BYTES: usize = 5;

/// A message as it is sent. It is no larger than [`GRPC_MESSAGE_BYTES_MAX`]: the host has checked that.
pub(in super::super) fn encode(message: &[u8]) -> Bytes {
    let mut frame = BytesMut::with_capacity(PREFIX_BYTES + message.len());
    frame.put_u8(0);
    frame.put_u32(u32::try_from(message.len()).unwrap_or(u32::MAX));
    frame.put_slice(message);
    frame.freeze()
}

/// Puts messages together from what the network brings.
#[derive(Default)]
pub(super) struct Decoder {
    buffer: BytesMut,
}

impl Decoder {
    pub(super) fn push(&mut self, data: &[u8]) {
        self.buffer.extend_from_slice(data);
    }

    /// The next whole message.
    ///
    /// # Errors
    /// A compressed message, or one larger than [`GRPC_MESSAGE_BYTES_MAX`]: known from its prefix, so that no more of it
    /// is kept.
    pub(super) fn next(&mut self) -> Result<Option<Vec<u8>>, GrpcError> {
        let Some((prefix, rest)) = self.buffer.split_first_chunk::<PREFIX_BYTES>() else {
            return Ok(None);
        };
        let [flag, length @ ..] = *prefix;
        if flag != 0 {
            return Err(GrpcError::Compressed);
        }
        let length = usize::try_from(u32::from_be_bytes(length)).unwrap_or(usize::MAX);
        if length > GRPC_MESSAGE_BYTES_MAX {
            return Err(GrpcError::TooLarge);
        }
        let Some(message) = rest.get(..length).map(<[u8]>::to_vec) else {
            return Ok(None);
        };
        self.buffer.advance(PREFIX_BYTES + length);
        Ok(Some(message))
    }

    /// Whether a message has begun that is not there whole.
    pub(super) fn is_partial(&self) -> bool {
        !self.buffer.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_survive_any_partition() {
        let sent: [&[u8]; 3] = [b"one", b"", b"three"];
        let bytes: Vec<u8> = sent.iter().flat_map(|message| encode(message)).collect();
        assert_eq!(&bytes[..8], b"\0\0\0\0\x03one");
        for size in 1..=bytes.len() {
            let mut decoder = Decoder::default();
            let mut messages = Vec::new();
            for part in bytes.chunks(size) {
                decoder.push(part);
                while let Some(message) = decoder.next().unwrap() {
                    messages.push(message);
                }
            }
            assert_eq!(messages, sent, "in parts of {size}");
            assert!(!decoder.is_partial());
        }
    }

    #[test]
    fn what_may_not_come_is_known_by_its_prefix() {
        let fail = |prefix: &[u8]| {
            let mut decoder = Decoder::default();
            decoder.push(prefix);
            decoder.next().unwrap_err().status()
        };
        assert_eq!(fail(b"\x01\0\0\0\0"), 13);
        assert_eq!(fail(b"\0\xff\xff\xff\xff"), 8);
        let mut decoder = Decoder::default();
        decoder.push(&encode(b"abc")[..7]);
        assert!(decoder.next().unwrap().is_none() && decoder.is_partial());
    }
}
