//! A value through every transformation, against its definition.

#[path = "../../src/transformations/tests/definitions.rs"]
mod definitions;

use portcullis_seclang::byte_set::ByteSet;
use portcullis_seclang::transformations::Transformation;

pub(super) const WORDS: &[&str] = &[
    "%",
    "%u",
    "%41",
    "%uff1c",
    "+",
    "&",
    "&#",
    "&#x",
    "&lt;",
    "&quot",
    ";",
    "\\",
    "\\u",
    "\\x",
    "\\0",
    "\\u{",
    "}",
    "0x",
    "41",
    "/",
    "//",
    "/../",
    "..",
    "./",
    "/*",
    "*/",
    "<!--",
    "-->",
    "--",
    "#",
    " ",
    "\t",
    "\r\n",
    "\0",
    "\"",
    "'",
    "^",
    "(",
    ",",
    "=",
    "A",
    "z",
    "\u{e9}",
    "\u{a0}",
    "\u{20ac}",
    "\u{1f600}",
];

pub(super) fn run(input: &[u8]) {
    for &transformation in Transformation::ALL {
        told(transformation, input);
    }
    let ascii: Vec<u8> = input.iter().map(|byte| byte & 0x7f).collect();
    for each in definitions::ALL {
        each(&mut |name, _, definition| {
            let transformation = Transformation::parse(name).unwrap();
            assert_eq!(told(transformation, &ascii), definition(&ascii), "{name}");
        });
    }
}

/// What becomes of a value; what must hold of every change is looked at.
fn told(transformation: Transformation, input: &[u8]) -> Vec<u8> {
    let mut out = b"before".to_vec();
    let changed = transformation.apply(input, &mut out);
    let result = out.strip_prefix(b"before").unwrap();
    if !changed {
        assert_eq!(result, b"");
        return input.to_vec();
    }
    assert_ne!(result, input);
    let triggered = transformation.triggers().intersects(&ByteSet::of(input));
    assert!(triggered || (input.is_empty() && transformation.changes_the_empty_value()));
    // Nothing grows without bound: the most is what a byte becomes in UTF-8 or in hexadecimal, or a digest is.
    assert!(result.len() <= input.len() * 3 + 20);
    result.to_vec()
}
