//! Modules by the public SDKs call foreign functions.

use portcullis_tests::{Config, Filter, Origin, Proxy};
use serde_json::{Value, json};

use crate::{Guest, script, with_both_sdks};

with_both_sdks!(functions_behind_grants);

/// `hello` as a zlib stream.
const HELLO: &str = "789ccb48cdc9c907 00062c0215";

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A message of Protocol Buffers with short fields of bytes.
fn message(fields: &[(u8, &str)]) -> String {
    let field = |(number, text): &(u8, &str)| {
        let length = u8::try_from(text.len()).expect("a short field");
        assert!(length < 0x80, "one byte of length");
        hex(&[&[number << 3 | 2, length], text.as_bytes()].concat())
    };
    fields.iter().map(field).collect()
}

async fn start(origin: &Origin, filter: Filter, functions: &[&str]) -> Proxy {
    Config::new()
        .origin(origin.address())
        .filter(
            "guest",
            filter.set("grants", json!({ "foreign": functions })),
        )
        .start()
        .await
}

async fn functions_behind_grants(guest: Guest) {
    let hello = HELLO.replace(' ', "");
    let filter = script!(guest, {
        "request_headers": [
            { "foreign": ["uncompress", hello, "x-hello"] },
            { "foreign": ["compress", "", "x-refused"] },
            { "foreign": ["no_such_function", "", "x-unknown"] },
        ],
    });
    let origin = Origin::echo().await;
    let proxy = start(&origin, filter, &["uncompress"]).await;
    assert_eq!(proxy.get("/").await.status, 200);
    let seen = origin.next().await;
    assert_eq!(seen.header("x-hello"), Some("=68656c6c6f"));
    for name in ["x-refused", "x-unknown"] {
        let status = seen.header(name).expect("a status").to_lowercase();
        assert!(
            status.replace(' ', "").contains("notfound"),
            "{name}: {status}"
        );
    }
    proxy
        .until_log("add to the filter: grants: { foreign: [compress] }")
        .await;
}

#[tokio::test]
async fn expressions_see_the_exchange() {
    let expression = |text: &str, to: &str| json!({ "expression": [text, to] });
    let filter = Filter::rust(json!({
        "request_headers": [
            expression("request.method == 'GET' && request.headers['x-do'] == 'this'", "x-flag"),
            expression("request.path + ' ' + string(size(request.headers['x-do']))", "x-text"),
            expression("response.code", "x-early"),
            expression("request.", "x-bad"),
        ],
        "response_headers": [expression("response.code == 200", "x-code")],
    }));
    let origin = Origin::echo().await;
    let names = ["expr_create", "expr_evaluate", "expr_delete"];
    let proxy = start(&origin, filter, &names).await;
    let request = http::Request::get("/a?b").header("x-do", "this");
    let request = request
        .body(portcullis_tests::origin::full(""))
        .expect("request");
    let answer = proxy.client().await.send(request).await;
    let seen = origin.next().await;
    assert_eq!(seen.header("x-flag"), Some("=01"));
    assert_eq!(
        seen.header("x-text"),
        Some(format!("={}", hex(b"/a?b 4")).as_str())
    );
    assert_eq!(seen.header("x-early"), Some("InternalFailure"));
    assert_eq!(seen.header("x-bad"), Some("BadArgument"));
    assert_eq!(answer.header("x-code"), Some("=01"));
}

/// Declared for the connection and read-only: the first value stays, for this connection alone.
#[tokio::test]
async fn a_declared_property_lives_as_long_as_the_connection() {
    // Read-only (2) is 1, the span (5) is that of the connection.
    let declare = message(&[(1, "user")]) + "1001" + "2802";
    let filter = Filter::rust(json!({ "on": {
        "configure": [{ "foreign": ["declare_property", declare, "x-none"] }],
        "request_headers": [
            { "property": ["user", "x-before"] },
            { "when": ["first", [{ "set_property": ["user", "first"] }]] },
            { "when": ["second", [{ "set_property": ["user", "second"] }]] },
            { "property": ["user", "x-after"] },
        ],
    }}));
    let origin = Origin::echo().await;
    let proxy = start(&origin, filter, &["declare_property"]).await;
    let ask = |asked: &str| {
        let request = http::Request::get("/").header("x-do", asked);
        request
            .body(portcullis_tests::origin::full(""))
            .expect("request")
    };
    for mut client in [proxy.client().await, proxy.h2().await] {
        for (asked, before, after) in [
            ("first", "-", "first"),
            ("second", "first", "first"),
            ("none", "first", "first"),
        ] {
            assert_eq!(client.send(ask(asked)).await.status, 200);
            let seen = origin.next().await;
            assert_eq!(seen.header("x-before"), Some(before), "{asked}");
            assert_eq!(seen.header("x-after"), Some(after), "{asked}");
        }
    }
}

#[tokio::test]
async fn a_password_is_verified_off_the_worker() {
    let ask = |what: &str, password: &str| {
        let hash = "$2a$06$m0CrhHm10qJ3lXRY.5zDGO3rS2KdeeWLuGmsfGlMfOxih58VYVfxe";
        let argument = message(&[(1, password), (2, hash)]);
        let verify: Value =
            json!({ "foreign": ["portcullis.password_verify", argument, "x-token"] });
        json!({ "when": [what, [verify, "pause"]] })
    };
    let filter = Filter::rust(json!({
        "request_headers": [ask("right", "a"), ask("wrong", "b")],
        "foreign_function": [{ "foreign_result": "x-result" }, { "resume": "request" }],
    }));
    let origin = Origin::echo().await;
    let proxy = start(&origin, filter, &["portcullis.password_verify"]).await;
    let mut client = proxy.client().await;
    for (asked, result) in [("right", "=0801"), ("wrong", "=")] {
        let request = http::Request::get("/").header("x-do", asked);
        let request = request
            .body(portcullis_tests::origin::full(""))
            .expect("request");
        assert_eq!(client.send(request).await.status, 200);
        let seen = origin.next().await;
        assert_eq!(seen.header("x-result"), Some(result), "{asked}");
        assert_eq!(seen.header("x-token").map(str::len), Some(9), "four bytes");
    }
}

/// Whole lines, in the order of the exchanges, and none for a filter without the grant.
#[tokio::test]
async fn lines_for_the_record() {
    let long = "x".repeat(100_000);
    let report =
        |text: &str| json!({ "foreign": ["portcullis.audit", hex(text.as_bytes()), "x-said"] });
    let filter = Filter::rust(json!({ "on": {
        "request_headers": [
            { "when": ["one", [report(&format!("one\n{long}\r!"))]] },
            { "when": ["two", [report("two")]] },
        ],
    }}));
    let origin = Origin::echo().await;
    for (grants, expected) in [
        (
            &["portcullis.audit"][..],
            format!("one\n{long}\\x0d!\ntwo\n"),
        ),
        (&[], String::new()),
    ] {
        let proxy = Config::new()
            .origin(origin.address())
            .filter(
                "guest",
                filter.clone().set("grants", json!({ "foreign": grants })),
            )
            .set(
                "/observability/audit_log",
                json!({ "output": "./audit.log" }),
            )
            .start()
            .await;
        let mut client = proxy.client().await;
        for asked in ["one", "two"] {
            let request = http::Request::get("/").header("x-do", asked);
            let request = request
                .body(portcullis_tests::origin::full(""))
                .expect("request");
            assert_eq!(client.send(request).await.status, 200);
            let said = origin.next().await.header("x-said").map(str::to_owned);
            let answer = if grants.is_empty() { "NotFound" } else { "=" };
            assert_eq!(said.as_deref(), Some(answer));
        }
        let written = portcullis_tests::deadline::until("the audit log", async || {
            Some(proxy.file("audit.log")).filter(|log| log.len() >= expected.len())
        });
        assert_eq!(written.await, expected);
    }
}
