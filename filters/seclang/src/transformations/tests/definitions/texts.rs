//! White space, comments, command lines, paths.

use super::*;

pub(super) fn normalize_path_is_defined(agree: Agree<'_>) {
    let pieces: &[&[u8]] = &[b"/", b"..", b".", b"a", b"b", b"/../", b"//", b"\\"];
    fn definition(text: &[u8]) -> Vec<u8> {
        let text = String::from_utf8_lossy(text).into_owned();
        let absolute = text.starts_with('/');
        let mut parts: Vec<&str> = Vec::new();
        for part in text
            .split('/')
            .filter(|part| !part.is_empty() && *part != ".")
        {
            match (part, parts.last()) {
                ("..", Some(last)) if *last != ".." => drop(parts.pop()),
                ("..", None) if absolute => {}
                (part, _) => parts.push(part),
            }
        }
        let root = if absolute { "/" } else { "" };
        let slash = if text.ends_with('/') && !parts.is_empty() {
            "/"
        } else {
            ""
        };
        format!("{root}{}{slash}", parts.join("/")).into_bytes()
    }
    agree("normalizePath", pieces, definition);
    agree("normalizePathWin", pieces, |text| {
        let slashes: Vec<u8> = text
            .iter()
            .map(|&byte| if byte == b'\\' { b'/' } else { byte })
            .collect();
        definition(&slashes)
    });
}

pub(super) fn cmd_line_is_defined(agree: Agree<'_>) {
    let pieces: &[&[u8]] = &[
        b"a", b"B", b" ", b",", b";", b"\t", b"\r\n", b"/", b"(", b"\"", b"'", b"\\", b"^",
    ];
    agree("cmdLine", pieces, |text| {
        let kept = text.iter().filter(|byte| !b"\"'\\^".contains(byte));
        let spaced = kept.map(|byte| {
            if b" ,;\t\r\n".contains(byte) {
                ' '
            } else {
                char::from(*byte)
            }
        });
        let mut line: String = spaced.collect::<String>().to_lowercase();
        while line.contains("  ") {
            line = line.replace("  ", " ");
        }
        line.replace(" /", "/").replace(" (", "(").into_bytes()
    });
}

pub(super) fn white_space_is_defined(agree: Agree<'_>) {
    let pieces: &[&[u8]] = &[
        b" ", b"\t", b"\n", b"\x0b", b"\x0c", b"\r", b"a", b"\0", b"bc",
    ];
    fn words(text: &[u8]) -> String {
        String::from_utf8_lossy(text).replace(['\t', '\n', '\x0b', '\x0c', '\r'], " ")
    }
    agree("compressWhitespace", pieces, |text| {
        let mut words = words(text);
        while words.contains("  ") {
            words = words.replace("  ", " ");
        }
        words.into_bytes()
    });
    agree("removeWhitespace", pieces, |text| {
        words(text).replace(' ', "").into_bytes()
    });
    const SPACES: &[char] = &[' ', '\t', '\n', '\x0b', '\x0c', '\r'];
    agree("trim", pieces, |text| {
        String::from_utf8_lossy(text).trim_matches(SPACES).into()
    });
    agree("trimLeft", pieces, |text| {
        String::from_utf8_lossy(text)
            .trim_start_matches(SPACES)
            .into()
    });
    agree("trimRight", pieces, |text| {
        String::from_utf8_lossy(text)
            .trim_end_matches(SPACES)
            .into()
    });
}

pub(super) fn comments_are_defined(agree: Agree<'_>) {
    let pieces: &[&[u8]] = &[
        b"/*", b"*/", b"/", b"*", b"<!--", b"-->", b"-", b"#", b"a", b"<", b"!", b">", b"b",
    ];
    agree("replaceComments", pieces, |text| {
        let (mut out, mut rest) = (String::new(), String::from_utf8_lossy(text).into_owned());
        while let Some((before, inside)) = rest.clone().split_once("/*") {
            out.push_str(before);
            out.push(' ');
            rest = inside
                .split_once("*/")
                .map_or(String::new(), |(_, after)| after.to_owned());
        }
        (out + &rest).into_bytes()
    });
    agree("removeCommentsChar", pieces, |text| {
        stepwise(text, |text, at| {
            for sign in ["/*", "*/", "<!--", "-->", "--", "#"] {
                if text[at..].starts_with(sign.as_bytes()) {
                    return (Vec::new(), sign.len());
                }
            }
            (vec![text[at]], 1)
        })
    });
    agree("removeComments", pieces, |text| {
        let (mut out, mut at) = (Vec::new(), 0);
        let mut inside = false;
        while at < text.len() {
            let here = |sign: &str| text[at..].starts_with(sign.as_bytes());
            at += match inside {
                true if here("*/") || here("-->") => {
                    inside = false;
                    if here("*/") { 2 } else { 3 }
                }
                true => 1,
                false if here("/*") || here("<!--") => {
                    inside = true;
                    if here("/*") { 2 } else { 4 }
                }
                false if here("--") || here("#") => return out,
                false => {
                    out.push(text[at]);
                    1
                }
            };
        }
        out.extend(inside.then_some(b' '));
        out
    });
}
