//! The tokens of JSON.

use super::super::Error;

/// Where in a document the parser is.
pub(super) struct Scanner<'a> {
    input: &'a [u8],
    at: usize,
}

impl<'a> Scanner<'a> {
    pub(super) fn new(input: &'a [u8]) -> Self {
        Self { input, at: 0 }
    }

    /// The next byte.
    pub(super) fn peek(&self) -> Option<u8> {
        self.input.get(self.at).copied()
    }

    /// Goes over the byte that [`Self::peek`] gave.
    pub(super) fn skip(&mut self) {
        self.at += usize::from(self.at < self.input.len());
    }

    /// Goes over the next byte if it is `expected`.
    pub(super) fn take(&mut self, expected: u8) -> bool {
        let found = self.peek() == Some(expected);
        self.at += usize::from(found);
        found
    }

    pub(super) fn skip_white_space(&mut self) {
        while let Some(b' ' | b'\t' | b'\n' | b'\r') = self.peek() {
            self.at += 1;
        }
    }

    /// Whether nothing is left.
    pub(super) fn end(&self) -> Result<(), Error> {
        if self.at == self.input.len() {
            Ok(())
        } else {
            Err(self.error("trailing garbage"))
        }
    }

    pub(super) fn error(&self, what: &str) -> Error {
        Error::syntax(format!("JSON parsing error: {what} (byte {})", self.at))
    }

    /// Appends the content of the string that begins here; of a broken one, what is good.
    pub(super) fn string(&mut self, out: &mut Vec<u8>) -> Result<(), Error> {
        self.skip();
        loop {
            let rest = self.rest();
            let length = rest
                .iter()
                .position(|byte| matches!(byte, b'"' | b'\\' | 0..=0x1f))
                .unwrap_or(rest.len());
            let plain = rest.get(..length).unwrap_or_default();
            out.extend_from_slice(plain);
            if str::from_utf8(plain).is_err() {
                return Err(self.error("invalid bytes in UTF8 string"));
            }
            self.at += length;
            match self.next() {
                Some(b'"') => return Ok(()),
                Some(b'\\') => self.escape(out)?,
                Some(_) => return Err(self.error("invalid character inside string")),
                None => return Err(self.error("premature EOF")),
            }
        }
    }

    fn escape(&mut self, out: &mut Vec<u8>) -> Result<(), Error> {
        let byte = match self.next() {
            Some(byte @ (b'"' | b'\\' | b'/')) => byte,
            Some(b'b') => 0x08,
            Some(b'f') => 0x0c,
            Some(b'n') => b'\n',
            Some(b'r') => b'\r',
            Some(b't') => b'\t',
            Some(b'u') => {
                let character = self.code_point()?;
                let mut buffer = [0; 4];
                out.extend_from_slice(character.encode_utf8(&mut buffer).as_bytes());
                return Ok(());
            }
            _ => return Err(self.error("'\\' before a character which it may not escape")),
        };
        out.push(byte);
        Ok(())
    }

    /// After `\u`. Half a surrogate pair is a question mark, as in the parser that ModSecurity uses.
    fn code_point(&mut self) -> Result<char, Error> {
        let unit = self.hex_digits()?;
        if !(0xd800..0xdc00).contains(&unit) || !self.rest().starts_with(b"\\u") {
            return Ok(char::from_u32(unit).unwrap_or('?'));
        }
        let before = self.at;
        self.at += 2;
        let low = self.hex_digits()?;
        if !(0xdc00..0xe000).contains(&low) {
            self.at = before;
            return Ok('?');
        }
        let code = 0x1_0000 + ((unit - 0xd800) << 10) + (low - 0xdc00);
        Ok(char::from_u32(code).unwrap_or('?'))
    }

    fn hex_digits(&mut self) -> Result<u32, Error> {
        let mut unit = 0;
        for _ in 0..4 {
            let digit = self.next().and_then(|byte| char::from(byte).to_digit(16));
            let Some(digit) = digit else {
                return Err(self.error("invalid (non-hex) character after '\\u'"));
            };
            unit = unit * 16 + digit;
        }
        Ok(unit)
    }

    /// The number that begins here, as written.
    pub(super) fn number(&mut self) -> Result<&'a [u8], Error> {
        let begin = self.at;
        self.take(b'-');
        if !self.take(b'0') {
            self.digits()?;
        }
        if self.take(b'.') {
            self.digits()?;
        }
        if self.take(b'e') || self.take(b'E') {
            let _signed = self.take(b'+') || self.take(b'-');
            self.digits()?;
        }
        Ok(self.input.get(begin..self.at).unwrap_or_default())
    }

    /// One or more.
    fn digits(&mut self) -> Result<(), Error> {
        let begin = self.at;
        while let Some(b'0'..=b'9') = self.peek() {
            self.at += 1;
        }
        if self.at == begin {
            return Err(self.error("malformed number"));
        }
        Ok(())
    }

    /// `true` and `false` as written, `null` as nothing.
    pub(super) fn literal(&mut self) -> Result<&'static [u8], Error> {
        const LITERALS: [(&[u8], &[u8]); 3] =
            [(b"null", b""), (b"true", b"true"), (b"false", b"false")];
        let rest = self.rest();
        if rest.is_empty() {
            return Err(self.error("premature EOF"));
        }
        for (name, value) in LITERALS {
            if rest.starts_with(name) {
                self.at += name.len();
                return Ok(value);
            }
        }
        Err(self.error("invalid char in json text"))
    }

    fn rest(&self) -> &'a [u8] {
        self.input.get(self.at..).unwrap_or_default()
    }

    fn next(&mut self) -> Option<u8> {
        let byte = self.peek()?;
        self.at += 1;
        Some(byte)
    }
}
