//! Classes: `[^a-z\d[:punct:]]`.

use super::{Escape, Reader, single_byte};

impl Reader<'_> {
    /// After `[`.
    pub(super) fn class(&mut self) -> Result<(), String> {
        self.out.push('[');
        if self.take(b"^") {
            self.out.push('^');
        }
        let mut first = true;
        loop {
            let Some(byte) = self.next() else {
                return Err("a class [...] is not closed".to_owned());
            };
            if byte == b']' && !first {
                self.out.push(']');
                return Ok(());
            }
            first = false;
            if byte == b'\\' && self.take(b"Q") {
                self.quoted();
            } else if byte == b'\\' && self.take(b"E") {
                // The end of a quotation that did not begin.
                first = true;
            } else if let Some(low) = self.member(byte)? {
                self.range(low)?;
            }
        }
    }

    /// One member of a class: its byte, or nothing if it stands for several and is already written.
    fn member(&mut self, byte: u8) -> Result<Option<u8>, String> {
        match byte {
            b'[' if self.rest.first().is_some_and(|next| b":.=".contains(next)) => self.posix(),
            b'\\' => {
                let Some(byte) = self.next() else {
                    return Err("the regular expression ends with a \\".to_owned());
                };
                let escape = match byte {
                    b'b' => Escape::Byte(0x08),
                    b'1'..=b'7' => {
                        let (more, count) = self.digits(8, 2);
                        let shift = 8_u32.pow(u32::try_from(count).unwrap_or(0));
                        Escape::Byte(single_byte(u32::from(byte - b'0') * shift + more)?)
                    }
                    byte => self.common(byte)?,
                };
                Ok(match escape {
                    Escape::Byte(byte) => Some(byte),
                    Escape::Class(members) => {
                        self.out.push_str(members);
                        None
                    }
                    Escape::Other(letter) => {
                        self.out.extend(['\\', char::from(letter)]);
                        None
                    }
                })
            }
            byte => Ok(Some(byte)),
        }
    }

    /// Writes a byte of a class, as the beginning of a range if it is one.
    fn range(&mut self, low: u8) -> Result<(), String> {
        self.hexadecimal(low);
        let is_range =
            self.peek() == Some(b'-') && self.rest.get(1).is_some_and(|&byte| byte != b']');
        if !is_range {
            return Ok(());
        }
        let before = (self.rest, self.out.len());
        self.next();
        let Some(byte) = self.next() else {
            return Ok(());
        };
        match self.member(byte)? {
            Some(high) if high < low => Err(format!(
                "the range {}-{} ends before it begins",
                low.escape_ascii(),
                high.escape_ascii()
            )),
            Some(high) => {
                self.out.push('-');
                self.hexadecimal(high);
                Ok(())
            }
            None => {
                // `[a-\d]`: the hyphen is one; what follows is read again.
                self.rest = before.0.get(1..).unwrap_or_default();
                self.out.truncate(before.1);
                self.hexadecimal(b'-');
                Ok(())
            }
        }
    }

    /// After `[` in a class, with `:`, `.` or `=` next: a name like `[:alpha:]`, or just a bracket.
    fn posix(&mut self) -> Result<Option<u8>, String> {
        let name = self.rest.strip_prefix(b":").and_then(|rest| {
            let length = rest.windows(2).position(|two| two == b":]")?;
            let name = rest.get(..length)?;
            let good = |byte: &u8| byte.is_ascii_lowercase() || *byte == b'^';
            name.iter().all(good).then_some(name)
        });
        let Some(name) = name else {
            return Ok(Some(b'['));
        };
        self.out
            .push_str(&format!("[:{}:]", String::from_utf8_lossy(name)));
        self.rest = self.rest.get(name.len() + 3..).unwrap_or_default();
        Ok(None)
    }
}
