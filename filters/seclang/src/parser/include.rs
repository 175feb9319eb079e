//! `Include rules/*.conf`

use std::sync::Arc;

use super::{Call, Parser};
use crate::source::beside;

/// Files within files; a file that includes itself is told earlier.
const DEPTH_MAX: usize = 64;
/// Files of one rule set.
const FILES_MAX: usize = 10_000;
/// Bytes of all files of one rule set.
const BYTES_MAX: usize = 256 * 1024 * 1024;

pub(super) fn include(parser: &mut Parser<'_>, call: &Call<'_>) {
    let Some(word) = call.words.first() else {
        return;
    };
    parser.end_chain();
    let pattern = word.text();
    match parser.files.expand(call.file, &pattern) {
        Ok(names) if names.is_empty() => {
            parser.warning(call, word.at, format!("no file is called {pattern:?}"));
        }
        Ok(names) => {
            for name in names {
                if let Err(reason) = parser.included(call, &name) {
                    parser.error(call, word.at, reason);
                    return;
                }
            }
        }
        Err(reason) => parser.error(call, word.at, reason),
    }
}

impl Parser<'_> {
    fn included(&mut self, call: &Call<'_>, name: &str) -> Result<(), String> {
        let path = beside(call.file, name);
        if self.open.iter().any(|open| **open == *path) {
            return Err(format!("{path} includes itself"));
        }
        if self.open.len() >= DEPTH_MAX {
            return Err(format!("files are included {DEPTH_MAX} levels deep"));
        }
        let bytes = self.read(call, name)?;
        self.source(Arc::from(path), &bytes);
        Ok(())
    }

    /// A file that a directive names, within the bounds.
    ///
    /// # Errors
    /// Why it cannot be had.
    pub(super) fn read(&mut self, call: &Call<'_>, name: &str) -> Result<Vec<u8>, String> {
        self.read_from(call.file, name)
    }

    pub(super) fn read_from(&mut self, from: &str, name: &str) -> Result<Vec<u8>, String> {
        let bytes = self.files.read(from, name)?;
        self.files_read += 1;
        self.bytes_read = self.bytes_read.saturating_add(bytes.len());
        if self.files_read > FILES_MAX {
            return Err(format!("more than {FILES_MAX} files"));
        }
        if self.bytes_read > BYTES_MAX {
            return Err(format!("more than {BYTES_MAX} bytes of rules"));
        }
        Ok(bytes)
    }
}
