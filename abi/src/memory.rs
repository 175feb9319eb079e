//! Reading and writing guest memory: every range is checked before a byte moves.

use crate::wire::types::Status;

/// A guest's 32-bit number as an index of the host.
#[allow(
    clippy::as_conversions,
    reason = "lossless: the host has at least 32-bit addresses, and From is not const"
)]
pub(crate) const fn index(value: u32) -> usize {
    const { assert!(usize::BITS >= u32::BITS) };
    value as usize
}

/// The bytes a guest points at.
pub(crate) fn read(memory: &[u8], pointer: u32, size: u32) -> Result<&[u8], Status> {
    memory
        .get(index(pointer)..)
        .and_then(|tail| tail.get(..index(size)))
        .ok_or(Status::InvalidMemoryAccess)
}

/// The bytes a guest lets the host write.
pub(crate) fn slot(memory: &mut [u8], pointer: u32, size: u32) -> Result<&mut [u8], Status> {
    memory
        .get_mut(index(pointer)..)
        .and_then(|tail| tail.get_mut(..index(size)))
        .ok_or(Status::InvalidMemoryAccess)
}

/// Reads a little-endian number; any alignment.
pub(crate) fn read_u32(memory: &[u8], pointer: u32) -> Result<u32, Status> {
    let bytes = read(memory, pointer, 4)?
        .first_chunk::<4>()
        .ok_or(Status::InvalidMemoryAccess)?;
    Ok(u32::from_le_bytes(*bytes))
}

/// Writes bytes where the guest said.
pub(crate) fn write(memory: &mut [u8], pointer: u32, bytes: &[u8]) -> Result<(), Status> {
    let size = u32::try_from(bytes.len()).map_err(|_| Status::InvalidMemoryAccess)?;
    slot(memory, pointer, size)?.copy_from_slice(bytes);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_exact() {
        let mut memory = [1, 2, 3, 4, 5];
        assert_eq!(read(&memory, 0, 5), Ok(&[1, 2, 3, 4, 5][..]));
        assert_eq!(read(&memory, 5, 0), Ok(&[][..]));
        assert_eq!(read(&memory, 6, 0), Err(Status::InvalidMemoryAccess));
        assert_eq!(read(&memory, 1, 5), Err(Status::InvalidMemoryAccess));
        assert_eq!(
            read(&memory, u32::MAX, u32::MAX),
            Err(Status::InvalidMemoryAccess)
        );
        assert_eq!(read(&memory, 1, u32::MAX), Err(Status::InvalidMemoryAccess));
        assert_eq!(read_u32(&memory, 1), Ok(0x0504_0302));
        assert_eq!(read_u32(&memory, 2), Err(Status::InvalidMemoryAccess));
        assert_eq!(write(&mut memory, 3, &[8, 9]), Ok(()));
        assert_eq!(
            write(&mut memory, 4, &[8, 9]),
            Err(Status::InvalidMemoryAccess)
        );
        assert_eq!(memory, [1, 2, 3, 8, 9]);
    }
}
