//! One line for each exchange.

use http::Request;
use portcullis_tests::deadline::until;
use portcullis_tests::origin::full;
use portcullis_tests::{Config, Filter, Origin};
use serde_json::{Value, json};

/// Whether some string or number of the line is this.
fn says(line: &Value, wanted: &Value) -> bool {
    match line {
        Value::Object(map) => map.values().any(|value| says(value, wanted)),
        Value::Array(list) => list.iter().any(|value| says(value, wanted)),
        value => value == wanted,
    }
}

#[tokio::test]
async fn an_exchange_is_one_line_of_json() {
    let filter = Filter::rust(
        json!({ "request_headers": [{ "when": ["deny", [{ "reply": { "status": 403 } }]] }] }),
    );
    let origin = Origin::echo().await;
    let proxy = Config::new()
        .origin(origin.address())
        .filter("guest", filter)
        .start()
        .await;
    for mut client in [proxy.client().await, proxy.h2().await] {
        for (path, what, status) in [("/good?a=b", "pass", 200), ("/denied", "deny", 403)] {
            let request = Request::post(path)
                .header("x-do", what)
                .header("user-agent", "tests/1")
                .body(full("12345"))
                .expect("request");
            assert_eq!(client.send(request).await.status, status);
            let line = proxy
                .access_line(path, |line| {
                    says(line, &json!(path)) && says(line, &json!(status))
                })
                .await;
            for wanted in [json!("POST"), json!("all"), json!("portcullis.test")] {
                assert!(says(&line, &wanted), "{wanted} in {line}");
            }
            assert!(
                line.to_string().contains("127.0.0.1"),
                "the client in {line}"
            );
        }
    }
    // Those of the second client look like those of the first, so that one may have been taken for the other.
    until("four lines", async || {
        (proxy.access_log().len() == 4).then_some(())
    })
    .await;
    let id = origin
        .next()
        .await
        .header("x-request-id")
        .expect("an id")
        .to_owned();
    assert!(
        proxy.access_log().iter().any(|line| says(line, &json!(id))),
        "the id that the origin was told"
    );
}

#[tokio::test]
async fn failures_have_lines_too() {
    let trapping = Filter::rust(json!({ "request_headers": ["trap"] }));
    let nobody = std::net::TcpListener::bind("127.0.0.1:0")
        .expect("a port")
        .local_addr()
        .expect("address");
    let proxy = Config::new()
        .origin(nobody)
        .filter("trapping", trapping)
        .route(
            "trap",
            json!({ "path": { "prefix": "/trap" } }),
            &["trapping"],
        )
        .route("dead", json!({ "path": { "prefix": "/dead" } }), &[])
        .start()
        .await;
    for (path, status) in [("/trap", 503), ("/dead", 502), ("/nothing", 404)] {
        assert_eq!(proxy.get(path).await.status, status);
        proxy
            .access_line(path, |line| {
                says(line, &json!(path)) && says(line, &json!(status))
            })
            .await;
    }
}

/// A refused request is an exchange: its line says why, and nothing in it breaks out of the line.
#[tokio::test]
async fn refused_requests_have_lines() {
    let origin = Origin::echo().await;
    let proxy = Config::new().origin(origin.address()).start().await;
    let mut wire = proxy.raw().await;
    wire.send("GET /\u{1b}[31m\"quoted HTTP/1.1\r\nhost: a\r\ncontent-length: 1\r\ntransfer-encoding: chunked\r\n\r\n").await;
    assert_eq!(wire.answer().await.status, 400);
    let line = proxy
        .access_line("the refused request", |line| says(line, &json!(400)))
        .await;
    assert!(line.to_string().contains("quoted"), "{line}");
    assert!(!line.to_string().contains('\u{1b}'));
}

#[tokio::test]
async fn off_and_stdout() {
    let origin = Origin::echo().await;
    let config = Config::new().origin(origin.address());
    let proxy = config
        .clone()
        .set("/observability/access_log/output", json!("off"))
        .start()
        .await;
    proxy.get("/").await;
    assert!(proxy.access_log().is_empty() && !proxy.stdout().contains("GET"));
    let proxy = config
        .set("/observability/access_log/output", json!("stdout"))
        .start()
        .await;
    proxy.get("/on-stdout").await;
    until("a line on stdout", async || {
        proxy
            .stdout()
            .lines()
            .find(|line| line.contains("/on-stdout"))
            .and_then(|line| serde_json::from_str::<Value>(line).ok())
    })
    .await;
}
