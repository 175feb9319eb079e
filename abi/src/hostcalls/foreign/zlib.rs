//! `compress` and `uncompress`: zlib streams (RFC 1950).

use std::io::{Read, Write};

use flate2::Compression;
use flate2::read::ZlibDecoder;
use flate2::write::ZlibEncoder;

use crate::hostcalls::call::Call;
use crate::limits::UNCOMPRESSED_BYTES_MAX;
use crate::wire::types::Status;

pub(super) fn compress(_: &mut Call<'_>, argument: &[u8]) -> Result<Vec<u8>, Status> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
    let written = encoder.write_all(argument);
    let compressed = written.and_then(|()| encoder.finish());
    compressed.map_err(|_| Status::SerializationFailure)
}

pub(super) fn uncompress(_: &mut Call<'_>, argument: &[u8]) -> Result<Vec<u8>, Status> {
    inflate(argument).ok_or(Status::SerializationFailure)
}

/// `None`: no whole zlib stream, or more than [`UNCOMPRESSED_BYTES_MAX`] of output. Bytes after the stream are passed over, as in
/// Envoy.
fn inflate(argument: &[u8]) -> Option<Vec<u8>> {
    let limit = u64::try_from(UNCOMPRESSED_BYTES_MAX).ok()?;
    let mut output = Vec::new();
    // One byte more than may be there tells that there is more.
    let mut decoder = ZlibDecoder::new(argument).take(limit.saturating_add(1));
    decoder.read_to_end(&mut output).ok()?;
    (output.len() <= UNCOMPRESSED_BYTES_MAX).then_some(output)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn deflate(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn a_bomb_is_stopped_at_the_limit() {
        let most = vec![0; UNCOMPRESSED_BYTES_MAX];
        assert_eq!(
            inflate(&deflate(&most)).map(|out| out.len()),
            Some(most.len())
        );
        let bomb = deflate(&vec![0; UNCOMPRESSED_BYTES_MAX + 1]);
        assert!(bomb.len() < UNCOMPRESSED_BYTES_MAX / 100);
        assert_eq!(inflate(&bomb), None);
    }

    #[test]
    fn what_is_no_stream_is_refused() {
        let whole = deflate(b"hello hello hello");
        assert_eq!(inflate(&whole), Some(b"hello hello hello".to_vec()));
        for end in 0..whole.len() {
            assert_eq!(inflate(&whole[..end]), None, "first {end} bytes");
        }
        assert_eq!(inflate(b"hello"), None);
    }
}
