//! Compiles the built-in guests for `wasm32-wasip1`, so that nobody has to build one by hand.
//!
//! A nested cargo does it, in a target folder of its own (the outer cargo holds the lock of its own) that all outer
//! profiles share: debug, release, clippy and tests use the same two modules, compiled once. What the nested build may
//! see of the outer one's environment is decided in [`nested_cargo`]; where it fails, the message names the way out.

use std::env;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

/// Where the guests run: WASI preview 1, which the proxy-wasm SDK and every proxy-wasm host know.
const TARGET: &str = "wasm32-wasip1";

/// Package of each guest and the stem of the file that `src/lib.rs` embeds.
const GUESTS: [(&str, &str); 3] = [
    ("portcullis-filter-auth", "auth"),
    ("portcullis-filter-rate-limit", "rate-limit"),
    ("portcullis-filter-waf", "waf"),
];

/// What the modules are made of, seen from the workspace root. A change in any of these builds them again.
const SOURCES: [&str; 15] = [
    "Cargo.lock",
    "Cargo.toml",
    "rust-toolchain.toml",
    "filters/auth/Cargo.toml",
    "filters/auth/src",
    "filters/rate-limit/Cargo.toml",
    "filters/rate-limit/src",
    "filters/seclang/Cargo.toml",
    "filters/seclang/rules",
    "filters/seclang/src",
    "filters/settings",
    "filters/waf-policy/Cargo.toml",
    "filters/waf-policy/src",
    "filters/waf/Cargo.toml",
    "filters/waf/src",
];

/// The `CARGO_*` variables that a nested cargo needs to find registries and the job server. All others describe the
/// outer build (its flags, its target folder, its package), and would be taken for settings of the nested one.
const CARGO_VARIABLES_KEPT: [&str; 8] = [
    "CARGO_HOME",
    "CARGO_HTTP_",
    "CARGO_MAKEFLAGS",
    "CARGO_NET_",
    "CARGO_REGISTRIES_",
    "CARGO_REGISTRY_",
    "CARGO_SOURCE_",
    "CARGO_TERM_",
];

/// Variables without the `CARGO_` prefix that would change what the nested cargo compiles, or with which compiler.
const VARIABLES_DROPPED: [&str; 11] = [
    "CLIPPY_ARGS",
    "DEBUG",
    "HOST",
    "LLVM_PROFILE_FILE",
    "OPT_LEVEL",
    "OUT_DIR",
    "PROFILE",
    "RUSTC_WORKSPACE_WRAPPER",
    "RUSTDOC",
    "RUSTFLAGS",
    "TARGET",
];

fn main() -> ExitCode {
    match build() {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("error: {message}");
            ExitCode::FAILURE
        }
    }
}

fn build() -> Result<(), String> {
    let out = PathBuf::from(variable("OUT_DIR")?);
    let workspace = workspace_root()?;
    println!("cargo:rerun-if-changed=build.rs");
    for source in SOURCES {
        println!(
            "cargo:rerun-if-changed={}",
            workspace.join(source).display()
        );
    }
    check_target()?;
    let target = nested_target(&out);
    for (package, stem) in GUESTS {
        compile(&workspace, &target, package)?;
        let file = format!("{}.wasm", package.replace('-', "_"));
        let module = target.join(TARGET).join("filter").join(file);
        // A copy of our own: the nested target folder may be rebuilt while the outer compiler reads the module.
        let embedded = out.join(stem).with_extension("wasm");
        fs::copy(&module, &embedded).map_err(|error| {
            format!(
                "cannot copy {} to {}: {error}",
                module.display(),
                embedded.display()
            )
        })?;
    }
    Ok(())
}

/// Refuses early, and with the remedy, when the toolchain cannot build for [`TARGET`]: rustc's own complaint would be
/// about a missing crate `core` in some dependency.
fn check_target() -> Result<(), String> {
    let rustc = variable("RUSTC")?;
    let output = Command::new(&rustc)
        .args(["--print", "target-libdir", "--target", TARGET])
        .output()
        .map_err(|error| format!("cannot run {rustc}: {error}"))?;
    let folder = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    if output.status.success() && Path::new(&folder).is_dir() {
        return Ok(());
    }
    Err(format!(
        "the built-in filters are compiled for {TARGET}, and this toolchain has no standard library for it; \
         in the repository's folder, run: rustup target add {TARGET}"
    ))
}

/// `filters` in the outer build's target folder, found by the tag that cargo writes there; else inside `out`, which
/// costs one compilation a profile but is always ours.
fn nested_target(out: &Path) -> PathBuf {
    let tagged = out
        .ancestors()
        .find(|folder| folder.join("CACHEDIR.TAG").is_file());
    tagged.unwrap_or(out).join("filters")
}

fn compile(workspace: &Path, target: &Path, package: &str) -> Result<(), String> {
    // `rustc --crate-type`: built as library and cdylib at once, a crate gets no link-time optimisation.
    let mut cargo = nested_cargo(workspace)?;
    cargo
        .args([
            "rustc",
            "--locked",
            "--lib",
            "--crate-type",
            "cdylib",
            "--profile",
            "filter",
        ])
        .args(["--target", TARGET, "--package", package, "--target-dir"])
        .arg(target)
        .arg("--manifest-path")
        .arg(workspace.join("Cargo.toml"));
    let output = cargo
        .output()
        .map_err(|error| format!("cannot run {cargo:?}: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    Err(format!(
        "the built-in filter {package} does not compile for {TARGET} ({}):\n{}\n\
         if the standard library of {TARGET} is what is missing, run: rustup target add {TARGET}\n\
         if Cargo.lock is what is out of date, run: cargo update --workspace",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    ))
}

/// The cargo that runs this script, without what the outer build says of itself.
fn nested_cargo(workspace: &Path) -> Result<Command, String> {
    let mut cargo = Command::new(variable("CARGO")?);
    cargo.current_dir(workspace);
    for (name, _) in env::vars_os() {
        if is_of_outer_build(&name) {
            cargo.env_remove(name);
        }
    }
    // Set, be it to little: a user's `build.rustflags` (a linker, a CPU) would go to the guests otherwise. The paths
    // of this machine stay out of the modules' panic messages, and equal sources give equal bytes anywhere.
    let mut flags = vec![format!(
        "--remap-path-prefix={}=portcullis",
        workspace.display()
    )];
    if let Some(home) = env::var_os("CARGO_HOME")
        .map(PathBuf::from)
        .or_else(default_cargo_home)
    {
        flags.push(format!("--remap-path-prefix={}=cargo", home.display()));
    }
    cargo.env("CARGO_ENCODED_RUSTFLAGS", flags.join("\x1f"));
    Ok(cargo)
}

fn is_of_outer_build(name: &OsStr) -> bool {
    // Not UTF-8, so no variable of cargo.
    let Some(name) = name.to_str() else {
        return false;
    };
    if VARIABLES_DROPPED.contains(&name) || name.starts_with("__CARGO") {
        return true;
    }
    name.starts_with("CARGO_")
        && !CARGO_VARIABLES_KEPT
            .iter()
            .any(|kept| name.starts_with(kept))
}

fn default_cargo_home() -> Option<PathBuf> {
    env::home_dir().map(|home| home.join(".cargo"))
}

fn workspace_root() -> Result<PathBuf, String> {
    let manifest = PathBuf::from(variable("CARGO_MANIFEST_DIR")?);
    let root = manifest.ancestors().nth(2).map(Path::to_path_buf);
    root.ok_or_else(|| {
        format!(
            "{} is not two folders below the workspace root",
            manifest.display()
        )
    })
}

fn variable(name: &str) -> Result<String, String> {
    env::var(name).map_err(|_| format!("cargo sets {name} for build scripts, and it is not there"))
}
