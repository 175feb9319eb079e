//! One hostcall: the guest's memory, the VM's state, and the way an answer goes back.

use wasmtime::{AsContextMut, Caller, Memory};

use crate::host::Refusal;
use crate::limits::SCRATCH_KEPT_BYTES;
use crate::memory;
use crate::vm::State;
use crate::wire::types::Status;

/// What a hostcall answers: 0, or [`Stop`].
pub(super) type Answer = Result<(), Stop>;

/// Why a hostcall did not answer 0.
pub(super) enum Stop {
    /// A status, an errno, or another number that goes to the guest.
    Number(u32),
    /// The guest goes no further: its allocator trapped, or it did what it must not.
    Trap(wasmtime::Error),
}

impl From<Status> for Stop {
    fn from(status: Status) -> Self {
        Self::Number(status.number())
    }
}

/// Runs a hostcall. `restricted` is its name where it must not be called inside the allocator: there the guest is in
/// the middle of another hostcall.
#[inline]
pub(super) fn answer(
    caller: Caller<'_, State>,
    restricted: Option<&'static str>,
    run: impl FnOnce(&mut Call<'_>) -> Answer,
) -> wasmtime::Result<u32> {
    if let Some(name) = restricted
        && caller.data().allocating
    {
        return Err(wasmtime::Error::msg(format!(
            "restricted callback: {name} was called inside the allocator"
        )));
    }
    match run(&mut Call::new(caller)?) {
        Ok(()) => Ok(0),
        Err(Stop::Number(number)) => Ok(number),
        Err(Stop::Trap(error)) => Err(error),
    }
}

/// Runs a function that is allowed everywhere: WASI and the compilers' own.
#[inline]
pub(super) fn errno(
    caller: Caller<'_, State>,
    run: impl FnOnce(&mut Call<'_>) -> Answer,
) -> wasmtime::Result<u32> {
    answer(caller, None, run)
}

/// A guest inside a hostcall.
pub(super) struct Call<'a> {
    caller: Caller<'a, State>,
    memory: Memory,
}

impl<'a> Call<'a> {
    fn new(mut caller: Caller<'a, State>) -> wasmtime::Result<Self> {
        // Absent only in the wasm start section, which runs before the host has seen the instance's exports.
        let memory = match caller.data().memory {
            Some(memory) => memory,
            None => caller
                .get_export("memory")
                .and_then(wasmtime::Extern::into_memory)
                .ok_or_else(|| wasmtime::Error::msg("the module exports no memory"))?,
        };
        Ok(Self { caller, memory })
    }

    pub(super) fn state(&self) -> &State {
        self.caller.data()
    }

    pub(super) fn state_mut(&mut self) -> &mut State {
        self.caller.data_mut()
    }

    /// Guest memory and state at once.
    pub(super) fn parts(&mut self) -> (&mut [u8], &mut State) {
        self.memory.data_and_store_mut(&mut self.caller)
    }

    /// The bytes a guest points at.
    pub(super) fn read(&self, pointer: u32, size: u32) -> Result<&[u8], Status> {
        memory::read(self.memory.data(&self.caller), pointer, size)
    }

    pub(super) fn write(&mut self, pointer: u32, bytes: &[u8]) -> Result<(), Status> {
        memory::write(self.memory.data_mut(&mut self.caller), pointer, bytes)
    }

    pub(super) fn write_u32(&mut self, pointer: u32, value: u32) -> Result<(), Status> {
        self.write(pointer, &value.to_le_bytes())
    }

    pub(super) fn write_u64(&mut self, pointer: u32, value: u64) -> Result<(), Status> {
        self.write(pointer, &value.to_le_bytes())
    }

    /// The bytes the host may write.
    pub(super) fn slot(&mut self, pointer: u32, size: u32) -> Result<&mut [u8], Status> {
        memory::slot(self.memory.data_mut(&mut self.caller), pointer, size)
    }

    /// Whether a number can be written there; asked before anything has an effect.
    pub(super) fn check_out(&self, pointer: u32) -> Result<(), Status> {
        self.read(pointer, 4).map(|_| ())
    }

    /// Tells the embedder that a call had no effect.
    pub(super) fn refused(&self, refusal: Refusal) {
        let state = self.state();
        state.host.refused(&state.plugin, refusal);
    }

    /// A write out of its phase or with an argument that makes no sense: no effect, counted, Ok to the guest, because
    /// SDKs abort on anything else.
    pub(super) fn unavailable(&self, call: &'static str) -> Answer {
        self.refused(Refusal::Unavailable { call });
        Ok(())
    }

    /// Gives bytes to the guest in memory of its own allocator. No bytes are address 0 and size 0, without a call.
    ///
    /// The value is the caller's own: the allocator may move or change guest memory.
    pub(super) fn give(&mut self, value: &[u8], pointer_out: u32, size_out: u32) -> Answer {
        self.check_out(pointer_out)?;
        self.check_out(size_out)?;
        let size = u32::try_from(value.len()).map_err(|_| Status::InvalidMemoryAccess)?;
        let pointer = if size == 0 { 0 } else { self.allocate(size)? };
        if size != 0 {
            self.write(pointer, value)?;
        }
        self.write_u32(pointer_out, pointer)?;
        self.write_u32(size_out, size)?;
        Ok(())
    }

    /// Lets `fill` make the value in a buffer that is kept between calls; where it answers true the value is given.
    pub(super) fn give_filled<E: Into<Stop>>(
        &mut self,
        pointer_out: u32,
        size_out: u32,
        fill: impl FnOnce(&mut Self, &mut Vec<u8>) -> Result<(), E>,
    ) -> Answer {
        let mut scratch = std::mem::take(&mut self.state_mut().scratch);
        scratch.clear();
        let answer = match fill(self, &mut scratch) {
            Ok(()) => self.give(&scratch, pointer_out, size_out),
            Err(error) => Err(error.into()),
        };
        if scratch.capacity() <= SCRATCH_KEPT_BYTES {
            self.state_mut().scratch = scratch;
        }
        answer
    }

    /// Calls the guest's allocator, the only function of a guest that is called inside a hostcall.
    fn allocate(&mut self, size: u32) -> Result<u32, Stop> {
        // Taken out and put back: cloning it costs more than calling it.
        let allocator = match self.state_mut().allocate.take() {
            Some(allocator) => allocator,
            None => self.find_allocator().map_err(Stop::Trap)?,
        };
        self.state_mut().allocating = true;
        let allocated = allocator.call(self.caller.as_context_mut(), size);
        let state = self.state_mut();
        state.allocating = false;
        state.allocate = Some(allocator);
        match allocated.map_err(Stop::Trap)? {
            0 => Err(Status::InvalidMemoryAccess.into()),
            pointer => Ok(pointer),
        }
    }

    /// In the wasm start section the exports are not resolved yet.
    fn find_allocator(&mut self) -> wasmtime::Result<wasmtime::TypedFunc<u32, u32>> {
        let exported = self
            .caller
            .get_export("proxy_on_memory_allocate")
            .or_else(|| self.caller.get_export("malloc"));
        exported
            .and_then(wasmtime::Extern::into_func)
            .ok_or_else(|| wasmtime::Error::msg("the module exports no allocator"))?
            .typed(&self.caller)
    }
}
