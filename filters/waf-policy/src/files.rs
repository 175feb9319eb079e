//! Rule files, from the host's disk to the guest's memory.

use std::cell::RefCell;
use std::collections::BTreeMap;

use portcullis_seclang::source::{Files, MemoryFiles, beside};
use serde_json::{Map, Value, json};

/// Bytes of all files together: the guest holds them while it compiles the rules.
pub const BYTES_MAX: usize = 16 << 20;

/// Remembers what was read from other files, so that it can be handed on.
#[derive(Debug)]
pub struct Recorder<F> {
    files: F,
    seen: RefCell<BTreeMap<String, Vec<u8>>>,
}

impl<F: Files> Recorder<F> {
    /// Reads `files`.
    pub fn new(files: F) -> Self {
        Self {
            files,
            seen: RefCell::default(),
        }
    }

    /// What was read.
    #[must_use]
    pub fn into_bundle(self) -> Bundle {
        Bundle(MemoryFiles {
            files: self.seen.into_inner(),
        })
    }
}

impl<F: Files> Files for Recorder<F> {
    fn read(&self, from: &str, name: &str) -> Result<Vec<u8>, String> {
        let bytes = self.files.read(from, name)?;
        self.seen
            .borrow_mut()
            .insert(beside(from, name), bytes.clone());
        Ok(bytes)
    }

    fn expand(&self, from: &str, pattern: &str) -> Result<Vec<String>, String> {
        self.files.expand(from, pattern)
    }
}

/// The files of a guest.
#[derive(Clone, Debug, Default)]
pub struct Bundle(pub MemoryFiles);

impl Bundle {
    /// Reads a VM configuration; an empty one has no files.
    ///
    /// # Errors
    /// It is something else.
    pub fn parse(configuration: &[u8]) -> Result<Self, String> {
        if configuration.is_empty() {
            return Ok(Self::default());
        }
        let value: Value = serde_json::from_slice(configuration)
            .map_err(|error| format!("the VM configuration is not JSON: {error}"))?;
        let Value::Object(mut fields) = value else {
            return Err("the VM configuration is no mapping".to_owned());
        };
        let mut bundle = MemoryFiles::default();
        let files = match fields.remove("files") {
            None => Map::new(),
            Some(Value::Object(files)) => files,
            Some(_) => return Err("files of the VM configuration is no mapping".to_owned()),
        };
        for (name, content) in files {
            let bytes = bytes_of(content)
                .ok_or_else(|| format!("files.{name} of the VM configuration is no text"))?;
            bundle.files.insert(name, bytes);
        }
        Ok(Self(bundle))
    }

    /// As a VM configuration.
    #[must_use]
    pub fn to_json(&self) -> Vec<u8> {
        let files: Map<String, Value> = self
            .0
            .files
            .iter()
            .map(|(name, bytes)| (name.clone(), value_of(bytes)))
            .collect();
        json!({ "files": files }).to_string().into_bytes()
    }

    /// Adds the files of another.
    pub fn extend(&mut self, other: Self) {
        self.0.files.extend(other.0.files);
    }

    /// Bytes of all files.
    #[must_use]
    pub fn size(&self) -> usize {
        self.0.files.values().map(Vec::len).sum()
    }
}

/// A text; the numbers of its bytes where it is none.
fn value_of(bytes: &[u8]) -> Value {
    match str::from_utf8(bytes) {
        Ok(text) => text.into(),
        Err(_) => bytes.iter().copied().collect(),
    }
}

fn bytes_of(value: Value) -> Option<Vec<u8>> {
    match value {
        Value::String(text) => Some(text.into_bytes()),
        Value::Array(bytes) => bytes
            .iter()
            .map(|byte| byte.as_u64().and_then(|byte| u8::try_from(byte).ok()))
            .collect(),
        _ => None,
    }
}
