//! An environment and files that need no machine.

use std::collections::BTreeMap;
use std::env::VarError;
use std::io;
use std::path::Path;

use portcullis_config::{Config, Options, Problems, Sources, parse};

/// Sources that hold what the test gives them. Files go by their name, whatever the folder.
#[derive(Default)]
pub(crate) struct Fixture {
    pub(crate) env: BTreeMap<String, String>,
    pub(crate) files: BTreeMap<String, Vec<u8>>,
}

impl Fixture {
    /// What the cases may use.
    pub(crate) fn of_the_cases() -> Self {
        Self::default()
            .env("ALICE_KEY", "alice-key-from-env")
            .env("ADMIN_TOKEN", "admin-token-from-env")
            .env("BURST", "20")
            .env("WORD", "word-from-env")
            .env("EMPTY", "")
            .file(
                "cert.pem",
                "-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n",
            )
            .file(
                "key.pem",
                "-----BEGIN PRIVATE KEY-----\nAA==\n-----END PRIVATE KEY-----\n",
            )
            .file("secret.txt", "secret-from-file\n")
            .file("binary.bin", [0xff, 0xfe])
    }

    pub(crate) fn env(mut self, name: &str, value: &str) -> Self {
        self.env.insert(name.into(), value.into());
        self
    }

    pub(crate) fn file(mut self, name: &str, bytes: impl AsRef<[u8]>) -> Self {
        self.files.insert(name.into(), bytes.as_ref().to_vec());
        self
    }

    /// Checks a text as the file `edge.yaml`.
    pub(crate) fn parse(&self, text: &str) -> Result<Config, Problems> {
        self.parse_as(text, Path::new("edge.yaml"))
    }

    pub(crate) fn parse_as(&self, text: &str, file: &Path) -> Result<Config, Problems> {
        parse(
            text,
            file,
            self,
            &Options {
                builtins: &["auth", "rate-limit"],
            },
        )
    }
}

impl Sources for Fixture {
    fn env(&self, name: &str) -> Result<String, VarError> {
        self.env.get(name).cloned().ok_or(VarError::NotPresent)
    }

    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        assert!(path.is_absolute(), "{}", path.display());
        let name = path
            .file_name()
            .and_then(|name| name.to_str())
            .unwrap_or_default();
        self.files
            .get(name)
            .cloned()
            .ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, "no such file"))
    }
}

/// The least that is valid, with more below it.
pub(crate) fn minimal(more: &str) -> String {
    format!(
        "version: 1\nlisteners: [{{ name: http, address: 127.0.0.1:0 }}]\nupstreams:\n  origin: {{ endpoints: [{{ address: 127.0.0.1:9000 }}] }}\nroutes:\n  - {{ name: all, upstream: origin }}\n{more}"
    )
}
