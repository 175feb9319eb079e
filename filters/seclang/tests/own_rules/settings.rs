//! The variables that the Core Rule Set has mean the same here.

use portcullis_seclang::Engine;

use super::{browser, engine, outcome, parsed};

fn with(setting: &str) -> Engine {
    engine(&format!(
        "SecAction \"id:1,phase:1,pass,nolog,setvar:'tx.{setting}'\""
    ))
}

fn denied(engine: &Engine, target: &str) -> bool {
    outcome(engine, &browser("GET", target)).0.is_some()
}

const TRAVERSAL: &str = "/?q=../../../x";

#[test]
fn parses_without_a_warning() {
    assert_eq!(parsed("").warnings, []);
}

#[test]
fn thresholds() {
    assert!(denied(
        &with("inbound_anomaly_score_threshold=5"),
        TRAVERSAL
    ));
    assert!(!denied(
        &with("inbound_anomaly_score_threshold=100"),
        TRAVERSAL
    ));
    assert!(!denied(&with("critical_anomaly_score=1"), TRAVERSAL));
    let mut exchange = browser("GET", "/");
    exchange.response_body = "root:x:0:0:root:/root:/bin/sh";
    let verdict = |engine: &Engine| outcome(engine, &exchange).0.map(|verdict| verdict.rule);
    assert_eq!(verdict(&engine("")), Some(19_050));
    assert_eq!(verdict(&with("outbound_anomaly_score_threshold=6")), None);
}

#[test]
fn paranoia() {
    let markup = "/?q=<b>a</b>&r=http://203.0.113.9/";
    assert!(!denied(&engine(""), markup));
    assert!(denied(&with("blocking_paranoia_level=2"), markup));
    // Tried, but not counted.
    let detect = with("detection_paranoia_level=2");
    let (verdict, ids) = outcome(&detect, &browser("GET", markup));
    assert_eq!(verdict, None);
    assert!(ids.contains(&10_610), "{ids:?}");
}

#[test]
fn methods() {
    let exchange = browser("PROPFIND", "/");
    assert!(outcome(&engine(""), &exchange).0.is_some());
    assert!(
        outcome(&with("allowed_methods=GET PROPFIND"), &exchange)
            .0
            .is_none()
    );
}

#[test]
fn early_blocking() {
    let mut exchange = browser("GET", "/");
    exchange.headers.retain(|(name, _)| *name != "User-Agent");
    exchange.headers.push(("User-Agent", "nikto"));
    let phase = |engine: &Engine| {
        outcome(engine, &exchange)
            .0
            .map(|verdict| (verdict.phase.number(), verdict.rule))
    };
    assert_eq!(phase(&engine("")), Some((2, 19_030)));
    assert_eq!(phase(&with("early_blocking=1")), Some((1, 19_010)));
}

#[test]
fn sampling() {
    let engine = engine(
        "SecRule ARGS_GET:sample \"@rx .\" \"id:1,phase:1,pass,nolog,setvar:tx.sampling_percentage=%{MATCHED_VAR}\"",
    );
    let sampled: Vec<u32> = (0..=100)
        .filter(|sample| denied(&engine, &format!("{TRAVERSAL}&sample={sample}")))
        .collect();
    // The same request is drawn always, or from some percentage on.
    let first = sampled[0];
    assert!(
        first > 0 && sampled == (first..=100).collect::<Vec<_>>(),
        "{sampled:?}"
    );
}

#[test]
fn rules_go_by_tag() {
    let engine = engine("SecRuleRemoveByTag attack-lfi");
    assert!(!denied(&engine, TRAVERSAL));
}
