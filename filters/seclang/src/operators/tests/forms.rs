//! What a value is or is not.

use super::*;

#[test]
fn bytes_are_held_against_ranges() {
    table(
        "validateByteRange",
        &[
            ("9,10,13,32-126", b"plain\ttext", false),
            ("9,10,13,32-126", b"nul\0", true),
            ("9, 10 , 32 - 126", b"\xff", true),
            ("0-255", b"\0\xff", false),
            ("65", b"", false),
            ("65", b"B", true),
        ],
    );
    for bad in ["", "256", "-1", "a", "20-10", "1,,2", "1-"] {
        assert!(compile("validateByteRange", bad).is_err(), "{bad}");
    }
}

#[test]
fn bad_encodings_match() {
    table(
        "validateUrlEncoding",
        &[
            ("", b"a%20b", false),
            ("", b"%", true),
            ("", b"%2", true),
            ("", b"%2g", true),
            ("", b"%%20", true),
            ("", b"", false),
            ("", b"a%fF", false),
        ],
    );
    table(
        "validateUtf8Encoding",
        &[
            ("", "é€😀\0".as_bytes(), false),
            ("", b"\x80", true),
            ("", b"\xc0\xaf", true),
            ("", b"\xe0\x80\xaf", true),
            ("", b"\xed\xa0\x80", true),
            ("", b"\xf4\x90\x80\x80", true),
            ("", b"\xf5\x80\x80\x80", true),
            ("", b"ok\xe2\x82", true),
            ("", b"", false),
        ],
    );
}

#[test]
fn numbers_with_check_digits_are_verified() {
    table(
        "verifyCC",
        &[
            (r"\d{16}", b"card 4111111111111111.", true),
            (r"\d{16}", b"card 4111111111111112.", false),
            (r"\d{16}", b"994111111111111111", true),
            (r"\d{4}-\d{4}-\d{4}-\d{4}", b"5500-0000-0000-0004", true),
            (r"[a-z]+", b"abc", false),
        ],
    );
    let operator = compiled("verifyCC", r"\d{16}");
    assert_eq!(
        captures(&operator, b"004111111111111111"),
        [(0, "4111111111111111".to_owned())]
    );
    table(
        "verifyCPF",
        &[
            (r"[\d.-]{11,14}", b"529.982.247-25", true),
            (r"[\d.-]{11,14}", b"52998224726", false),
            (r"[\d.-]{11,14}", b"111.111.111-11", false),
            (r"[\d.-]{11,14}", b"529982247", false),
        ],
    );
    table(
        "verifySSN",
        &[
            (r"\d{3}-?\d{2}-?\d{4}", b"078-05-1120", true),
            (r"\d{3}-?\d{2}-?\d{4}", b"666-05-1120", false),
            (r"\d{3}-?\d{2}-?\d{4}", b"740-05-1120", false),
            (r"\d{3}-?\d{2}-?\d{4}", b"123456789", false),
            (r"\d{3}-?\d{2}-?\d{4}", b"333333333", false),
            (r"\d{3}-?\d{2}-?\d{4}", b"078-00-1120", false),
        ],
    );
    table(
        "verifySVNR",
        &[
            (r"\d{4} ?\d{6}", b"1237 010180", true),
            (r"\d{4} ?\d{6}", b"1238 010180", false),
            (r"\d{10}", b"1234567890", false),
        ],
    );
    table(
        "validateNid",
        &[
            (r"cl \d{7,8}-[\dkK]", b"12345678-5", true),
            (r"cl \d{7,8}-[\dkK]", b"12345678-4", false),
            (r"cl \d{7,8}-[\dkK]", b"15345670-k", false),
            (r"us \d{9}", b"078051120", true),
        ],
    );
    for bad in ["", "xx .*", "cl", "cl ("] {
        assert!(compile("validateNid", bad).is_err(), "{bad}");
    }
    assert!(compile("verifyCC", "").is_err());
}

#[test]
fn parts_of_paths_have_names() {
    let operator = compiled("restpath", "/users/{user-id}/posts/{post}");
    let mut found = Found::default();
    let value = b"/api/users/7/posts/ab?x=/users/8";
    assert!(operator.evaluate(value, b"", &mut found));
    let names: Vec<_> = found.names(value).collect();
    assert_eq!(names, [("user-id", b"7".as_slice()), ("post", b"ab")]);
    assert!(
        !matches(&operator, b"/users//posts/1", b"")
            && matches(&operator, b"/users/1/posts/2/", b"")
    );
    assert!(compile("restpath", "/a/{b").is_err() && compile("restpath", "/a/{}").is_err());
}

#[test]
fn injections_are_detected() {
    table(
        "detectSQLi",
        &[
            ("", b"1' OR '1'='1", true),
            ("", b"O'Reilly", false),
            ("", b"", false),
        ],
    );
    table(
        "detectXSS",
        &[
            ("", b"<script>alert(1)</script>", true),
            ("", b"a < b", false),
            ("", b"", false),
        ],
    );
    let fingerprint = captures(&compiled("detectSQLi", ""), b"1' OR '1'='1");
    assert_eq!(fingerprint, [(0, "s&sos".to_owned())]);
    let whole = captures(&compiled("detectXSS", ""), b"<script>");
    assert_eq!(whole, [(0, "<script>".to_owned())]);
}
