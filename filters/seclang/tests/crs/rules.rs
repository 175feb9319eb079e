//! The rules under test, from the folder of the Go module `coraza-coreruleset`.

use std::path::{Path, PathBuf};
use std::process::Command;

use portcullis_seclang::source::MemoryFiles;

const MODULE: &str = "github.com/corazawaf/coraza-coreruleset/v4@v4.25.0";

/// The file to begin with.
pub(crate) const MAIN: &str = "main.conf";

const MAIN_TEXT: &str = "\
    Include base.conf\n\
    Include ftw.conf\n\
    Include crs-setup.conf\n\
    Include rules/*.conf\n";

/// Where rules and tests lie: `PORTCULLIS_CRS`, or the cache of Go's modules.
pub(crate) fn folder() -> Option<PathBuf> {
    if let Some(named) = std::env::var_os("PORTCULLIS_CRS") {
        return Some(PathBuf::from(named));
    }
    let cached = go_cache()?.join(MODULE);
    cached.is_dir().then_some(cached)
}

fn go_cache() -> Option<PathBuf> {
    if let Some(named) = std::env::var_os("GOMODCACHE") {
        return Some(PathBuf::from(named));
    }
    let output = Command::new("go")
        .args(["env", "GOMODCACHE"])
        .output()
        .ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    let folder = text.trim();
    (!folder.is_empty()).then(|| PathBuf::from(folder))
}

/// The module's rules, and ours around them.
///
/// # Errors
/// What cannot be read.
pub(crate) fn files(folder: &Path) -> Result<MemoryFiles, String> {
    let mut files = MemoryFiles::default();
    let mut add = |name: String, bytes: Vec<u8>| files.files.insert(name, bytes);
    add(MAIN.to_owned(), MAIN_TEXT.into());
    add(
        "base.conf".to_owned(),
        include_bytes!("../../rules/base.conf").to_vec(),
    );
    add(
        "ftw.conf".to_owned(),
        include_bytes!("../../../../tests/crs/ftw.conf").to_vec(),
    );
    let read =
        |path: &Path| std::fs::read(path).map_err(|error| format!("{}: {error}", path.display()));
    add(
        "crs-setup.conf".to_owned(),
        read(&folder.join("rules/@crs-setup.conf.example"))?,
    );
    let rules = folder.join("rules/@owasp_crs");
    for entry in
        std::fs::read_dir(&rules).map_err(|error| format!("{}: {error}", rules.display()))?
    {
        let path = entry.map_err(|error| error.to_string())?.path();
        let name = path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        add(format!("rules/{name}"), read(&path)?);
    }
    Ok(files)
}
