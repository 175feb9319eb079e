//! Clients that go away and configurations that change while a filter is at work.

use futures::future::join_all;
use http::{Request, Response};
use hyper::body::Frame;
use portcullis_tests::deadline::{until, within};
use portcullis_tests::origin::{full, parts};
use portcullis_tests::{Config, Filter, Origin};
use serde_json::json;
use tokio::sync::{mpsc, watch};

use crate::{Guest, script, with_both_sdks};

with_both_sdks!(a_client_goes_away_during_a_callout);

/// An origin whose answers wait until told.
async fn waiting_origin() -> (Origin, watch::Sender<bool>) {
    let (go, waiting) = watch::channel(false);
    let origin = Origin::handling(move |_| {
        let mut waiting = waiting.clone();
        async move {
            waiting.wait_for(|go| *go).await.expect("the test");
            Response::new(full("late"))
        }
    })
    .await;
    (origin, go)
}

/// Fifty clients leave; then fifty answers come for exchanges that are no more.
async fn a_client_goes_away_during_a_callout(guest: Guest) {
    const CLIENTS: usize = 50;
    let filter = script!(guest, {
        "request_headers": [{ "when": ["call", [{ "call": { "upstream": "callee" } }, "pause"]] }],
        "call_response": [{ "call_status": "x-status" }, { "resume": "request" }],
    });
    let (callee, go) = waiting_origin().await;
    let origin = Origin::echo().await;
    let mut proxy = Config::new()
        .origin(origin.address())
        .upstream("callee", callee.address())
        .filter("guest", filter.may_call(&["callee"]).limit("pause", "60s"))
        .set("/filters/guest/limits/callouts", json!(1000))
        .start()
        .await;
    let mut clients = Vec::new();
    for number in 0..CLIENTS {
        let mut client = if number % 2 == 0 {
            proxy.client().await
        } else {
            proxy.h2().await
        };
        clients.push(tokio::spawn(async move {
            let request = Request::get("/").header("x-do", "call");
            let request = request.body(full("")).expect("request");
            client.try_send(request).await.is_ok()
        }));
    }
    callee.wait_heads(CLIENTS).await;
    for client in &clients {
        client.abort();
    }
    join_all(clients).await;
    until("the ends of all exchanges", async || {
        (proxy.access_log().len() >= CLIENTS).then_some(())
    })
    .await;
    go.send(true).expect("the callee");
    for _ in 0..10 {
        let request = Request::get("/").header("x-do", "call");
        let request = request.body(full("")).expect("request");
        assert_eq!(proxy.client().await.send(request).await.status, 200);
    }
    assert_eq!(origin.heads(), 10, "nothing of those that left went on");
    let faults = proxy
        .metrics()
        .await
        .sum("portcullis_filter_faults_total", &[]);
    assert!(faults.abs() < f64::EPSILON, "{faults} faults");
    assert!(proxy.is_running());
}

/// The configuration changes while a callout is under way: its answer finds the plugin that asked.
#[tokio::test]
async fn a_reload_during_a_callout() {
    let calling = |note: &str| {
        let script = json!({ "note": note, "on": {
            "request_headers": [{ "call": { "upstream": "callee" } }, "pause"],
            "call_response": [{ "call_body": "x-answer" }, { "resume": "request" }],
        } });
        Filter::rust(script)
            .may_call(&["callee"])
            .limit("pause", "60s")
    };
    let (callee, go) = waiting_origin().await;
    let origin = Origin::echo().await;
    let config = |note: &str| {
        Config::new()
            .origin(origin.address())
            .upstream("callee", callee.address())
            .filter("calling", calling(note))
    };
    let proxy = config("old").start().await;
    let mut client = proxy.client().await;
    let waiting = tokio::spawn(async move { client.post("/", "a body").await });
    callee.wait_heads(1).await;
    assert_eq!(proxy.reload(&config("new")).await.0, 200);
    assert!(!waiting.is_finished());
    go.send(true).expect("the callee");
    let answer = within("the old exchange", waiting)
        .await
        .expect("the client");
    assert_eq!((answer.status, answer.text().as_str()), (200, "a body"));
    assert_eq!(origin.next().await.header("x-answer"), Some("late"));
    assert_eq!(proxy.get("/").await.status, 200);
}

/// The client leaves while its upload is held, streamed, or its answer is held: the origin is let go of.
#[tokio::test]
async fn a_client_goes_away_half_way() {
    let holding =
        Filter::rust(json!({ "request_body": ["buffer"], "response_body": ["buffer"] })).hold();
    let streaming = Filter::rust(json!({ "request_headers": [{ "set": ["x-a", "1"] }] }));
    let (gone, mut left) = mpsc::channel(8);
    let origin = Origin::handling(move |_| {
        let gone = gone.clone();
        async move {
            let (sender, body) = parts();
            tokio::spawn(async move {
                // Ends when the proxy no longer reads.
                while sender
                    .send(Ok(Frame::data(vec![0; 1000].into())))
                    .await
                    .is_ok()
                {
                    tokio::task::yield_now().await;
                }
                let _ = gone.send(()).await;
            });
            Response::new(body)
        }
    })
    .await;
    let config = Config::new()
        .origin(origin.address())
        .set("/reload/drain", json!("5s"));
    let streams = config.clone().filter("streaming", streaming).start().await;
    for proxy in [&streams] {
        for h2 in [false, true] {
            let mut client = if h2 {
                proxy.h2().await
            } else {
                proxy.client().await
            };
            let request = Request::get("/").body(full("")).expect("request");
            let response = client.open(request).await.expect("a response");
            drop((response, client));
            within("the origin's release", left.recv())
                .await
                .expect("the origin");
        }
    }
    let holds = config
        .filter("holding", holding.limit("body_held", "1GiB"))
        .start()
        .await;
    let mut client = holds.client().await;
    let heads = origin.heads();
    let request = Request::get("/").body(full("")).expect("request");
    let waiting = tokio::spawn(async move { client.open(request).await.is_ok() });
    origin.wait_heads(heads + 1).await;
    waiting.abort();
    within("the origin's release", left.recv())
        .await
        .expect("the origin");

    let mut wire = holds.raw().await;
    wire.send("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 100\r\n\r\nhalf")
        .await;
    drop(wire);
    holds
        .access_line("the broken upload", |line| line["method"] == "POST")
        .await;
    assert_eq!(
        origin.heads(),
        heads + 1,
        "half an upload never reached the origin"
    );
}
