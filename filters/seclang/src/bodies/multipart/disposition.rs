//! `Content-Disposition` of a part. Only `name`, `filename` and `filename*` are understood, and anything else is an error:
//! another parser may find a second name there.

use super::Flags;
use crate::bodies::urlencoded::hex_pair;

/// What the header says.
#[derive(Default)]
pub(super) struct Disposition {
    pub(super) name: Vec<u8>,
    pub(super) filename: Vec<u8>,
    pub(super) extended_filename: Option<Vec<u8>>,
}

/// ModSecurity's number of what is wrong, which its users find in their logs.
type Code = i8;

impl Disposition {
    pub(super) fn parse(value: &[u8], flags: &mut Flags) -> Result<Self, Code> {
        let Some(rest) = value.strip_prefix(b"form-data") else {
            return Err(-1);
        };
        let mut cursor = Cursor { rest };
        cursor.skip_blanks();
        if cursor.rest.is_empty() {
            return Ok(Self::default());
        }
        if !cursor.take(b';') {
            return Err(-2);
        }
        let (mut name, mut filename, mut extended) = (None, None, None);
        while !cursor.rest.is_empty() {
            let parameter = cursor.parameter()?;
            let (slot, duplicate) = match parameter {
                b"name" => (&mut name, -14),
                b"filename" => (&mut filename, -15),
                b"filename*" => (&mut extended, -20),
                _ => return Err(-11),
            };
            let value = if parameter == b"filename*" {
                cursor.extended_value()?
            } else {
                cursor.value(flags)?
            };
            if slot.replace(value).is_some() {
                return Err(duplicate);
            }
            cursor.end_of_parameter(flags)?;
        }
        if extended.is_some() && filename.is_none() {
            return Err(-21);
        }
        Ok(Self {
            name: name.unwrap_or_default(),
            filename: filename.unwrap_or_default(),
            extended_filename: extended,
        })
    }
}

struct Cursor<'a> {
    rest: &'a [u8],
}

impl<'a> Cursor<'a> {
    /// The name of a parameter, with what is between it and its value.
    fn parameter(&mut self) -> Result<&'a [u8], Code> {
        self.skip_blanks();
        if self.rest.is_empty() {
            return Err(-3);
        }
        let name = self.take_while(|byte| !b"=\t ".contains(&byte));
        if self.rest.is_empty() {
            return Err(-4);
        }
        self.skip_blanks();
        if self.rest.is_empty() {
            return Err(-5);
        }
        if !self.take(b'=') {
            return Err(-13);
        }
        self.skip_blanks();
        if self.rest.is_empty() {
            return Err(-6);
        }
        Ok(name)
    }

    fn value(&mut self, flags: &mut Flags) -> Result<Vec<u8>, Code> {
        match self.rest.split_first() {
            Some((quote @ (b'"' | b'\''), after)) => {
                self.rest = after;
                let value = self.quoted(*quote)?;
                // Single quotes are none, but some servers take them for such.
                flags.invalid_quoting |= *quote == b'\'';
                Ok(value)
            }
            _ => {
                let value = self.take_while(is_token_character);
                flags.invalid_quoting |= value.contains(&b'\'');
                Ok(value.to_vec())
            }
        }
    }

    /// After the opening quote. A backslash before anything but a quote or a backslash is itself: old browsers send
    /// paths of Windows so.
    fn quoted(&mut self, quote: u8) -> Result<Vec<u8>, Code> {
        if self.rest.is_empty() {
            return Err(-7);
        }
        let mut value = Vec::new();
        while let Some((&byte, after)) = self.rest.split_first() {
            self.rest = after;
            match (byte, after.first()) {
                (b'\\', None) => return Err(-8),
                (b'\\', Some(&escaped)) if escaped == quote || escaped == b'\\' => {
                    value.push(escaped);
                    self.rest = after.get(1..).unwrap_or_default();
                }
                (byte, _) if byte == quote => return Ok(value),
                (byte, _) => value.push(byte),
            }
        }
        Err(-10)
    }

    /// `charset'language'percent-encoded`, RFC 8187; decoded, whatever the character set.
    fn extended_value(&mut self) -> Result<Vec<u8>, Code> {
        let charset = self
            .take_while(|byte| byte.is_ascii_alphanumeric() || b"!#$%&+-^_`{}~".contains(&byte));
        if charset.is_empty() || !self.take(b'\'') {
            return Err(-16);
        }
        self.take_while(|byte| byte != b'\'');
        if !self.take(b'\'') {
            return Err(-17);
        }
        let mut value = Vec::new();
        while let Some((&byte, after)) = self.rest.split_first() {
            match byte {
                b';' => break,
                b'%' => {
                    value.push(hex_pair(after).ok_or(-18)?);
                    self.rest = after.get(2..).unwrap_or_default();
                }
                _ if byte.is_ascii_alphanumeric() || b"!#$&+-.^_`~".contains(&byte) => {
                    value.push(byte);
                    self.rest = after;
                }
                _ => return Err(-19),
            }
        }
        Ok(value)
    }

    /// A semicolon, or nothing more.
    fn end_of_parameter(&mut self, flags: &mut Flags) -> Result<(), Code> {
        self.skip_blanks();
        if self.rest.is_empty() || self.take(b';') {
            return Ok(());
        }
        flags.invalid_quoting = true;
        Err(-12)
    }

    fn skip_blanks(&mut self) {
        self.take_while(|byte| b"\t ".contains(&byte));
    }

    fn take(&mut self, expected: u8) -> bool {
        match self.rest.split_first() {
            Some((byte, after)) if *byte == expected => {
                self.rest = after;
                true
            }
            _ => false,
        }
    }

    fn take_while(&mut self, wanted: impl Fn(u8) -> bool) -> &'a [u8] {
        let length = self.rest.iter().take_while(|byte| wanted(**byte)).count();
        let (taken, rest) = self.rest.split_at(length);
        self.rest = rest;
        taken
    }
}

/// RFC 2045, section 5.1.
fn is_token_character(byte: u8) -> bool {
    byte.is_ascii_graphic() && !b"()<>@,;:\\\"/[]?=".contains(&byte)
}
