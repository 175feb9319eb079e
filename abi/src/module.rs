//! Loading a module: read, check by name, compile or take from the cache, link.

use std::collections::HashMap;
use std::sync::{Arc, Weak};

use parking_lot::Mutex;
use sha2::{Digest, Sha256};
use wasmtime::{ExternType, InstancePre, Linker, ModuleExport};

use crate::cache::hex;
use crate::callbacks::Callbacks;
use crate::engine::Engine;
use crate::hostcalls;
use crate::image::split::Split;
use crate::image::{Image, Images};
use crate::inspect::{self, Report};
use crate::limits::MODULE_BYTES_MAX;
use crate::vm::State;

/// Why a module is refused.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// Beyond [`MODULE_BYTES_MAX`].
    #[error("the module has {size} bytes; the limit is {MODULE_BYTES_MAX}")]
    TooLarge {
        /// Its size in bytes.
        size: usize,
    },
    /// Not WebAssembly, or damaged.
    #[error("not a valid WebAssembly module: {0}")]
    Invalid(String),
    /// Not a proxy-wasm module.
    #[error(
        "no ABI marker: the module exports none of proxy_abi_version_0_1_0, proxy_abi_version_0_2_0, \
         proxy_abi_version_0_2_1 and proxy_abi_version_0_2_100; is it a proxy-wasm module?"
    )]
    NoMarker,
    /// A known host function with other parameters or results.
    #[error("import {module}.{name} has the signature {found}; expected {expected}")]
    ImportSignature {
        /// Module name of the import.
        module: String,
        /// Its name.
        name: String,
        /// What the host has.
        expected: String,
        /// What the module wants.
        found: String,
    },
    /// A memory, table, global or tag: the host gives functions only.
    #[error("import {module}.{name} is a {kind}; the host offers functions only")]
    ImportKind {
        /// Module name of the import.
        module: String,
        /// Its name.
        name: String,
        /// What it is.
        kind: &'static str,
    },
    /// An import from a module that is neither `env` nor WASI.
    #[error(
        "import {module}.{name}: no module {module} here; known are env, wasi_snapshot_preview1 and wasi_unstable"
    )]
    UnknownModule {
        /// Module name of the import.
        module: String,
        /// Its name.
        name: String,
    },
    /// A callback with other parameters or results.
    #[error("export {name} has the signature {found}; expected {expected}")]
    ExportSignature {
        /// Name of the export.
        name: String,
        /// What the ABI says.
        expected: String,
        /// What the module has.
        found: String,
    },
    /// No exported memory named `memory`.
    #[error("the module exports no memory named \"memory\"")]
    NoMemory,
    /// A function is imported that gives data, but there is no way to allocate.
    #[error(
        "{import} needs an allocator, but the module exports neither proxy_on_memory_allocate nor malloc"
    )]
    NoAllocator {
        /// The import that needs it.
        import: String,
    },
    /// More of something than the host allows.
    #[error("the module declares {count} {what}; the limit is {limit}")]
    Declares {
        /// What.
        what: &'static str,
        /// How much.
        count: u64,
        /// How much is allowed.
        limit: u64,
    },
    /// Valid by structure, refused by the compiler.
    #[error("the module cannot be compiled: {0}")]
    Compile(String),
}

/// Compiled code with its imports resolved; cheap to clone.
#[derive(Clone)]
pub struct Module {
    inner: Arc<Inner>,
}

struct Inner {
    report: Report,
    hash: String,
    callbacks: Callbacks,
    linked: InstancePre<State>,
    start: Option<ModuleExport>,
    globals: Vec<ModuleExport>,
    unfit: Option<&'static str>,
    /// An error is one of each start, as a trap at the instantiation would be.
    image: Result<Arc<Image>, String>,
    images: Arc<Images>,
}

/// The modules of an engine that are in use, by hash: plugins of the same module share its code.
#[derive(Default)]
pub(crate) struct Modules(Mutex<HashMap<String, Weak<Inner>>>);

impl Modules {
    fn find(&self, hash: &str) -> Option<Module> {
        let inner = self.0.lock().get(hash)?.upgrade()?;
        Some(Module { inner })
    }

    /// Keeps a module, unless another thread has loaded the same meanwhile: then it is that.
    fn keep(&self, module: Module) -> Module {
        let mut modules = self.0.lock();
        modules.retain(|_, module| module.strong_count() > 0);
        let hash = module.hash().to_owned();
        if let Some(inner) = modules.get(&hash).and_then(Weak::upgrade) {
            return Module { inner };
        }
        modules.insert(hash, Arc::downgrade(&module.inner));
        module
    }
}

impl Module {
    /// Checks, compiles and links, or finds the same module in use. Takes seconds for large modules that are not in the
    /// cache: not on a request thread.
    ///
    /// # Errors
    /// See [`LoadError`], which names what is wrong.
    pub fn load(engine: &Arc<Engine>, wasm: &[u8]) -> Result<Self, LoadError> {
        let hash = hex(&Sha256::digest(wasm));
        if let Some(module) = engine.modules().find(&hash) {
            return Ok(module);
        }
        let module = Self::compile(engine, wasm, hash)?;
        Ok(engine.modules().keep(module))
    }

    fn compile(engine: &Engine, wasm: &[u8], hash: String) -> Result<Self, LoadError> {
        let report = inspect::inspect(wasm)?;
        let split = Split::of(wasm).map_err(LoadError::Invalid)?;
        let compiled = compile(engine, &split.code, &hash)?;
        let linked =
            link(engine, &compiled).map_err(|error| LoadError::Compile(format!("{error:#}")))?;
        let callbacks = Callbacks::of(&report.exports);
        let export = |name: &String| {
            let export = compiled.get_export_index(name);
            export.ok_or_else(|| LoadError::Compile(format!("no export {name}")))
        };
        Ok(Self {
            inner: Arc::new(Inner {
                report,
                hash,
                callbacks,
                linked,
                start: split.start.as_ref().map(export).transpose()?,
                globals: split.globals.iter().map(export).collect::<Result<_, _>>()?,
                unfit: split.unfit,
                image: split.image(wasm, engine.images()).map(Arc::new),
                images: Arc::clone(engine.images()),
            }),
        })
    }

    /// What [`inspect`](crate::inspect()) says of it.
    pub fn report(&self) -> &Report {
        &self.inner.report
    }

    /// SHA-256 of the wasm file, in lower-case hexadecimal.
    pub fn hash(&self) -> &str {
        &self.inner.hash
    }

    /// Which callbacks it exports: a proxy may skip the work for others.
    pub fn callbacks(&self) -> &Callbacks {
        &self.inner.callbacks
    }

    pub(crate) fn runtime(&self) -> &wasmtime::Engine {
        self.inner.linked.module().engine()
    }

    pub(crate) fn linked(&self) -> &InstancePre<State> {
        &self.inner.linked
    }

    /// The function of the module's start section.
    pub(crate) fn start(&self) -> Option<&ModuleExport> {
        self.inner.start.as_ref()
    }

    /// The mutable globals.
    pub(crate) fn globals(&self) -> &[ModuleExport] {
        &self.inner.globals
    }

    /// What a VM begins as that is started anew.
    pub(crate) fn image(&self) -> &Result<Arc<Image>, String> {
        &self.inner.image
    }

    /// Where snapshots of its VMs are kept.
    pub(crate) fn images(&self) -> &Arc<Images> {
        &self.inner.images
    }

    /// Why no [`Snapshot`](crate::Snapshot) can be taken of its VMs: instructions that change more than memory and
    /// globals. `None`: it can.
    pub fn unfit_for_snapshots(&self) -> Option<&'static str> {
        self.inner.unfit
    }
}

fn compile(engine: &Engine, wasm: &[u8], hash: &str) -> Result<wasmtime::Module, LoadError> {
    if let Some(module) = engine
        .cache()
        .and_then(|cache| cache.load(engine.runtime(), hash))
    {
        return Ok(module);
    }
    let module = wasmtime::Module::from_binary(engine.runtime(), wasm)
        .map_err(|error| LoadError::Compile(format!("{error:#}")))?;
    if let Some(cache) = engine.cache() {
        cache.store(hash, &module);
    }
    Ok(module)
}

/// Gives each import its function. Unknown ones in a known module trap when they are called: a module often imports
/// what it never calls.
fn link(engine: &Engine, module: &wasmtime::Module) -> wasmtime::Result<InstancePre<State>> {
    let mut linker = Linker::new(engine.runtime());
    linker.allow_shadowing(true); // Go modules import some names twice
    for import in module.imports() {
        let (from, name) = (import.module(), import.name());
        match (hostcalls::find(from, name), import.ty()) {
            (Some(known), _) => (known.link)(&mut linker, from)?,
            (None, ExternType::Func(signature)) => {
                let called = format!("{from}.{name} was called, which this host does not have");
                linker.func_new(from, name, signature, move |_, _, _| {
                    Err(wasmtime::Error::msg(called.clone()))
                })?;
            }
            (None, _) => wasmtime::bail!("import {from}.{name} is no function"), // refused by `inspect` before
        }
    }
    linker.instantiate_pre(module)
}
