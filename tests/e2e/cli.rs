//! The command line.

use std::fs;
use std::path::Path;
use std::process::{Output, Stdio};

use portcullis_tests::artifacts::rust_guest;
use portcullis_tests::deadline::{until, within};
use portcullis_tests::proxy::command;
use portcullis_tests::{Client, Config, Origin};
use serde_json::{Value, json};

fn run(folder: &Path, arguments: &[&str]) -> Output {
    command(folder)
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .expect("the executable runs")
}

fn out(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn both(output: &Output) -> String {
    out(output) + &String::from_utf8_lossy(&output.stderr)
}

/// A folder with these files.
fn folder(files: &[(&str, &[u8])]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    for (name, bytes) in files {
        fs::write(folder.path().join(name), bytes).expect("a file");
    }
    folder
}

const SIX_LINES: &str = "version: 1
listeners:
  - { name: http, address: 127.0.0.1:8080, protocol: http }
upstreams:
  origin: { endpoints: [{ address: 127.0.0.1:9000 }] }
routes: [{ name: all, upstream: origin }]
";

#[test]
fn check_of_a_good_file() {
    let folder = folder(&[("good.yaml", SIX_LINES.as_bytes())]);
    let output = run(folder.path(), &["check", "-c", "good.yaml"]);
    assert_eq!(output.status.code(), Some(0), "{}", both(&output));
    let output = run(folder.path(), &["check", "-c", "good.yaml", "--json"]);
    assert_eq!(output.status.code(), Some(0));
    let value: Value = serde_json::from_str(&out(&output)).expect("JSON");
    assert_eq!(value["problems"], json!([]));
}

#[test]
fn check_reports_every_problem_with_its_place() {
    let bad = SIX_LINES
        .replace("upstream: origin }]", "upstream: origni, colour: red }]")
        .replace("protocol: http", "protocol: htp");
    let folder = folder(&[("bad.yaml", bad.as_bytes())]);
    let output = run(folder.path(), &["check", "-c", "bad.yaml", "--json"]);
    assert_eq!(output.status.code(), Some(1), "{}", both(&output));
    let value: Value = serde_json::from_str(&out(&output)).expect("JSON");
    let problems = value["problems"].as_array().expect("problems");
    assert_eq!(problems.len(), 3, "{value}");
    let lines: Vec<_> = problems
        .iter()
        .filter_map(|problem| problem["line"].as_u64())
        .collect();
    assert_eq!(
        lines.iter().filter(|line| **line == 6).count(),
        2,
        "{value}"
    );
    assert_eq!(
        lines.iter().filter(|line| **line == 3).count(),
        1,
        "{value}"
    );
    assert!(
        problems.iter().any(|problem| problem["hint"]
            .as_str()
            .is_some_and(|hint| hint.contains("origin"))),
        "{value}"
    );
    let text = both(&run(folder.path(), &["check", "-c", "bad.yaml"]));
    for wanted in [
        "bad.yaml:6:",
        "bad.yaml:3:",
        "origni",
        "colour",
        "did you mean",
    ] {
        assert!(text.contains(wanted), "{wanted} in\n{text}");
    }
}

/// What only a look into the module shows: no ABI, an unknown function, a wrong signature, an imported memory.
#[test]
fn check_looks_into_modules() {
    let module = |body: &str| {
        let text = format!(
            "(module {body} (func (export \"proxy_on_memory_allocate\") (param i32) (result i32) (i32.const 0)))"
        );
        wat_bytes(&text)
    };
    let abi = r#"(memory (export "memory") 1) (func (export "proxy_abi_version_0_2_1"))"#;
    let file = |module: &str| {
        SIX_LINES.replace("routes: [{ name: all,", &format!("filters:\n  guest: {{ wasm: {{ file: ./{module} }} }}\nroutes: [{{ name: all, chain: [guest],"))
    };
    let cases: [(&str, Vec<u8>, i32, &str); 6] = [
        ("good", module(abi), 0, ""),
        (
            "no_abi",
            module(r#"(memory (export "memory") 1)"#),
            1,
            "abi",
        ),
        (
            "unknown",
            module(&format!(
                r#"(import "env" "proxy_of_tomorrow" (func)) {abi}"#
            )),
            0,
            "proxy_of_tomorrow",
        ),
        (
            "signature",
            module(&format!(
                r#"(import "env" "proxy_log" (func (param i64) (result i32))) {abi}"#
            )),
            1,
            "proxy_log",
        ),
        (
            "memory",
            module(
                r#"(import "env" "memory" (memory 1)) (func (export "proxy_abi_version_0_2_1"))"#,
            ),
            1,
            "memory",
        ),
        (
            "nonsense",
            b"this is no module".to_vec(),
            1,
            "nonsense.wasm",
        ),
    ];
    for (name, bytes, code, said) in cases {
        let wasm = format!("{name}.wasm");
        let folder = folder(&[(&wasm, &bytes), ("file.yaml", file(&wasm).as_bytes())]);
        let output = run(folder.path(), &["check", "-c", "file.yaml"]);
        let text = both(&output);
        assert_eq!(output.status.code(), Some(code), "{name}: {text}");
        assert!(
            text.to_lowercase().contains(said),
            "{name}: {said} in\n{text}"
        );
    }
}

fn wat_bytes(text: &str) -> Vec<u8> {
    wat::parse_str(text).unwrap_or_else(|error| panic!("{error}"))
}

#[test]
fn exit_codes_of_wrong_use() {
    let folder = folder(&[]);
    for arguments in [
        &[][..],
        &["nonsense"][..],
        &["check"][..],
        &["check", "-c", "missing.yaml"][..],
        &["run", "-c", "missing.yaml"][..],
    ] {
        let output = run(folder.path(), arguments);
        assert_eq!(
            output.status.code(),
            Some(2),
            "{arguments:?}: {}",
            both(&output)
        );
    }
    let output = run(folder.path(), &["filter", "inspect", "missing.wasm"]);
    assert_eq!(output.status.code(), Some(2), "{}", both(&output));
}

#[test]
fn help_and_version() {
    let folder = folder(&[]);
    let output = run(folder.path(), &["--help"]);
    assert_eq!(output.status.code(), Some(0));
    for command in ["run", "check", "schema", "demo", "filter"] {
        assert!(
            out(&output).contains(command),
            "{command} in\n{}",
            out(&output)
        );
        assert_eq!(
            run(folder.path(), &[command, "--help"]).status.code(),
            Some(0),
            "{command}"
        );
    }
    assert!(out(&run(folder.path(), &["--version"])).starts_with("portcullis "));
}

/// A JSON Schema that knows the keys and refuses others.
#[test]
fn the_schema() {
    let folder = folder(&[]);
    let output = run(folder.path(), &["schema"]);
    assert_eq!(output.status.code(), Some(0), "{}", both(&output));
    let schema: Value = serde_json::from_str(&out(&output)).expect("JSON");
    assert!(schema["$schema"].is_string());
    let properties = schema["properties"].as_object().expect("properties");
    for key in [
        "version",
        "listeners",
        "upstreams",
        "filters",
        "chains",
        "routes",
        "observability",
        "admin",
        "workers",
        "reload",
    ] {
        assert!(properties.contains_key(key), "{key}");
    }
    assert_eq!(schema["additionalProperties"], json!(false));
}

#[test]
fn filter_inspect() {
    let folder = folder(&[
        ("guest.wasm", rust_guest()),
        ("nonsense.wasm", b"no module"),
    ]);
    let output = run(folder.path(), &["filter", "inspect", "guest.wasm"]);
    let text = out(&output);
    assert_eq!(output.status.code(), Some(0), "{}", both(&output));
    for wanted in [
        "0.2.1",
        "proxy_http_call",
        "proxy_on_request_headers",
        "grants",
        "http_call",
        "memory",
    ] {
        assert!(text.contains(wanted), "{wanted} in\n{text}");
    }
    let output = run(folder.path(), &["filter", "inspect", "nonsense.wasm"]);
    assert!(
        output
            .status
            .code()
            .is_some_and(|code| code == 1 || code == 2),
        "{}",
        both(&output)
    );
}

#[test]
fn a_run_that_cannot_start() {
    let bad = SIX_LINES.replace("version: 1", "version: 2");
    let folder = folder(&[("bad.yaml", bad.as_bytes())]);
    let output = run(folder.path(), &["run", "-c", "bad.yaml"]);
    assert_eq!(output.status.code(), Some(1), "{}", both(&output));
    assert!(both(&output).contains("bad.yaml:1:"), "{}", both(&output));
}

/// `demo` prints curl lines, and they do what it says.
#[tokio::test]
async fn demo() {
    let folder = folder(&[]);
    let log = folder.path().join("out");
    let file = fs::File::create(&log).expect("a file");
    let mut child = command(folder.path())
        .arg("demo")
        .stdin(Stdio::null())
        .stdout(file.try_clone().expect("a file"))
        .stderr(file)
        .spawn()
        .expect("the executable runs");
    let lines = until("three curl lines", async || {
        let text = fs::read_to_string(&log).expect("the output");
        let lines: Vec<_> = text
            .lines()
            .filter_map(|line| line.find("curl ").map(|at| line[at..].to_owned()))
            .collect();
        (lines.len() >= 3).then_some(lines)
    })
    .await;
    let mut statuses = Vec::new();
    for line in &lines[..3] {
        let with_status = format!(
            "{line} --silent --output /dev/null --write-out '%{{http_code}}\\n' --retry 20 --retry-connrefused --retry-delay 1"
        );
        let output = tokio::process::Command::new("sh")
            .args(["-c", &with_status])
            .output();
        let output = within("curl", output).await.expect("curl");
        statuses.push(out(&output).lines().last().unwrap_or_default().to_owned());
    }
    child.kill().expect("it runs");
    child.wait().expect("it ends");
    assert!(
        statuses.iter().any(|status| status == "200"),
        "{lines:?}: {statuses:?}"
    );
    assert!(
        statuses.iter().any(|status| status == "401"),
        "{lines:?}: {statuses:?}"
    );
    assert!(
        statuses
            .iter()
            .all(|status| status.len() == 3 && status != "000"),
        "{lines:?}: {statuses:?}"
    );
}

/// The six-line file of the documentation is a whole configuration.
#[tokio::test]
async fn a_short_file_is_enough() {
    let origin = Origin::echo().await;
    let text = SIX_LINES
        .replace("127.0.0.1:8080", "127.0.0.1:0")
        .replace("127.0.0.1:9000", &origin.address().to_string());
    let proxy = portcullis_tests::Proxy::try_start_text(&text, &[])
        .await
        .expect("it starts");
    assert_eq!(Client::h1(proxy.address()).await.get("/").await.status, 200);
}

/// An unset variable is a problem with a place; a set one is used; `$$` escapes.
#[test]
fn values_from_outside() {
    let text = SIX_LINES.replace("name: http", "name: \"${env:PORTCULLIS_TEST_NAME}\"");
    let folder = folder(&[("file.yaml", text.as_bytes())]);
    let output = run(folder.path(), &["check", "-c", "file.yaml"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(
        both(&output).contains("PORTCULLIS_TEST_NAME") && both(&output).contains("file.yaml:3:"),
        "{}",
        both(&output)
    );
    let output = command(folder.path())
        .args(["check", "-c", "file.yaml"])
        .env("PORTCULLIS_TEST_NAME", "named")
        .output()
        .expect("the executable runs");
    assert_eq!(output.status.code(), Some(0), "{}", both(&output));
}

/// An admin address that others can reach needs a token.
#[test]
fn an_open_admin_address_is_refused() {
    let text = Config::new()
        .set("/admin/address", json!("0.0.0.0:9901"))
        .upstream("origin", "127.0.0.1:1".parse().expect("an address"))
        .text();
    let folder = folder(&[("file.yaml", text.as_bytes())]);
    let output = run(folder.path(), &["check", "-c", "file.yaml"]);
    assert_eq!(output.status.code(), Some(1), "{}", both(&output));
    let text = both(&output);
    assert!(
        text.contains("admin") && text.contains("token"),
        "says what is missing: {text}"
    );
}
