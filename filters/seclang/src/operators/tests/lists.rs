//! Phrases and networks.

use super::*;

#[test]
fn phrases_are_found_in_any_case() {
    table(
        "pm",
        &[
            ("select union", b"SELECT 1", true),
            ("select union", b"reUnion", true),
            ("select union", b"sel ect", false),
            ("\"select union\"", b"union", true),
            ("A|42 43|D", b"xabcdx", true),
            ("a|20|b", b"a b", true),
            ("a|20|b", b"a", false),
            ("a|2|b", b"a|2|b", true),
            (r"a\;b", b"a;b", true),
            (r"a\nb", br"a\nb", true),
            (r"a\", br"a\", true),
            ("\u{e9}", b"x\xc3\xa9", true),
            ("\u{e9}", b"\xc3\x89", false),
            ("a", b"", false),
        ],
    );
    assert!(compile("pm", "  ").is_err());
}

#[test]
fn the_phrase_that_ends_first_is_captured() {
    let operator = compiled("pm", "bcd abcdef xyz");
    assert_eq!(
        captures(&operator, b"__aBCDEF xyz"),
        [(0, "BCD".to_owned())]
    );
}

#[test]
fn phrases_come_from_files() {
    for name in ["pmFromFile", "PMF"] {
        table(
            name,
            &[
                ("words.data", b"UNION ALL", true),
                ("words.data", b"union", false),
                ("words.data", b"# comment", false),
                ("words.data", b"a|41|", true),
                ("words.data more.data", b"drop", true),
            ],
        );
    }
    let error = compile("pmFromFile", "missing.data").expect_err("no such file");
    assert_eq!(error, "@pmFromFile: missing.data: no such file");
    assert!(compile("pmFromFile", "").is_err() && compile("pmFromFile", "empty.data").is_err());
}

#[test]
fn addresses_are_of_networks() {
    table(
        "ipMatch",
        &[
            ("192.0.2.0/24, 2001:db8::1", b"192.0.2.255", true),
            ("192.0.2.0/24, 2001:db8::1", b"192.0.3.0", false),
            ("192.0.2.0/24, 2001:db8::1", b"2001:DB8:0::1", true),
            ("192.0.2.0/24, 2001:db8::1", b"2001:db8::2", false),
            ("192.0.2.0/24", b"::ffff:192.0.2.9", true),
            ("::ffff:192.0.2.0/120", b"192.0.2.9", true),
            ("192.0.2.9/24", b"192.0.2.1", true),
            ("0.0.0.0/0", b"255.255.255.255", true),
            ("0.0.0.0/0", b"::1", false),
            ("::/0", b"::1", true),
            ("::/0", b"10.0.0.1", true),
            ("10.0.0.0/8,10.1.0.0/16,11.0.0.0/8", b"10.200.0.1", true),
            ("10.0.0.1", b"10.0.0.1:80", false),
            ("10.0.0.1", b"", false),
            ("10.0.0.1", b"\xff", false),
        ],
    );
    for bad in [
        "10.0.0.0/33",
        "10.0.0",
        "",
        "localhost",
        "2001:db8::/129",
        "%{tx.x}",
    ] {
        assert!(compile("ipMatch", bad).is_err(), "{bad}");
    }
    table(
        "ipMatchFromFile",
        &[
            ("bad.txt", b"10.9.9.9", true),
            ("bad.txt", b"2001:db8::5", true),
            ("bad.txt", b"192.0.2.8", false),
        ],
    );
    let error = compile("ipMatchF", "broken.txt").expect_err("a prefix of 33 bits");
    assert!(
        error.starts_with("@ipMatchF: line 2 of the file: \"10.0.0.0/33\""),
        "{error}"
    );
}
