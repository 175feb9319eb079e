//! Cases as data: `tests/cases/NAME.yaml` is good, or `NAME.err` beside it is what it is told.
//!
//! `BLESS=1 cargo test -p portcullis-config` writes the `.err` files of bad cases anew; read the difference before
//! committing it.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use crate::fixture::Fixture;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases")
}

#[test]
fn every_case_is_told_what_it_says() {
    let bless = std::env::var_os("BLESS").is_some();
    let fixture = Fixture::of_the_cases();
    let mut names: Vec<PathBuf> = fs::read_dir(folder())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    names.sort();
    let stems = |extension: &str| -> BTreeSet<PathBuf> {
        names
            .iter()
            .filter(|p| p.extension().is_some_and(|e| e == extension))
            .map(|p| p.with_extension(""))
            .collect()
    };
    let (cases, expected) = (stems("yaml"), stems("err"));
    assert!(
        cases.len() >= 25,
        "the cases are missing: {} found",
        cases.len()
    );
    assert!(
        expected.is_subset(&cases),
        "expectations without a case: {:?}",
        expected.difference(&cases)
    );

    let mut wrong = Vec::new();
    for case in &cases {
        let yaml = case.with_extension("yaml");
        let text = fs::read_to_string(&yaml).unwrap();
        let told = match fixture.parse_as(
            &text,
            &Path::new("/etc/portcullis").join(yaml.file_name().unwrap()),
        ) {
            Ok(_) => String::new(),
            Err(problems) => format!("{problems}\n"),
        };
        let err = case.with_extension("err");
        let wanted = fs::read_to_string(&err).unwrap_or_default();
        if told != wanted && bless && !told.is_empty() {
            fs::write(&err, told).unwrap();
        } else if told != wanted {
            wrong.push(format!(
                "== {}\n-- wanted\n{wanted}-- told\n{told}",
                yaml.display()
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
