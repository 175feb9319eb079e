//! Modules by the public SDKs answer themselves, call out, and go on later.

use http::{Request, Response};
use portcullis_tests::origin::full;
use portcullis_tests::{Config, Filter, Origin};
use serde_json::{Value, json};

use crate::{Guest, script, with_both_sdks};

with_both_sdks!(
    replies_without_a_callout,
    replies_after_a_callout,
    one_callout_then_on,
    parallel_callouts,
    callouts_in_the_response,
    callouts_refused,
    failing_callouts,
    resumed_on_a_tick,
);

fn reply(status: u16, body: &str) -> Value {
    json!({ "reply": { "status": status, "headers": [["x-reply", "guest"]], "body": body } })
}

/// An origin that answers every callout by its path: `/STATUS`.
async fn callee() -> Origin {
    Origin::answering(|request| {
        let status: u16 = request
            .target
            .trim_start_matches('/')
            .parse()
            .unwrap_or(200);
        let body = format!(
            "{} {}",
            request.header("x-asked").unwrap_or("-"),
            request.length
        );
        Response::builder()
            .status(status)
            .header("x-callee", "1")
            .body(full(body))
            .expect("response")
    })
    .await
}

async fn start(origin: &Origin, callee: &Origin, filter: Filter) -> portcullis_tests::Proxy {
    Config::new()
        .origin(origin.address())
        .upstream("callee", callee.address())
        .filter("guest", filter.may_call(&["callee"]))
        .start()
        .await
}

fn asking(what: &str) -> Request<portcullis_tests::origin::Body> {
    Request::post("/")
        .header("x-do", what)
        .body(full("a body"))
        .expect("request")
}

async fn replies_without_a_callout(guest: Guest) {
    let filter = script!(guest, {
        "request_headers": [{ "when": ["request_headers", [reply(401, "in request headers")]] }],
        "request_body": [{ "when": ["request_body", [reply(402, "in request body")]] }],
        "response_headers": [{ "when": ["response_headers", [reply(403, "in response headers")]] }],
        "response_body": [{ "when": ["response_body", ["buffer", reply(405, "in response body")]] }],
    })
    .hold();
    let origin = Origin::echo().await;
    let proxy = Config::new()
        .origin(origin.address())
        .filter("guest", filter)
        .start()
        .await;
    for h2 in [false, true] {
        let mut client = if h2 {
            proxy.h2().await
        } else {
            proxy.client().await
        };
        for (phase, status) in [("request_headers", 401), ("request_body", 402)] {
            let heads = origin.heads();
            let answer = client.send(asking(phase)).await;
            assert_eq!(answer.status, status, "{phase}");
            assert_eq!(answer.text(), format!("in {}", phase.replace('_', " ")));
            assert_eq!(answer.header("x-reply"), Some("guest"));
            assert_eq!(origin.heads(), heads, "the origin saw nothing");
            if !h2 {
                client = proxy.client().await;
            }
        }
        for (phase, status) in [("response_headers", 403), ("response_body", 405)] {
            let answer = client.send(asking(phase)).await;
            assert_eq!(answer.status, status, "{phase}");
            assert_eq!(answer.text(), format!("in {}", phase.replace('_', " ")));
            origin.next().await;
            if !h2 {
                client = proxy.client().await;
            }
        }
        assert_eq!(client.send(asking("nothing")).await.text(), "a body");
        origin.next().await;
    }
}

async fn replies_after_a_callout(guest: Guest) {
    let call = json!({ "call": { "upstream": "callee", "path": "/418", "method": "POST", "headers": [["x-asked", "yes"]], "body": "12345" } });
    let filter = script!(guest, {
        "request_headers": [call, "pause"],
        "call_response": [{ "call_status": "x-status" }, reply(403, "no")],
    });
    let (origin, callee) = (Origin::echo().await, callee().await);
    let proxy = start(&origin, &callee, filter).await;
    let answer = proxy.get("/").await;
    assert_eq!((answer.status, answer.text().as_str()), (403, "no"));
    assert_eq!(origin.connections(), 0);
    let called = callee.next().await;
    assert_eq!(
        (called.method.as_str(), called.target.as_str()),
        ("POST", "/418")
    );
    assert_eq!(called.header("host"), Some("callout.test"));
    assert_eq!(called.header("x-asked"), Some("yes"));
    assert_eq!(called.body, "12345");
}

async fn one_callout_then_on(guest: Guest) {
    let filter = script!(guest, {
        "request_headers": [{ "call": { "upstream": "callee", "path": "/299", "headers": [["x-asked", "yes"]] } }, "pause"],
        "call_response": [{ "call_status": "x-status" }, { "call_body": "x-answer" }, { "resume": "request" }],
    });
    let (origin, callee) = (Origin::echo().await, callee().await);
    let proxy = start(&origin, &callee, filter).await;
    for mut client in [proxy.client().await, proxy.h2().await] {
        let answer = client.post("/", "a body").await;
        assert_eq!(
            (answer.status, answer.text().as_str()),
            (200, "a body"),
            "the body came through the pause"
        );
        let seen = origin.next().await;
        assert_eq!(seen.header("x-status"), Some("299"));
        assert_eq!(seen.header("x-answer"), Some("yes 0"));
    }
}

async fn parallel_callouts(guest: Guest) {
    let call = |path: &str| json!({ "call": { "upstream": "callee", "path": path } });
    let filter = script!(guest, {
        "request_headers": [call("/201"), call("/202"), call("/203"), "pause"],
        "call_response": [{ "copy": ["x-statuses", "x-before"] }, { "call_status": "x-last" }, { "list": ["x-last", "x-copy"] }, { "add": ["x-answers", "1"] }],
        "calls_done": [{ "when": ["deny", [reply(403, "three said no")]] }, { "resume": "request" }],
    });
    let (origin, callee) = (Origin::echo().await, callee().await);
    let proxy = start(&origin, &callee, filter).await;
    let mut client = proxy.client().await;
    assert_eq!(client.send(asking("pass")).await.status, 200);
    let seen = origin.next().await;
    assert_eq!(
        seen.values("x-answers"),
        ["1", "1", "1"],
        "each callout was answered once"
    );
    let mut called = [
        callee.next().await.target,
        callee.next().await.target,
        callee.next().await.target,
    ];
    called.sort();
    assert_eq!(called, ["/201", "/202", "/203"]);
    let answer = client.send(asking("deny")).await;
    assert_eq!(
        (answer.status, answer.text().as_str()),
        (403, "three said no")
    );
    assert_eq!(origin.heads(), 1);
}

async fn callouts_in_the_response(guest: Guest) {
    let filter = script!(guest, {
        "response_headers": [{ "call": { "upstream": "callee", "path": "/204" } }, "pause"],
        "call_response": [{ "call_status": "x-status" }, { "when": ["replace", [reply(451, "withheld")]] }, { "resume": "response" }],
    });
    let (origin, callee) = (Origin::echo().await, callee().await);
    let proxy = start(&origin, &callee, filter).await;
    for mut client in [proxy.client().await, proxy.h2().await] {
        let answer = client.send(asking("pass")).await;
        assert_eq!((answer.status, answer.text().as_str()), (200, "a body"));
        assert_eq!(answer.header("x-status"), Some("204"));
        let answer = client.send(asking("replace")).await;
        assert_eq!((answer.status, answer.text().as_str()), (451, "withheld"));
    }
}

/// No grant, no such upstream: the guest is told, and lives.
async fn callouts_refused(guest: Guest) {
    let call =
        |upstream: &str, to: &str| json!({ "call": { "upstream": upstream, "refused": to } });
    let filter = script!(guest, { "request_headers": [call("callee", "x-known"), call("origin", "x-ungranted"), call("nowhere", "x-unknown"), "pause"],
        "call_response": [{ "resume": "request" }] });
    let (origin, callee) = (Origin::echo().await, callee().await);
    let proxy = start(&origin, &callee, filter).await;
    assert_eq!(proxy.get("/").await.status, 200);
    let seen = origin.next().await;
    assert_eq!(seen.header("x-known"), None);
    for name in ["x-ungranted", "x-unknown"] {
        let status = seen
            .header(name)
            .expect("a refusal")
            .to_lowercase()
            .replace(' ', "");
        assert!(status.contains("badargument"), "{name}: {status}");
    }
    assert_eq!(
        origin.heads(),
        1,
        "no callout went to an upstream without a grant"
    );
}

/// A callee that cannot be reached, and one that does not answer in time.
async fn failing_callouts(guest: Guest) {
    let filter = script!(guest, {
        "request_headers": [
            { "when": ["refused", [{ "call": { "upstream": "nobody" } }, "pause"]] },
            { "when": ["silent", [{ "call": { "upstream": "silent", "timeout_ms": 100 } }, "pause"]] },
        ],
        "call_response": [{ "call_status": "x-status" }, { "resume": "request" }],
    });
    let origin = Origin::echo().await;
    let silent = Origin::handling(|_| std::future::pending()).await;
    let nobody = std::net::TcpListener::bind("127.0.0.1:0")
        .expect("a port")
        .local_addr()
        .expect("address");
    let proxy = Config::new()
        .origin(origin.address())
        .upstream("nobody", nobody)
        .upstream("silent", silent.address())
        .filter("guest", filter.may_call(&["nobody", "silent"]))
        .start()
        .await;
    let mut client = proxy.client().await;
    assert_eq!(client.send(asking("refused")).await.status, 200);
    let status = origin
        .next()
        .await
        .header("x-status")
        .expect("told")
        .to_owned();
    assert!(["none", "503"].contains(&status.as_str()), "{status}");
    assert_eq!(client.send(asking("silent")).await.status, 200);
    let status = origin
        .next()
        .await
        .header("x-status")
        .expect("told")
        .to_owned();
    assert!(["none", "504"].contains(&status.as_str()), "{status}");
}

async fn resumed_on_a_tick(guest: Guest) {
    let filter = script!(guest, {
        "tick_ms": 20,
        "on": {
            "request_headers": ["resume_on_tick"],
            "response_headers": ["resume_on_tick"],
            "woken": [{ "set": ["x-woken", "by a tick"] }],
        },
    });
    let origin = Origin::echo().await;
    let proxy = Config::new()
        .origin(origin.address())
        .filter("guest", filter)
        .start()
        .await;
    for mut client in [proxy.client().await, proxy.h2().await] {
        for _ in 0..3 {
            let answer = client.post("/", "a body").await;
            assert_eq!((answer.status, answer.text().as_str()), (200, "a body"));
            assert_eq!(origin.next().await.header("x-woken"), Some("by a tick"));
            assert_eq!(answer.header("x-woken"), Some("by a tick"));
        }
    }
}
