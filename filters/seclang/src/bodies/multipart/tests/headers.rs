use super::super::Flags;
use super::{argument, disposition, message, one_part, pair, with_content_type};

#[test]
fn content_types_are_read_strictly() {
    let good = |flags: Flags| Flags {
        crlf_line: true,
        unmatched_boundary: 2,
        ..flags
    };
    let body = b"--b\r\nContent-Disposition: form-data; name=a\r\n\r\nx\r\n--b--\r\n";
    let cases = [
        ("multipart/form-data; boundary=b", Flags::default()),
        ("Multipart/Form-Data;boundary=b", Flags::default()),
        (
            "multipart/form-data; boundary=b; charset=utf-8",
            Flags::default(),
        ),
        (
            "multipart/form-data; boundary=\"b\"",
            Flags {
                boundary_quoted: true,
                ..Flags::default()
            },
        ),
        (
            "multipart/form-data boundary=b",
            Flags {
                missing_semicolon: true,
                ..Flags::default()
            },
        ),
        (
            "multipart/form-data; boundary =b",
            Flags {
                boundary_whitespace: true,
                ..Flags::default()
            },
        ),
    ];
    for (content_type, expected) in cases {
        let out = with_content_type(body, content_type);
        assert_eq!(message(&out), "", "{content_type}");
        assert_eq!(out.multipart, good(expected), "{content_type}");
    }
    let long = format!("multipart/form-data; boundary={}", "b".repeat(1_000));
    let cases = [
        ("", "Content-Type header not available."),
        (&long, "Invalid boundary in C-T (length)."),
        ("multipart/mixed; boundary=b", "Invalid MIME type."),
        ("multipart/form-data", "Boundary not found in C-T."),
        (
            "multipart/form-data; Boundary=b",
            "Invalid boundary in C-T (case sensitivity).",
        ),
        (
            "multipart/form-data; boundary=b; boundary=c",
            "Multiple boundary parameters in C-T.",
        ),
        (
            "multipart/form-data; charset=x; boundary=b",
            "Invalid boundary in C-T (malformed).",
        ),
        (
            "multipart/form-data; boundary",
            "Invalid boundary in C-T (malformed).",
        ),
        (
            "multipart/form-data; boundaryx=b",
            "Invalid boundary in C-T (parameter name).",
        ),
        (
            "multipart/form-data; boundary=\"b",
            "Invalid boundary in C-T (quote).",
        ),
        (
            "multipart/form-data; boundary=b\"",
            "Invalid boundary in C-T (quote).",
        ),
        (
            "multipart/form-data; boundary=",
            "Invalid boundary in C-T (empty).",
        ),
        (
            "multipart/form-data; boundary=\"\"",
            "Invalid boundary in C-T (empty).",
        ),
        (
            "multipart/form-data; boundary=\"b \"",
            "Invalid boundary in C-T (characters).",
        ),
        (
            "multipart/form-data; boundary=b@",
            "Invalid boundary in C-T (characters).",
        ),
    ];
    for (content_type, expected) in cases {
        let out = with_content_type(body, content_type);
        assert_eq!(message(&out), expected, "{content_type}");
        assert!(out.multipart.strict_error(), "{content_type}");
    }
}

#[test]
fn dispositions_are_read_strictly() {
    let cases = [
        ("; name=\"a\"", "a"),
        ("; name=a", "a"),
        (";name = \"a\"", "a"),
        ("; name=\"a\";", "a"),
        (r#"; name="a\"b\\c\d""#, r#"a"b\c\d"#),
        ("; name=\"it's\"", "it's"),
        ("; name=\"a;b\"", "a;b"),
        ("; name=\"a\"; filename=\"\"", "a"),
    ];
    for (parameters, name) in cases {
        let out = disposition(parameters);
        assert_eq!(message(&out), "", "{parameters}");
        assert_eq!(argument(&out, 0), pair(name, "v"), "{parameters}");
        assert!(!out.multipart.strict_error(), "{parameters}");
    }
    let cases = [
        ("x", -2),
        ("; ", -3),
        ("; name", -4),
        ("; name ", -5),
        ("; name x", -13),
        ("; name=", -6),
        ("; name=\"", -7),
        ("; name=\"a\\", -8),
        ("; name=\"a", -10),
        ("; name=a; size=1", -11),
        ("; name=\"a\" b", -12),
        ("; name=a; name=b", -14),
        ("; name=a; filename=b; filename=c", -15),
        ("; name=a; filename=b; filename*=''c", -16),
        ("; name=a; filename=b; filename*=utf-8'c", -17),
        ("; name=a; filename=b; filename*=utf-8''%4", -18),
        ("; name=a; filename=b; filename*=utf-8''\"c\"", -19),
        ("; name=a; filename=b; filename*=x''c; filename*=x''c", -20),
        ("; name=a; filename*=utf-8''c", -21),
    ];
    for (parameters, code) in cases {
        let out = disposition(parameters);
        let expected = format!("Invalid Content-Disposition header ({code})");
        assert!(
            message(&out).starts_with(&expected),
            "{parameters}: {}",
            message(&out)
        );
        assert!(out.multipart.strict_error(), "{parameters}");
    }
    let attachment = one_part("Content-Disposition: attachment; name=a\r\n", "v");
    assert!(message(&attachment).contains("(-1)"));
    assert_eq!(
        message(&disposition("")),
        "Content-Disposition header missing name field."
    );
    assert_eq!(
        message(&disposition("; name=a; filename =b")),
        "Invalid Content-Disposition header (filename)."
    );
}

#[test]
fn single_quotes_are_odd() {
    for parameters in ["; name='a'", "; name=a'b"] {
        let out = disposition(parameters);
        assert_eq!(message(&out), "", "{parameters}");
        assert!(out.multipart.invalid_quoting, "{parameters}");
    }
}

#[test]
fn an_extended_file_name_is_decoded() {
    let out = disposition("; name=a; filename=b.jpg; filename*=UTF-8'en'%63%2Ephp");
    assert_eq!(message(&out), "");
    assert_eq!(out.files[0].filename, b"b.jpg");
    assert_eq!(
        out.files[0].extended_filename.as_deref(),
        Some(&b"c.php"[..])
    );
}

#[test]
fn headers_are_read_strictly() {
    let name = "Content-Disposition: form-data; name=a\r\n";
    let long = format!("{name}X: {}\r\n", "x".repeat(4096));
    let folded = format!(
        "{name}X: y\r\n{}",
        format!(" {}\r\n", "x".repeat(3000)).repeat(2)
    );
    let many: String = (0..65).map(|index| format!("X{index}: y\r\n")).collect();
    let cases = [
        ("X: y\r\n", "Part missing Content-Disposition header."),
        ("", "Part missing Content-Disposition header."),
        ("X\0: y\r\n", "Nul byte in part headers."),
        (
            "no colon\r\n",
            "Invalid part header (colon missing): no colon.",
        ),
        (": y\r\n", "Invalid part header (header name missing)."),
        (
            "X y: z\r\n",
            "Invalid part header (contains invalid character).",
        ),
        (
            "X\x0e: z\r\n",
            "Invalid part header (contains invalid character).",
        ),
        ("X: y\r\nx: z\r\n", "Duplicate part header: x."),
        (" X: y\r\n", "Invalid part header (folding error)."),
        (&long, "Part header line over 4096 bytes long"),
        (&folded, "Part header too long."),
        (&many, "More than 64 part headers."),
    ];
    for (headers, expected) in cases {
        let out = one_part(headers, "v");
        assert_eq!(message(&out), expected);
        assert!(out.multipart.strict_error(), "{expected}");
    }
}

#[test]
fn a_header_that_is_wrong_is_seen() {
    let out = one_part("Content-\x0eDisposition: form-data; name=a\r\n", "v");
    let lines: Vec<_> = out.part_headers.iter().map(|(_, line)| line).collect();
    assert_eq!(lines, [b"Content-\x0eDisposition: form-data; name=a"]);
}

#[test]
fn folded_headers_are_joined_and_told() {
    let out = one_part("Content-Disposition: form-data;\r\n\t name=a\r\n", "v");
    assert_eq!(message(&out), "");
    assert_eq!(argument(&out, 0).0, "a");
    assert!(out.multipart.header_folding && !out.multipart.invalid_header_folding);
    assert_eq!(
        out.part_headers.get(0),
        Some((&b"a"[..], &b"Content-Disposition: form-data; name=a"[..]))
    );
    let out = one_part("Content-Disposition: form-data;\r\n\x0bname=a\r\n", "v");
    assert!(out.multipart.invalid_header_folding);
}
