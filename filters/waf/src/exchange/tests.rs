use std::rc::Rc;
use std::time::Duration;

use portcullis_seclang::transaction::host::Host;
use portcullis_waf_policy::files::Bundle;

use super::{Exchange, Flow, Parties};
use crate::head::Head;
use crate::waf::{Engines, Waf};

struct Nobody;

impl Host for Nobody {
    fn now(&self) -> Duration {
        Duration::from_secs(1_700_000_000)
    }
}

const RULES: &str = r#"
SecRequestBodyAccess On
SecResponseBodyAccess On
SecResponseBodyMimeType text/plain text/event-stream
SecRequestBodyLimit 100
SecResponseBodyLimit 100
SecResponseBodyLimitAction ProcessPartial
SecRule ARGS:head "@streq bad" "id:1,phase:1,deny,log,msg:'head',tag:'attack-test'"
SecRule ARGS "@streq evil" "id:2,phase:2,deny,log,msg:'body'"
SecRule REQUEST_METHOD "@streq DROP" "id:3,phase:2,drop,log"
SecRule RESPONSE_STATUS "@streq 418" "id:4,phase:3,deny,status:502,log"
SecRule RESPONSE_BODY "@contains secret" "id:5,phase:4,deny,log"
SecRule REQUEST_URI "@contains logged" "id:6,phase:5,pass,log,msg:'late'"
"#;

fn exchange(more: &str) -> Exchange {
    let directives = serde_escape(RULES);
    let configuration =
        format!("{{\"base\":false,\"ruleset\":\"none\",\"directives\":\"{directives}\"{more}}}");
    let files = || Ok(Bundle::default());
    let waf = Waf::new(configuration.as_bytes(), files, &Engines::default());
    Exchange::new(Rc::new(waf.expect("a good configuration")))
}

fn serde_escape(text: &str) -> String {
    text.replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace('\n', "\\n")
}

fn ask(exchange: &mut Exchange, line: &str, end: bool) -> Flow {
    let head =
        format!("{line}\r\nHost: h\r\nContent-Type: application/x-www-form-urlencoded\r\n\r\n");
    let parties = Parties {
        id: "the-id".to_owned(),
        ..Parties::default()
    };
    exchange.request_head(parties, &Head::of_bytes(head.as_bytes()), end, &Nobody)
}

fn answer(exchange: &mut Exchange, status: u16, media_type: &str, end: bool) -> Flow {
    let headers = [(b"content-type".to_vec(), media_type.as_bytes().to_vec())];
    exchange.response_head(status, b"HTTP/1.1", &headers, end, &Nobody)
}

fn status(flow: Flow) -> u16 {
    match flow {
        Flow::Reply(denial) => denial.status,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_request_is_judged_in_both_phases() {
    let mut one = exchange("");
    assert_eq!(status(ask(&mut one, "GET /?head=bad HTTP/1.1", true)), 403);
    assert!(one.is_decided());
    let mut two = exchange("");
    assert_eq!(status(ask(&mut two, "GET /?x=evil HTTP/1.1", true)), 403);
    let mut good = exchange("");
    assert_eq!(
        ask(&mut good, "GET /?x=good HTTP/1.1", true),
        Flow::Continue
    );
    assert!(!good.is_decided());
    let mut dropped = exchange("");
    assert_eq!(ask(&mut dropped, "DROP / HTTP/1.1", true), Flow::Drop);
}

#[test]
fn a_body_is_held_until_its_verdict() {
    let mut bad = exchange("");
    assert_eq!(ask(&mut bad, "POST / HTTP/1.1", false), Flow::Hold);
    assert_eq!(bad.request_body(b"x=ev", false, &Nobody), Flow::Hold);
    assert_eq!(status(bad.request_body(b"il", true, &Nobody)), 403);
    // The refusal's own response is not inspected.
    assert_eq!(answer(&mut bad, 418, "text/plain", false), Flow::Continue);
    let mut good = exchange("");
    assert_eq!(ask(&mut good, "POST / HTTP/1.1", false), Flow::Hold);
    assert_eq!(good.request_body(b"x=1", true, &Nobody), Flow::Continue);
}

#[test]
fn a_body_beyond_its_limit_is_refused_or_judged_by_its_beginning() {
    let mut refused = exchange("");
    assert_eq!(ask(&mut refused, "POST / HTTP/1.1", false), Flow::Hold);
    assert_eq!(
        status(refused.request_body(&[b'x'; 101], false, &Nobody)),
        413
    );
    let partial = r#","body_limits":{"action":"partial"}"#;
    let mut judged = exchange(partial);
    assert_eq!(ask(&mut judged, "POST / HTTP/1.1", false), Flow::Hold);
    assert_eq!(
        judged.request_body(&[b'x'; 101], false, &Nobody),
        Flow::Continue
    );
    assert!(!judged.reads_request());
    let mut found = exchange(partial);
    assert_eq!(ask(&mut found, "POST / HTTP/1.1", false), Flow::Hold);
    let body = [&b"a=evil&b="[..], &[b'x'; 100]].concat();
    assert_eq!(status(found.request_body(&body, false, &Nobody)), 403);
}

#[test]
fn an_upgrade_waits_for_no_body() {
    let mut exchange = exchange("");
    let head = Head::of_bytes(b"GET / HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\n\r\n");
    let flow = exchange.request_head(Parties::default(), &head, false, &Nobody);
    assert_eq!(flow, Flow::Continue);
}

#[test]
fn a_response_is_judged_in_both_phases() {
    let mut by_status = exchange("");
    ask(&mut by_status, "GET / HTTP/1.1", true);
    assert_eq!(
        status(answer(&mut by_status, 418, "text/plain", false)),
        502
    );
    let mut by_body = exchange("");
    ask(&mut by_body, "GET / HTTP/1.1", true);
    assert_eq!(answer(&mut by_body, 200, "text/plain", false), Flow::Hold);
    assert_eq!(by_body.response_body(b"a sec", false, &Nobody), Flow::Hold);
    assert_eq!(status(by_body.response_body(b"ret", true, &Nobody)), 403);
    let mut large = exchange("");
    ask(&mut large, "GET / HTTP/1.1", true);
    assert_eq!(answer(&mut large, 200, "text/plain", false), Flow::Hold);
    assert_eq!(
        large.response_body(&[b'x'; 101], false, &Nobody),
        Flow::Continue
    );
    assert!(large.is_decided());
}

#[test]
fn streams_and_other_types_are_not_held() {
    for media_type in ["text/event-stream; charset=utf-8", "image/png"] {
        let mut exchange = exchange("");
        ask(&mut exchange, "GET / HTTP/1.1", true);
        assert_eq!(
            answer(&mut exchange, 200, media_type, false),
            Flow::Continue,
            "{media_type}"
        );
        assert!(exchange.is_decided());
    }
}

#[test]
fn detection_refuses_nothing_and_tells_all() {
    let mut exchange = exchange(r#","mode":"detect""#);
    assert_eq!(
        ask(&mut exchange, "GET /logged?head=bad&x=evil HTTP/1.1", true),
        Flow::Continue
    );
    let first = exchange.report();
    assert_eq!(first.lines.len(), 2, "{first:?}");
    assert!(
        first.lines[0].contains("[id \"1\"]") && first.lines[0].contains("[unique_id \"the-id\"]")
    );
    assert!(
        first
            .counts
            .contains(&"waf.matches;rule=1;phase=1".to_owned())
    );
    assert!(first.counts.contains(&"waf.attacks;kind=test".to_owned()));
    assert_eq!(exchange.report().lines.len(), 0);
    assert_eq!(
        answer(&mut exchange, 200, "image/png", false),
        Flow::Continue
    );
    let last = exchange.finish(&Nobody);
    assert!(last.lines[0].contains("[id \"6\"]"), "{last:?}");
    assert!(
        last.counts
            .contains(&"waf.exchanges;verdict=matched".to_owned())
    );
    assert_eq!(exchange.finish(&Nobody).lines.len(), 0, "once only");
}

#[test]
fn off_runs_nothing() {
    let mut exchange = exchange(r#","mode":"off""#);
    assert!(!exchange.has_rules());
    assert_eq!(
        ask(&mut exchange, "GET /?head=bad HTTP/1.1", false),
        Flow::Continue
    );
    assert_eq!(
        exchange.request_body(b"x=evil", true, &Nobody),
        Flow::Continue
    );
    assert_eq!(
        answer(&mut exchange, 418, "text/plain", false),
        Flow::Continue
    );
    assert!(exchange.finish(&Nobody).counts.is_empty());
}

#[test]
fn configurations_with_the_same_rules_share_an_engine() {
    let engines = Engines::default();
    let files = || Ok(Bundle::default());
    let one = Waf::new(br#"{"paranoia":1}"#, files, &engines).expect("good");
    let never = || Err("not to be read again".to_owned());
    let two = Waf::new(br#"{"paranoia":2,"mode":"detect"}"#, never, &engines).expect("shared");
    let plan = |waf: &Waf| std::ptr::from_ref(waf.rules.as_ref().expect("rules").engine.plan());
    assert_eq!(plan(&one), plan(&two));
}
