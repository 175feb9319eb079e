//! The compile cache: native code on disk.
//!
//! What it returns is executed, so nothing is loaded that another user could have written: the directory belongs to
//! this user and nobody else may write to it. Each file is a SHA-256 of the rest, then the code; what does not match
//! (a torn write, a bad disk) is compiled again. Its name is the module's hash and a hash of the runtime's version,
//! settings, target and CPU features.

use std::fs::{self, DirBuilder, OpenOptions};
use std::hash::{Hash, Hasher};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use sha2::{Digest, Sha256};

const DIGEST_BYTES: usize = 32;

/// Counts up when other code is compiled of the same module: see [`crate::image::split`].
const SPLIT_VERSION: u32 = 1;

/// Why a cache directory is not used.
#[derive(Debug, thiserror::Error)]
pub enum CacheError {
    /// It cannot be made or read.
    #[error("compile cache {path}: {error}")]
    Io {
        /// The directory.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// Somebody else could put native code there.
    #[error("compile cache {path}: {reason}; native code is loaded from there")]
    Unsafe {
        /// The directory.
        path: PathBuf,
        /// What is wrong and how to make it right.
        reason: &'static str,
    },
}

pub(crate) struct Cache {
    directory: PathBuf,
    /// Hash of everything but the module that the code depends on.
    settings: String,
    temporary: AtomicU64,
}

impl Cache {
    pub(crate) fn open(directory: PathBuf, runtime: &wasmtime::Engine) -> Result<Self, CacheError> {
        let io = |error| CacheError::Io {
            path: directory.clone(),
            error,
        };
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&directory)
            .map_err(io)?;
        check_directory(&directory)?;
        let mut hasher = Sha256Hasher(Sha256::new());
        runtime.precompile_compatibility_hash().hash(&mut hasher);
        SPLIT_VERSION.hash(&mut hasher);
        let settings = hex(&hasher.0.finalize()).chars().take(16).collect();
        Ok(Self {
            directory,
            settings,
            temporary: AtomicU64::new(0),
        })
    }

    /// The module of that hash, where intact code of it is there.
    pub(crate) fn load(&self, runtime: &wasmtime::Engine, hash: &str) -> Option<wasmtime::Module> {
        check_directory(&self.directory)
            .inspect_err(|error| tracing::warn!("{error}"))
            .ok()?;
        let path = self.path(hash);
        let file = match fs::read(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return None,
            Err(error) => {
                tracing::warn!("compile cache {}: {error}", path.display());
                return None;
            }
        };
        let code = verified(&file).or_else(|| {
            tracing::warn!("compile cache {}: damaged, compiling again", path.display());
            None
        })?;
        deserialize(runtime, code)
            .inspect_err(|error| {
                tracing::warn!(
                    "compile cache {}: {error:#}, compiling again",
                    path.display()
                )
            })
            .ok()
    }

    /// Keeps the code of a module. A failure costs the next start a compilation, nothing else.
    pub(crate) fn store(&self, hash: &str, module: &wasmtime::Module) {
        let stored = module
            .serialize()
            .map_err(io::Error::other)
            .and_then(|code| self.write(hash, &code));
        if let Err(error) = stored {
            tracing::warn!("compile cache {}: {error}", self.directory.display());
        }
    }

    fn write(&self, hash: &str, code: &[u8]) -> io::Result<()> {
        let number = self.temporary.fetch_add(1, Ordering::Relaxed);
        let temporary = self
            .directory
            .join(format!(".{hash}.{}.{number}", std::process::id()));
        let written = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&temporary)
            .and_then(|mut file| {
                file.write_all(&Sha256::digest(code))?;
                file.write_all(code)?;
                file.sync_data()
            })
            .and_then(|()| fs::rename(&temporary, self.path(hash)));
        if written.is_err() {
            // Best effort: what is left behind is never read, only a file of that name would be.
            let _ = fs::remove_file(&temporary);
        }
        written
    }

    fn path(&self, hash: &str) -> PathBuf {
        self.directory
            .join(format!("{hash}-{}.cwasm", self.settings))
    }
}

fn check_directory(directory: &Path) -> Result<(), CacheError> {
    let metadata = fs::metadata(directory).map_err(|error| CacheError::Io {
        path: directory.to_owned(),
        error,
    })?;
    let unsafe_because = |reason| {
        Err(CacheError::Unsafe {
            path: directory.to_owned(),
            reason,
        })
    };
    if !metadata.is_dir() {
        return unsafe_because("is no directory");
    }
    if metadata.uid() != rustix::process::geteuid().as_raw() {
        return unsafe_because("belongs to another user");
    }
    if metadata.mode() & 0o022 != 0 {
        return unsafe_because("others may write to it (chmod go-w)");
    }
    Ok(())
}

fn verified(file: &[u8]) -> Option<&[u8]> {
    let (digest, code) = file.split_at_checked(DIGEST_BYTES)?;
    (*Sha256::digest(code) == *digest).then_some(code)
}

#[allow(
    unsafe_code,
    reason = "the bytes are what this crate wrote: digest checked, directory writable by us alone"
)]
fn deserialize(runtime: &wasmtime::Engine, code: &[u8]) -> wasmtime::Result<wasmtime::Module> {
    // SAFETY: native code is loaded. `Cache::load` read it from a directory that only this user can write to and
    // checked its digest over the very bytes given here; the runtime checks its own version and settings.
    unsafe { wasmtime::Module::deserialize(runtime, code) }
}

/// Gives `Hash` values a digest that is the same in every process.
struct Sha256Hasher(Sha256);

impl Hasher for Sha256Hasher {
    fn write(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    fn finish(&self) -> u64 {
        let digest = self.0.clone().finalize();
        digest
            .first_chunk()
            .map_or(0, |first| u64::from_le_bytes(*first))
    }
}

/// Lower-case hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes
        .iter()
        .fold(String::with_capacity(bytes.len() * 2), |mut out, byte| {
            let _ = write!(out, "{byte:02x}"); // writing to a String cannot fail
            out
        })
}
