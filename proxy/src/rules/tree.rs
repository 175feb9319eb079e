//! The files of a rule set, under the names they have when installed.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use sha2::{Digest as _, Sha256};

/// Bytes of all files; the Core Rule Set has a megabyte.
const BYTES_MAX: usize = 32 << 20;

/// Files; the Core Rule Set has fifty.
const FILES_MAX: usize = 2_000;

/// Contents by name: `crs-setup.conf`, `rules/REQUEST-901-INITIALIZATION.conf`, `rules/lfi-os-files.data`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tree {
    files: BTreeMap<String, Vec<u8>>,
    bytes: usize,
}

impl Tree {
    /// Takes the file at `path` of a source if it belongs to the rule set. All others (tests, documentation, examples)
    /// are left out.
    ///
    /// # Errors
    /// Beyond the bounds.
    pub fn add(
        &mut self,
        path: &str,
        content: impl FnOnce() -> Result<Vec<u8>, String>,
    ) -> Result<(), String> {
        let Some(name) = installed_name(path) else {
            return Ok(());
        };
        let content = content()?;
        self.bytes += content.len();
        if self.bytes > BYTES_MAX || self.files.len() >= FILES_MAX {
            return Err(format!(
                "more than {} MiB or {FILES_MAX} files of rules",
                BYTES_MAX >> 20
            ));
        }
        self.files.insert(name, content);
        Ok(())
    }

    /// The files below a folder: an installed rule set, an unpacked release, or the Go module.
    ///
    /// # Errors
    /// What cannot be read, or that there are no rules.
    pub fn read(folder: &Path) -> Result<Self, String> {
        let mut tree = Self::default();
        for below in ["", "rules", "rules/@owasp_crs"] {
            let path = folder.join(below);
            if !below.is_empty() && !path.is_dir() {
                continue;
            }
            let failed = |error| format!("{}: {error}", path.display());
            for entry in fs::read_dir(&path).map_err(failed)? {
                let entry = entry.map_err(failed)?;
                let name = entry.file_name();
                let (Some(name), false) = (name.to_str(), entry.path().is_dir()) else {
                    continue;
                };
                let inside = if below.is_empty() {
                    name.to_owned()
                } else {
                    format!("{below}/{name}")
                };
                let read = || {
                    fs::read(entry.path())
                        .map_err(|error| format!("{}: {error}", entry.path().display()))
                };
                tree.add(&inside, read)?;
            }
        }
        tree.not_empty()
            .map_err(|error| format!("{}: {error}", folder.display()))
    }

    pub(super) fn not_empty(self) -> Result<Self, String> {
        if self.files.keys().any(|name| name.starts_with("rules/")) {
            Ok(self)
        } else {
            Err("no rules here: a folder rules with files *.conf is expected".to_owned())
        }
    }

    /// Names and contents, sorted by name.
    pub fn files(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.files
            .iter()
            .map(|(name, content)| (name.as_str(), content.as_slice()))
    }

    /// SHA-256, in hexadecimal, over a line for each file: the SHA-256 of its content, two spaces, its name. It is what
    /// `sha256sum crs-setup.conf rules/* | sha256sum` prints.
    pub fn digest(&self) -> String {
        let mut all = Sha256::new();
        for (name, content) in &self.files {
            all.update(format!("{}  {name}\n", hex(&Sha256::digest(content))));
        }
        hex(&all.finalize())
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// What a file of a source is called when installed; `None`: it is not installed.
fn installed_name(path: &str) -> Option<String> {
    if matches!(
        path,
        "crs-setup.conf" | "crs-setup.conf.example" | "rules/@crs-setup.conf.example"
    ) {
        return Some("crs-setup.conf".to_owned());
    }
    let inside = path.strip_prefix("rules/")?;
    let name = inside.strip_prefix("@owasp_crs/").unwrap_or(inside);
    let plain = !name.contains(['/', '\\']) && !name.starts_with(['.', '@']);
    let rules = name.ends_with(".conf") || name.ends_with(".data");
    (plain && rules).then(|| format!("rules/{name}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_become_one_layout() {
        for (path, expected) in [
            ("crs-setup.conf.example", Some("crs-setup.conf")),
            ("rules/@crs-setup.conf.example", Some("crs-setup.conf")),
            (
                "rules/REQUEST-901-INITIALIZATION.conf",
                Some("rules/REQUEST-901-INITIALIZATION.conf"),
            ),
            (
                "rules/@owasp_crs/REQUEST-901-INITIALIZATION.conf",
                Some("rules/REQUEST-901-INITIALIZATION.conf"),
            ),
            ("rules/ssrf.data", Some("rules/ssrf.data")),
            (
                "rules/RESPONSE-999-EXCLUSION-RULES-AFTER-CRS.conf.example",
                None,
            ),
            ("rules/@coraza.conf-recommended", None),
            ("rules/../../etc/x.conf", None),
            ("rules/a/b.conf", None),
            ("plugins/empty-before.conf", None),
            ("README.md", None),
        ] {
            assert_eq!(installed_name(path).as_deref(), expected, "{path}");
        }
    }

    #[test]
    fn the_digest_is_that_of_sha256sum() {
        let mut tree = Tree::default();
        tree.add("rules/b.data", || Ok(b"two\n".to_vec()))
            .expect("added");
        tree.add("crs-setup.conf.example", || Ok(b"one\n".to_vec()))
            .expect("added");
        // printf 'one\n' > crs-setup.conf; printf 'two\n' > rules/b.data; sha256sum crs-setup.conf rules/* | sha256sum
        assert_eq!(
            tree.digest(),
            "173783223b4a5c81288c625efd31588a7b7853a76e52f6811b8b59a378710ed5"
        );
    }

    #[test]
    fn a_folder_without_rules_is_none() {
        let folder = tempfile::tempdir().expect("folder");
        fs::write(folder.path().join("crs-setup.conf"), "x").expect("write");
        let error = Tree::read(folder.path()).expect_err("no rules");
        assert!(error.contains("no rules here"), "{error}");
    }
}
