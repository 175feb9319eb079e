mod headers;

use super::super::{Body, Limits, Processor, read};
use crate::rules::Settings;

fn limits() -> Limits {
    Limits::new(&Settings::default())
}

fn with_content_type(body: &[u8], content_type: &str) -> Body {
    let mut out = Body::default();
    read(
        Processor::Multipart,
        body,
        content_type.as_bytes(),
        &limits(),
        &mut out,
    );
    out
}

fn multipart(body: &str) -> Body {
    with_content_type(body.as_bytes(), "multipart/form-data; boundary=b")
}

fn message(out: &Body) -> &str {
    let message = out.error.as_ref().map_or("", |error| &error.message);
    message
        .strip_prefix("Multipart parsing error: Multipart: ")
        .unwrap_or(message)
}

/// A part with these headers (CRLF after each) and this value, between good boundaries.
fn one_part(headers: &str, value: &str) -> Body {
    multipart(&format!("--b\r\n{headers}\r\n{value}\r\n--b--\r\n"))
}

fn disposition(parameters: &str) -> Body {
    one_part(
        &format!("Content-Disposition: form-data{parameters}\r\n"),
        "v",
    )
}

fn argument(out: &Body, index: usize) -> (String, String) {
    let (name, value) = out.arguments.get(index).unwrap_or_default();
    (
        String::from_utf8_lossy(name).into_owned(),
        String::from_utf8_lossy(value).into_owned(),
    )
}

fn pair(name: &str, value: &str) -> (String, String) {
    (name.to_owned(), value.to_owned())
}

#[test]
fn a_good_form_has_arguments_files_and_headers() {
    let text = "--b\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\none\r\ntwo\r\n\
                --b\r\ncontent-disposition: form-data; name=\"f\"; filename=\"x.txt\"\r\n\
                Content-Type: text/plain\r\n\r\n--data\r\n\r\n--b--\r\n";
    let out = multipart(text);
    assert_eq!(message(&out), "");
    assert!(!out.multipart.strict_error());
    assert_eq!(argument(&out, 0), pair("a", "one\r\ntwo"));
    let file = &out.files[0];
    assert_eq!(
        (&file.name[..], &file.filename[..]),
        (&b"f"[..], &b"x.txt"[..])
    );
    assert_eq!(&text[file.content.clone()], "--data\r\n");
    let headers: Vec<_> = out.part_headers.iter().collect();
    let expected: [(&[u8], &[u8]); 3] = [
        (b"a", b"Content-Disposition: form-data; name=\"a\""),
        (
            b"f",
            b"content-disposition: form-data; name=\"f\"; filename=\"x.txt\"",
        ),
        (b"f", b"Content-Type: text/plain"),
    ];
    assert_eq!(headers, expected);
    // A line of data that begins with dashes, and the boundaries after it.
    assert_eq!(out.multipart.unmatched_boundary, 2);
}

#[test]
fn a_final_boundary_may_end_the_body() {
    let out = multipart("--b\r\nContent-Disposition: form-data; name=a\r\n\r\n\r\n--b--");
    assert_eq!(message(&out), "");
    assert_eq!(argument(&out, 0), pair("a", ""));
    assert!(!out.multipart.strict_error());
}

#[test]
fn ends_of_lines_are_told() {
    let lf = multipart("--b\nContent-Disposition: form-data; name=a\n\nx\n--b--\n");
    assert_eq!((message(&lf), argument(&lf, 0)), ("", pair("a", "x")));
    assert!(lf.multipart.lf_line && !lf.multipart.crlf_lf_lines());
    let mixed = multipart("--b\r\nContent-Disposition: form-data; name=a\n\r\nx\r\n--b--\r\n");
    assert!(mixed.multipart.crlf_lf_lines() && mixed.multipart.strict_error());
    // Within data, anything goes; at their end, it does not.
    let data = one_part("Content-Disposition: form-data; name=a\r\n", "x\ny");
    assert!(!data.multipart.lf_line);
    let end = multipart("--b\r\nContent-Disposition: form-data; name=a\r\n\r\nx\n--b--\r\n");
    assert!(end.multipart.lf_line);
}

#[test]
fn data_outside_the_parts_are_told() {
    let part = "--b\r\nContent-Disposition: form-data; name=a\r\n\r\nx\r\n--b--\r\n";
    let before = multipart(&format!("preamble\r\n{part}"));
    assert!(before.multipart.data_before && before.multipart.strict_error());
    let after = multipart(&format!("{part}epilogue"));
    assert!(after.multipart.data_after && after.multipart.strict_error());
    assert_eq!(argument(&after, 0), pair("a", "x"));
}

#[test]
fn boundaries_are_exact() {
    let with = |line: &str| {
        multipart(&format!(
            "--b\r\nContent-Disposition: form-data; name=a\r\n\r\nx\r\n{line}\r\n--b--\r\n"
        ))
    };
    assert_eq!(message(&with("--bc")), "Invalid boundary: --bc");
    assert_eq!(message(&with("--b ")), "Invalid boundary: --b");
    assert_eq!(message(&with("--b-")), "Invalid boundary: --b-");
    assert_eq!(message(&with("-- b")), "Invalid boundary (whitespace).");
    assert_eq!(message(&with("--c")), "");
    let quoted = with_content_type(b"--\"b\"\r\n", "multipart/form-data; boundary=\"b\"");
    assert_eq!(message(&quoted), "Invalid boundary (quotes).");
}

#[test]
fn what_looks_like_a_boundary_is_told() {
    let unfinished = |line: &str| {
        let text = format!("--b\r\nContent-Disposition: form-data; name=a\r\n\r\nx\r\n{line}\r\n");
        multipart(&text).multipart.unmatched_boundary
    };
    assert_eq!(unfinished("--c"), 1);
    assert_eq!(unfinished("x --b"), 1);
    assert_eq!(unfinished("y"), 0);
}

#[test]
fn a_boundary_where_data_should_begin_is_told() {
    let out =
        multipart("--b\r\nContent-Disposition: form-data; name=a\r\n\r\n--b\r\nx\r\n--b--\r\n");
    assert!(out.multipart.invalid_part && out.multipart.strict_error());
    assert_eq!(argument(&out, 0), pair("a", "--b\r\nx"));
    let last = multipart("--b\r\nContent-Disposition: form-data; name=a\r\n\r\n--b--");
    assert!(last.multipart.invalid_part);
}

#[test]
fn a_body_without_its_end_is_an_error_and_kept() {
    assert_eq!(
        message(&multipart("x\r\n")),
        "No boundaries found in payload."
    );
    assert_eq!(
        message(&multipart("--b--")),
        "No boundaries found in payload."
    );
    let cut = multipart("--b\r\nContent-Disposition: form-data; name=a\r\n\r\none\r\ntwo");
    assert_eq!(message(&cut), "Final boundary missing.");
    assert_eq!(argument(&cut, 0), pair("a", "one\r\ntwo"));
    assert_eq!(message(&multipart("")), "");
}

#[test]
fn files_and_arguments_are_counted() {
    let part = |index: usize, file: &str| {
        format!("--b\r\nContent-Disposition: form-data; name=n{index}{file}\r\n\r\nx\r\n")
    };
    let files: String = (0..101).map(|index| part(index, "; filename=f")).collect();
    let out = multipart(&format!("{files}--b--\r\n"));
    assert!(out.multipart.file_limit_exceeded && out.multipart.strict_error());
    assert_eq!(out.files.len(), 101);
    let fields: String = (0..1_001).map(|index| part(index, "")).collect();
    let out = multipart(&format!("{fields}--b--\r\n"));
    assert_eq!(out.arguments.len(), 1_000);
    assert!(message(&out).contains("SecArgumentsLimit"));
}

#[test]
fn files_do_not_count_for_the_limit_without_files() {
    let limits = Limits {
        no_files: Some(200),
        ..limits()
    };
    let large = |file: &str| {
        let text = format!(
            "--b\r\nContent-Disposition: form-data; name=a{file}\r\n\r\n{}\r\n--b--\r\n",
            "x".repeat(300)
        );
        let mut out = Body::default();
        let content_type = b"multipart/form-data; boundary=b";
        read(
            Processor::Multipart,
            text.as_bytes(),
            content_type,
            &limits,
            &mut out,
        );
        out.error.is_some_and(|error| !error.is_of_processor)
    };
    assert!(large(""));
    assert!(!large("; filename=f"));
}

/// Every byte at every place of a good body, and every prefix of it: no panic, and never a part that is not there.
#[test]
fn damage_is_survived() {
    let good =
        "--b\r\nContent-Disposition: form-data; name=\"a\"; filename=\"f\"; filename*=x'y'z\r\n\
                \tfolded\r\nX: y\r\n\r\ndata\r\n--b--\r\n"
            .as_bytes();
    for at in 0..good.len() {
        let whole = with_content_type(&good[..at], "multipart/form-data; boundary=b");
        assert!(whole.files.len() + whole.arguments.len() <= 1);
        for byte in 0..=255 {
            let mut damaged = good.to_vec();
            damaged[at] = byte;
            let out = with_content_type(&damaged, "multipart/form-data; boundary=b");
            assert!(out.files.len() + out.arguments.len() <= 1);
            for file in &out.files {
                assert!(damaged.get(file.content.clone()).is_some());
            }
        }
    }
}
