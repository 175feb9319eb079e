use portcullis_seclang::plan::ctl::Select;
use portcullis_seclang::rules::actions::{AuditEngine, RuleEngine};
use portcullis_seclang::rules::settings::LimitAction;
use portcullis_seclang::source::{Files, MemoryFiles};
use portcullis_seclang::transaction::tuning::PathMatch;

use crate::files::{Bundle, Recorder};
use crate::{Block, Mode, Policy};

fn policy(yaml: &str) -> Result<Policy, Vec<String>> {
    let value: serde_json::Value = serde_saphyr::from_str(yaml).expect("YAML");
    Policy::parse(value.to_string().as_bytes())
}

#[test]
fn nothing_means_the_rules_that_come_along() {
    let policy = Policy::parse(b"").expect("defaults");
    assert_eq!(policy.mode, Mode::Block);
    assert_eq!(policy.block, Block::default());
    assert_eq!(policy.tuning.settings.engine, Some(RuleEngine::On));
    let parsed = policy
        .shape
        .parse(&MemoryFiles::default())
        .expect("good rules");
    assert!(parsed.warnings.is_empty(), "{:?}", parsed.warnings);
    assert!(parsed.rules.entries.len() > 10);
}

#[test]
fn every_key_has_its_meaning() {
    let policy = policy(
        r#"
        mode: detect
        ruleset: crs@4.25.0
        base: false
        paranoia: 2
        detection_paranoia: 3
        inbound_threshold: 10
        outbound_threshold: 8
        sampling: 50
        early_blocking: true
        setup: { Allowed_Methods: [GET, HEAD], max_num_args: 100, strict: true, text: "a b" }
        include: ./my.conf
        directives: "SecAction \"id:1,pass\""
        exclude:
          - { rule: 942100, path: { prefix: /search }, target: "ARGS:q" }
          - { rule: [1, "10-20"], path: { exact: /x } }
          - { tag: attack-xss, path: { regex: "^/[a-z]$" } }
          - { rule: "942000-942999", path: /all }
        body_limits: { request: 1MiB, response: 4096, action: partial }
        response_bodies: false
        audit: { mode: "on", format: native, parts: ABZ, status: "^5" }
        block: { status: 418, page: "<p>{request_id}</p>" }
        backend_compression: true
        pause_headers: true
        "#,
    )
    .expect("a good policy");
    assert_eq!(policy.mode, Mode::Detect);
    assert_eq!(policy.shape.ruleset, "crs@4.25.0");
    assert!(!policy.shape.base);
    assert_eq!(policy.shape.include, ["./my.conf"]);
    assert_eq!(
        policy.shape.directives,
        "SecAuditLogFormat Native\nSecAuditLogParts ABZ\nSecAuditLogRelevantStatus \"^5\"\nSecAction \"id:1,pass\""
    );
    let settings = &policy.tuning.settings;
    assert_eq!(settings.engine, Some(RuleEngine::DetectionOnly));
    assert_eq!(settings.audit_engine, Some(AuditEngine::On));
    assert_eq!(settings.request_body_limit, Some(1 << 20));
    assert_eq!(settings.response_body_limit, Some(4096));
    assert_eq!(
        settings.request_body_limit_action,
        Some(LimitAction::ProcessPartial)
    );
    assert_eq!(settings.response_body_access, Some(false));
    let variables: Vec<_> = settings
        .tx
        .iter()
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    assert_eq!(
        variables,
        [
            "blocking_paranoia_level=2",
            "detection_paranoia_level=3",
            "inbound_anomaly_score_threshold=10",
            "outbound_anomaly_score_threshold=8",
            "sampling_percentage=50",
            "early_blocking=1",
            "allowed_methods=GET HEAD",
            "max_num_args=100",
            "strict=1",
            "text=a b",
        ]
    );
    let exclusions = &policy.tuning.exclusions;
    assert_eq!(exclusions[0].rules, Select::Ids(vec![(942_100, 942_100)]));
    assert_eq!(
        exclusions[0].path,
        Some(PathMatch::Prefix("/search".to_owned()))
    );
    assert!(exclusions[0].target.is_some());
    assert_eq!(exclusions[1].rules, Select::Ids(vec![(1, 1), (10, 20)]));
    assert_eq!(exclusions[1].path, Some(PathMatch::Exact("/x".to_owned())));
    assert_eq!(exclusions[2].rules, Select::Tag("attack-xss".to_owned()));
    assert_eq!(
        exclusions[3].path,
        Some(PathMatch::Prefix("/all".to_owned()))
    );
    let denial = policy.block.denial(403, None, "id-1<script>");
    assert_eq!((denial.status, &*denial.body), (418, "<p>id-1script</p>"));
    assert_eq!(denial.fields[0].1, "text/html; charset=utf-8");
    assert!(policy.backend_compression && policy.pause_headers);
}

#[test]
fn every_problem_is_told_with_its_place() {
    let problems = policy(
        r#"
        mode: maybe
        paranoia: 5
        setup: { "a b": 1, c: { d: 1 } }
        exclude: [{ rule: x }, { target: "ARGS:q" }, { rule: 1, path: x }, { rule: 1, target: NONSENSE }, { rule: 1, tag: z }]
        body_limits: { request: 1GiB, action: shrug }
        audit: { parts: XYZ, status: 'a"b' }
        block: { status: 99, redirect: "/a\r\nb" }
        typo: 1
        "#,
    )
    .expect_err("problems");
    let places: Vec<_> = problems
        .iter()
        .map(|problem| problem.split(": ").next().unwrap_or_default())
        .collect();
    for place in [
        "mode",
        "paranoia",
        "setup.a b",
        "setup.c",
        "exclude[0].rule",
        "exclude[1]",
        "exclude[2].path",
        "exclude[3].target",
        "exclude[4]",
        "body_limits.request",
        "body_limits.action",
        "audit.parts",
        "audit.status",
        "block.status",
        "block.redirect",
        "typo",
    ] {
        assert!(places.contains(&place), "{place}: {problems:#?}");
    }
}

#[test]
fn a_redirect_replaces_the_page_of_a_denial_only() {
    let policy = policy("block: { redirect: \"https://h/?id={request_id}\" }").expect("good");
    let denial = policy.block.denial(403, None, "x");
    assert_eq!(
        (denial.status, &*denial.fields[0].1),
        (302, "https://h/?id=x")
    );
    assert_eq!(policy.block.denial(400, None, "x").status, 400);
    let by_rule = policy.block.denial(302, Some("/away"), "x");
    assert_eq!((by_rule.status, &*by_rule.fields[0].1), (302, "/away"));
}

/// Rules on a host's disk arrive whole in a guest's memory, with the data files that operators name.
#[test]
fn files_are_recorded_and_handed_over() {
    let mut disk = MemoryFiles::default();
    let mut add = |name: &str, text: &[u8]| disk.files.insert(name.to_owned(), text.to_vec());
    add(
        "set/rules/a.conf",
        b"SecRule ARGS \"@pmFromFile words.data\" \"id:1,deny\"",
    );
    add("set/rules/words.data", b"one\ntwo\xff\n");
    add("set/rules/unused.data", b"x");
    add("own/b.conf", b"Include c.conf");
    add("own/c.conf", b"SecAction \"id:2,pass\"");
    let policy = policy("{ ruleset: set, base: false, include: [./own/b.conf] }").expect("good");
    let recorder = Recorder::new(disk);
    let parsed = policy.shape.parse(&recorder).expect("good rules");
    assert_eq!(parsed.rules.entries.len(), 2);
    portcullis_seclang::Engine::new(parsed.rules, &recorder).expect("a good engine");
    let json = recorder.into_bundle().to_json();
    let Bundle(files) = Bundle::parse(&json).expect("good JSON");
    let names: Vec<_> = files.files.keys().map(String::as_str).collect();
    assert_eq!(
        names,
        [
            "own/b.conf",
            "own/c.conf",
            "set/rules/a.conf",
            "set/rules/words.data"
        ]
    );
    assert_eq!(
        files.read("", "set/rules/words.data").expect("there"),
        b"one\ntwo\xff\n"
    );
    let parsed = policy.shape.parse(&files).expect("the same rules");
    portcullis_seclang::Engine::new(parsed.rules, &files).expect("the same engine");
}

#[test]
fn a_rule_set_that_is_not_there_is_a_problem() {
    let policy = policy("ruleset: crs@0.0.0").expect("good");
    let problems = policy
        .shape
        .parse(&MemoryFiles::default())
        .expect_err("no files");
    assert!(
        problems[0].to_string().contains("crs@0.0.0"),
        "{problems:?}"
    );
}
