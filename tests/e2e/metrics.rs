//! The metrics page.

use std::io::Write;
use std::process::{Command, Stdio};

use http::Request;
use portcullis_tests::origin::full;
use portcullis_tests::{Config, Filter, Origin, Proxy, RawOrigin};
use serde_json::json;

async fn busy() -> (Origin, Proxy) {
    let counting = Filter::rust(json!({
        "request_headers": [
            { "when": ["trap", ["trap"]] },
            { "counter": ["requests_kind=good", 1] }, { "gauge": ["queue_depth", 3] }, { "histogram": ["payload", 100] },
        ],
        "response_headers": [{ "set": ["x-a", "1"] }],
    }));
    let origin = Origin::echo().await;
    let proxy = Config::new()
        .origin(origin.address())
        .filter("counting", counting)
        .route("api", json!({ "path": { "prefix": "/api" } }), &["counting"])
        .route_value(json!({ "name": "static", "match": { "path": { "prefix": "/static" } }, "respond": { "status": 204 } }))
        .start()
        .await;
    let mut client = proxy.client().await;
    for _ in 0..7 {
        assert_eq!(client.post("/api", "body").await.status, 200);
    }
    for _ in 0..3 {
        assert_eq!(client.get("/static").await.status, 204);
    }
    assert_eq!(client.get("/nothing").await.status, 404);
    let trap = Request::get("/api")
        .header("x-do", "trap")
        .body(full(""))
        .expect("request");
    assert_eq!(proxy.client().await.send(trap).await.status, 503);
    (origin, proxy)
}

fn assert_about(found: f64, expected: f64, what: &str) {
    assert!(
        (found - expected).abs() < f64::EPSILON,
        "{what} is {found}, not {expected}"
    );
}

#[tokio::test]
async fn requests_filters_and_the_process_are_counted() {
    let (_origin, proxy) = busy().await;
    let counted = |metrics: &portcullis_tests::metrics::Metrics| {
        metrics.sum("portcullis_requests_total", &[]) >= 12.0
    };
    let metrics = proxy.until_metrics("twelve requests", counted).await;
    for (route, code, count) in [
        ("api", "200", 7.0),
        ("api", "503", 1.0),
        ("static", "204", 3.0),
    ] {
        assert_about(
            metrics.sum(
                "portcullis_requests_total",
                &[("route", route), ("code", code)],
            ),
            count,
            route,
        );
    }
    assert_about(
        metrics.sum("portcullis_requests_total", &[("code", "404")]),
        1.0,
        "404",
    );
    assert_about(
        metrics.sum(
            "portcullis_request_duration_seconds_count",
            &[("route", "static")],
        ),
        3.0,
        "static",
    );
    let phases = [
        ("request_headers", 8.0),
        ("request_body", 7.0),
        ("response_headers", 7.0),
    ];
    for (phase, least) in phases {
        let labels = [("filter", "counting"), ("phase", phase)];
        let count = metrics.sum("portcullis_filter_duration_seconds_count", &labels);
        assert!(count >= least, "{phase}: {count}\n{}", metrics.text);
    }
    assert!(
        metrics
            .text
            .contains("portcullis_filter_duration_seconds_bucket"),
        "buckets"
    );
    assert!(
        metrics.text.contains("le=\"0.000001\""),
        "from a microsecond:\n{}",
        metrics.text
    );
    assert_about(
        metrics.sum(
            "portcullis_filter_faults_total",
            &[("filter", "counting"), ("kind", "trap")],
        ),
        1.0,
        "faults",
    );
    assert_about(metrics.sum("portcullis_generation", &[]), 1.0, "generation");
    assert!(metrics.sum("portcullis_vms", &[("filter", "counting")]) >= 1.0);
    assert_about(
        metrics.sum("portcullis_guest_requests_total", &[("kind", "good")]),
        7.0,
        "a guest's counter",
    );
    assert_about(
        metrics.sum("portcullis_guest_queue_depth", &[]),
        3.0,
        "a guest's gauge",
    );
    assert!(!metrics.text.contains("plugin=\""), "the label is filter");
}

/// Prometheus' own linter finds nothing.
#[tokio::test]
async fn promtool_is_content() {
    let (_origin, proxy) = busy().await;
    let over_tcp = tcp().await;
    for text in [proxy.metrics().await.text, over_tcp.metrics().await.text] {
        promtool(&text);
    }
}

/// A proxy that has relayed a TCP connection to its end.
async fn tcp() -> Proxy {
    let origin = RawOrigin::echo().await;
    let proxy = Config::new().origin(origin.address()).tcp().start().await;
    let mut client = proxy.raw().await;
    client.send("x").await;
    client.finish().await;
    assert_eq!(client.rest().await, b"x");
    proxy
        .until_metrics("its end", |metrics| {
            metrics.has("portcullis_tcp_connections_total", &[("end", "closed")])
        })
        .await;
    proxy
}

fn promtool(text: &str) {
    let child = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let Ok(mut child) = child else {
        println!("skipped: there is no promtool here (Debian package prometheus)");
        return;
    };
    child
        .stdin
        .take()
        .expect("input")
        .write_all(text.as_bytes())
        .expect("promtool reads");
    let output = child.wait_with_output().expect("promtool");
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    assert!(
        output.status.success() && said.trim().is_empty(),
        "{said}\n{text}"
    );
}

/// Requests cannot make new time series.
#[tokio::test]
async fn no_label_comes_from_a_client() {
    let (_origin, proxy) = busy().await;
    let series = |text: &str| text.lines().filter(|line| !line.starts_with('#')).count();
    let mut client = proxy.client().await;
    client.get("/nothing").await;
    let before = series(&proxy.metrics().await.text);
    for number in 0..30 {
        let request = Request::builder()
            .method(format!("METHOD{number}").as_str())
            .uri(format!("/path/{number}"))
            .header("host", format!("host-{number}.test"));
        client.send(request.body(full("")).expect("request")).await;
    }
    let after = series(&proxy.metrics().await.text);
    assert!(after <= before + 2, "{before} series became {after}");
}

#[tokio::test]
async fn only_the_page_is_served() {
    let (_origin, proxy) = busy().await;
    let address = proxy.metrics_address();
    let mut client = portcullis_tests::Client::h1(address).await;
    let answer = client.get("/metrics").await;
    assert!(
        answer
            .header("content-type")
            .is_some_and(|kind| kind.starts_with("text/plain")),
        "{:?}",
        answer.headers
    );
    assert_eq!(client.get("/other").await.status, 404);
}
