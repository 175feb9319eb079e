//! What memories begin as: the module's data, or a snapshot, kept in memory and mapped copy-on-write.
//!
//! All images of an engine share one anonymous file, so that a thousand plugins do not use up a thousand descriptors.
//! It is never on a disk and has no name. Places in it are never used twice: a file has 2^63 of them, and what is freed
//! is a hole.

pub(crate) mod mapping;
pub(crate) mod split;

use std::io;
use std::ops::Range;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

use parking_lot::Mutex;
use rustix::fs::{FallocateFlags, MemfdFlags, fallocate, ftruncate, memfd_create};
use rustix::io::pwrite;
use rustix::param::page_size;

use crate::limits::MAPPINGS_KEPT;
use mapping::Mapping;

/// Where the images of an engine are.
pub(crate) struct Images {
    file: OwnedFd,
    /// Where the next image goes.
    end: Mutex<u64>,
}

impl Images {
    pub(crate) fn new() -> io::Result<Arc<Self>> {
        Ok(Arc::new(Self {
            file: memfd_create("portcullis-images", MemfdFlags::CLOEXEC)?,
            end: Mutex::new(0),
        }))
    }

    /// An image of a memory of `size` bytes that is all zero. `content` is where it may be written to.
    pub(crate) fn zeroed(
        self: &Arc<Self>,
        size: usize,
        content: Range<usize>,
    ) -> io::Result<Image> {
        let page = page_size();
        let start = content.start / page * page;
        let length = match content.is_empty() {
            true => 0,
            false => content.end.next_multiple_of(page) - start,
        };
        if start.saturating_add(length) > size.next_multiple_of(page) {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        let bytes = u64::try_from(length).map_err(io::Error::other)?;
        let mut end = self.end.lock();
        let offset = *end;
        let grown = offset
            .checked_add(bytes)
            .ok_or(io::ErrorKind::StorageFull)?;
        ftruncate(&self.file, grown)?;
        *end = grown;
        Ok(Image {
            images: Arc::clone(self),
            offset,
            start,
            length,
            size,
            idle: Mutex::default(),
        })
    }

    /// An image of that very memory.
    pub(crate) fn copy_of(self: &Arc<Self>, memory: &[u8]) -> io::Result<Image> {
        let page = page_size();
        let written = |page: &[u8]| page.iter().any(|byte| *byte != 0);
        let first = memory.chunks(page).position(written).unwrap_or(0);
        let last = memory.chunks(page).rposition(written);
        let content = first * page..last.map_or(first * page, |last| (last + 1) * page);
        let image = self.zeroed(memory.len(), content)?;
        for (index, bytes) in memory.chunks(page).enumerate() {
            if written(bytes) {
                image.write(index * page, bytes)?;
            }
        }
        Ok(image)
    }
}

/// The beginning of a memory. Bytes outside of `start..start + length` are zero.
pub(crate) struct Image {
    images: Arc<Images>,
    offset: u64,
    start: usize,
    length: usize,
    size: usize,
    /// Memories that were used, are as this image again, and wait to be used again.
    idle: Mutex<Vec<Mapping>>,
}

impl Image {
    /// Puts bytes into an image that no memory was made of yet.
    pub(crate) fn write(&self, at: usize, bytes: &[u8]) -> io::Result<()> {
        let inside = at
            .checked_sub(self.start)
            .filter(|inside| bytes.len() <= self.length.saturating_sub(*inside))
            .ok_or(io::ErrorKind::InvalidInput)?;
        let mut offset = self.offset + u64::try_from(inside).map_err(io::Error::other)?;
        let mut rest = bytes;
        while !rest.is_empty() {
            let written = pwrite(&self.images.file, rest, offset)?;
            rest = rest.get(written..).unwrap_or_default();
            offset += u64::try_from(written).map_err(io::Error::other)?;
        }
        Ok(())
    }

    /// Size of the memory in bytes.
    pub(crate) fn size(&self) -> usize {
        self.size
    }

    /// Which bytes of the memory are in the file.
    pub(super) fn content(&self) -> Range<usize> {
        self.start..self.start + self.length
    }

    /// Where in the file they are.
    pub(super) fn source(&self) -> (BorrowedFd<'_>, u64) {
        (self.images.file.as_fd(), self.offset)
    }

    /// A memory that is as this image: one used before, or a new one.
    pub(super) fn mapping(&self) -> io::Result<Mapping> {
        let idle = self.idle.lock().pop();
        match idle {
            Some(mapping) => Ok(mapping),
            None => Mapping::of(self),
        }
    }

    /// Makes a memory as this image again and keeps it. What cannot be made so is unmapped.
    pub(super) fn take_back(&self, mut mapping: Mapping) {
        if mapping.reset(self).is_err() {
            return;
        }
        let mut idle = self.idle.lock();
        if idle.len() < MAPPINGS_KEPT {
            idle.push(mapping);
        }
    }
}

impl Drop for Image {
    fn drop(&mut self) {
        let length = u64::try_from(self.length).unwrap_or_default();
        if length == 0 {
            return;
        }
        let hole = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
        if let Err(error) = fallocate(&self.images.file, hole, self.offset, length) {
            tracing::warn!("an image of {length} bytes cannot be freed: {error}");
        }
    }
}
