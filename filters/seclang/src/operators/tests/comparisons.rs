//! Texts and numbers.

use super::*;

#[test]
fn texts_are_compared_byte_for_byte() {
    table(
        "beginsWith",
        &[
            ("ab", b"abc", true),
            ("ab", b"Abc", false),
            ("", b"", true),
            ("abc", b"ab", false),
        ],
    );
    table(
        "endsWith",
        &[
            ("bc", b"abc", true),
            ("abc", b"bc", false),
            ("", b"x", true),
            ("b", b"b\0", false),
        ],
    );
    table(
        "contains",
        &[
            ("b", b"abc", true),
            ("B", b"abc", false),
            ("", b"", true),
            ("é", b"\xc3\xa9", true),
        ],
    );
    table("strmatch", &[("b", b"abc", true), ("*b", b"abc", false)]);
    table(
        "streq",
        &[
            ("a", b"a", true),
            ("a", b"a ", false),
            ("", b"", true),
            ("a", b"A", false),
        ],
    );
    table(
        "within",
        &[
            ("GET,POST", b"GET", true),
            ("GET", b"GETS", false),
            ("GET", b"", true),
            ("", b"x", false),
        ],
    );
}

#[test]
fn a_word_has_no_letters_around_it() {
    table(
        "containsWord",
        &[
            ("is", b"this is it", true),
            ("is", b"this", false),
            ("is", b"is", true),
            ("is", b"isis", false),
            ("is", b"1is2", true),
            ("is", b"island is", true),
            ("aa", b"aaa aa", true),
            ("", b"x", true),
            ("is", b"", false),
        ],
    );
}

#[test]
fn numbers_are_read_as_c_reads_them() {
    for (text, expected) in [
        ("", 0),
        ("x1", 0),
        ("12abc", 12),
        (" \t\n+7", 7),
        ("-7", -7),
        ("--7", 0),
        ("- 7", 0),
        ("9223372036854775807", i64::MAX),
        ("9223372036854775808", i64::MAX),
        ("-9223372036854775808", i64::MIN),
        ("-99999999999999999999999999", i64::MIN),
        ("0x10", 0),
        ("1e3", 1),
    ] {
        assert_eq!(number(text.as_bytes()), expected, "{text:?}");
    }
    table(
        "eq",
        &[
            ("5", b"5 apples", true),
            ("0", b"x", true),
            ("0", b"99999999999", false),
            ("", b"", true),
        ],
    );
    table("ge", &[("5", b"5", true), ("5", b"4", false)]);
    table(
        "gt",
        &[("5", b"5", false), ("5", b"6", true), ("-1", b"", true)],
    );
    table("le", &[("5", b"5", true), ("5", b"6", false)]);
    table("lt", &[("5", b"5", false), ("5", b"-6", true)]);
}

#[test]
fn macros_are_expanded_by_the_caller() {
    let operator = compiled("within", "%{tx.allowed}");
    assert!(operator.argument().is_some());
    assert_eq!(operator.necessary(), Necessary::default());
    assert!(matches(&operator, b"GET", b"GET POST") && !matches(&operator, b"PUT", b"GET POST"));
    let operator = compiled("lt", "%{tx.level}");
    assert!(matches(&operator, b"1", b"2") && !matches(&operator, b"2", b"2"));
    let operator = compiled("rx", "^%{tx.prefix}[0-9]+$");
    for _ in 0..2 {
        for prefix in ["a", "b", "c", "d", "e"] {
            let (pattern, value) = (format!("^{prefix}[0-9]+$"), format!("{prefix}12"));
            assert!(matches(&operator, value.as_bytes(), pattern.as_bytes()));
        }
    }
    assert!(
        !matches(&operator, b"x1", b"^(?=x)")
            && !matches(&operator, b"", b"(")
            && !matches(&operator, b"", b"\xff")
    );
    assert!(compile("streq", "%{nonsense}").is_err());
    assert!(compiled("rx", "a%{2}").argument().is_none());
}
