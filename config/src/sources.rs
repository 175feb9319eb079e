//! What a configuration depends on outside its own text: environment variables and other files.

use std::env::VarError;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;

/// Largest configuration file, and largest file it may draw in, bytes: far beyond real ones, far below trouble.
pub(crate) const FILE_BYTES_MAX: usize = 16 << 20;

/// Where environment variables and files come from, so that tests need neither.
pub trait Sources {
    /// The value of an environment variable.
    ///
    /// # Errors
    /// As [`std::env::var`]: not set, or not Unicode.
    fn env(&self, name: &str) -> Result<String, VarError>;

    /// A whole file, at an absolute path.
    ///
    /// # Errors
    /// When it cannot be read, or is larger than a configuration needs.
    fn read(&self, path: &Path) -> io::Result<Vec<u8>>;
}

/// The process's environment and file system.
#[derive(Clone, Copy, Debug, Default)]
pub struct System;

impl Sources for System {
    fn env(&self, name: &str) -> Result<String, VarError> {
        std::env::var(name)
    }

    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        // One byte over the bound tells "too large" from "just fits", and /dev/zero ends too.
        File::open(path)?
            .take(FILE_BYTES_MAX as u64 + 1)
            .read_to_end(&mut bytes)?;
        if bytes.len() > FILE_BYTES_MAX {
            return Err(io::Error::new(
                io::ErrorKind::FileTooLarge,
                format!("larger than {} MiB", FILE_BYTES_MAX >> 20),
            ));
        }
        Ok(bytes)
    }
}
