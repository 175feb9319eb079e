//! What is told of a match.

use super::support::{World, engine, get, run};

#[test]
fn a_line_names_the_rule_first_and_cannot_be_broken() {
    let engine = engine(
        "SecRule ARGS \"@rx ev(il)\" \"id:7,phase:2,deny,capture,log,msg:'Found %{TX.1}',\
         logdata:'%{MATCHED_VAR_NAME}=%{MATCHED_VAR}',tag:'a',tag:'b/c',severity:'CRITICAL',ver:'V1'\"",
    );
    let mut transaction = engine.transaction();
    run(
        &mut transaction,
        &World::default(),
        &get("/p?q=x%0a%22evil"),
    );
    let found = &transaction.matches()[0];
    assert_eq!(found.message, "Found il");
    let line = transaction.log_line(found);
    assert!(
        line.starts_with("ModSecurity: Access denied with code 403 (phase 2). [id \"7\"] Matched \"Operator `rx ev(il)'"),
        "{line}"
    );
    for part in [
        r#"[msg "Found il"]"#,
        r#"[data "ARGS:q=x\x0a\"evil"]"#,
        r#"[severity "2"]"#,
        r#"[ver "V1"]"#,
        r#"[tag "a"] [tag "b/c"]"#,
        r#"[uri "/p"]"#,
        r#"[unique_id "id-1"]"#,
    ] {
        assert!(line.contains(part), "{part} in {line}");
    }
    assert!(!line.contains('\n'));
}

#[test]
fn the_first_value_is_what_the_message_tells() {
    let engine = engine(
        "SecRule ARGS \"@rx (x.)\" \"id:7,phase:2,capture,pass,log,msg:'%{TX.1} %{MATCHED_VAR_NAME}'\"",
    );
    let mut transaction = engine.transaction();
    run(&mut transaction, &World::default(), &get("/?a=x1&b=x2"));
    let found = &transaction.matches()[0];
    assert_eq!(found.message, "x1 ARGS:a");
    let names: Vec<_> = found
        .values
        .iter()
        .map(|value| value.name.as_str())
        .collect();
    assert_eq!(names, ["ARGS:a", "ARGS:b"]);
}

#[test]
fn records_for_the_audit_log() {
    let rules = |format: &str| {
        format!(
            "SecAuditEngine RelevantOnly\nSecAuditLogFormat {format}\nSecAuditLogParts ABIJDEFHZ\n\
             SecAuditLogRelevantStatus \"^5\"\nSecRule ARGS \"@rx x\" \"id:7,phase:2,pass,log,auditlog,msg:'m'\""
        )
    };
    let audit = |format: &str, target: &str, status: u16| {
        let engine = engine(&rules(format));
        let mut transaction = engine.transaction();
        let mut exchange = get(target);
        exchange.status = status;
        run(&mut transaction, &World::default(), &exchange);
        engine.audit(&transaction)
    };
    assert_eq!(audit("JSON", "/?q=y", 200), None);
    assert!(audit("JSON", "/?q=y", 503).is_some());
    let json: serde_json::Value =
        serde_json::from_str(&audit("JSON", "/?q=x", 200).unwrap()).unwrap();
    let transaction = &json["transaction"];
    assert_eq!(transaction["client_ip"], "192.0.2.7");
    assert_eq!(transaction["request"]["uri"], "/?q=x");
    assert_eq!(transaction["request"]["headers"]["Host"], "example.org");
    assert_eq!(transaction["response"]["http_code"], 200);
    assert_eq!(transaction["messages"][0]["details"]["ruleId"], "7");
    assert_eq!(transaction["time_stamp"], "14/Nov/2023:22:13:20 +0000");
    let native = audit("Native", "/?q=x", 200).unwrap();
    for part in [
        "--id1-A--\n[14/Nov/2023",
        "--id1-B--\nGET /?q=x HTTP/1.1\nHost: example.org",
        "--id1-H--\n",
        "--id1-Z--\n",
    ] {
        assert!(native.contains(part), "{part} in {native}");
    }
}

#[test]
fn an_explanation_names_the_rules_that_ran_and_what_they_changed() {
    let engine = engine(
        "SecRule ARGS \"@rx x\" \"id:7,phase:2,pass,nolog,setvar:tx.score=+5\"\nSecRule ARGS \"@rx never\" \"id:8,phase:2\"",
    );
    let mut transaction = engine.transaction();
    transaction.explain();
    run(&mut transaction, &World::default(), &get("/?q=x"));
    let traces: Vec<_> = transaction
        .traces()
        .iter()
        .map(|trace| (trace.id, trace.matched))
        .collect();
    assert_eq!(traces, [(7, true), (8, false)]);
    assert_eq!(
        transaction.matches()[0].changes,
        [("score".to_owned(), "5".to_owned())]
    );
}
