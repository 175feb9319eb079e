//! The built-in filter `waf`, end to end.

use http::{Request, Response};
use hyper::body::Frame;
use portcullis_tests::deadline::{until, within};
use portcullis_tests::origin::{Body, full, parts};
use portcullis_tests::{Config, Filter, Origin, Proxy};
use serde_json::{Value, json};

/// Rules of our own, so that a verdict is never in doubt.
const RULES: &str = r#"
SecRule ARGS:x "@streq head" "id:1,phase:1,deny,log,msg:'in the head',tag:'attack-test'"
SecRule ARGS "@streq evil" "id:2,phase:2,deny,log,msg:'anywhere'"
SecRule RESPONSE_BODY "@contains secret" "id:3,phase:4,deny,status:502,log,msg:'leaks'"
SecRule REQUEST_URI "@contains late" "id:4,phase:5,pass,log,msg:'after all'"
"#;

fn waf(more: &Value) -> Filter {
    let mut config = json!({ "ruleset": "none", "directives": RULES });
    for (key, value) in more.as_object().expect("a mapping") {
        config[key] = value.clone();
    }
    Filter::builtin("waf", config)
}

fn config(origin: &Origin, more: &Value) -> Config {
    Config::new()
        .origin(origin.address())
        .filter("waf", waf(more))
        .set(
            "/observability/audit_log",
            json!({ "output": "./audit.log" }),
        )
}

fn form(body: &str) -> Request<Body> {
    Request::post("/")
        .header("content-type", "application/x-www-form-urlencoded")
        .body(full(body.to_owned()))
        .expect("request")
}

/// Lines of the audit log with this text in them, once there is one.
async fn audit(proxy: &Proxy, text: &str) -> Vec<String> {
    until(text, async || {
        let log = proxy.file("audit.log");
        let lines: Vec<String> = log
            .lines()
            .filter(|line| line.contains(text))
            .map(str::to_owned)
            .collect();
        Some(lines).filter(|lines| !lines.is_empty())
    })
    .await
}

#[tokio::test]
async fn requests_are_refused_before_the_origin_hears_of_them() {
    let origin = Origin::echo().await;
    let proxy = config(&origin, &json!({})).start().await;
    for mut client in [proxy.client().await, proxy.h2().await] {
        let answer = client.get("/?x=head").await;
        assert_eq!(answer.status, 403);
        assert!(answer.text().contains("refused"), "{}", answer.text());
        assert_eq!(
            client.get("/?y=evil").await.status,
            403,
            "also without a body"
        );
        assert_eq!(client.send(form("a=b&c=evil")).await.status, 403);
        assert_eq!(client.send(form("a=b")).await.status, 200);
        assert_eq!(client.get("/?y=good").await.status, 200);
    }
    assert_eq!(origin.heads(), 4);
}

/// The origin hears nothing of a request until its body is complete and was found good.
#[tokio::test]
async fn a_request_waits_for_the_verdict_on_its_body() {
    let origin = Origin::echo().await;
    let proxy = config(&origin, &json!({})).start().await;
    let mut wire = proxy.raw().await;
    wire.send("POST / HTTP/1.1\r\nhost: h\r\ncontent-type: application/x-www-form-urlencoded\r\ncontent-length: 6\r\n\r\nc=ev")
        .await;
    // Another exchange, from beginning to end: the first has long been read by then.
    assert_eq!(proxy.get("/").await.status, 200);
    assert_eq!(origin.heads(), 1);
    wire.send("il").await;
    assert_eq!(wire.answer().await.status, 403);
    assert_eq!(origin.heads(), 1);
}

#[tokio::test]
async fn detection_lets_everything_by_and_writes_it_down() {
    let origin = Origin::echo().await;
    let detect = json!({ "mode": "detect", "audit": { "mode": "on" } });
    let proxy = config(&origin, &detect)
        .set("/observability/request_id", json!({ "accept": true }))
        .start()
        .await;
    let request = Request::get("/late?x=head&y=evil")
        .header("x-request-id", "an-id")
        .body(full(""))
        .expect("request");
    assert_eq!(proxy.client().await.send(request).await.status, 200);
    for id in ["1", "2", "4"] {
        let lines = audit(&proxy, &format!("[id \"{id}\"]")).await;
        assert_eq!(lines.len(), 1, "{lines:?}");
        assert!(lines[0].contains("[unique_id \"an-id\"]"), "{lines:?}");
    }
    let record = audit(&proxy, "\"transaction\"").await;
    let record: Value = serde_json::from_str(&record[0]).expect("JSON");
    assert_eq!(
        record["transaction"]["request"]["uri"],
        "/late?x=head&y=evil"
    );
    let metrics = proxy
        .until_metrics("the rules are counted", |metrics| {
            metrics.sum(
                "portcullis_guest_waf_exchanges_total",
                &[("verdict", "matched")],
            ) == 1.0
        })
        .await;
    let rule = [("rule", "2"), ("phase", "2")];
    assert_eq!(
        metrics.sum("portcullis_guest_waf_matches_total", &rule),
        1.0
    );
    assert_eq!(
        metrics.sum("portcullis_guest_waf_attacks_total", &[("kind", "test")]),
        1.0
    );
}

/// One engine, tuned by each route.
#[tokio::test]
async fn routes_tune_the_rules() {
    let origin = Origin::echo().await;
    let route = |name: &str, config: Value| {
        json!({
            "name": name,
            "match": { "path": { "prefix": format!("/{name}") } },
            "chain": ["waf"],
            "upstream": "origin",
            "overrides": { "waf": config },
        })
    };
    let proxy = config(&origin, &json!({}))
        .route("rest", json!({}), &["waf"])
        .route_value(route("off", json!({ "mode": "off" })))
        .route_value(route("detect", json!({ "mode": "detect" })))
        .route_value(route(
            "excluded",
            json!({ "exclude": [{ "rule": 2, "target": "ARGS:q" }] }),
        ))
        .route_value(route(
            "page",
            json!({ "block": { "status": 418, "page": "<p>no</p>" } }),
        ))
        .route_value(route(
            "away",
            json!({ "block": { "redirect": "https://example.org/" } }),
        ))
        .start()
        .await;
    let mut client = proxy.client().await;
    for (path, status) in [
        ("/?q=evil", 403),
        ("/off?q=evil", 200),
        ("/detect?q=evil", 200),
        ("/excluded?q=evil", 200),
        ("/excluded?p=evil", 403),
        ("/page?q=evil", 418),
        ("/away?q=evil", 302),
    ] {
        let answer = client.get(path).await;
        assert_eq!(answer.status, status, "{path}");
        match status {
            418 => assert_eq!(answer.text(), "<p>no</p>"),
            302 => assert_eq!(answer.header("location"), Some("https://example.org/")),
            _ => {}
        }
    }
}

#[tokio::test]
async fn responses_are_refused_by_their_bodies() {
    let origin = Origin::answering(|request| {
        let text = if request.target == "/leak" {
            "a secret"
        } else {
            "nothing"
        };
        Response::builder()
            .header("content-type", "text/plain")
            .header("x-from", "origin")
            .body(full(text))
            .expect("response")
    })
    .await;
    let proxy = config(&origin, &json!({})).start().await;
    let mut client = proxy.client().await;
    let refused = client.get("/leak").await;
    assert_eq!((refused.status, refused.header("x-from")), (502, None));
    assert!(!refused.text().contains("secret"));
    let passed = client.get("/").await;
    assert_eq!((passed.status, passed.text().as_str()), (200, "nothing"));
    assert_eq!(passed.header("x-from"), Some("origin"));
    audit(&proxy, "[id \"3\"]").await;
}

#[tokio::test]
async fn bodies_beyond_their_limit_are_refused_or_judged_by_their_beginning() {
    let origin = Origin::echo().await;
    let limits = |action: &str| json!({ "body_limits": { "request": 100, "response": 100, "action": action } });
    let long = format!("a=b&c={}", "x".repeat(100));
    let late = format!("{long}&d=evil");
    let early = format!("d=evil&{long}");
    let reject = config(&origin, &limits("reject")).start().await;
    assert_eq!(reject.client().await.send(form(&long)).await.status, 413);
    let partial = config(&origin, &limits("partial")).start().await;
    for (body, status) in [(&long, 200), (&late, 200), (&early, 403)] {
        let mut client = partial.client().await;
        assert_eq!(client.send(form(body)).await.status, status, "{body}");
    }
}

/// Events go to the client one by one, whatever the rules say of bodies, and the head before the first.
#[tokio::test]
async fn event_streams_are_not_held() {
    let (sending, mut waiting) = tokio::sync::mpsc::channel(1);
    let origin = Origin::handling(move |_| {
        let sending = sending.clone();
        async move {
            let (sender, body) = parts();
            sending.send(sender).await.expect("the test");
            Response::builder()
                .header("content-type", "text/event-stream")
                .body(body)
                .expect("response")
        }
    })
    .await;
    let directives = format!("SecResponseBodyMimeType text/event-stream\n{RULES}");
    let proxy = config(&origin, &json!({ "directives": directives }))
        .start()
        .await;
    let mut wire = proxy.raw().await;
    wire.send("GET / HTTP/1.1\r\nhost: h\r\n\r\n").await;
    let events = waiting.recv().await.expect("a request");
    let head = within("the head", wire.head()).await.expect("a head");
    assert!(head.starts_with("HTTP/1.1 200"), "{head}");
    for text in ["data: 1\n\n", "data: secret\n\n"] {
        events
            .send(Ok(Frame::data(text.into())))
            .await
            .expect("sent");
        let chunk = within("an event", wire.chunk()).await;
        assert_eq!(chunk.as_deref(), Some(text.as_bytes()));
    }
}

#[tokio::test]
async fn what_is_wrong_with_rules_is_told_at_the_start() {
    let origin = Origin::echo().await;
    let start = async |more: Value| {
        let config = config(&origin, &more).file(
            "bad.conf",
            "SecRule ARGS \"@rx (\" \"id:9,deny\"\nNonsense\n",
        );
        let refused = Proxy::try_start(&config).await.err().expect("a refusal");
        refused.log
    };
    let text = start(json!({ "include": ["./bad.conf"] })).await;
    assert!(text.contains("bad.conf:2:1"), "{text}");
    let text = start(json!({ "ruleset": "./missing" })).await;
    assert!(
        text.contains("there are no rules ./missing/rules"),
        "{text}"
    );
    let text = start(json!({ "paranoia": 9 })).await;
    assert!(text.contains("paranoia"), "{text}");
}

/// A rule set in a folder, with a data file, and the one that comes along.
#[tokio::test]
async fn rules_come_from_files_or_along() {
    let origin = Origin::echo().await;
    let folder = config(&origin, &json!({ "ruleset": "./set", "directives": "" }))
        .file(
            "set/rules/a.conf",
            "SecRule ARGS \"@pmFromFile words.data\" \"id:1,phase:2,deny\"",
        )
        .file("set/rules/words.data", "badword\n")
        .start()
        .await;
    assert_eq!(folder.get("/?a=badword").await.status, 403);
    assert_eq!(folder.get("/?a=good").await.status, 200);
    let own = Config::new()
        .origin(origin.address())
        .filter("waf", Filter::builtin("waf", json!({})))
        .start()
        .await;
    for (path, status) in [
        ("/search?q=two+words&page=2", 200),
        ("/?q=1%27%20or%20%271%27=%271", 403),
        ("/?q=%3Cscript%3Ealert(1)%3C/script%3E", 403),
        ("/?file=../../etc/passwd", 403),
        ("/?url=http://169.254.169.254/latest/", 403),
        ("/?x=$%7Bjndi:ldap://h/a%7D", 403),
    ] {
        assert_eq!(own.get(path).await.status, status, "{path}");
    }
}
