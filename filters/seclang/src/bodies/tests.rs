use super::{Body, Limits, Processor, read};
use crate::rules::Settings;

fn body(processor: Processor, text: &[u8], limits: &Limits) -> Body {
    let mut out = Body::default();
    read(processor, text, b"", limits, &mut out);
    out
}

fn limits() -> Limits {
    Limits::new(&Settings::default())
}

fn arguments(out: &Body) -> Vec<(String, String)> {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    out.arguments
        .iter()
        .map(|(name, value)| (text(name), text(value)))
        .collect()
}

fn message(out: &Body) -> &str {
    out.error.as_ref().map_or("", |error| &error.message)
}

#[test]
fn processors_have_names_and_content_types() {
    for processor in [
        Processor::Urlencoded,
        Processor::Multipart,
        Processor::Json,
        Processor::Xml,
        Processor::Raw,
    ] {
        let name = processor.name().to_lowercase();
        assert_eq!(Processor::parse(&name), Some(processor));
    }
    assert_eq!(Processor::parse("YAML"), None);
    assert_eq!(
        Processor::of_content_type(b"Multipart/Form-Data; boundary=x"),
        Some(Processor::Multipart)
    );
    assert_eq!(
        Processor::of_content_type(b"application/x-www-form-urlencoded;charset=utf-8"),
        Some(Processor::Urlencoded)
    );
    assert_eq!(Processor::of_content_type(b"application/json"), None);
}

mod json {
    use super::{Limits, Processor, arguments, body, limits, message};

    fn json(text: &str) -> super::Body {
        body(Processor::Json, text.as_bytes(), &limits())
    }

    #[test]
    fn documents_are_flattened() {
        let cases: [(&str, &[(&str, &str)]); 16] = [
            (r#"{"a":"b"}"#, &[("json.a", "b")]),
            (r#"{"a":{"b":{"c":1}}}"#, &[("json.a.b.c", "1")]),
            (
                r#"{"a":[1,"x",[true]],"b":null}"#,
                &[
                    ("json.a.array_0", "1"),
                    ("json.a.array_1", "x"),
                    ("json.a.array_2.array_0", "true"),
                    ("json.b", ""),
                ],
            ),
            (
                r#"[{"b":1},{"b":2}]"#,
                &[("json.array_0.b", "1"), ("json.array_1.b", "2")],
            ),
            (r#"{"a":1,"a":2}"#, &[("json.a", "1"), ("json.a", "2")]),
            (r#"{"":1}"#, &[("json.empty-key", "1")]),
            (r#" "text" "#, &[("json", "text")]),
            ("-0.50e+10", &[("json", "-0.50e+10")]),
            ("false", &[("json", "false")]),
            ("{}", &[]),
            (" [ ] ", &[]),
            (r#"{"a":[],"b":{},"c":1}"#, &[("json.c", "1")]),
            (
                r#"{"\u0041\n":"\"\\\/\b\f\n\r\t"}"#,
                &[("json.A\n", "\"\\/\u{8}\u{c}\n\r\t")],
            ),
            (
                r#"["\u00e9\ud83d\ude00\ud83dx\udc00\ud83d\u0041"]"#,
                &[("json.array_0", "é😀?x??A")],
            ),
            ("{\"a\":\"\\u0000\"}", &[("json.a", "\0")]),
            ("", &[]),
        ];
        for (text, expected) in cases {
            let out = json(text);
            let expected: Vec<_> = expected
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                .collect();
            assert_eq!(message(&out), "", "{text}");
            assert_eq!(arguments(&out), expected, "{text}");
        }
    }

    #[test]
    fn what_is_no_json_is_an_error() {
        let cases = [
            " ",
            "{",
            "[",
            "{\"a\"",
            "{\"a\":",
            "{\"a\":1",
            "{\"a\":1,}",
            "[1,]",
            "[,1]",
            "{,}",
            "{a:1}",
            "{1:1}",
            "[1}",
            "{\"a\":1]",
            "1 2",
            "{} x",
            "01",
            "-",
            "1.",
            "1e",
            "+1",
            ".5",
            "nul",
            "True",
            "\"a",
            "\"\\x\"",
            "\"\\u12g4\"",
            "\"\t\"",
            "'a'",
            "// x\n1",
            "{\"a\" 1}",
            "NaN",
            "]",
            "\u{feff}1",
        ];
        for text in cases {
            let out = json(text);
            assert!(message(&out).starts_with("JSON parsing error: "), "{text}");
            assert!(
                out.error.is_some_and(|error| error.is_of_processor),
                "{text}"
            );
        }
    }

    #[test]
    fn what_came_before_an_error_is_kept() {
        let out = json(r#"{"a":"b","c":"d"#);
        let expected = [("json.a", "b"), ("json.c", "d")]
            .map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(arguments(&out), expected);
        assert_ne!(message(&out), "");
    }

    #[test]
    fn bytes_that_are_no_utf8_are_an_error() {
        let out = body(Processor::Json, b"{\"a\":\"\xff\"}", &limits());
        assert!(message(&out).contains("UTF8"));
        assert_eq!(out.arguments.get(0), Some((&b"json.a"[..], &b"\xff"[..])));
    }

    #[test]
    fn nesting_is_bounded() {
        let limits = Limits {
            json_depth: 3,
            ..limits()
        };
        assert_eq!(message(&body(Processor::Json, b"[[[1]]]", &limits)), "");
        assert!(message(&body(Processor::Json, b"[[[[1]]]]", &limits)).contains("depth limit"));
        let deep = "[".repeat(1 << 20);
        assert!(message(&json(&deep)).contains("depth limit"));
    }

    #[test]
    fn the_number_of_arguments_is_bounded() {
        let many = format!("[{}1]", "1,".repeat(1_000));
        let out = json(&many);
        assert_eq!(out.arguments.len(), 1_000);
        assert!(out.error.is_some_and(|error| !error.is_of_processor));
    }

    #[test]
    fn long_keys_over_many_values_do_not_multiply() {
        let text = format!("{{\"{}\":[{}1]}}", "k".repeat(20_000), "1,".repeat(900));
        let out = json(&text);
        assert!(message(&out).contains("many times the body"));
        assert!(out.arguments.size() <= 9 * text.len());
    }

    #[test]
    fn what_another_writer_makes_is_read_back() {
        let mut state = 1_u64;
        for _ in 0..200 {
            let (value, expected) = sample(&mut state);
            let out = json(&value.to_string());
            assert_eq!(message(&out), "", "{value}");
            assert_eq!(arguments(&out), expected, "{value}");
        }
    }

    /// An object of strings made of awkward characters, and what it is flattened to.
    fn sample(state: &mut u64) -> (serde_json::Value, Vec<(String, String)>) {
        let mut object = serde_json::Map::new();
        let mut expected = Vec::new();
        for index in 0..8 {
            let key = format!("{index}{}", word(state));
            let values = [word(state), word(state)];
            for (at, value) in values.iter().enumerate() {
                expected.push((format!("json.{key}.array_{at}"), value.clone()));
            }
            object.insert(key, serde_json::json!(values));
        }
        (object.into(), expected)
    }

    fn word(state: &mut u64) -> String {
        const CHARACTERS: [char; 12] = [
            'a', '"', '\\', '/', '\0', '\n', '\u{7f}', 'é', '\u{2028}', '😀', '.', ' ',
        ];
        (0..6)
            .filter_map(|_| {
                // xorshift
                *state ^= *state << 13;
                *state ^= *state >> 7;
                *state ^= *state << 17;
                CHARACTERS.get(usize::try_from(*state % 12).ok()?).copied()
            })
            .collect()
    }
}

mod xml {
    use super::{Body, Processor, body, limits, message};

    fn xml(text: &str) -> Body {
        body(Processor::Xml, text.as_bytes(), &limits())
    }

    fn text(out: &Body) -> String {
        String::from_utf8_lossy(&out.xml_text).into_owned()
    }

    #[test]
    fn the_text_of_a_document_is_one_value() {
        let cases = [
            ("<a>b</a>", "b"),
            (
                "<?xml version=\"1.0\"?>\n<a> <b>x</b><!-- c --><b>y</b>\n</a>\n",
                " xy\n",
            ),
            (
                "<a>1 &lt; 2 &amp;&#38;&#x26;&quot;&apos;&gt;</a>",
                "1 < 2 &&&\"'>",
            ),
            ("<a><![CDATA[<script>&amp;]]></a>", "<script>&amp;"),
            ("<a><?php echo 1 ?>x</a>", "x"),
            ("<a/>", ""),
            ("<!DOCTYPE html><a>x</a>", "x"),
            ("<!DOCTYPE a SYSTEM \"http://h/a.dtd\"><a>x</a>", "x"),
            ("\u{feff}<a>x</a>", "x"),
        ];
        for (document, expected) in cases {
            let out = xml(document);
            assert_eq!(message(&out), "", "{document}");
            assert_eq!(text(&out), expected, "{document}");
        }
    }

    #[test]
    fn attributes_are_values_each() {
        let out = xml("<a b='1' c=\"&#60;x&gt;\"><n:d n:e='2'/></a>");
        assert_eq!(message(&out), "");
        let found: Vec<_> = out.xml_attributes.iter().collect();
        let expected: [(&[u8], &[u8]); 3] = [(b"b", b"1"), (b"c", b"<x>"), (b"n:e", b"2")];
        assert_eq!(found, expected);
    }

    #[test]
    fn what_is_not_well_formed_is_an_error() {
        let cases = [
            "",
            "text",
            "<hello",
            "<a>",
            "<a></b>",
            "</a>",
            "<a/><b/>",
            "<a/>x",
            "x<a/>",
            "<a>&unknown;</a>",
            "<a>&#xd800;</a>",
            "<a>&#0;</a>",
            "<a>&#+65;</a>",
            "<a b='&amp'/>",
            "<a b=1/>",
            "<a b/>",
            "<a>&lt</a>",
            "<a><![CDATA[x</a>",
            "<a><!-- </a>",
            "&lt;<a/>",
            "<![CDATA[x]]><a/>",
            "<?xml version='1.0' encoding='utf-7'?><a/>",
        ];
        for document in cases {
            let out = xml(document);
            assert!(
                message(&out).starts_with("XML parsing error: "),
                "{document}"
            );
        }
        let utf16 = body(Processor::Xml, b"\xff\xfe<\0a\0/\0>\0", &limits());
        assert!(message(&utf16).contains("UTF-16"));
    }

    #[test]
    fn declarations_of_a_document_type_are_refused() {
        let bomb = "<!DOCTYPE a [<!ENTITY l \"lol\"><!ENTITY m \"&l;&l;\">]><a>&m;</a>";
        let out = xml(bomb);
        assert!(message(&out).contains("document type"));
        assert_eq!(text(&out), "");
    }

    #[test]
    fn what_came_before_an_error_is_kept() {
        let out = xml("<a b='1'>x<c></a>");
        assert_eq!(text(&out), "x");
        assert_eq!(out.xml_attributes.len(), 1);
        assert_ne!(message(&out), "");
    }

    #[test]
    fn nesting_is_bounded() {
        assert_eq!(message(&xml(&nested(256))), "");
        assert!(message(&xml(&nested(257))).contains("deeper"));
    }

    fn nested(depth: usize) -> String {
        format!("{}{}", "<a>".repeat(depth), "</a>".repeat(depth))
    }

    #[test]
    fn many_attributes_take_linear_time() {
        let attributes: String = (0..100_000).map(|index| format!(" a{index}='1'")).collect();
        let out = xml(&format!("<a{attributes}/>"));
        assert_eq!(message(&out), "");
        assert_eq!(out.xml_attributes.len(), 100_000);
    }
}
