//! No secret is shown, whatever is wrong with the file.

use portcullis_config::Problems;
use serde_json::json;

use crate::fixture::{Fixture, minimal};

const CANARY: &str = "CANARY7f3a9c";

fn leaks(problems: &Problems) -> bool {
    problems.to_string().contains(CANARY)
        || serde_json::to_string(problems).unwrap().contains(CANARY)
}

/// Places for a secret that the file itself holds.
const PLACES: [&str; 12] = [
    "admin: { address: 127.0.0.1:1, token: SECRET }\n",
    "filters: { f: { builtin: auth, env: { ANY: SECRET } } }\n",
    "filters: { f: { builtin: auth, config: { api_keys: { header: x-api-key, keys: { alice: SECRET, bob: [SECRET] } } } } }\n",
    "filters: { f: { builtin: auth, config: { hmac_secret: SECRET, clientSecret: SECRET, private-key: SECRET } } }\n",
    "filters: { f: { builtin: auth, config: { basic: { users: [{ name: a, password: SECRET }] } } } }\n",
    "filters: { f: { builtin: auth, config: { jwt: { keys: [{ kid: a, pem: SECRET }] } } } }\n",
    "filters: { f: { builtin: auth, vm_config: '{\"token\": \"SECRET\"}' } }\n",
    "filters: { f: { builtin: auth, config: 'api_key=SECRET' } }\n",
    "filters: { f: { builtin: auth, config: { header: \"Bearer\", authorization: \"Bearer SECRET ${env:WORD}\" } } }\n",
    "filters: { token: { builtin: auth, config: { jwt: { hs256_key: \"a\\\n    SECRET\" } } } }\n",
    "chains: {}\nfilters: { f: &f { builtin: auth, env: { A: &s SECRET } }, g: { builtin: auth, config: { plain: *s } } }\n",
    "filters:\n  f:\n    builtin: auth\n    config:\n      signing_key: |\n        -----BEGIN PRIVATE KEY-----\n        SECRET\n        -----END PRIVATE KEY-----\n",
];

#[test]
fn secrets_of_the_file_are_redacted() {
    let fixture = Fixture::of_the_cases();
    for place in PLACES {
        let config = fixture
            .parse(&minimal(&place.replace("SECRET", CANARY)))
            .unwrap();
        assert!(!format!("{config:?}").contains(CANARY));
        let redacted = config.redacted.to_string();
        assert!(
            redacted.contains("[redacted]") && !redacted.contains(CANARY),
            "{redacted}"
        );
    }
}

#[test]
fn secrets_of_the_file_are_in_no_problem() {
    let fixture = Fixture::of_the_cases();
    for place in PLACES {
        let place = place.replace("SECRET", CANARY);
        // A problem in each line of the file, whose snippets would show it; then broken YAML at every place.
        for broken in [
            place.replace("{ ", "{ zzz: 1, "),
            place.replace("builtin: ", "bultin: "),
            place.replace(": 127.0.0.1:1", ": 0.0.0.0:1"),
        ] {
            if let Err(problems) = fixture.parse(&minimal(&broken)) {
                assert!(!leaks(&problems), "{problems}");
            }
        }
        for cut in (0..=place.len()).filter(|cut| place.is_char_boundary(*cut)) {
            if let Err(problems) = fixture.parse(&minimal(&place[..cut])) {
                assert!(!leaks(&problems), "{problems}");
            }
            // Not inside of a word: a key cut in two is another key.
            let between = place[..cut].ends_with([' ', '\n', '{', '['])
                || place[cut..].starts_with([' ', '\n', ',']);
            for breakage in ["]}: ", "\"", "'", "*x ", "\t", "@"]
                .into_iter()
                .filter(|_| between)
            {
                let broken = minimal(&format!("{}{breakage}{}", &place[..cut], &place[cut..]));
                if let Err(problems) = fixture.parse(&broken) {
                    assert!(!leaks(&problems), "{broken}\n{problems}");
                }
            }
        }
    }
}

#[test]
fn values_from_outside_are_in_no_problem_wherever_they_are_put() {
    let fixture = Fixture::of_the_cases()
        .env("S", CANARY)
        .env("LINES", &format!("{CANARY}\n\u{7f}"))
        .file("s", format!("{CANARY}\n"));
    let paths = [
        "listeners: [{ name: N, address: \"@\", protocol: \"@\", tls: { certificates: [{ cert: \"@\", key: \"@\" }] } }]",
        "listeners: [{ name: \"@\", address: 127.0.0.1:0, client_ip: { header: \"@\", trusted: [\"@\"] }, limits: { headers: \"@\", header_bytes: \"@\", header_timeout: \"@\" } }]",
        "upstreams: { u: { endpoints: [{ address: \"@\" }], protocol: \"@\", timeouts: { read: \"@\" } } }",
        "filters: { f: { wasm: { file: \"@\" }, builtin: \"@\" } }",
        "filters: { f: { builtin: \"@\", grants: { all: \"@\", http_call: [\"@\"] }, limits: { memory: \"@\" }, on_fault: \"@\", hold: \"@\", env: { A: \"@\" } } }",
        "chains: { c: [\"@\", { filter: \"@\", reroute: \"@\" }] }",
        "routes: [{ name: \"@\", upstream: \"@\", chain: \"@\" }, { name: \"@\", chain: [\"@\"], respond: { status: \"@\", headers: { a: \"@\" }, body: \"@\" } }]",
        "routes: [{ name: a, upstream: \"@\", match: { host: \"@\", path: { regex: \"(@\" }, method: \"@\", headers: { a: \"@\", b: { regex: \"[@\" } } } }]",
        "routes: [{ name: a, upstream: \"@\", match: { host: [\"@\"], path: { prefix: \"@\" } }, overrides: { f: \"@\" } }]",
        "dns: { servers: [\"@\"], refresh: \"@\" }",
        "observability: { metrics: { address: \"@\" }, log: { level: \"@\" }, access_log: { output: \"@\" }, request_id: { accept: \"@\" } }",
        "admin: { address: \"@\", token: \"@\", hosts: [\"@\"] }",
        "workers: \"@\"\nreload: { watch: \"@\", drain: \"@\" }\nversion: \"@\"",
    ];
    let mut told = 0;
    for path in paths {
        for reference in ["${env:S}", "${file:s}", "${env:LINES}", "x${env:S}"] {
            let text = path.replace('@', reference);
            let problems = fixture.parse(&text).unwrap_err();
            assert!(!leaks(&problems), "{text}\n{problems}");
            told += problems.0.len();
        }
    }
    assert!(told > 300, "{told}");
}

#[test]
fn what_is_no_secret_is_shown() {
    let text = minimal(
        "filters: { keys: { builtin: auth, config: { issuer: me, n: 1, t: true, none: null, ref: \"a ${env:WORD}\", keys: { alice: \"${env:ALICE_KEY}\" } } } }\nadmin: { address: 127.0.0.1:1, token: \"${env:ADMIN_TOKEN}\" }\n",
    );
    let redacted = Fixture::of_the_cases().parse(&text).unwrap().redacted;
    assert_eq!(
        redacted["filters"]["keys"]["config"],
        json!({ "issuer": "me", "n": 1, "t": true, "none": null, "ref": "a ${env:WORD}", "keys": { "alice": "${env:ALICE_KEY}" } })
    );
    assert_eq!(
        redacted["admin"],
        json!({ "address": "127.0.0.1:1", "token": "${env:ADMIN_TOKEN}" })
    );
    assert_eq!(redacted["version"], json!(1));
}

#[test]
fn snippets_keep_their_columns() {
    let text = minimal("admin: { address: 127.0.0.1:1, token: hünter2+, hösts: 1 }\n");
    let problems = Fixture::default().parse(&text).unwrap_err();
    let snippet = problems.0.last().unwrap().snippet.clone().unwrap();
    let (line, caret) = snippet.split_once('\n').unwrap();
    assert!(line.ends_with("token: ********, hösts: 1 }"), "{snippet}");
    let place = |text: &str, c: char| text.chars().position(|found| found == c);
    assert_eq!(
        place(caret, '^'),
        place(line, 'ö').map(|at| at - 1),
        "{snippet}"
    );
}
