//! `multipart/form-data`, line by line and strictly, since what two parsers read differently is how uploads are smuggled
//! past rules. What is odd is a flag ([`Flags`], the rules' `MULTIPART_*`); what cannot be read is an error. Decisions
//! and words are ModSecurity's.

mod boundary;
mod disposition;
mod part;

use std::ops::Range;

use memchr::{memchr, memmem};

use super::{Body, Error, Limits};
use boundary::Boundary;
use part::Part;

/// An uploaded file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct File {
    /// Of the part: the key in `FILES`.
    pub name: Vec<u8>,
    /// `filename="…"`
    pub filename: Vec<u8>,
    /// `filename*=UTF-8''…`, decoded: what some servers prefer, so it is a second value in `FILES`.
    pub extended_filename: Option<Vec<u8>>,
    /// Where in the body its content is.
    pub content: Range<usize>,
}

/// What was odd: `MULTIPART_…`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flags {
    pub boundary_quoted: bool,
    pub boundary_whitespace: bool,
    pub crlf_line: bool,
    pub data_after: bool,
    pub data_before: bool,
    pub file_limit_exceeded: bool,
    pub header_folding: bool,
    pub invalid_header_folding: bool,
    pub invalid_part: bool,
    pub invalid_quoting: bool,
    pub lf_line: bool,
    pub missing_semicolon: bool,
    /// 1: a line looked like a boundary and was none; 2: so it may be, but boundaries that are some came after it.
    pub unmatched_boundary: u8,
    /// The body could not be read whole.
    pub error: bool,
}

impl Flags {
    /// `MULTIPART_CRLF_LF_LINES`: both ends of lines were used.
    pub fn crlf_lf_lines(&self) -> bool {
        self.crlf_line && self.lf_line
    }

    /// `MULTIPART_STRICT_ERROR`
    pub fn strict_error(&self) -> bool {
        self.error
            || self.boundary_quoted
            || self.boundary_whitespace
            || self.data_after
            || self.data_before
            || self.file_limit_exceeded
            || self.header_folding
            || self.invalid_header_folding
            || self.invalid_part
            || self.invalid_quoting
            || self.lf_line
            || self.missing_semicolon
    }
}

/// Reads a body and answers how many bytes of it are no files.
pub(super) fn read(body: &[u8], content_type: &[u8], limits: &Limits, out: &mut Body) -> usize {
    let mut parser = Parser {
        body,
        limits,
        out,
        part: None,
        parts: 0,
        boundaries: 0,
        after_bare_lf: false,
        no_files_size: 0,
    };
    let outcome = Boundary::of(content_type, &mut parser.out.multipart)
        .and_then(|boundary| parser.document(&boundary));
    let no_files_size = parser.no_files_size;
    if let Err(what) = outcome {
        out.multipart.error = true;
        out.fail(Error::syntax(format!(
            "Multipart parsing error: Multipart: {what}"
        )));
    }
    no_files_size
}

struct Parser<'a> {
    body: &'a [u8],
    limits: &'a Limits,
    out: &'a mut Body,
    /// The one being read.
    part: Option<Part>,
    /// How many have been read.
    parts: usize,
    /// How many boundaries there were.
    boundaries: usize,
    /// Whether the line before ended without a carriage return.
    after_bare_lf: bool,
    no_files_size: usize,
}

/// What a line between parts says.
enum Delimiter {
    Next,
    Final,
}

impl Parser<'_> {
    fn document(&mut self, boundary: &Boundary) -> Result<(), String> {
        let finder = memmem::Finder::new(&boundary.delimiter);
        let mut at = 0;
        while at < self.body.len() {
            let rest = self.body.get(at..).unwrap_or_default();
            let Some(end) = memchr(b'\n', rest) else {
                return self.last_line(rest, at, boundary);
            };
            let line = rest.get(..=end).unwrap_or_default();
            match self.delimiter(line, boundary, &finder)? {
                Some(delimiter) => {
                    self.finish_part();
                    self.boundaries += 1;
                    if matches!(delimiter, Delimiter::Final) {
                        self.out.multipart.data_after = at + line.len() < self.body.len();
                        return Ok(());
                    }
                    self.part = Some(Part::default());
                }
                None => self.content(line, at)?,
            }
            self.after_bare_lf = !line.ends_with(b"\r\n");
            at += line.len();
        }
        self.unfinished()
    }

    /// Whether the line is a boundary.
    fn delimiter(
        &mut self,
        line: &[u8],
        boundary: &Boundary,
        finder: &memmem::Finder<'_>,
    ) -> Result<Option<Delimiter>, String> {
        let flags = &mut self.out.multipart;
        if !line.starts_with(b"--") {
            if finder.find(line).is_some() {
                flags.unmatched_boundary = 1;
            }
            return Ok(None);
        }
        let Some(after) = line.strip_prefix(boundary.delimiter.as_slice()) else {
            boundary.check_lookalike(line)?;
            if line.len() > 3 {
                flags.unmatched_boundary = 1;
            }
            return Ok(None);
        };
        flags.lf_line |= self.after_bare_lf;
        if self.boundaries > 0 {
            if self.part.as_ref().is_some_and(Part::is_without_data) {
                // Where the data of a part should begin: another parser may see no part here.
                flags.invalid_part = true;
                return Ok(None);
            }
            flags.unmatched_boundary = 2;
        }
        let (delimiter, end) = match after.strip_prefix(b"--") {
            Some(end) => (Delimiter::Final, end),
            None => (Delimiter::Next, after),
        };
        match end {
            b"\r\n" => flags.crlf_line = true,
            b"\n" => flags.lf_line = true,
            _ => return Err(format!("Invalid boundary: {}", shown(line))),
        }
        Ok(Some(delimiter))
    }

    /// A line that is no boundary.
    fn content(&mut self, line: &[u8], at: usize) -> Result<(), String> {
        let flags = &mut self.out.multipart;
        let Some(part) = &mut self.part else {
            flags.data_before = true;
            return Ok(());
        };
        if part.is_in_headers() {
            self.no_files_size += line.len();
            let header = part.header_line(line, flags);
            if header.is_err() {
                // What is wrong with the header is for the rules to see, too.
                let line = part::without_end(line);
                self.out.part_headers.push(part.name(), line);
            }
            return header;
        }
        part.add_data(at, line.len());
        if !part.is_file() {
            self.no_files_size += line.len();
        }
        Ok(())
    }

    /// What follows the last line feed: a final boundary may do without.
    fn last_line(&mut self, line: &[u8], at: usize, boundary: &Boundary) -> Result<(), String> {
        let is_final = line
            .strip_prefix(boundary.delimiter.as_slice())
            .is_some_and(|end| end == b"--");
        if !is_final || self.boundaries == 0 {
            if let Some(part) = self.part.as_mut().filter(|part| !part.is_in_headers()) {
                part.add_data(at, line.len());
            }
            return self.unfinished();
        }
        let flags = &mut self.out.multipart;
        flags.lf_line |= self.after_bare_lf;
        flags.invalid_part |= self.part.as_ref().is_some_and(Part::is_without_data);
        flags.unmatched_boundary = 2;
        self.finish_part();
        Ok(())
    }

    /// At the end of a body without a final boundary. The last part is kept all the same.
    fn unfinished(&mut self) -> Result<(), String> {
        if self.body.is_empty() {
            return Ok(());
        }
        self.finish_part();
        Err(if self.boundaries == 0 {
            "No boundaries found in payload.".to_owned()
        } else {
            "Final boundary missing.".to_owned()
        })
    }

    fn finish_part(&mut self) {
        let Some(part) = self.part.take() else {
            return;
        };
        for line in part.header_lines() {
            self.out.part_headers.push(part.name(), line);
        }
        if part.name().is_empty() {
            self.out.multipart.invalid_part = true;
            return;
        }
        self.parts += 1;
        let content = part.content(self.body);
        if part.is_file() {
            self.out.multipart.file_limit_exceeded |= self.out.files.len() >= self.limits.files;
            self.out.files.push(part.into_file(content));
        } else if self.out.arguments.len() < self.limits.arguments {
            let value = self.body.get(content).unwrap_or_default();
            self.out.arguments.push(part.name(), value);
        } else {
            self.out.fail(super::over_argument_limit(self.limits));
        }
    }
}

/// A line for an error message: its end, and what is long or unprintable, left out.
fn shown(line: &[u8]) -> String {
    line.trim_ascii_end()
        .iter()
        .take(100)
        .flat_map(|byte| byte.escape_ascii())
        .map(char::from)
        .collect()
}

#[cfg(test)]
mod tests;
