//! `${env:NAME}` and `${file:PATH}`.

use std::path::PathBuf;

use portcullis_config::model::PluginConfig;
use portcullis_config::{Options, load};
use serde_json::{Value, json};

use crate::fixture::{Fixture, minimal};

/// What a filter's `config` becomes.
fn config_of(config: &str) -> Result<Value, String> {
    let text = minimal(&format!(
        "filters:\n  f:\n    builtin: auth\n    config: {config}\n"
    ));
    match Fixture::of_the_cases().parse(&text) {
        Ok(config) => match &config.filters[0].config {
            PluginConfig::Json(value) => Ok(value.clone()),
            PluginConfig::Text(text) => Ok(json!(text)),
            PluginConfig::None => Ok(Value::Null),
        },
        Err(problems) => Err(problems
            .0
            .iter()
            .map(|p| format!("{}: {}", p.path, p.message))
            .collect::<Vec<_>>()
            .join("\n")),
    }
}

#[test]
fn scalars_anywhere_are_expanded() {
    assert_eq!(
        config_of("{ a: [\"x ${env:WORD} y\", { b: '${env:WORD}' }] }"),
        Ok(json!({ "a": ["x word-from-env y", { "b": "word-from-env" }] }))
    );
    assert_eq!(
        config_of("text ${env:WORD} and ${file:secret.txt}."),
        Ok(json!("text word-from-env and secret-from-file."))
    );
    assert_eq!(
        config_of("\"${env:WORD}${env:WORD}\""),
        Ok(json!("word-from-envword-from-env"))
    );
    assert_eq!(config_of("[ \"${env:EMPTY}\" ]"), Ok(json!([""])));
    assert_eq!(
        config_of("\n      block: |\n        a ${env:WORD}\n        b\n"),
        Ok(json!({ "block": "a word-from-env\nb\n" }))
    );
}

#[test]
fn what_is_drawn_in_is_a_string_unless_tagged() {
    assert_eq!(
        config_of("{ burst: \"${env:BURST}\" }"),
        Ok(json!({ "burst": "20" }))
    );
    assert_eq!(
        config_of("\n      burst: ${env:BURST}\n"),
        Ok(json!({ "burst": "20" }))
    );
    assert_eq!(
        config_of("{ burst: !!int \"${env:BURST}\" }"),
        Ok(json!({ "burst": 20 }))
    );
    assert_eq!(
        config_of("{ burst: !!int \"${env:WORD}\" }"),
        Err("filters.f.config.burst: `${env:WORD}` is not a whole number, as its tag says".into())
    );
}

#[test]
fn the_escape_and_other_dollars_stay() {
    assert_eq!(
        config_of("'$${env:WORD} $ $$ $5 {} $${x}'"),
        Ok(json!("${env:WORD} $ $$ $5 {} ${x}"))
    );
}

#[test]
fn nothing_is_expanded_twice() {
    let fixture = Fixture::default().env("A", "${env:B}").env("B", "no");
    let config = fixture
        .parse(&minimal(
            "filters: { f: { builtin: auth, config: \"${env:A}\" } }",
        ))
        .unwrap();
    assert_eq!(
        config.filters[0].config,
        PluginConfig::Text("${env:B}".into())
    );
}

#[test]
fn what_cannot_be_expanded_is_told_with_its_place() {
    for (config, message) in [
        (
            "\"${env:NONE}\"",
            "filters.f.config: the environment variable NONE is not set",
        ),
        (
            "{ a: [x, \"${env:NONE}\"] }",
            "filters.f.config.a[1]: the environment variable NONE is not set",
        ),
        (
            "\"${file:none.txt}\"",
            "filters.f.config: cannot read the file none.txt: no such file",
        ),
        (
            "\"${file:binary.bin}\"",
            "filters.f.config: cannot read the file binary.bin: it is not UTF-8 text",
        ),
        (
            "\"${WORD}\"",
            "filters.f.config: `${WORD}` names no known source",
        ),
        (
            "\"${vault:x}\"",
            "filters.f.config: `${vault:x}` names no known source",
        ),
        (
            "\"${env:A:-b}\"",
            "filters.f.config: `${env:A:-b}` names no known source",
        ),
        (
            "\"${env:WORD\"",
            "filters.f.config: `${` without a closing brace",
        ),
        (
            "{ \"${env:WORD}\": 1 }",
            "filters.f.config: a key with `${...}`, which is expanded in values only",
        ),
    ] {
        assert_eq!(config_of(config), Err(message.to_owned()), "{config}");
    }
}

#[test]
fn typed_keys_take_references() {
    let fixture = Fixture::default()
        .env("PORT", "9090")
        .env("N", "3")
        .env("YES", "true")
        .env("TIME", "7s")
        .env("SIZE", "1MiB")
        .env("UP", "origin");
    let text = minimal(
        "observability: { metrics: { address: \"127.0.0.1:${env:PORT}\" } }\nworkers: ${env:N}\nreload: { watch: \"${env:YES}\", drain: \"${env:TIME}\" }\nfilters: { f: { builtin: auth, limits: { memory: \"${env:SIZE}\", callouts: \"${env:N}\" }, grants: { http_call: [\"${env:UP}\"] } } }\n",
    );
    let config = fixture.parse(&text).unwrap();
    assert_eq!(config.observability.metrics, "127.0.0.1:9090".parse().ok());
    assert_eq!(config.workers, portcullis_config::model::Workers::Count(3));
    assert_eq!(config.reload.drain.as_secs(), 7);
    assert_eq!(
        (
            config.filters[0].limits.memory,
            config.filters[0].limits.callouts
        ),
        (1 << 20, 3)
    );
    assert_eq!(config.filters[0].grants.http_call.len(), 1);
}

#[test]
fn real_files_are_read_relative_to_the_configuration_and_watched() {
    let dir = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(dir.path().join(name), text).unwrap();
    std::fs::create_dir(dir.path().join("secrets")).unwrap();
    write("secrets/one", "1\n\n");
    write("crlf", "2\r\n");
    let text = minimal(
        "filters:\n  f: { wasm: { file: ./f.wasm }, config: \"${file:secrets/one}|${file:./crlf}|${file:crlf}\" }\n",
    );
    write("edge.yaml", &text);
    let config = load(&dir.path().join("edge.yaml"), &Options::default()).unwrap();
    assert_eq!(
        config.filters[0].config,
        PluginConfig::Text("1\n|2|2".into())
    );
    let names = ["edge.yaml", "f.wasm", "secrets/one", "crlf"];
    assert_eq!(
        config.watched,
        names.map(|name| dir.path().join(name)).to_vec()
    );
}

#[test]
fn an_unreadable_file_is_told_apart_from_a_bad_one() {
    let dir = tempfile::tempdir().unwrap();
    let missing = load(&dir.path().join("none.yaml"), &Options::default()).unwrap_err();
    assert!(missing.unreadable(), "{missing}");
    let path: PathBuf = dir.path().join("bad.yaml");
    std::fs::write(&path, "version: 1\n").unwrap();
    assert!(!load(&path, &Options::default()).unwrap_err().unreadable());
    std::fs::write(&path, [0xff, 0xfe, 0xff]).unwrap();
    assert!(load(&path, &Options::default()).unwrap_err().unreadable());
    assert!(
        load(dir.path(), &Options::default())
            .unwrap_err()
            .unreadable()
    );
}
