//! The modules that `builtin` may name: those inside the program, and those beside it.

use std::borrow::Cow;
use std::env;
use std::path::PathBuf;

/// Too large, and too long in compiling, to be inside: files that `filters/*/build.sh` installs.
const INSTALLED: [&str; 1] = ["js"];

/// Names the folder with the installed modules, in place of the program's own.
pub const FOLDER_VARIABLE: &str = "PORTCULLIS_FILTERS";

/// Every name there is, for [`portcullis_config::load`].
pub fn names() -> Vec<&'static str> {
    let inside = portcullis_bundle::all().iter().map(|builtin| builtin.name);
    inside.chain(INSTALLED).collect()
}

/// Whether the module may change bodies; true where that is not known.
pub fn edits_body(name: &str) -> bool {
    portcullis_bundle::find(name).is_none_or(|builtin| builtin.edits_body)
}

/// The foreign functions that the module needs: it may call them without a grant of the configuration.
pub fn foreign(name: &str) -> &'static [&'static str] {
    match name {
        "waf" => &[crate::foreign::AUDIT],
        _ => &[],
    }
}

/// The module's bytes.
///
/// # Errors
/// With the way out, where it is not installed or cannot be read.
pub fn module(name: &str) -> Result<Cow<'static, [u8]>, String> {
    if let Some(builtin) = portcullis_bundle::find(name) {
        return Ok(builtin.wasm.into());
    }
    if !INSTALLED.contains(&name) {
        return Err(format!("there is no built-in filter \"{name}\""));
    }
    let file = folder()?.join(name).with_extension("wasm");
    std::fs::read(&file).map(Into::into).map_err(|error| {
        format!(
            "the built-in filter {name} is not installed: {}: {error}; filters/{name}/build.sh builds it and puts it \
             beside the program, or {FOLDER_VARIABLE} names the folder where it is",
            file.display()
        )
    })
}

/// Where installed modules are.
fn folder() -> Result<PathBuf, String> {
    if let Some(folder) = env::var_os(FOLDER_VARIABLE).filter(|folder| !folder.is_empty()) {
        return Ok(folder.into());
    }
    let program = env::current_exe()
        .map_err(|error| format!("the program's own folder is not known: {error}"))?;
    Ok(program.parent().map(PathBuf::from).unwrap_or_default())
}
