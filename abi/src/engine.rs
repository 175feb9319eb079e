//! The compiler and runtime of a process, its compile cache and its clock of CPU limits.

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread;

use wasmtime::{Config, InstanceAllocationStrategy, OptLevel, WasmBacktraceDetails};

use crate::cache::{Cache, CacheError};
use crate::image::Images;
use crate::image::mapping::Creator;
use crate::limits::{BACKTRACE_FRAMES_MAX, EPOCH_TICK, WASM_STACK_BYTES};
use crate::module::Modules;

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
    /// No file in memory for what VMs begin as.
    #[error("memory for the images of VMs: {0}")]
    Images(std::io::Error),
}

/// One for the process: modules of different engines cannot be mixed.
pub struct Engine {
    runtime: wasmtime::Engine,
    cache: Option<Cache>,
    images: Arc<Images>,
    modules: Modules,
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
        let images = Images::new().map_err(EngineError::Images)?;
        Ok(Arc::new(Self {
            runtime,
            cache,
            images,
            modules: Modules::default(),
        }))
    }

    pub(crate) fn runtime(&self) -> &wasmtime::Engine {
        &self.runtime
    }

    pub(crate) fn cache(&self) -> Option<&Cache> {
        self.cache.as_ref()
    }

    pub(crate) fn images(&self) -> &Arc<Images> {
        &self.images
    }

    /// The modules in use.
    pub(crate) fn modules(&self) -> &Modules {
        &self.modules
    }
}

/// Memories are made by [`Creator`], from images: the runtime's own copy-on-write knows only the data of a compiled
/// module, and each snapshot would have to be compiled.
fn configuration() -> Config {
    let mut config = Config::new();
    config
        .cranelift_opt_level(OptLevel::Speed)
        .epoch_interruption(true)
        .max_wasm_stack(WASM_STACK_BYTES)
        .wasm_backtrace_max_frames(NonZeroUsize::new(BACKTRACE_FRAMES_MAX))
        .wasm_backtrace_details(WasmBacktraceDetails::Enable)
        .allocation_strategy(InstanceAllocationStrategy::OnDemand)
        .with_host_memory(Arc::new(Creator))
        .memory_init_cow(false)
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
