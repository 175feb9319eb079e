//! The compiler and runtime of a process, its compile cache and its clock of CPU limits.

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread;

use wasmtime::{Config, InstanceAllocationStrategy, OptLevel, WasmBacktraceDetails};

use crate::cache::{Cache, CacheError};
use crate::limits::{BACKTRACE_FRAMES_MAX, EPOCH_TICK, WASM_STACK_BYTES};

/// What an [`Engine`] is made from.
#[derive(Clone, Debug, Default)]
pub struct EngineOptions {
    /// Where compiled modules are kept between runs; `None`: nowhere. Made with mode 0700 where it does not exist.
    pub cache_dir: Option<PathBuf>,
}

/// Why there is no engine.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// This machine or build cannot run compiled WebAssembly.
    #[error("the WebAssembly engine cannot start: {0}")]
    Runtime(String),
    /// The cache directory is unusable or unsafe.
    #[error(transparent)]
    Cache(#[from] CacheError),
    /// No thread for the clock.
    #[error("the thread of the CPU limits cannot start: {0}")]
    Ticker(std::io::Error),
}

/// One for the process: modules of different engines cannot be mixed.
pub struct Engine {
    runtime: wasmtime::Engine,
    cache: Option<Cache>,
}

impl Engine {
    /// Starts the runtime and the thread that ticks the epoch; the thread ends after the last module and VM.
    ///
    /// # Errors
    /// See [`EngineError`].
    pub fn new(options: EngineOptions) -> Result<Arc<Self>, EngineError> {
        let runtime = wasmtime::Engine::new(&configuration())
            .map_err(|error| EngineError::Runtime(format!("{error:#}")))?;
        let cache = options
            .cache_dir
            .map(|directory| Cache::open(directory, &runtime))
            .transpose()?;
        start_ticker(&runtime).map_err(EngineError::Ticker)?;
        Ok(Arc::new(Self { runtime, cache }))
    }

    pub(crate) fn runtime(&self) -> &wasmtime::Engine {
        &self.runtime
    }

    pub(crate) fn cache(&self) -> Option<&Cache> {
        self.cache.as_ref()
    }
}

/// Memories keep the runtime's default reservation of 4 GiB and its guard: address space, not memory. It lets the
/// compiler drop bounds checks, and 47 bits hold some thirty thousand VMs.
fn configuration() -> Config {
    let mut config = Config::new();
    config
        .cranelift_opt_level(OptLevel::Speed)
        .epoch_interruption(true)
        .max_wasm_stack(WASM_STACK_BYTES)
        .wasm_backtrace_max_frames(NonZeroUsize::new(BACKTRACE_FRAMES_MAX))
        .wasm_backtrace_details(WasmBacktraceDetails::Enable)
        .memory_init_cow(true)
        .allocation_strategy(InstanceAllocationStrategy::OnDemand)
        // What the SDKs' compilers emit (reference types are on by default); the rest stays off to keep the surface small.
        .wasm_simd(true)
        .wasm_bulk_memory(true)
        .wasm_multi_value(true)
        .wasm_relaxed_simd(false)
        .wasm_multi_memory(false)
        .wasm_memory64(false)
        .wasm_tail_call(false);
    config
}

/// 200 wake-ups a second cost 0.3 % of a core (3 ms a second, measured on a crowded machine of two).
/// Letting the thread sleep while no guest runs would put a counter that all workers share into every
/// callback instead.
#[expect(
    clippy::disallowed_methods,
    reason = "a thread of its own, with no other work"
)]
fn start_ticker(runtime: &wasmtime::Engine) -> Result<(), std::io::Error> {
    let runtime = runtime.weak();
    thread::Builder::new()
        .name("wasm-epoch".to_owned())
        .spawn(move || {
            while let Some(runtime) = runtime.upgrade() {
                runtime.increment_epoch();
                drop(runtime);
                thread::sleep(EPOCH_TICK);
            }
        })?;
    Ok(())
}
