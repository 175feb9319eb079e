//! One part: its headers, and where its data are.

use std::ops::Range;

use memchr::memmem;

use super::boundary::is_space;
use super::disposition::Disposition;
use super::{File, Flags, shown};

/// Bytes of a header, with what is folded into it.
const HEADER_MAX: usize = 4096;
/// Headers of a part. Each is compared with all before it, and no honest part has more than a handful.
const HEADERS_MAX: usize = 64;

/// A part being read.
#[derive(Default)]
pub(super) struct Part {
    headers: Vec<Header>,
    disposition: Disposition,
    state: State,
}

#[derive(Default)]
enum State {
    #[default]
    Headers,
    /// After the empty line.
    DataBegin,
    Data(Range<usize>),
}

struct Header {
    name: Vec<u8>,
    value: Vec<u8>,
    /// As received, without its end; of a folded header, its name and value.
    line: Vec<u8>,
}

impl Part {
    pub(super) fn is_in_headers(&self) -> bool {
        matches!(self.state, State::Headers)
    }

    pub(super) fn is_without_data(&self) -> bool {
        !matches!(self.state, State::Data(_))
    }

    /// An empty file name is what browsers send for a field without a file: an argument.
    pub(super) fn is_file(&self) -> bool {
        !self.disposition.filename.is_empty()
    }

    /// Empty until the headers are complete.
    pub(super) fn name(&self) -> &[u8] {
        &self.disposition.name
    }

    pub(super) fn header_lines(&self) -> impl Iterator<Item = &[u8]> {
        self.headers.iter().map(|header| header.line.as_slice())
    }

    /// Takes a line of the headers, or the empty one after them.
    ///
    /// # Errors
    /// In ModSecurity's words.
    pub(super) fn header_line(&mut self, line: &[u8], flags: &mut Flags) -> Result<(), String> {
        if line.contains(&0) {
            return Err("Nul byte in part headers.".to_owned());
        }
        if line.len() > HEADER_MAX {
            return Err(format!("Part header line over {HEADER_MAX} bytes long"));
        }
        if line.ends_with(b"\r\n") {
            flags.crlf_line = true;
        } else {
            flags.lf_line = true;
        }
        let line = without_end(line);
        match line.first() {
            None => self.end_headers(flags),
            Some(first) if is_space(*first) => self.fold(line, flags),
            Some(_) => self.add_header(line),
        }
    }

    fn add_header(&mut self, line: &[u8]) -> Result<(), String> {
        let Some(colon) = memchr::memchr(b':', line) else {
            return Err(format!(
                "Invalid part header (colon missing): {}.",
                shown(line)
            ));
        };
        let (name, value) = line.split_at(colon);
        if name.is_empty() {
            return Err("Invalid part header (header name missing).".to_owned());
        }
        if !name.iter().all(u8::is_ascii_graphic) {
            return Err("Invalid part header (contains invalid character).".to_owned());
        }
        let is_known = |header: &Header| header.name.eq_ignore_ascii_case(name);
        if self.headers.iter().any(is_known) {
            return Err(format!("Duplicate part header: {}.", shown(name)));
        }
        if self.headers.len() >= HEADERS_MAX {
            return Err(format!("More than {HEADERS_MAX} part headers."));
        }
        let value = value.get(1..).unwrap_or_default();
        let begin = value.iter().position(|byte| !b"\t ".contains(byte));
        self.headers.push(Header {
            name: name.to_vec(),
            value: begin
                .and_then(|begin| value.get(begin..))
                .unwrap_or_default()
                .to_vec(),
            line: line.to_vec(),
        });
        Ok(())
    }

    /// Adds a line that goes on with the header before it.
    fn fold(&mut self, line: &[u8], flags: &mut Flags) -> Result<(), String> {
        flags.header_folding = true;
        let spaces = line.iter().take_while(|byte| is_space(**byte)).count();
        let (spaces, more) = line.split_at(spaces);
        flags.invalid_header_folding |= spaces.iter().any(|byte| !b"\t ".contains(byte));
        let Some(header) = self.headers.last_mut() else {
            return Err("Invalid part header (folding error).".to_owned());
        };
        header.value.push(b' ');
        header.value.extend_from_slice(more);
        if header.value.len() > HEADER_MAX {
            return Err("Part header too long.".to_owned());
        }
        header.line = [&header.name, &b": "[..], &header.value].concat();
        Ok(())
    }

    fn end_headers(&mut self, flags: &mut Flags) -> Result<(), String> {
        self.state = State::DataBegin;
        let is_disposition =
            |header: &&Header| header.name.eq_ignore_ascii_case(b"Content-Disposition");
        let Some(header) = self.headers.iter().find(is_disposition) else {
            return Err("Part missing Content-Disposition header.".to_owned());
        };
        self.disposition = Disposition::parse(&header.value, flags).map_err(|code| {
            format!(
                "Invalid Content-Disposition header ({code}): {}.",
                shown(&header.value)
            )
        })?;
        if self.disposition.name.is_empty() {
            return Err("Content-Disposition header missing name field.".to_owned());
        }
        // Crude parsers look for this very text.
        if self.is_file() && memmem::find(&header.value, b"filename=").is_none() {
            return Err("Invalid Content-Disposition header (filename).".to_owned());
        }
        Ok(())
    }

    /// Adds `length` bytes of the body at `at`, which follow those added before.
    pub(super) fn add_data(&mut self, at: usize, length: usize) {
        let begin = match &self.state {
            State::Data(range) => range.start,
            State::Headers | State::DataBegin => at,
        };
        self.state = State::Data(begin..at + length);
    }

    /// Where the data are: the end of their last line belongs to the boundary.
    pub(super) fn content(&self, body: &[u8]) -> Range<usize> {
        let State::Data(range) = &self.state else {
            return 0..0;
        };
        let data = body.get(range.clone()).unwrap_or_default();
        range.start..range.start + without_end(data).len()
    }

    pub(super) fn into_file(self, content: Range<usize>) -> File {
        File {
            name: self.disposition.name,
            filename: self.disposition.filename,
            extended_filename: self.disposition.extended_filename,
            content,
        }
    }
}

/// Without the line feed at its end, and the carriage return before that.
pub(super) fn without_end(line: &[u8]) -> &[u8] {
    match line {
        [rest @ .., b'\r', b'\n'] | [rest @ .., b'\n'] => rest,
        _ => line,
    }
}
