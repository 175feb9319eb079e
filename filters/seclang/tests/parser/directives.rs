//! Every directive, with and without effect.

use portcullis_seclang::parser::directives::DIRECTIVES;
use portcullis_seclang::parser::{Parser, Support};
use portcullis_seclang::rules::Settings;
use portcullis_seclang::rules::actions::{AuditEngine, RuleEngine};
use portcullis_seclang::rules::settings::{AuditLogFormat, LimitAction};

use super::{files, listed, parsed, problems};

type Change = fn(&mut Settings);

#[test]
fn every_setting() {
    let cases: &[(&str, Change)] = &[
        ("SecRuleEngine On", |s| s.rule_engine = RuleEngine::On),
        ("secruleengine \"DetectionOnly\"", |s| {
            s.rule_engine = RuleEngine::DetectionOnly
        }),
        ("SecRequestBodyAccess on", |s| s.request_body_access = true),
        ("SecRequestBodyLimit 5", |s| s.request_body_limit = 5),
        ("SecRequestBodyNoFilesLimit 5", |s| {
            s.request_body_no_files_limit = Some(5)
        }),
        ("SecRequestBodyLimitAction ProcessPartial", |s| {
            s.request_body_limit_action = LimitAction::ProcessPartial;
        }),
        ("SecRequestBodyJsonDepthLimit 5", |s| {
            s.request_body_json_depth_limit = 5
        }),
        ("SecResponseBodyAccess On", |s| {
            s.response_body_access = true
        }),
        ("SecResponseBodyLimit 5", |s| s.response_body_limit = 5),
        ("SecResponseBodyLimitAction Reject", |s| {
            s.response_body_limit_action = LimitAction::Reject;
        }),
        ("SecResponseBodyJsonDepthLimit 5", |s| {
            s.response_body_json_depth_limit = 5
        }),
        ("SecResponseBodyMimeType text/XML a/b", |s| {
            s.response_body_mime_types = vec!["text/xml".to_owned(), "a/b".to_owned()];
        }),
        (
            "SecResponseBodyMimeType a/b\nSecResponseBodyMimeType a/b \"c/d e/f\"",
            |s| {
                s.response_body_mime_types = ["a/b", "c/d", "e/f"].map(str::to_owned).to_vec();
            },
        ),
        ("SecResponseBodyMimeTypesClear", |s| {
            s.response_body_mime_types.clear()
        }),
        ("SecArgumentsLimit 5", |s| s.arguments_limit = 5),
        ("SecArgumentSeparator ;", |s| s.argument_separator = b';'),
        ("SecUploadFileLimit 5", |s| s.upload_file_limit = 5),
        ("SecAuditEngine RelevantOnly", |s| {
            s.audit_engine = AuditEngine::RelevantOnly
        }),
        ("SecAuditLogRelevantStatus \"^5\"", |s| {
            s.audit_log_relevant_status = Some("^5".to_owned());
        }),
        (r#"SecAuditLogRelevantStatus "^(?:5|4(?!04))""#, |s| {
            s.audit_log_relevant_status = Some("^(?:5|4(?:0[^4]|[^0]))".to_owned());
        }),
        ("SecAuditLogParts abz", |s| {
            s.audit_log_parts = "ABZ".to_owned()
        }),
        ("SecAuditLogFormat native", |s| {
            s.audit_log_format = AuditLogFormat::Native
        }),
        ("SecCollectionTimeout 5", |s| s.collection_timeout = 5),
        ("SecComponentSignature \"A b\"", |s| {
            s.component_signatures = vec!["A b".to_owned()]
        }),
        ("SecSensorId a", |s| s.sensor_id = Some("a".to_owned())),
        ("SecWebAppId a", |s| s.web_app_id = Some("a".to_owned())),
        ("SecCookieFormat 0", |_| ()),
    ];
    for (text, change) in cases {
        let mut expected = Settings::default();
        change(&mut expected);
        let parsed = parsed(text);
        assert_eq!(parsed.rules.settings, expected, "{text}");
        assert!(parsed.warnings.is_empty(), "{text}");
    }
}

#[test]
fn what_has_no_effect_or_is_refused_says_so() {
    for directive in DIRECTIVES {
        let name = directive.name;
        let told = problems(&format!("{name} On"));
        let expected = match directive.support {
            Support::Full(_) => {
                assert!(!told.contains("has no effect"), "{told}");
                continue;
            }
            Support::NoEffect(reason) => format!("1: warning: {name} has no effect: {reason}"),
            Support::Refused(reason) => format!("1: error: {name} is not supported: {reason}"),
            Support::OnlyOff(reason) => {
                assert_eq!(problems(&format!("{name} off")), "");
                format!(
                    "{}: error: {name} can only be Off: {reason}",
                    name.len() + 2
                )
            }
        };
        assert_eq!(told, format!("t:1:{expected}\n"));
    }
}

#[test]
fn what_is_wrong_with_directives() {
    let cases = [
        (
            "SecRul ARGS a",
            "1: error: unknown directive \"SecRul\", did you mean SecRule?",
        ),
        ("foo", "1: error: unknown directive \"foo\""),
        (
            "<IfModule a>",
            "1: error: containers of a web server are not part of the language: use overrides of routes",
        ),
        (
            "SecRuleEngine",
            "1: error: SecRuleEngine needs 1 words after it",
        ),
        (
            "SecRuleEngine On Off",
            "18: error: SecRuleEngine takes 1 words, this is one more",
        ),
        (
            "SecRuleEngine Maybe",
            "15: error: SecRuleEngine: \"Maybe\" is none of On, Off, DetectionOnly",
        ),
        (
            "SecRequestBodyLimit -1",
            "21: error: SecRequestBodyLimit: \"-1\" is not a number from 0 to 18446744073709551615",
        ),
        (
            "SecArgumentSeparator ab",
            "22: error: SecArgumentSeparator: one ASCII character",
        ),
        (
            "SecAuditLogParts AX",
            "18: error: SecAuditLogParts: 'X' is no part of an audit log: A to K, Z",
        ),
        (
            "SecCookieFormat 1",
            "17: error: SecCookieFormat: only 0, Netscape cookies, which browsers send",
        ),
        ("SecRule ARGS \"a", "14: error: this \" is never closed"),
        (
            "SecRule ARGS \"a\"b \"id:1\"",
            "17: error: text right after a closing \": a \" inside of quotes is written \\\"",
        ),
        (
            "SecRule ARGS a id:1 x",
            "21: error: SecRule takes 3 words, this is one more",
        ),
        ("Include no.conf", "9: error: there is no file no.conf"),
        (
            "Include no*.conf",
            "9: warning: no file is called \"no*.conf\"",
        ),
    ];
    for (text, expected) in cases {
        assert_eq!(problems(text), format!("t:1:{expected}\n"), "{text}");
    }
}

#[test]
fn a_code_page_comes_from_a_map_of_characters() {
    let map = "# comment\n\n1250 (ANSI - Central Europe)\n00a1:21 00a2:63\n\n20127 (US-ASCII)\n00a0:20 00a1:21\n00a2:63\n\n20261 (T.61)\n0021:21\n";
    let files = files(&[
        ("rules/a.conf", "SecUnicodeMapFile ../unicode.mapping 20127"),
        ("unicode.mapping", map),
    ]);
    let mut parser = Parser::new(&files);
    parser.file("rules/a.conf");
    let parsed = parser.finish().unwrap();
    let expected = [(0xa0, 0x20), (0xa1, 0x21), (0xa2, 0x63)];
    assert_eq!(parsed.rules.settings.unicode_map, expected);

    let mut parser = Parser::new(&files);
    parser.text("t", "SecUnicodeMapFile unicode.mapping 1\nSecUnicodeMapFile x 1\nSecUnicodeMapFile unicode.mapping x");
    let problems = listed(&parser.finish().unwrap_err());
    let expected = "t:1:35: error: unicode.mapping has no code page 1\n\
                    t:2:19: error: there is no file x\n\
                    t:3:35: error: \"x\" is no code page\n";
    assert_eq!(problems, expected);
}

#[test]
fn a_dataset_becomes_the_argument_of_its_operators() {
    let parsed = parsed(
        "SecRule REMOTE_ADDR \"@ipMatchFromDataset nets\" \"id:1\"\n\
         SecDataset nets `\n  10.0.0.0/8\n# none\n\n192.0.2.1 \n`\n\
         SecDataset words `\na b\n`\n\
         SecRule ARGS \"@rx a\" \"id:2,chain\"\n SecRule ARGS \"@pmFromDataset words\"",
    );
    let rules = super::rules(&parsed);
    let argument = |rule: &portcullis_seclang::rules::Rule| rule.operator.clone().unwrap().argument;
    assert_eq!(argument(rules[0]), "10.0.0.0/8\n192.0.2.1");
    assert_eq!(argument(&rules[1].chain[0]), "a b");
    let told = problems(
        "SecRule ARGS \"@pmFromDataset x\" \"id:1\"\nSecDataset y `\n`\nSecDataset y `\n`",
    );
    let expected = "t:4:12: error: there is a dataset \"y\" already\n\
                    t:1:15: error: there is no SecDataset \"x\"\n";
    assert_eq!(told, expected);
}
