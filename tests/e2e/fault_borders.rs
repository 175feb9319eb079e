//! How far a fault reaches: to its exchange, to those in the same VM, and to nobody else.

use futures::future::join_all;
use http::Request;
use portcullis_tests::deadline::until;
use portcullis_tests::origin::full;
use portcullis_tests::{Config, Filter, Origin};
use serde_json::json;

/// Exchanges on other routes, on the same workers, see none of it.
#[tokio::test]
async fn others_do_not_notice() {
    let trapping = Filter::rust(json!({ "request_headers": [{ "when": ["fault", ["trap"]] }] }));
    let looping = Filter::rust(json!({ "request_headers": [{ "when": ["fault", ["loop"]] }] }))
        .limit("cpu_per_call", "20ms");
    let innocent = Filter::rust(json!({ "request_headers": [{ "set": ["x-a", "1"] }] }));
    let origin = Origin::echo().await;
    let proxy = Config::new()
        .origin(origin.address())
        .filter("trapping", trapping)
        .filter("looping", looping)
        .filter("innocent", innocent)
        .route(
            "trap",
            json!({ "path": { "prefix": "/trap" } }),
            &["trapping"],
        )
        .route(
            "loop",
            json!({ "path": { "prefix": "/loop" } }),
            &["looping"],
        )
        .route("innocent", json!({}), &["innocent"])
        .start()
        .await;
    let attack = async {
        for number in 0..40 {
            let path = if number % 2 == 0 { "/trap" } else { "/loop" };
            let request = Request::get(path)
                .header("x-do", "fault")
                .body(full(""))
                .expect("request");
            assert_eq!(proxy.client().await.send(request).await.status, 503);
        }
    };
    let others = join_all((0..4).map(|_| async {
        let mut client = proxy.client().await;
        for _ in 0..100 {
            assert_eq!(client.get("/innocent").await.status, 200);
        }
    }));
    tokio::join!(attack, others);
    let innocent = proxy
        .metrics()
        .await
        .sum("portcullis_filter_faults_total", &[("filter", "innocent")]);
    assert!(innocent.abs() < f64::EPSILON);
}

/// Those that hold a stream context in the VM that dies share its fate, by policy.
#[tokio::test]
async fn exchanges_in_the_same_vm_share_its_fate() {
    for (skip, status) in [(false, 503), (true, 200)] {
        let filter = Filter::rust(json!({ "request_headers": [
            { "when": ["wait", [{ "share_set": ["waits", "yes"] }, "pause"]] },
            { "when": ["fault", ["trap"]] },
            { "share_get": ["waits", "x-waits"] },
        ] }));
        let filter = filter.limit("pause", "60s");
        let filter = if skip { filter.skip() } else { filter };
        let origin = Origin::echo().await;
        let config = Config::new().origin(origin.address());
        let proxy = config
            .filter("guest", filter)
            .set("/workers", json!(1))
            .start()
            .await;
        let asking = |what: &str| {
            let request = Request::get("/").header("x-do", what);
            request.body(full("")).expect("request")
        };
        let mut paused = proxy.client().await;
        let request = asking("wait");
        let waiting = tokio::spawn(async move { paused.send(request).await.status });
        until("the paused exchange", async || {
            proxy.get("/").await;
            (origin.next().await.header("x-waits") == Some("yes")).then_some(())
        })
        .await;
        assert!(!waiting.is_finished());
        assert_eq!(
            proxy.client().await.send(asking("fault")).await.status,
            status
        );
        assert_eq!(
            waiting.await.expect("the client"),
            status,
            "on_fault decides for both"
        );
        assert_eq!(proxy.get("/").await.status, 200);
    }
}

/// Five faults in ten seconds: the filter is kept back for a while, which is said, and then it works again.
#[tokio::test]
async fn repeated_faults_lead_to_a_back_off() {
    let filter = Filter::rust(json!({ "request_headers": [{ "when": ["fault", ["trap"]] }] }));
    let origin = Origin::echo().await;
    let proxy = Config::new()
        .origin(origin.address())
        .filter("guest", filter)
        .start()
        .await;
    // Each further fault makes the pause longer, so that it is seen however slow this machine is.
    until("the back-off", async || {
        let request = Request::get("/")
            .header("x-do", "fault")
            .body(full(""))
            .expect("request");
        assert_eq!(proxy.client().await.send(request).await.status, 503);
        let metrics = proxy.metrics().await;
        let backed_off = metrics.sum("portcullis_filter_backed_off", &[("filter", "guest")]);
        (backed_off >= 1.0).then_some(())
    })
    .await;
    assert!(proxy.log().contains("no new VM for"), "said in the log");
    until("the filter's recovery", async || {
        (proxy.get("/").await.status == 200).then_some(())
    })
    .await;
}

/// A header that would split the message fails its exchange by policy, and the VM lives on.
#[tokio::test]
async fn an_invalid_header_fails_the_exchange_alone() {
    for (skip, status) in [(false, 503), (true, 200)] {
        let filter = Filter::rust(json!({
            "request_headers": [{ "when": ["request", ["bad_header"]] }, { "when": ["count", [{ "share_increment": "x" }]] }],
            "response_headers": [{ "when": ["response", ["bad_header"]] }],
        }));
        let filter = if skip { filter.skip() } else { filter };
        let origin = Origin::echo().await;
        let proxy = Config::new()
            .origin(origin.address())
            .filter("guest", filter)
            .start()
            .await;
        for phase in ["request", "response"] {
            let request = Request::get("/")
                .header("x-do", phase)
                .body(full(""))
                .expect("request");
            let answer = proxy.client().await.send(request).await;
            assert_eq!(answer.status, status, "{phase}");
            assert!(answer.header("x-injected").is_none());
        }
        assert!(
            origin
                .requests()
                .iter()
                .all(|request| request.header("x-injected").is_none())
        );
        assert_eq!(proxy.get("/").await.status, 200);
        let metrics = proxy.metrics().await;
        for kind in ["trap", "cpu", "memory", "stack"] {
            let labels = [("filter", "guest"), ("kind", kind)];
            assert!(
                metrics.sum("portcullis_filter_faults_total", &labels).abs() < f64::EPSILON,
                "no VM was discarded"
            );
        }
    }
}

/// A reply out of its time: in log and on a tick there is nobody to reply to.
#[tokio::test]
async fn a_reply_where_there_is_nobody_is_ignored() {
    let reply = json!({ "reply": { "status": 418 } });
    let filter = Filter::rust(
        json!({ "tick_ms": 20, "on": { "log": [reply], "done": [reply], "tick": [reply], "configure": [reply] } }),
    );
    let origin = Origin::echo().await;
    let proxy = Config::new()
        .origin(origin.address())
        .filter("guest", filter)
        .start()
        .await;
    let mut client = proxy.client().await;
    for _ in 0..5 {
        assert_eq!(client.get("/").await.status, 200);
    }
}
