//! The regression tests of the OWASP Core Rule Set, as their YAML files say them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;

/// One test: requests one after the other, each with what the log must show of it.
pub(crate) struct Test {
    /// `942100-7`: the rule that it is about, and its number.
    pub(crate) id: String,
    pub(crate) stages: Vec<Stage>,
}

#[derive(Deserialize)]
pub(crate) struct Stage {
    pub(crate) input: Input,
    pub(crate) output: Output,
}

#[derive(Deserialize)]
pub(crate) struct Input {
    pub(crate) method: Option<String>,
    pub(crate) uri: Option<String>,
    pub(crate) version: Option<String>,
    #[serde(default)]
    pub(crate) headers: BTreeMap<String, Scalar>,
    pub(crate) data: Option<String>,
    pub(crate) encoded_data: Option<String>,
    pub(crate) encoded_request: Option<String>,
    pub(crate) autocomplete_headers: Option<bool>,
}

#[derive(Deserialize)]
pub(crate) struct Output {
    pub(crate) status: Option<u16>,
    #[serde(default)]
    pub(crate) expect_error: bool,
    #[serde(default)]
    pub(crate) log: Log,
}

#[derive(Default, Deserialize)]
pub(crate) struct Log {
    #[serde(default)]
    pub(crate) expect_ids: Vec<u64>,
    #[serde(default)]
    pub(crate) no_expect_ids: Vec<u64>,
    pub(crate) match_regex: Option<String>,
    pub(crate) no_match_regex: Option<String>,
}

/// The value of a header; some are written as numbers.
#[derive(Deserialize)]
#[serde(untagged)]
pub(crate) enum Scalar {
    Text(String),
    Number(i64),
    Nothing(()),
}

impl Scalar {
    pub(crate) fn text(&self) -> String {
        match self {
            Self::Text(text) => text.clone(),
            Self::Number(number) => number.to_string(),
            Self::Nothing(()) => String::new(),
        }
    }
}

#[derive(Deserialize)]
struct File {
    rule_id: Option<u64>,
    #[serde(default)]
    tests: Vec<RawTest>,
}

#[derive(Deserialize)]
struct RawTest {
    test_id: Option<u64>,
    stages: Vec<Stage>,
}

/// Reads all tests below `folder`, in the order of their files.
///
/// # Errors
/// Which file cannot be read, and why.
pub(crate) fn load(folder: &Path) -> Result<Vec<Test>, String> {
    let mut files = Vec::new();
    yaml_files(folder, &mut files)?;
    files.sort();
    let mut tests = Vec::new();
    for path in files {
        let text = std::fs::read_to_string(&path)
            .map_err(|error| format!("{}: {error}", path.display()))?;
        if text.trim().is_empty() {
            continue;
        }
        let file: File = serde_saphyr::from_str(&text)
            .map_err(|error| format!("{}: {error}", path.display()))?;
        let rule = match file.rule_id {
            Some(id) => id.to_string(),
            None => path
                .file_stem()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned(),
        };
        for (index, test) in file.tests.into_iter().enumerate() {
            let number = test.test_id.unwrap_or(index as u64 + 1);
            tests.push(Test {
                id: format!("{rule}-{number}"),
                stages: test.stages,
            });
        }
    }
    Ok(tests)
}

fn yaml_files(folder: &Path, into: &mut Vec<PathBuf>) -> Result<(), String> {
    let unreadable = |error| format!("{}: {error}", folder.display());
    for entry in std::fs::read_dir(folder).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        if path.is_dir() {
            yaml_files(&path, into)?;
        } else if path
            .extension()
            .is_some_and(|extension| extension == "yaml")
        {
            into.push(path);
        }
    }
    Ok(())
}
