//! Bodies, cookies and request targets.

use portcullis_seclang::bodies::{Body, Limits, Processor, read};
use portcullis_seclang::cookies;
use portcullis_seclang::pairs::Pairs;
use portcullis_seclang::rules::Settings;
use portcullis_seclang::uri::Target;

pub(super) const MULTIPART_WORDS: &[&str] = &[
    "--b\r\n",
    "--b--\r\n",
    "--b--",
    "--b",
    "\r\n",
    "\n",
    "\r",
    "\r\n\r\n",
    "Content-Disposition: form-data; name=\"a\"\r\n\r\n",
    "Content-Disposition: form-data",
    "; name=\"a\"",
    "; filename=\"f\"",
    "; filename*=utf-8''%41",
    "\"",
    "'",
    "\\",
    ";",
    "=",
    ":",
    " ",
    "\t",
    "\0",
];

pub(super) const JSON_WORDS: &[&str] = &[
    "{", "}", "[", "]", "\"", ":", ",", "\"a\":", "null", "true", "false", "0", "-1.5e3",
    "\\u0041", "\\ud83d", "\\ude00", "\\n", "\\", " ",
];

pub(super) const XML_WORDS: &[&str] = &[
    "<a>",
    "</a>",
    "<a/>",
    "<a b='c'>",
    "<!--",
    "-->",
    "<![CDATA[",
    "]]>",
    "<?x",
    "?>",
    "<!DOCTYPE a",
    "<!ENTITY",
    "[",
    "&amp;",
    "&#65;",
    "&x;",
    "&",
    ";",
    "<",
    ">",
    "'",
    "\"",
    " xmlns:n='u'",
];

pub(super) const FORM_WORDS: &[&str] = &["&", "=", "%", "%41", "%zz", "+", ";", "a"];

pub(super) const COOKIE_WORDS: &[&str] = &["; ", ";", "=", "a", " ", "$Version", "\""];

pub(super) const TARGET_WORDS: &[&str] = &[
    "/", "?", "#", "://", "http", ":", "@", "\\", "%2e", "*", "host:443",
];

pub(super) fn multipart(input: &[u8]) {
    let body = body(Processor::Multipart, input);
    for file in &body.files {
        assert!(input.get(file.content.clone()).is_some());
        assert!(!file.name.is_empty());
    }
    assert!(body.arguments.size() + body.part_headers.size() <= 4 * input.len() + 64);
    assert!(body.error.is_none() || body.multipart.strict_error());
    // What is good begins and ends with the boundary.
    if body.error.is_none() && !input.is_empty() && !body.multipart.strict_error() {
        // One without parts is its end alone.
        assert!(input.starts_with(b"--b\r\n") || input.starts_with(b"--b--"));
        assert!(input.trim_ascii_end().ends_with(b"--b--"));
    }
}

pub(super) fn json(input: &[u8]) {
    let body = body(Processor::Json, input);
    let good: Result<serde_json::Value, _> = serde_json::from_slice(input);
    let ours = body.error.is_none();
    // The other reader bounds the nesting, the size of numbers and half characters; ours the number of arguments.
    match (ours, &good) {
        (true, Err(error)) => {
            let text = error.to_string();
            let bounds = [
                "recursion",
                "number out of range",
                "surrogate",
                "hex escape",
                "EOF while parsing a value",
            ];
            assert!(bounds.iter().any(|bound| text.contains(bound)), "{text}");
        }
        (false, Ok(_)) => {
            let error = body.error.unwrap();
            assert!(
                !error.is_of_processor || error.message.contains("many times"),
                "{error:?}"
            );
        }
        _ => {}
    }
}

pub(super) fn xml(input: &[u8]) {
    let body = body(Processor::Xml, input);
    // Nothing grows: there are no entities but those that are longer than what they mean.
    assert!(body.xml_text.len() + body.xml_attributes.size() <= input.len());
}

pub(super) fn form(input: &[u8]) {
    let body = body(Processor::Urlencoded, input);
    assert!(body.arguments.size() <= input.len());
    let separators = input.iter().filter(|byte| **byte == b'&').count();
    assert!(body.arguments.len() <= separators + 1);
}

pub(super) fn cookie(input: &[u8]) {
    let mut pairs = Pairs::default();
    cookies::parse(input, &mut pairs);
    assert!(pairs.size() <= input.len());
    assert!(pairs.iter().all(|(name, _)| !name.is_empty()));
}

pub(super) fn request_target(input: &[u8]) {
    let target = Target::parse(input);
    assert_eq!(target.raw, input);
    assert!(!target.uri.contains(&b'#') && !target.path.contains(&b'?'));
    assert!(target.uri.ends_with(target.query));
}

/// Twice into the same memory, which must not matter.
fn body(processor: Processor, input: &[u8]) -> Body {
    let limits = Limits::new(&Settings::default());
    let content_type = b"multipart/form-data; boundary=b";
    let mut once = Body::default();
    read(processor, input, content_type, &limits, &mut once);
    let mut again = once.clone();
    read(processor, input, content_type, &limits, &mut again);
    assert_eq!(once.arguments, again.arguments);
    assert_eq!(once.error, again.error);
    once
}
