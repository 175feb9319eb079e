//! Linear memories: address space that is mapped copy-on-write onto an image.
//!
//! All `unsafe` of making memories is here. A mapping is
//!
//! ```text
//! | guard | readable and writable: zeros, the image's content, zeros | no access, up to 4 GiB | guard |
//!         ^ base                                                     ^ base + accessible
//! ```
#![allow(
    unsafe_code,
    reason = "memory is mapped: the runtime has no safe way to begin an instance from an image"
)]

use std::cell::RefCell;
use std::ffi::c_void;
use std::io;
use std::ptr::NonNull;
use std::sync::Arc;

use rustix::mm::{
    Advice, MapFlags, MprotectFlags, ProtFlags, madvise, mmap, mmap_anonymous, mprotect, munmap,
};
use wasmtime::{LinearMemory, MemoryCreator, MemoryType};

use super::Image;
use crate::limits::{MEMORY_GUARD_BYTES, MEMORY_RESERVATION_BYTES};

/// Everything that is reserved for one memory.
const RESERVED_BYTES: usize = MEMORY_GUARD_BYTES + MEMORY_RESERVATION_BYTES + MEMORY_GUARD_BYTES;

/// See the module.
pub(crate) struct Mapping {
    base: NonNull<u8>,
    accessible: usize,
}

// SAFETY: a mapping owns its address space; only who owns or borrows the mapping gets at it.
unsafe impl Send for Mapping {}
// SAFETY: through a shared reference nothing but the base address can be read.
unsafe impl Sync for Mapping {}

impl Mapping {
    /// A new memory that is as `image`.
    pub(super) fn of(image: &Image) -> io::Result<Self> {
        let flags = MapFlags::PRIVATE | MapFlags::NORESERVE;
        // SAFETY: the system chooses the addresses, so nothing else is there.
        let reserved = unsafe {
            mmap_anonymous(
                std::ptr::null_mut(),
                RESERVED_BYTES,
                ProtFlags::empty(),
                flags,
            )?
        };
        let base = NonNull::new(reserved.cast::<u8>().wrapping_add(MEMORY_GUARD_BYTES))
            .ok_or(io::ErrorKind::OutOfMemory)?;
        // From here on the reservation is given back when `mapping` is dropped.
        let mut mapping = Self {
            base,
            accessible: 0,
        };
        mapping.grow_to(image.size())?;
        // SAFETY: the memory was made a moment ago and nobody knows of it.
        unsafe { lay(image, mapping.base)? };
        Ok(mapping)
    }

    /// Makes more of the reservation readable and writable: zeros.
    fn grow_to(&mut self, size: usize) -> io::Result<()> {
        if size > MEMORY_RESERVATION_BYTES {
            return Err(io::ErrorKind::OutOfMemory.into());
        }
        if let Some(more) = size.checked_sub(self.accessible).filter(|more| *more > 0) {
            // SAFETY: inside of the own reservation, by the check above.
            unsafe {
                mprotect(
                    self.at(self.accessible),
                    more,
                    MprotectFlags::READ | MprotectFlags::WRITE,
                )?;
            }
            self.accessible = size;
        }
        Ok(())
    }

    /// Makes a used memory as `image` again, of which it was made. Its pages go back to the system here, so no byte of
    /// them can be read again.
    pub(super) fn reset(&mut self, image: &Image) -> io::Result<()> {
        // SAFETY: inside of the own reservation; the instance that used it is gone. Private pages go, the zeros and the
        // file's pages under them show again.
        unsafe { madvise(self.at(0), self.accessible, Advice::LinuxDontNeed)? };
        if let Some(more) = self
            .accessible
            .checked_sub(image.size())
            .filter(|more| *more > 0)
        {
            // SAFETY: as above.
            unsafe { mprotect(self.at(image.size()), more, MprotectFlags::empty())? };
            self.accessible = image.size();
        }
        Ok(())
    }

    fn at(&self, offset: usize) -> *mut c_void {
        self.base.as_ptr().wrapping_add(offset).cast()
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        let reserved = self.base.as_ptr().wrapping_sub(MEMORY_GUARD_BYTES);
        // SAFETY: the own reservation, whole, which nobody uses any more.
        if let Err(error) = unsafe { munmap(reserved.cast(), RESERVED_BYTES) } {
            tracing::error!("the address space of a VM cannot be freed: {error}");
        }
    }
}

/// Maps the content of an image over a memory.
///
/// # Safety
/// `base` is that of a memory whose accessible size is at least the image's, and no reference into it exists.
unsafe fn lay(image: &Image, base: NonNull<u8>) -> io::Result<()> {
    let content = image.content();
    if content.is_empty() {
        return Ok(());
    }
    let (file, offset) = image.source();
    // SAFETY: the caller's: the range is inside of one memory, which nobody looks at.
    let mapped = unsafe {
        mmap(
            base.as_ptr().wrapping_add(content.start).cast(),
            content.len(),
            ProtFlags::READ | ProtFlags::WRITE,
            MapFlags::PRIVATE | MapFlags::FIXED,
            file,
            offset,
        )
    };
    Ok(mapped.map(|_| ())?)
}

/// Lays the image of a memory under this very memory: what it has in common with the image costs nothing any more.
///
/// # Errors
/// The memory is not usable then.
pub(crate) fn rest_on<T>(
    image: &Image,
    memory: wasmtime::Memory,
    store: &mut wasmtime::Store<T>,
) -> io::Result<()> {
    if memory.data_size(&*store) != image.size() {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    let base = NonNull::new(memory.data_ptr(&*store)).ok_or(io::ErrorKind::InvalidInput)?;
    // SAFETY: a live memory of the size of the image. The store is borrowed mutably, so no slice of it exists, and no
    // guest runs.
    unsafe { lay(image, base) }
}

thread_local! {
    /// What the instance that is being made on this thread begins from.
    static NEXT: RefCell<Option<Beginning>> = const { RefCell::new(None) };
}

/// The image that an instance begins from.
struct Beginning {
    image: Arc<Image>,
    reused: bool,
}

/// Makes an instance whose memory begins as `image`. `reused`: the memory goes back to the image when the instance ends.
pub(crate) fn begin<R>(image: &Arc<Image>, reused: bool, instantiate: impl FnOnce() -> R) -> R {
    let image = Arc::clone(image);
    NEXT.with_borrow_mut(|next| *next = Some(Beginning { image, reused }));
    let made = instantiate();
    // Left where the limits refused the memory.
    NEXT.with_borrow_mut(|next| *next = None);
    made
}

/// Makes the memories of an engine.
pub(crate) struct Creator;

// SAFETY: a `Mapping` reserves what is asked for and a guard; see `Mapping::of`.
unsafe impl MemoryCreator for Creator {
    fn new_memory(
        &self,
        _: MemoryType,
        minimum: usize,
        _: Option<usize>,
        reserved: Option<usize>,
        guard: usize,
    ) -> Result<Box<dyn LinearMemory>, String> {
        let beginning = NEXT.with_borrow_mut(Option::take);
        let Beginning { image, reused } = beginning.ok_or("no image for this memory")?;
        // The compiler leaves bounds checks out by these.
        if minimum > image.size()
            || reserved.is_none_or(|reserved| reserved > MEMORY_RESERVATION_BYTES)
            || guard > MEMORY_GUARD_BYTES
        {
            return Err("the image does not fit this memory".to_owned());
        }
        let mapping = match reused {
            true => image.mapping(),
            false => Mapping::of(&image),
        };
        let mapping = mapping.map_err(|error| format!("no address space for a VM: {error}"))?;
        Ok(Box::new(Memory {
            size: mapping.accessible,
            mapping: Some(mapping),
            image,
            reused,
        }))
    }
}

/// The memory of one instance.
struct Memory {
    /// `None` only while it is dropped.
    mapping: Option<Mapping>,
    size: usize,
    image: Arc<Image>,
    reused: bool,
}

// SAFETY: the base never moves, `size` bytes from it are accessible, what follows up to the guard is not.
unsafe impl LinearMemory for Memory {
    fn byte_size(&self) -> usize {
        self.size
    }

    fn byte_capacity(&self) -> usize {
        MEMORY_RESERVATION_BYTES
    }

    fn grow_to(&mut self, size: usize) -> wasmtime::Result<()> {
        if let Some(mapping) = &mut self.mapping {
            mapping.grow_to(size)?;
            self.size = size;
        }
        Ok(())
    }

    fn as_ptr(&self) -> *mut u8 {
        self.mapping
            .as_ref()
            .map_or(std::ptr::null_mut(), |mapping| mapping.base.as_ptr())
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        if let Some(mapping) = self.mapping.take().filter(|_| self.reused) {
            self.image.take_back(mapping);
        }
    }
}
