//! What a rule does: every action in every form.

use portcullis_seclang::parser::Support;
use portcullis_seclang::parser::actions::{ACTIONS, CTLS, Value};
use portcullis_seclang::rules::actions::Allow;
use portcullis_seclang::rules::{Disruptive, Phase, Rule, Text};
use portcullis_seclang::transformations::Transformation;

use super::{only, problems};

fn rule(actions: &str) -> Rule {
    only(&format!("SecAction \"id:1,{actions}\""))
}

/// The only action without a verdict, as the compiler shows it, with texts as they were written.
fn action(text: &str) -> String {
    let rule = rule(text);
    assert_eq!(rule.actions.len(), 1, "{text}");
    let shown = format!("{:?}", rule.actions[0]);
    shown.replace("Text { parts: [", "[").replace("] }", "]")
}

#[test]
fn verdicts() {
    let url = Text::parse("http://a/?b,c=%{REMOTE_ADDR}").unwrap();
    let cases = [
        ("pass", Disruptive::Pass),
        ("deny", Disruptive::Deny),
        ("DENY", Disruptive::Deny),
        ("drop", Disruptive::Drop),
        ("block", Disruptive::Pass),
        ("log", Disruptive::Pass),
        ("allow", Disruptive::Allow(Allow::All)),
        ("allow:phase", Disruptive::Allow(Allow::Phase)),
        ("allow:'REQUEST'", Disruptive::Allow(Allow::Request)),
        ("deny,pass", Disruptive::Pass),
        ("pass,deny", Disruptive::Deny),
        (
            "redirect:'http://a/?b,c=%{remote_addr}'",
            Disruptive::Redirect(url),
        ),
    ];
    for (text, expected) in cases {
        assert_eq!(rule(text).disruptive, expected, "{text}");
    }
}

#[test]
fn phases_by_number_and_name() {
    let cases = [
        ("phase:1", Phase::RequestHeaders),
        ("phase:'2'", Phase::RequestBody),
        ("phase:3", Phase::ResponseHeaders),
        ("phase:4", Phase::ResponseBody),
        ("phase:5", Phase::Logging),
        ("phase:request", Phase::RequestBody),
        ("phase:Response", Phase::ResponseBody),
        ("phase:logging", Phase::Logging),
        ("pass", Phase::RequestBody),
        ("phase:1,phase:3", Phase::ResponseHeaders),
    ];
    for (text, expected) in cases {
        assert_eq!(rule(text).phase, expected, "{text}");
    }
}

#[test]
fn logs() {
    let cases = [
        ("pass", (true, true)),
        ("nolog", (false, false)),
        ("noauditlog", (true, false)),
        ("nolog,auditlog", (false, true)),
        ("nolog,log", (true, true)),
        ("log,noauditlog", (true, false)),
    ];
    for (text, expected) in cases {
        let rule = rule(text);
        assert_eq!((rule.log, rule.audit_log), expected, "{text}");
    }
}

#[test]
fn transformations_and_flags() {
    use Transformation::{Lowercase, Trim, UrlDecodeUni};
    assert_eq!(
        rule("t:lowercase,t:trim").transformations,
        [Lowercase, Trim]
    );
    assert_eq!(
        rule("t:lowercase,t:none,t:URLDECODEUNI").transformations,
        [UrlDecodeUni]
    );
    for transformation in Transformation::ALL {
        let found = rule(&format!("t:{}", transformation.name())).transformations;
        assert_eq!(found, [*transformation]);
    }
    let all = rule("capture,multiMatch,skip:3,skipAfter:END,status:501");
    assert!(all.capture && all.multi_match);
    assert_eq!((all.skip, all.status), (3, Some(501)));
    assert_eq!(all.skip_after.as_deref(), Some("END"));
}

#[test]
fn descriptions() {
    let rule = rule(
        "msg:'it\\'s, fine: %{tx.0}', logdata:%{matched_var} ,tag:'a/b',tag:c,severity:'CRITICAL',\
         ver:'V/1',rev:2,maturity:9,accuracy:0",
    );
    let about = rule.metadata;
    let text = |text: Option<Text>| text.unwrap().to_string();
    assert_eq!(text(about.message), "it's, fine: %{TX.0}");
    assert_eq!(text(about.logdata), "%{MATCHED_VAR}");
    let tags: Vec<_> = about.tags.iter().map(Text::to_string).collect();
    assert_eq!(tags, ["a/b", "c"]);
    assert_eq!(
        (about.severity, about.maturity, about.accuracy),
        (Some(2), Some(9), Some(0))
    );
    assert_eq!(
        (about.version.as_deref(), about.revision.as_deref()),
        (Some("V/1"), Some("2"))
    );
    let names = [
        "emergency",
        "alert",
        "critical",
        "error",
        "warning",
        "notice",
        "info",
        "debug",
    ];
    for (number, name) in (0..).zip(names) {
        for text in [name.to_owned(), number.to_string()] {
            let found = super::actions::rule(&format!("severity:{text}"))
                .metadata
                .severity;
            assert_eq!(found, Some(number));
        }
    }
}

#[test]
fn quotes_commas_and_backslashes_in_values() {
    let message = |text: &str| {
        rule(&format!("msg:{text}"))
            .metadata
            .message
            .unwrap()
            .to_string()
    };
    assert_eq!(message("plain text "), "plain text");
    assert_eq!(message("'a, b'"), "a, b");
    assert_eq!(message(r"a\, b"), "a, b");
    assert_eq!(message(r"it's fine"), "it's fine");
    assert_eq!(message(r#"'say \"a\" \\ \d'"#), r#"say "a" \\ \d"#);
    assert_eq!(message("a:b"), "a:b");
    assert_eq!(
        action("setvar:tx.a='b, c'd"),
        r#"SetVar(SetVar { collection: Tx, key: [Literal("a")], change: Set([Literal("b, cd")]) })"#
    );
}

#[test]
fn every_form_of_setvar() {
    let cases = [
        ("tx.a", r#"[Literal("a")], change: Set([Literal("1")]"#),
        ("TX.a=", r#"[Literal("a")], change: Set([]"#),
        (
            "tx.a=b c",
            r#"[Literal("a")], change: Set([Literal("b c")]"#,
        ),
        (
            "tx.a=b=c",
            r#"[Literal("a")], change: Set([Literal("b=c")]"#,
        ),
        ("tx.a=+5", r#"[Literal("a")], change: Add([Literal("5")]"#),
        (
            "tx.a=-%{tx.b}",
            r#"[Literal("a")], change: Subtract([Macro { variable: Tx, key: Some("b")]"#,
        ),
        (
            "'tx.a=+%{tx.b}'",
            r#"[Literal("a")], change: Add([Macro { variable: Tx, key: Some("b")]"#,
        ),
        ("!tx.a", r#"[Literal("a")], change: Remove"#),
        (
            "tx.%{rule.id}-x=1",
            r#"[Macro { variable: Rule, key: Some("id") }, Literal("-x")], change: Set([Literal("1")]"#,
        ),
    ];
    for (text, expected) in cases {
        let found = action(&format!("setvar:{text}"));
        let expected = format!("SetVar(SetVar {{ collection: Tx, key: {expected}");
        let plain = |text: &str| text.replace(" }]", "]");
        assert!(
            plain(&found).starts_with(&plain(&expected)),
            "{text}: {found}"
        );
    }
    for collection in ["ip", "global", "session", "user", "resource"] {
        let found = action(&format!("setvar:{collection}.a=1")).to_ascii_lowercase();
        assert!(
            found.contains(&format!("collection: {collection}")),
            "{found}"
        );
    }
}

#[test]
fn other_actions_on_variables() {
    let cases = [
        (
            "expirevar:ip.a=60",
            r#"ExpireVar { collection: Ip, key: [Literal("a")], seconds: [Literal("60")] }"#,
        ),
        (
            "deprecatevar:ip.a=60/300",
            r#"DeprecateVar { collection: Ip, key: [Literal("a")], amount: 60, seconds: 300 }"#,
        ),
        (
            "initcol:global=global",
            r#"InitCol { collection: Global, key: [Literal("global")] }"#,
        ),
        (
            "setsid:x",
            r#"SetId { collection: Session, key: [Literal("x")] }"#,
        ),
        (
            "setuid:x",
            r#"SetId { collection: User, key: [Literal("x")] }"#,
        ),
        (
            "setrsc:x",
            r#"SetId { collection: Resource, key: [Literal("x")] }"#,
        ),
        (
            "setenv:A=b",
            r#"SetEnv { name: "A", value: [Literal("b")] }"#,
        ),
    ];
    for (text, expected) in cases {
        let plain = |text: &str| text.replace(" }", "");
        assert_eq!(plain(&action(text)), plain(expected), "{text}");
    }
}

#[test]
fn every_form_of_ctl() {
    let q = r#"target: Target { variable: Args, key: Name("q"), count: false, exclude: false }"#;
    let cases = [
        ("auditEngine=Off", "AuditEngine(Off)".to_owned()),
        ("auditLogParts=+e", r#"AuditLogParts(Add("E"))"#.to_owned()),
        ("auditLogParts=-E", r#"AuditLogParts(Remove("E"))"#.to_owned()),
        ("auditLogParts=ABZ", r#"AuditLogParts(Set("ABZ"))"#.to_owned()),
        ("requestBodyProcessor=json", r#"RequestBodyProcessor("JSON")"#.to_owned()),
        ("responseBodyProcessor=XML", r#"ResponseBodyProcessor("XML")"#.to_owned()),
        ("requestBodyAccess=off", "RequestBodyAccess(false)".to_owned()),
        ("responseBodyAccess=On", "ResponseBodyAccess(true)".to_owned()),
        ("requestBodyLimit=10", "RequestBodyLimit(10)".to_owned()),
        ("responseBodyLimit=10", "ResponseBodyLimit(10)".to_owned()),
        ("forceRequestBodyVariable=On", "ForceRequestBodyVariable(true)".to_owned()),
        ("forceResponseBodyVariable=On", "ForceResponseBodyVariable(true)".to_owned()),
        ("RULEENGINE=DetectionOnly", "RuleEngine(DetectionOnly)".to_owned()),
        ("ruleRemoveById=1-999999", "RuleRemoveById([(1, 999999)])".to_owned()),
        ("'ruleRemoveById=1, 3-4 7'", "RuleRemoveById([(1, 1), (3, 4), (7, 7)])".to_owned()),
        ("ruleRemoveByTag=OWASP_CRS", r#"RuleRemoveByTag("OWASP_CRS")"#.to_owned()),
        ("'ruleRemoveByMsg=a, b'", r#"RuleRemoveByMsg("a, b")"#.to_owned()),
        ("ruleRemoveTargetById=942100;ARGS:q", format!("RuleRemoveTargetById {{ ids: [(942100, 942100)], {q} }}")),
        ("ruleRemoveTargetByTag=t;ARGS:q", format!(r#"RuleRemoveTargetByTag {{ tag: "t", {q} }}"#)),
        ("ruleRemoveTargetByMsg=m;ARGS:q", format!(r#"RuleRemoveTargetByMsg {{ message: "m", {q} }}"#)),
        (
            r"ruleRemoveTargetById=1-2;ARGS:/^json\.\d+/",
            r#"RuleRemoveTargetById { ids: [(1, 2)], target: Target { variable: Args, key: Regex("^json\\.\\d+"), count: false, exclude: false } }"#.to_owned(),
        ),
    ];
    for (text, expected) in &cases {
        assert_eq!(
            action(&format!("ctl:{text}")),
            format!("Ctl({expected})"),
            "{text}"
        );
    }
    for ctl in CTLS
        .iter()
        .filter(|ctl| matches!(ctl.support, Support::Full(_)))
    {
        let tried = |text: &str| {
            text.to_ascii_lowercase()
                .contains(&ctl.name.to_ascii_lowercase())
        };
        assert!(
            cases.iter().any(|(text, _)| tried(text)),
            "{} is not tried here",
            ctl.name
        );
    }
}

#[test]
fn what_has_no_effect_or_is_refused_says_so() {
    for spec in ACTIONS {
        let value = if spec.value == Value::No { "" } else { ":x" };
        let told = problems(&format!("SecAction \"id:1,{}{value}\"", spec.name));
        match spec.support {
            Support::Full(_) => assert!(!told.contains("is not supported: "), "{told}"),
            Support::NoEffect(reason) | Support::OnlyOff(reason) => {
                let expected = format!("t:1:17: warning: {} has no effect: {reason}\n", spec.name);
                assert_eq!(told, expected);
            }
            Support::Refused(reason) => {
                let expected = format!("t:1:17: error: {} is not supported: {reason}\n", spec.name);
                assert_eq!(told, expected);
            }
        }
    }
    for ctl in CTLS {
        if let Support::NoEffect(reason) = ctl.support {
            let expected = format!(
                "t:1:21: warning: ctl: {} has no effect: {reason}\n",
                ctl.name
            );
            assert_eq!(
                problems(&format!("SecAction \"id:1,ctl:{}=On\"", ctl.name)),
                expected
            );
        }
    }
}

#[test]
fn what_is_wrong_with_actions() {
    let cases = [
        (
            "denny",
            "17: error: unknown action \"denny\", did you mean deny?",
        ),
        ("deny:1", "22: error: deny: takes no value"),
        ("msg", "17: error: msg: its value is missing"),
        (",deny", "17: error: an action is missing here"),
        ("deny,", "22: error: an action is missing here"),
        (
            "msg:'a'b",
            "24: error: text right after a closing ': a ' inside of quotes is written \\'",
        ),
        ("msg:'a", "21: error: this ' is never closed"),
        ("setvar:tx.a='b", "29: error: this ' is never closed"),
        (
            "phase:6",
            "23: error: phase: 1 to 5, request (2), response (4) or logging (5)",
        ),
        (
            "status:99",
            "24: error: status: \"99\" is not a number from 100 to 599",
        ),
        (
            "severity:CRITICL",
            "26: error: severity: \"CRITICL\" is neither 0 to 7 nor a name, did you mean CRITICAL?",
        ),
        (
            "t:lowercas",
            "19: error: t: unknown transformation \"lowercas\", did you mean lowercase?",
        ),
        (
            "setvar:a",
            "24: error: setvar: \"a\" is not COLLECTION.NAME",
        ),
        (
            "setvar:args.a=1",
            "24: error: setvar: \"args\" is no collection that rules write to: TX, IP, GLOBAL, SESSION, USER, RESOURCE",
        ),
        (
            "setvar:tx.=1",
            "24: error: setvar: the name after the dot is missing",
        ),
        (
            "setvar:tx.a=%{foo}",
            "24: error: setvar: %{foo} names no variable",
        ),
        (
            "msg:%{TX0.a}",
            "21: error: msg: %{TX0.a} names no variable, did you mean TX?",
        ),
        (
            "expirevar:ip.a",
            "27: error: expirevar: COLLECTION.NAME=SECONDS",
        ),
        (
            "expirevar:ip.a=x",
            "27: error: expirevar: \"x\" is not a number from 0 to 4294967295",
        ),
        (
            "deprecatevar:ip.a=6",
            "30: error: deprecatevar: AMOUNT/SECONDS after =",
        ),
        (
            "initcol:tx=a",
            "25: error: initcol: TX lives as long as the exchange only",
        ),
        (
            "ctl:ruleEngin=On",
            "21: error: ctl: unknown setting \"ruleEngin\", did you mean ruleEngine?",
        ),
        (
            "ctl:ruleEngine=No",
            "21: error: ctl: ruleEngine: \"No\" is none of On, Off, DetectionOnly",
        ),
        (
            "ctl:ruleRemoveById=x",
            "21: error: ctl: ruleRemoveById: \"x\" is neither the id of a rule nor a range FIRST-LAST",
        ),
        (
            "ctl:ruleRemoveById=9-1",
            "21: error: ctl: ruleRemoveById: \"9-1\" runs backwards",
        ),
        (
            "ctl:ruleRemoveTargetById=1",
            "21: error: ctl: ruleRemoveTargetById: rules and a target, separated by ;",
        ),
        (
            "ctl:ruleRemoveTargetById=1;!ARGS",
            "21: error: ctl: ruleRemoveTargetById: a target without ! and &",
        ),
        (
            "ctl:ruleRemoveTargetById=1;ARGS:a|TX",
            "21: error: ctl: ruleRemoveTargetById: one target only: write the action once for each",
        ),
        (
            "ctl:auditLogParts=+Q",
            "21: error: ctl: auditLogParts: 'Q' is no part of an audit log: A to K, Z",
        ),
    ];
    for (text, expected) in cases {
        let found = problems(&format!("SecAction \"id:1,{text}\""));
        assert_eq!(found, format!("t:1:{expected}\n"), "{text}");
    }
}
