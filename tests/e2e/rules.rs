//! Rule sets of the WAF, by the command line.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use portcullis_tests::artifacts::go_module;
use portcullis_tests::proxy::command;

const MODULE: &str = "github.com/corazawaf/coraza-coreruleset/v4@v4.25.0";

fn run(folder: &Path, arguments: &[&str]) -> Output {
    command(folder)
        .arg("rules")
        .args(arguments)
        .env("PORTCULLIS_RULES", folder.join("rules"))
        .output()
        .expect("the executable runs")
}

fn text(output: &Output) -> String {
    let both = [&output.stdout[..], &output.stderr[..]].concat();
    String::from_utf8_lossy(&both).into_owned()
}

/// A `.tar.gz` archive of a folder, as a release has it.
fn archive(folder: &Path, into: &Path) {
    let packed = Command::new("tar")
        .args(["-czf"])
        .arg(into)
        .arg("-C")
        .arg(folder)
        .args(["--transform", "s,^\\.,coreruleset-4.25.0,", "."])
        .status()
        .expect("tar runs");
    assert!(packed.success());
}

#[test]
fn a_release_is_installed_from_a_folder_or_an_archive() {
    let Some(module) = go_module(MODULE) else {
        return;
    };
    let folder = tempfile::tempdir().expect("folder");
    let output = run(folder.path(), &["list"]);
    assert_eq!(output.status.code(), Some(0));
    assert!(text(&output).contains("not installed"), "{}", text(&output));
    let packed = folder.path().join("crs.tar.gz");
    archive(&module, &packed);
    for (from, expected) in [(&module, "is installed in"), (&packed, "was installed in")] {
        let from = from.to_str().expect("UTF-8");
        let output = run(folder.path(), &["install", "crs@4.25.0", "--from", from]);
        assert_eq!(output.status.code(), Some(0), "{}", text(&output));
        assert!(text(&output).contains(expected), "{}", text(&output));
    }
    assert!(text(&run(folder.path(), &["list"])).contains("Go module"));
    let own = folder.path().join("own.conf");
    fs::write(
        &own,
        "SecRuleRemoveById 942100\nSecRule ARGS:q \"@contains x\" \"id:1,phase:2,deny\"\n",
    )
    .expect("write");
    let output = run(
        folder.path(),
        &["check", "own.conf", "--with", "crs@4.25.0"],
    );
    assert_eq!(output.status.code(), Some(0), "{}", text(&output));

    let changed: PathBuf = folder
        .path()
        .join("rules/crs@4.25.0/rules/REQUEST-942-APPLICATION-ATTACK-SQLI.conf");
    fs::write(&changed, "").expect("write");
    let output = run(folder.path(), &["list"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(
        text(&output).contains("changed after they were installed"),
        "{}",
        text(&output)
    );
    let output = run(
        folder.path(),
        &[
            "install",
            "crs@4.25.0",
            "--from",
            packed.to_str().expect("UTF-8"),
        ],
    );
    assert!(text(&output).contains("is replaced"), "{}", text(&output));
}

#[test]
fn what_is_not_the_release_is_refused() {
    let folder = tempfile::tempdir().expect("folder");
    fs::create_dir_all(folder.path().join("fake/rules")).expect("folder");
    fs::write(folder.path().join("fake/rules/a.conf"), "# nothing").expect("write");
    for (name, from, expected) in [
        ("crs@4.25.0", "./fake", "not the files of crs@4.25.0"),
        ("crs@4.25.0", "./none", "No such file"),
        ("crs@4.25.0", "./fake/rules/a.conf", "no .tar.gz archive"),
        ("crs@1.0.0", "./fake", "there is no rule set \"crs@1.0.0\""),
        ("crs@4.25.0", "http://127.0.0.1:1/x", "cannot connect"),
    ] {
        let output = run(folder.path(), &["install", name, "--from", from]);
        assert_eq!(output.status.code(), Some(1), "{}", text(&output));
        assert!(
            text(&output).contains(expected),
            "{from}: {}",
            text(&output)
        );
    }
    assert!(!folder.path().join("rules/crs@4.25.0").exists());
}

#[test]
fn check_tells_everything_with_its_place() {
    let folder = tempfile::tempdir().expect("folder");
    let rules = "SecRule ARGS \"@rx (\" \"id:1\"\nSecRule NO_SUCH \"x\" \"id:2\"\nSecRule ARGS \"x\" \"id:3,nonsense\"\n";
    fs::write(folder.path().join("bad.conf"), rules).expect("write");
    let output = run(folder.path(), &["check", "bad.conf"]);
    assert_eq!(output.status.code(), Some(1), "{}", text(&output));
    for line in ["bad.conf:2:", "bad.conf:3:"] {
        assert!(text(&output).contains(line), "{}", text(&output));
    }
    let output = run(folder.path(), &["check", "none.conf"]);
    assert_eq!(output.status.code(), Some(2), "{}", text(&output));
}
