//! XML: the text of a document and the values of its attributes, which is what rules look at (`XML:/*`, `XML://@*`).
//!
//! A document that declares anything in its document type is refused, so there are no entities but the five that every
//! document has, nothing is fetched, and text grows no larger than the body. Encodings that are not ASCII where markup
//! is are refused, too: their markup would go unseen.

use quick_xml::events::attributes::Attributes;
use quick_xml::events::{BytesDecl, Event};
use quick_xml::reader::Reader;

use super::{Body, Error};
use crate::pairs::Pairs;

/// How deep elements may nest: as in libxml2.
const DEPTH_MAX: usize = 256;
/// Encodings in which ASCII is itself.
const ENCODINGS: [&str; 10] = [
    "utf-8",
    "utf8",
    "us-ascii",
    "ascii",
    "iso-8859-1",
    "iso-8859-2",
    "iso-8859-15",
    "latin1",
    "windows-1251",
    "windows-1252",
];

/// Which values of a document a rule asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Selection {
    /// `/*`: all text of the document as one value.
    Text,
    /// `//@*`: the value of each attribute.
    Attributes,
}

impl Selection {
    /// Reads the expressions that are supported.
    pub fn parse(xpath: &str) -> Option<Self> {
        match xpath.trim() {
            "/*" | "/" => Some(Self::Text),
            "//@*" => Some(Self::Attributes),
            _ => None,
        }
    }
}

/// Reads a document into the text and attributes of `out`. What came before an error is kept.
pub(super) fn read(body: &[u8], out: &mut Body) {
    if let Err(what) = document(body, out) {
        out.fail(Error::syntax(format!(
            "XML parsing error: XML: Failed parsing document: {what}"
        )));
    }
}

fn document(body: &[u8], out: &mut Body) -> Result<(), String> {
    if matches!(
        body,
        [0xfe, 0xff, ..] | [0xff, 0xfe, ..] | [0, ..] | [_, 0, ..]
    ) {
        return Err("encoded as UTF-16 or UTF-32".to_owned());
    }
    let mut reader = Reader::from_reader(body);
    let mut depth = 0_usize;
    let mut has_root = false;
    loop {
        let event = reader.read_event().map_err(|error| error.to_string())?;
        match event {
            Event::Start(element) => {
                check_place(depth, has_root)?;
                has_root = true;
                depth += 1;
                attributes(element.attributes(), &mut out.xml_attributes)?;
            }
            Event::Empty(element) => {
                check_place(depth, has_root)?;
                has_root = true;
                attributes(element.attributes(), &mut out.xml_attributes)?;
            }
            Event::End(_) => depth = depth.saturating_sub(1),
            Event::Text(text) => add_text(&text, depth, &mut out.xml_text)?,
            Event::CData(text) => {
                let text = text.into_inner();
                if depth == 0 {
                    return Err("text outside the root element".to_owned());
                }
                out.xml_text.extend_from_slice(&text);
            }
            Event::GeneralRef(name) if depth > 0 => reference(&name, &mut out.xml_text)?,
            Event::GeneralRef(_) => return Err("text outside the root element".to_owned()),
            Event::Decl(declaration) => check_encoding(&declaration)?,
            Event::DocType(declaration) => check_document_type(&declaration)?,
            Event::Comment(_) | Event::PI(_) => {}
            Event::Eof if depth > 0 => return Err("an element is not closed".to_owned()),
            Event::Eof if !has_root => return Err("no element".to_owned()),
            Event::Eof => return Ok(()),
        }
    }
}

/// Whether an element may begin here.
fn check_place(depth: usize, has_root: bool) -> Result<(), String> {
    match depth {
        0 if has_root => Err("more than one root element".to_owned()),
        DEPTH_MAX => Err(format!("elements nested deeper than {DEPTH_MAX}")),
        _ => Ok(()),
    }
}

fn add_text(text: &[u8], depth: usize, out: &mut Vec<u8>) -> Result<(), String> {
    if depth == 0 {
        return if text.trim_ascii().is_empty() || text == b"\xef\xbb\xbf" {
            Ok(())
        } else {
            Err("text outside the root element".to_owned())
        };
    }
    out.extend_from_slice(text);
    Ok(())
}

/// Values with their references replaced. Equal names are not looked for: that would take quadratic time.
fn attributes(attributes: Attributes<'_>, out: &mut Pairs) -> Result<(), String> {
    let mut attributes = attributes;
    for attribute in attributes.with_checks(false) {
        let attribute = attribute.map_err(|error| error.to_string())?;
        let mut outcome = Ok(());
        out.push_with(
            |name| name.extend_from_slice(attribute.key.as_ref()),
            |value| outcome = unescape(&attribute.value, value),
        );
        outcome?;
    }
    Ok(())
}

fn unescape(value: &[u8], out: &mut Vec<u8>) -> Result<(), String> {
    let mut rest = value;
    while let Some(ampersand) = memchr::memchr(b'&', rest) {
        let (plain, after) = rest.split_at(ampersand);
        out.extend_from_slice(plain);
        let after = after.get(1..).unwrap_or_default();
        let Some(end) = memchr::memchr(b';', after) else {
            return Err("'&' without ';'".to_owned());
        };
        reference(after.get(..end).unwrap_or_default(), out)?;
        rest = after.get(end + 1..).unwrap_or_default();
    }
    out.extend_from_slice(rest);
    Ok(())
}

/// Appends what stands between `&` and `;` means.
fn reference(name: &[u8], out: &mut Vec<u8>) -> Result<(), String> {
    let character = match name {
        b"amp" => Some('&'),
        b"lt" => Some('<'),
        b"gt" => Some('>'),
        b"quot" => Some('"'),
        b"apos" => Some('\''),
        [b'#', b'x', digits @ ..] => character(digits, 16),
        [b'#', digits @ ..] => character(digits, 10),
        _ => None,
    };
    let Some(character) = character else {
        return Err("a reference to an entity that no document has".to_owned());
    };
    let mut buffer = [0; 4];
    out.extend_from_slice(character.encode_utf8(&mut buffer).as_bytes());
    Ok(())
}

fn character(digits: &[u8], radix: u32) -> Option<char> {
    // A sign would be read as part of the number.
    if !digits.first()?.is_ascii_hexdigit() {
        return None;
    }
    let code = u32::from_str_radix(str::from_utf8(digits).ok()?, radix).ok()?;
    char::from_u32(code).filter(|character| *character != '\0')
}

fn check_encoding(declaration: &BytesDecl<'_>) -> Result<(), String> {
    let Some(encoding) = declaration.encoding() else {
        return Ok(());
    };
    let encoding = encoding.map_err(|error| error.to_string())?;
    let is_known = ENCODINGS
        .iter()
        .any(|known| known.as_bytes().eq_ignore_ascii_case(&encoding));
    if is_known {
        Ok(())
    } else {
        Err("an encoding that is not supported".to_owned())
    }
}

/// A name and the address of a file that nobody reads are harmless; declarations are not.
fn check_document_type(declaration: &[u8]) -> Result<(), String> {
    if declaration.contains(&b'[') {
        Err("declarations in the document type".to_owned())
    } else {
        Ok(())
    }
}
