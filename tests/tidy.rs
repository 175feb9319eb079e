//! Properties of the repository's text that no compiler checks.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// A Rust file longer than this asks "one room, or two?".
const LINES_MAX: usize = 450;

/// Files for which the answer is "one", each with its reason.
const LONG_FILES: [(&str, &str); 4] = [
    (
        "config/src/raw.rs",
        "every key of the configuration file, once, in one place",
    ),
    (
        "proxy/src/chain/flow_tests.rs",
        "the chain's table, row by row",
    ),
    ("proxy/src/listener/framing/vectors.rs", "a table of cases"),
    ("proxy/src/route/tests.rs", "a table of cases"),
];

/// No source, document or fixture is bigger: what is, belongs into a download with a checksum.
const FILE_BYTES_MAX: u64 = 256 * 1024;

/// Crates of the workspace that each crate may depend on, besides what is only for its tests.
const MAY_IMPORT: &[(&str, &[&str])] = &[
    ("config", &[]),
    ("abi", &[]),
    ("abi/fuzz", &["portcullis-abi"]),
    (
        "proxy",
        &[
            "portcullis-abi",
            "portcullis-bundle",
            "portcullis-config",
            "portcullis-seclang",
            "portcullis-waf-policy",
        ],
    ),
    ("filters/settings", &[]),
    ("filters/auth", &["portcullis-filter-settings"]),
    ("filters/rate-limit", &["portcullis-filter-settings"]),
    ("filters/bundle", &[]),
    ("filters/js", &[]),
    ("filters/seclang", &[]),
    (
        "filters/waf",
        &["portcullis-seclang", "portcullis-waf-policy"],
    ),
    (
        "filters/waf-policy",
        &["portcullis-filter-settings", "portcullis-seclang"],
    ),
    ("examples/filters/rust", &[]),
    ("tests/guests/rust", &[]),
    ("benches/guests", &[]),
    ("tests", ANY),
    ("benches", ANY),
];

/// Whatever there is.
const ANY: &[&str] = &["*"];

/// Where Pingora may be named: everything else of the product stands on our own types.
const PINGORA_FILES: [&str; 5] = [
    "proxy/src/gateway.rs",
    "proxy/src/wrapped.rs",
    "proxy/src/server.rs",
    "proxy/src/rescue.rs",
    "proxy/src/listener.rs",
];

/// The same for whole folders.
const PINGORA_FOLDERS: [&str; 5] = [
    "proxy/tests/",
    "proxy/src/gateway/",
    "proxy/src/wrapped/",
    "proxy/src/listener/",
    "benches/",
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("the workspace")
        .to_path_buf()
}

/// Every file of the repository by its path from the root, without build results.
fn files() -> Vec<String> {
    let root = root();
    let (mut found, mut folders) = (Vec::new(), vec![root.clone()]);
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder)
            .expect("a folder")
            .map(|entry| entry.expect("an entry"))
        {
            let path = entry.path();
            let name = entry.file_name();
            let kind = entry.file_type().expect("a kind");
            if kind.is_dir()
                && !["target", ".git", "node_modules"]
                    .iter()
                    .any(|skipped| name == *skipped)
            {
                folders.push(path);
            } else if kind.is_file() {
                let path = path.strip_prefix(&root).expect("a file of the repository");
                found.push(path.to_str().expect("a path in UTF-8").to_owned());
            }
        }
    }
    found.sort();
    found
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn rust_files() -> Vec<String> {
    files()
        .into_iter()
        .filter(|path| path.ends_with(".rs"))
        .collect()
}

/// Lines of code: without those that are comments as a whole.
fn code(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.lines()
        .enumerate()
        .filter(|(_, line)| !line.trim_start().starts_with("//"))
        .map(|(index, line)| (index + 1, line))
}

fn assert_none(what: &str, found: &[String]) {
    assert!(found.is_empty(), "{what}:\n  {}", found.join("\n  "));
}

/// Imports go one way.
#[test]
fn crates_import_only_what_they_may() {
    let allowed: BTreeMap<_, _> = MAY_IMPORT.iter().copied().collect();
    let mut wrong = Vec::new();
    for manifest in files().iter().filter(|path| path.ends_with("/Cargo.toml")) {
        let folder = manifest.trim_end_matches("/Cargo.toml");
        let Some(allowed) = allowed.get(folder) else {
            wrong.push(format!(
                "{folder} is not in the table: say what it may import"
            ));
            continue;
        };
        let text = read(manifest);
        let mut section = "";
        for line in text.lines() {
            if line.starts_with('[') {
                section = line;
            }
            let name = line.split(['.', '=', ' ']).next().unwrap_or_default();
            let ours = name == "portcullis" || name.starts_with("portcullis-");
            let counts =
                section.ends_with("dependencies]") && !section.contains("dev-dependencies");
            if ours && counts && *allowed != ANY && !allowed.contains(&name) {
                wrong.push(format!("{manifest}: {name}"));
            }
        }
    }
    assert_none(
        "imports against the direction (docs/ARCHITECTURE.md, Crates)",
        &wrong,
    );
}

#[test]
fn pingora_is_named_in_few_files() {
    let mut wrong = Vec::new();
    for path in rust_files() {
        let allowed = PINGORA_FILES.contains(&path.as_str())
            || PINGORA_FOLDERS
                .iter()
                .any(|folder| path.starts_with(folder))
            || path == "tests/tidy.rs";
        if allowed {
            continue;
        }
        let text = read(&path);
        // Header types of pingora_http are plain data; in a string (a log target) it is only a name.
        let named = code(&text).filter(|(_, line)| {
            let outside = line.split('"').step_by(2).collect::<String>();
            ["pingora_core", "pingora_proxy"]
                .iter()
                .any(|name| outside.contains(name))
        });
        wrong.extend(named.map(|(number, line)| format!("{path}:{number}: {}", line.trim())));
    }
    assert_none("Pingora outside its rooms", &wrong);
}

/// What decides is tested without a proxy.
#[test]
fn decisions_know_no_sdk() {
    let mut wrong = Vec::new();
    for path in rust_files() {
        let decides = path.starts_with("filters/")
            && (path.ends_with("/decide.rs") || path.contains("/decide/"));
        if decides && code(&read(&path)).any(|(_, line)| line.contains("proxy_wasm")) {
            wrong.push(path);
        }
    }
    assert_none("proxy_wasm in a decide.rs", &wrong);
}

#[test]
fn nothing_is_left_unfinished() {
    // Put together here, so that this file does not contain them.
    let words: Vec<_> = ["todo!", "dbg!", "unimplemented!"]
        .map(|word| format!("{word}("))
        .into();
    let mut wrong = Vec::new();
    for path in rust_files() {
        let text = read(&path);
        let found = code(&text).filter(|(_, line)| words.iter().any(|word| line.contains(word)));
        wrong.extend(found.map(|(number, line)| format!("{path}:{number}: {}", line.trim())));
    }
    assert_none("unfinished", &wrong);
}

#[test]
fn no_rust_file_is_too_long() {
    let reasons: BTreeMap<_, _> = LONG_FILES.into_iter().collect();
    let mut wrong = Vec::new();
    for path in rust_files() {
        let lines = read(&path).lines().count();
        match (lines > LINES_MAX, reasons.contains_key(path.as_str())) {
            (true, false) => wrong.push(format!(
                "{path}: {lines} lines, and no reason in LONG_FILES"
            )),
            (false, true) => wrong.push(format!("{path}: short again, take it off LONG_FILES")),
            (true, true) | (false, false) => {}
        }
    }
    assert_none("length of files", &wrong);
}

#[test]
fn no_file_is_too_big() {
    let big = files().into_iter().filter(|path| {
        let size = fs::metadata(root().join(path)).expect("a file").len();
        size > FILE_BYTES_MAX && path != "Cargo.lock"
    });
    assert_none("files beyond 256 KiB", &big.collect::<Vec<_>>());
}

#[test]
fn modules_have_names_of_the_domain() {
    let banned = [
        "utils", "util", "helpers", "helper", "common", "misc", "manager",
    ];
    let named = rust_files().into_iter().filter(|path| {
        Path::new(path).iter().any(|part| {
            banned
                .iter()
                .any(|word| part.to_string_lossy().trim_end_matches(".rs") == *word)
        })
    });
    assert_none("modules named after nothing", &named.collect::<Vec<_>>());
}

/// Relative links of every document lead to a file or folder that exists.
#[test]
fn links_resolve() {
    let mut wrong = Vec::new();
    for path in files().into_iter().filter(|path| path.ends_with(".md")) {
        let text = read(&path);
        let folder = Path::new(&path).parent().expect("a folder");
        for target in links(&text) {
            let file = target.split('#').next().unwrap_or_default();
            let elsewhere = file.is_empty() || file.contains("://") || file.starts_with("mailto:");
            if !elsewhere && !root().join(folder).join(file).exists() {
                wrong.push(format!("{path}: {target}"));
            }
        }
    }
    assert_none("links that lead nowhere", &wrong);
}

/// Targets of `[text](target)`, outside fenced code.
fn links(text: &str) -> Vec<String> {
    let mut fenced = false;
    let mut targets = Vec::new();
    for line in text.lines() {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
        }
        if fenced {
            continue;
        }
        for (at, _) in line.match_indices("](") {
            if let Some(target) = line[at + 2..].split(')').next() {
                targets.push(
                    target
                        .split_whitespace()
                        .next()
                        .unwrap_or_default()
                        .to_owned(),
                );
            }
        }
    }
    targets
}
