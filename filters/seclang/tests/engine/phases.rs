//! The order of rules, and verdicts.

use portcullis_seclang::rules::Phase;

use super::support::{World, check, engine, get, post, run};

#[test]
fn rules_run_in_their_phase_and_in_order() {
    let rules = "SecAction \"id:5,phase:5,log,pass\"\nSecAction \"id:2,phase:2,log,pass\"\n\
                 SecAction \"id:1,phase:1,log,pass\"\nSecAction \"id:4,phase:4,log,pass\"\n\
                 SecAction \"id:3,phase:3,log,pass\"\nSecAction \"id:12,phase:1,log,pass\"";
    check(&[(rules, get("/"), &[1, 12, 2, 3, 4, 5])]);
}

#[test]
fn skips_and_markers() {
    check(&[
        (
            "SecAction \"id:1,pass,nolog,phase:2,skipAfter:END\"\nSecAction \"id:2,log,phase:2\"\n\
             SecMarker END\nSecAction \"id:3,log,phase:2\"",
            get("/"),
            &[3],
        ),
        (
            "SecAction \"id:1,pass,nolog,phase:2,skipAfter:OTHER\"\nSecAction \"id:2,log,phase:2\"\n\
             SecMarker END\nSecAction \"id:3,log,phase:2\"\nSecAction \"id:4,log,pass,phase:3\"",
            get("/"),
            &[4],
        ),
        (
            "SecAction \"id:1,pass,nolog,phase:2,skip:1\"\nSecAction \"id:2,log,phase:2\"\nSecAction \"id:3,log,phase:2\"",
            get("/"),
            &[3],
        ),
    ]);
}

#[test]
fn a_denial_ends_the_exchange_but_not_its_log() {
    let engine = engine(
        "SecRule ARGS \"@streq bad\" \"id:1,phase:2,deny,status:418,log\"\nSecAction \"id:2,phase:2,log,pass\"\n\
         SecAction \"id:3,phase:5,log,pass\"",
    );
    let mut transaction = engine.transaction();
    let verdict = run(&mut transaction, &World::default(), &get("/?q=bad")).unwrap();
    assert_eq!(
        (verdict.rule, verdict.status, verdict.phase),
        (1, 418, Phase::RequestBody)
    );
    assert!(!verdict.drop && verdict.redirect.is_none());
    let ids: Vec<_> = transaction.matches().iter().map(|found| found.id).collect();
    assert_eq!(ids, [1, 3]);
    engine.recycle(transaction);
    // The memory of the first exchange serves the second; nothing of what it held may show.
    let mut transaction = engine.transaction();
    assert_eq!(
        run(&mut transaction, &World::default(), &get("/?q=good")),
        None
    );
    let ids: Vec<_> = transaction.matches().iter().map(|found| found.id).collect();
    assert_eq!(ids, [2, 3]);
}

#[test]
fn redirects_drops_and_default_actions() {
    let verdict = |rules: &str| {
        let mut transaction = engine(rules).transaction();
        run(&mut transaction, &World::default(), &get("/?q=bad")).unwrap()
    };
    let redirect = verdict(
        r#"SecRule ARGS:q "@rx (.*)" "id:1,phase:1,capture,redirect:'https://x.example/%{TX.1}'""#,
    );
    assert_eq!(redirect.redirect.as_deref(), Some("https://x.example/bad"));
    assert_eq!(redirect.status, 302);
    assert!(verdict("SecAction \"id:1,phase:1,drop\"").drop);
    let blocked = verdict(
        "SecDefaultAction \"phase:1,log,deny,status:406\"\nSecAction \"id:1,phase:1,block\"",
    );
    assert_eq!(blocked.status, 406);
}

#[test]
fn detection_only_notes_and_lets_by() {
    let engine = engine("SecRuleEngine DetectionOnly\nSecAction \"id:1,phase:1,deny,log\"");
    let mut transaction = engine.transaction();
    assert_eq!(run(&mut transaction, &World::default(), &get("/")), None);
    let found = &transaction.matches()[0];
    assert!(found.disruptive && !found.intervened);
}

#[test]
fn allow_lets_by_as_much_as_it_says() {
    let rules = |scope: &str| {
        format!(
            "SecAction \"id:1,phase:1,nolog,allow{scope}\"\nSecAction \"id:2,phase:1,log,pass\"\n\
             SecAction \"id:3,phase:2,log,pass\"\nSecAction \"id:4,phase:3,log,pass\"\nSecAction \"id:5,phase:5,log,pass\""
        )
    };
    check(&[
        (&rules(""), get("/"), &[5]),
        (&rules(":phase"), get("/"), &[3, 4, 5]),
        (&rules(":request"), get("/"), &[4, 5]),
    ]);
}

#[test]
fn responses() {
    let mut page = get("/");
    page.response_body = "secret here";
    check(&[
        (
            r#"SecRule RESPONSE_BODY "@contains secret" "id:1,phase:4,log""#,
            page.clone(),
            &[1],
        ),
        (
            r#"SecRule RESPONSE_STATUS "@eq 200" "id:1,phase:3,log""#,
            page.clone(),
            &[1],
        ),
        (
            r#"SecRule RESPONSE_HEADERS:content-type "@streq text/html" "id:1,phase:3,log""#,
            page.clone(),
            &[1],
        ),
        (
            r#"SecRule RESPONSE_CONTENT_TYPE "@streq text/html" "id:1,phase:3,log""#,
            page.clone(),
            &[1],
        ),
    ]);
    page.response_headers = vec![("Content-Type", "image/png")];
    check(&[(
        r#"SecRule RESPONSE_BODY "@contains secret" "id:1,phase:4,log""#,
        page,
        &[],
    )]);
}

#[test]
fn bodies_beyond_their_limit() {
    use portcullis_seclang::transaction::Room;
    let mut transaction = engine("SecRequestBodyLimit 4").transaction();
    assert_eq!(transaction.request_body(b"1234"), Room::Taken);
    assert_eq!(transaction.request_body(b"5"), Room::Refused);
    let rules = "SecRequestBodyLimit 4\nSecRequestBodyLimitAction ProcessPartial\n\
                 SecRule INBOUND_DATA_ERROR \"@eq 1\" \"id:1,phase:2,log,pass\"\n\
                 SecRule ARGS:a \"@streq 12\" \"id:2,phase:2,log,pass\"\n\
                 SecRule REQUEST_BODY_LENGTH \"@eq 7\" \"id:3,phase:2,log,pass\"";
    check(&[(
        rules,
        post("application/x-www-form-urlencoded", "a=12345"),
        &[1, 2, 3],
    )]);
}
