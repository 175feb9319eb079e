//! `portcullis waf explain`

use std::fs;
use std::path::Path;
use std::process::Output;

use portcullis_tests::proxy::command;

const REQUEST: &str = "GET /search?q=1'+or+1%3D1--+-&page=2 HTTP/1.1\r\nHost: example.org\r\nUser-Agent: Mozilla/5.0\r\n\
                       Accept: text/html\r\n\r\n";

/// With this in the filter's `config`.
fn explain(folder: &Path, config: &str, arguments: &[&str]) -> Output {
    let text = format!(
        "version: 1\nlisteners: [{{ name: http, address: 127.0.0.1:0 }}]\n\
         upstreams: {{ origin: {{ endpoints: [{{ address: 127.0.0.1:9 }}] }} }}\n\
         filters:\n  waf:\n    builtin: waf\n    config:\n{config}\n\
         routes:\n  - {{ name: off, match: {{ path: {{ prefix: /off }} }}, chain: [waf], upstream: origin, overrides: {{ waf: {{ mode: off }} }} }}\n  \
         - {{ name: all, match: {{}}, chain: [waf], upstream: origin }}\n"
    );
    let file = folder.join("edge.yaml");
    fs::write(&file, text).expect("file");
    let request = folder.join("request.http");
    fs::write(&request, REQUEST).expect("file");
    command(folder)
        .args(["waf", "explain", "-c"])
        .arg(&file)
        .arg("--request")
        .arg(&request)
        .args(arguments)
        .output()
        .expect("the executable runs")
}

fn text(output: &Output) -> String {
    let both = [&output.stdout[..], &output.stderr[..]].concat();
    String::from_utf8_lossy(&both).into_owned()
}

#[test]
fn an_attack_is_explained_and_the_lines_that_let_it_by_do() {
    let folder = tempfile::tempdir().expect("folder");
    let refused = explain(folder.path(), "      mode: block", &[]);
    let told = text(&refused);
    assert_eq!(refused.status.code(), Some(0), "{told}");
    for part in [
        "is refused with 403",
        "ARGS:q = 1' or 1=1-- -",
        "tx.inbound_anomaly_score_pl1 is now 5",
        "@detectSQLi",
        "exclude:",
        r#"path: { exact: "/search" }, target: "ARGS:q" }"#,
    ] {
        assert!(told.contains(part), "{part} in {told}");
    }
    let exclusions: Vec<_> = told
        .lines()
        .filter(|line| line.contains("- { rule: "))
        .collect();
    let config = format!(
        "      mode: block\n      exclude:\n{}",
        exclusions.join("\n").replace("    - ", "        - ")
    );
    let passed = text(&explain(folder.path(), &config, &[]));
    assert!(passed.contains("passes the rules"), "{config}\n{passed}");
}

#[test]
fn overrides_of_routes_count() {
    let folder = tempfile::tempdir().expect("folder");
    let off = text(&explain(
        folder.path(),
        "      mode: block",
        &["--route", "off"],
    ));
    assert!(off.contains("No rule runs"), "{off}");
    let detect = text(&explain(
        folder.path(),
        "      mode: detect",
        &["--route", "all"],
    ));
    assert!(detect.contains("passes the rules"), "{detect}");
    assert!(detect.contains("ARGS:q"), "{detect}");
}

#[test]
fn what_is_not_there_is_told() {
    let folder = tempfile::tempdir().expect("folder");
    let no_filter = explain(folder.path(), "      mode: block", &["--filter", "other"]);
    assert_eq!(no_filter.status.code(), Some(1));
    assert!(
        text(&no_filter).contains("there is no such filter"),
        "{}",
        text(&no_filter)
    );
    let no_route = explain(folder.path(), "      mode: block", &["--route", "other"]);
    assert_eq!(no_route.status.code(), Some(1));
    assert!(
        text(&no_route).contains("no route \"other\""),
        "{}",
        text(&no_route)
    );
}
