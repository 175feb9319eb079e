//! The boundary, as `Content-Type` declares it.

use memchr::memmem;

use super::Flags;

/// Bytes that a `Content-Type` may have.
const CONTENT_TYPE_MAX: usize = 1024;
const MIME_TYPE: &[u8] = b"multipart/form-data";
const PARAMETER: &[u8] = b"boundary";

/// What separates the parts.
pub(super) struct Boundary {
    /// With the two dashes before it.
    pub(super) delimiter: Vec<u8>,
    is_quoted: bool,
}

impl Boundary {
    /// Reads the parameter `boundary`.
    ///
    /// # Errors
    /// In ModSecurity's words.
    pub(super) fn of(content_type: &[u8], flags: &mut Flags) -> Result<Self, String> {
        match Self::read(content_type, flags) {
            Ok(boundary) => Ok(boundary),
            Err(what) => Err(what.to_owned()),
        }
    }

    fn read(content_type: &[u8], flags: &mut Flags) -> Result<Self, &'static str> {
        if content_type.is_empty() {
            return Err("Content-Type header not available.");
        }
        if content_type.len() > CONTENT_TYPE_MAX {
            return Err("Invalid boundary in C-T (length).");
        }
        let lower = content_type.to_ascii_lowercase();
        if !lower.starts_with(MIME_TYPE) {
            return Err("Invalid MIME type.");
        }
        if parameters(&lower) > 1 {
            return Err("Multiple boundary parameters in C-T.");
        }
        let Some(begin) = memmem::find(content_type, PARAMETER) else {
            return Err(if parameters(&lower) > 0 {
                "Invalid boundary in C-T (case sensitivity)."
            } else {
                "Boundary not found in C-T."
            });
        };
        let before = content_type.get(MIME_TYPE.len()..begin).unwrap_or_default();
        match trim_white_space(before) {
            b";" => {}
            b"" => flags.missing_semicolon = true,
            _ => return Err("Invalid boundary in C-T (malformed)."),
        }
        let after = content_type
            .get(begin + PARAMETER.len()..)
            .unwrap_or_default();
        let Some(equals) = memchr::memchr(b'=', after) else {
            return Err("Invalid boundary in C-T (malformed).");
        };
        let (name_end, value) = after.split_at(equals);
        match trim_white_space(name_end) {
            b"" if name_end.is_empty() => {}
            b"" => flags.boundary_whitespace = true,
            _ => return Err("Invalid boundary in C-T (parameter name)."),
        }
        Self::of_value(value.get(1..).unwrap_or_default(), flags)
    }

    fn of_value(value: &[u8], flags: &mut Flags) -> Result<Self, &'static str> {
        flags.boundary_whitespace |= value.first().is_some_and(|first| is_space(*first));
        let (boundary, is_quoted) = match value {
            [b'"', inside @ .., b'"'] => (inside, true),
            [b'"', ..] | [.., _, b'"'] => return Err("Invalid boundary in C-T (quote)."),
            _ => (value, false),
        };
        flags.boundary_quoted = is_quoted;
        if parameters(&boundary.to_ascii_lowercase()) != 0 {
            return Err("Invalid boundary in C-T (content).");
        }
        // Some programs add `; charset=…`, which no specification has and everybody takes.
        let boundary = match memchr::memchr(b';', boundary) {
            Some(semicolon) => boundary.get(..semicolon).unwrap_or_default(),
            None => boundary,
        };
        if boundary.is_empty() {
            return Err("Invalid boundary in C-T (empty).");
        }
        if boundary.ends_with(b" ") || !boundary.iter().all(|byte| is_boundary_character(*byte)) {
            return Err("Invalid boundary in C-T (characters).");
        }
        Ok(Self {
            delimiter: [b"--", boundary].concat(),
            is_quoted,
        })
    }

    /// Refuses a line that begins with two dashes and that some parser may take for the boundary.
    ///
    /// # Errors
    /// In ModSecurity's words.
    pub(super) fn check_lookalike(&self, line: &[u8]) -> Result<(), String> {
        let boundary = self.delimiter.get(2..).unwrap_or_default();
        let after = line.get(2..).unwrap_or_default();
        let unquoted = after.strip_prefix(b"\"").unwrap_or_default();
        if self.is_quoted && unquoted.starts_with(boundary) {
            return Err("Invalid boundary (quotes).".to_owned());
        }
        let spaces = after.iter().take_while(|byte| is_space(**byte)).count();
        let unspaced = after.get(spaces..).unwrap_or_default();
        if spaces > 0 && unspaced.starts_with(boundary) {
            return Err("Invalid boundary (whitespace).".to_owned());
        }
        Ok(())
    }
}

/// How often `boundary` occurs with an equals sign somewhere after it.
fn parameters(lower: &[u8]) -> usize {
    let last_equals = memchr::memrchr(b'=', lower);
    memmem::find_iter(lower, PARAMETER)
        .filter(|at| last_equals.is_some_and(|equals| at + PARAMETER.len() <= equals))
        .count()
}

/// RFC 2046, section 5.1.1.
fn is_boundary_character(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b" '()+_,-./:=?".contains(&byte)
}

/// White space of C.
pub(super) fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t'..=b'\r')
}

fn trim_white_space(bytes: &[u8]) -> &[u8] {
    let begin = bytes.iter().position(|byte| !is_space(*byte));
    let end = bytes.iter().rposition(|byte| !is_space(*byte));
    match (begin, end) {
        (Some(begin), Some(end)) => bytes.get(begin..=end).unwrap_or_default(),
        _ => b"",
    }
}
