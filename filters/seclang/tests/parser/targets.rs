//! What a rule looks at, and how.

use portcullis_seclang::rules::{Key, Target};
use portcullis_seclang::variables::Variable;

use super::{only, problems};

/// The targets of a rule, each as `[&!]NAME[:key]` with the kind of the key.
fn targets(text: &str) -> Vec<String> {
    let quote = if text.contains(' ') { "\"" } else { "" };
    let rule = only(&format!("SecRule {quote}{text}{quote} \"@rx a\" \"id:1\""));
    rule.targets.iter().map(shown).collect()
}

fn shown(target: &Target) -> String {
    let mark = match (target.count, target.exclude) {
        (true, _) => "&",
        (_, true) => "!",
        _ => "",
    };
    let key = match &target.key {
        Key::All => String::new(),
        Key::Name(name) => format!(" name {name}"),
        Key::Regex(regex) => format!(" regex {regex}"),
        Key::XPath(path) => format!(" path {path}"),
    };
    format!("{mark}{}{key}", target.variable.name())
}

#[test]
fn every_form_of_a_target() {
    let cases: &[(&str, &[&str])] = &[
        ("ARGS", &["ARGS"]),
        ("args", &["ARGS"]),
        ("ARGS|!ARGS:q", &["ARGS", "!ARGS name q"]),
        ("&REQUEST_HEADERS:Host", &["&REQUEST_HEADERS name Host"]),
        ("XML:/*", &["XML path /*"]),
        (
            "XML:/*|XML://@*|ARGS",
            &["XML path /*", "XML path //@*", "ARGS"],
        ),
        ("TX:/^x_/", &["TX regex ^x_"]),
        ("ARGS:/re/|TX:0", &["ARGS regex re", "TX name 0"]),
        (
            r"REQUEST_COOKIES:/^_ga(?:_\w+)?$/|!REQUEST_COOKIES:/a|b/",
            &[
                r"REQUEST_COOKIES regex ^_ga(?:_\w+)?$",
                "!REQUEST_COOKIES regex a|b",
            ],
        ),
        ("ARGS:'/a|b/'|TX:a", &["ARGS regex a|b", "TX name a"]),
        ("ARGS:'a|b'", &["ARGS name a|b"]),
        (r"ARGS:/a\/b/", &[r"ARGS regex a\/b"]),
        ("ARGS:/a/b/", &["ARGS regex a/b"]),
        (r#"ARGS:/a\"b/"#, &[r#"ARGS regex a"b"#]),
        ("ARGS:json.0.x", &["ARGS name json.0.x"]),
        ("ARGS:a:b", &["ARGS name a:b"]),
        ("TX.a.b|ARGS./c/", &["TX name a.b", "ARGS regex c"]),
        (" ARGS | ARGS_NAMES:x ", &["ARGS", "ARGS_NAMES name x"]),
        ("STATUS", &["RESPONSE_STATUS"]),
        (
            "MULTIPART_SEMICOLON_MISSING",
            &["MULTIPART_MISSING_SEMICOLON"],
        ),
        ("JSON:a.b", &["JSON name a.b"]),
    ];
    for (text, expected) in cases {
        assert_eq!(targets(text), *expected, "{text}");
    }
}

#[test]
fn every_variable_is_a_target() {
    for variable in Variable::ALL {
        assert_eq!(targets(variable.name()), [variable.name()]);
    }
}

#[test]
fn what_is_wrong_with_targets() {
    let cases = [
        (
            "ARG",
            "9: error: unknown variable \"ARG\", did you mean ARGS?",
        ),
        (
            "ARGS|REMOTE_ADR",
            "14: error: unknown variable \"REMOTE_ADR\", did you mean REMOTE_ADDR?",
        ),
        ("ARGS|", "14: error: a variable is missing"),
        ("|ARGS", "9: error: a variable is missing"),
        ("ARGS:", "14: error: the key after : is missing"),
        ("ARGS://", "14: error: an empty regular expression"),
        ("ARGS:/a", "14: error: this key has no closing /"),
        ("ARGS:'a", "14: error: this key has no closing '"),
        ("ARGS:'a'b|TX", "17: error: \"b\" after a key"),
        ("!&ARGS", "9: error: ! and & together mean nothing"),
        (
            "REMOTE_ADDR:x",
            "21: error: REMOTE_ADDR has no members to choose from",
        ),
        (
            "TX:%{tx.a}",
            "12: error: a macro cannot be a key; a regular expression can: NAME:/…/",
        ),
        (
            "XML:/a/b|TX",
            "13: error: of the expressions of XPath only /* and //@* are supported",
        ),
        (
            "WEBSERVER_ERROR_LOG",
            "9: error: WEBSERVER_ERROR_LOG is not supported: there is no such log in a proxy",
        ),
    ];
    for (text, expected) in cases {
        assert_eq!(
            problems(&format!("SecRule {text} \"@rx a\" \"id:1\"")),
            format!("t:1:{expected}\n"),
        );
    }
}

/// `(negated, name, argument)`
fn operator(text: &str) -> (bool, String, String) {
    let rule = only(&format!("SecRule ARGS \"{text}\" \"id:1\""));
    let operator = rule.operator.unwrap();
    (operator.negated, operator.name, operator.argument)
}

#[test]
fn every_form_of_an_operator() {
    let cases = [
        ("@rx ^a b$", (false, "rx", "^a b$")),
        ("^a b$", (false, "rx", "^a b$")),
        ("!@eq 0", (true, "eq", "0")),
        ("! @eq 0", (true, "eq", "0")),
        ("!^a", (true, "rx", "^a")),
        (" a", (false, "rx", " a")),
        (" @eq  1", (false, "eq", "1")),
        ("@EQ 1", (false, "eq", "1")),
        ("@PMFROMFILE x.data", (false, "pmFromFile", "x.data")),
        ("@detectSQLi", (false, "detectSQLi", "")),
        ("@rx a\\\"b\\\\", (false, "rx", "a\"b\\\\")),
        (r"@rx \x5c\d\'", (false, "rx", r"\x5c\d\'")),
        ("", (false, "rx", "")),
        ("@within a ", (false, "within", "a ")),
    ];
    for (text, (negated, name, argument)) in cases {
        let expected = (negated, name.to_owned(), argument.to_owned());
        assert_eq!(operator(text), expected, "{text}");
    }
}

#[test]
fn an_operator_without_quotes_is_one_word() {
    let rule = only("SecRule ARGS @detectXSS id:1,deny");
    assert_eq!(rule.operator.unwrap().name, "detectXSS");
}

#[test]
fn what_is_wrong_with_operators() {
    let cases = [
        ("@foo", "16: error: unknown operator @foo"),
        (
            "!@beginWith x",
            "17: error: unknown operator @beginWith, did you mean beginsWith?",
        ),
        ("@", "16: error: the name of an operator is missing after @"),
        (
            "@ rx",
            "16: error: the name of an operator is missing after @",
        ),
    ];
    for (text, expected) in cases {
        assert_eq!(
            problems(&format!("SecRule ARGS \"{text}\" \"id:1\"")),
            format!("t:1:{expected}\n"),
        );
    }
    let refused = problems("SecRule ARGS \"@inspectFile a.lua\" \"id:1\"");
    assert!(
        refused.contains("@inspectFile is not supported: "),
        "{refused}"
    );
}
