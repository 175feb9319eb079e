//! Rule files on the disk.

use std::fs;
use std::path::{Path, PathBuf};

use portcullis_seclang::source::{Files, MemoryFiles, beside, matches_wildcards};

use crate::rules;

/// Bytes of one file: a mistake in a path must not read a disk.
const FILE_BYTES_MAX: u64 = 16 << 20;

/// The folder of a configuration, and the rule set that it names.
#[derive(Debug)]
pub(super) struct Disk {
    folder: PathBuf,
    /// An installed one, by the paths that rules use for it.
    ruleset: MemoryFiles,
}

impl Disk {
    /// Names are relative to `folder`.
    ///
    /// # Errors
    /// The rule set is not installed, or was changed since.
    pub(super) fn new(folder: PathBuf, ruleset: &str) -> Result<Self, String> {
        let ruleset = match ruleset.contains('@') {
            true => installed(ruleset)?,
            false => MemoryFiles::default(),
        };
        Ok(Self { folder, ruleset })
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }
}

impl Files for Disk {
    fn read(&self, from: &str, name: &str) -> Result<Vec<u8>, String> {
        let name = beside(from, name);
        if let Some(content) = self.ruleset.files.get(&name) {
            return Ok(content.clone());
        }
        let path = self.path(&name);
        let failed = |error: std::io::Error| format!("{}: {error}", path.display());
        let length = fs::metadata(&path).map_err(failed)?.len();
        if length > FILE_BYTES_MAX {
            return Err(format!(
                "{}: more than {} MiB",
                path.display(),
                FILE_BYTES_MAX >> 20
            ));
        }
        fs::read(&path).map_err(failed)
    }

    fn expand(&self, from: &str, pattern: &str) -> Result<Vec<String>, String> {
        if !pattern.contains(['*', '?']) {
            return Ok(vec![pattern.to_owned()]);
        }
        let installed = self.ruleset.expand(from, pattern)?;
        if !installed.is_empty() {
            return Ok(installed);
        }
        let (folder, name) = pattern.rsplit_once('/').unwrap_or((".", pattern));
        if folder.contains(['*', '?']) {
            return Err("only the last part of a path may have wildcards".to_owned());
        }
        let mut names = listed(&self.path(&beside(from, folder)))?;
        names.retain(|listed| matches_wildcards(name, listed));
        names.sort();
        Ok(names
            .into_iter()
            .map(|listed| format!("{folder}/{listed}"))
            .collect())
    }
}

/// An installed rule set, by the paths that a [`portcullis_waf_policy::Shape`] asks for.
fn installed(ruleset: &str) -> Result<MemoryFiles, String> {
    let installed = rules::resolve(ruleset)?;
    let mut files = MemoryFiles::default();
    for (name, content) in installed.files.files() {
        let path = format!("{ruleset}/{name}");
        files.files.insert(path, content.to_vec());
    }
    Ok(files)
}

/// Names of the files in a folder; none where there is no folder.
fn listed(folder: &Path) -> Result<Vec<String>, String> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(format!("{}: {error}", folder.display())),
    };
    let mut names = Vec::new();
    for entry in entries {
        let entry = entry.map_err(|error| format!("{}: {error}", folder.display()))?;
        if let Ok(name) = entry.file_name().into_string() {
            names.push(name);
        }
    }
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_of_the_folder_and_wildcards_of_its_files() {
        let folder = tempfile::tempdir().expect("folder");
        for name in ["b.conf", "a.conf", "c.data"] {
            fs::write(folder.path().join(name), name).expect("written");
        }
        let disk = Disk::new(folder.path().to_owned(), "portcullis").expect("a folder");
        assert_eq!(
            disk.expand("", "./*.conf"),
            Ok(vec!["./a.conf".to_owned(), "./b.conf".to_owned()])
        );
        assert_eq!(disk.expand("", "none/*.conf"), Ok(Vec::new()));
        assert_eq!(disk.expand("", "x.conf"), Ok(vec!["x.conf".to_owned()]));
        assert!(disk.expand("", "*/x.conf").is_err());
        assert_eq!(disk.read("./a.conf", "c.data"), Ok(b"c.data".to_vec()));
        assert!(disk.read("", "x.conf").is_err());
    }
}
