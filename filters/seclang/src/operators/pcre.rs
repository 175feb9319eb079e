//! From the regular expressions of ModSecurity (PCRE over bytes, `DOTALL` and `MULTILINE`) to those of `regex-syntax`.
//!
//! Both languages look alike, and that is the danger: `\x{e9}` is a byte to one and a character of two bytes to the
//! other, `[a&&b]` is three characters or an intersection, `a++` is possessive or a repetition of a repetition. So every
//! item is read here by PCRE's rules and written anew, literal bytes as `\xhh` wherever they could mean something. What
//! no engine matches in linear time (look-around, back-references), or would silently match otherwise, is refused.

mod class;

/// Longest regular expression, bytes.
const PATTERN_BYTES_MAX: usize = 64 << 10;

/// Writes a PCRE pattern in the syntax of `regex-syntax`, for a parser with Unicode off, `.` matching line feeds, and `^`
/// and `$` matching at lines.
///
/// # Errors
/// What there is in it that cannot be translated, and the way out.
pub(super) fn translate(pattern: &str) -> Result<String, String> {
    if pattern.len() > PATTERN_BYTES_MAX {
        return Err(format!(
            "the regular expression has more than {PATTERN_BYTES_MAX} bytes"
        ));
    }
    let mut reader = Reader {
        rest: pattern.as_bytes(),
        groups: groups(pattern.as_bytes()),
        out: String::with_capacity(pattern.len() + 16),
    };
    while let Some(byte) = reader.next() {
        match byte {
            b'\\' => reader.escape()?,
            b'[' => reader.class()?,
            b'(' => reader.group()?,
            b'*' | b'+' | b'?' => reader.quantifier(byte)?,
            b'{' => reader.counted()?,
            b'.' | b'^' | b'$' | b'|' | b')' => reader.out.push(char::from(byte)),
            literal => reader.literal(literal),
        }
    }
    Ok(reader.out)
}

struct Reader<'a> {
    rest: &'a [u8],
    /// How many capturing groups the pattern has: it decides whether `\12` is one of them or a byte.
    groups: u32,
    out: String,
}

/// What an escape stands for, in a class or outside.
enum Escape {
    Byte(u8),
    /// One of several bytes: as members of a class.
    Class(&'static str),
    /// Anything else: to be written as it is.
    Other(u8),
}

const HORIZONTAL: &str = r"\x09\x20\xa0";
const NOT_HORIZONTAL: &str = r"\x00-\x08\x0a-\x1f\x21-\x9f\xa1-\xff";
const VERTICAL: &str = r"\x0a-\x0d\x85";
const NOT_VERTICAL: &str = r"\x00-\x09\x0e-\x84\x86-\xff";

impl Reader<'_> {
    fn next(&mut self) -> Option<u8> {
        let (&first, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some(first)
    }

    fn peek(&self) -> Option<u8> {
        self.rest.first().copied()
    }

    /// Reads `text` if it comes next.
    fn take(&mut self, text: &[u8]) -> bool {
        match self.rest.strip_prefix(text) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    /// Reads up to `end`, which is read too.
    fn take_until(&mut self, end: u8) -> Option<&[u8]> {
        let length = memchr::memchr(end, self.rest)?;
        let (before, after) = self.rest.split_at(length);
        self.rest = after.get(1..)?;
        Some(before)
    }

    /// Reads at most `most` digits of `radix`.
    fn digits(&mut self, radix: u32, most: usize) -> (u32, usize) {
        let (mut number, mut count) = (0_u32, 0);
        while count < most
            && let Some(digit) = self
                .peek()
                .and_then(|byte| char::from(byte).to_digit(radix))
        {
            number = number.saturating_mul(radix).saturating_add(digit);
            count += 1;
            self.next();
        }
        (number, count)
    }

    fn literal(&mut self, byte: u8) {
        // Blanks stay as they are outside of classes: in `(?x)` they mean nothing in either language.
        if byte.is_ascii_alphanumeric()
            || byte.is_ascii_whitespace()
            || b"_#<>=!:;,'\"%@/~&-`".contains(&byte)
        {
            self.out.push(char::from(byte));
        } else {
            self.hexadecimal(byte);
        }
    }

    fn hexadecimal(&mut self, byte: u8) {
        self.out.push_str(&format!("\\x{byte:02x}"));
    }

    /// After `\`, outside of a class.
    fn escape(&mut self) -> Result<(), String> {
        let Some(byte) = self.next() else {
            return Err("the regular expression ends with a \\".to_owned());
        };
        match byte {
            b'Q' => self.quoted(),
            b'E' => {}
            b'1'..=b'9' => self.reference_or_octal(byte)?,
            b'g' | b'k' => return Err(back_reference()),
            b'b' | b'B' | b'A' | b'z' => self.out.extend(['\\', char::from(byte)]),
            b'Z' => {
                return Err(r"\Z is not supported; write \z, or \n?\z".to_owned());
            }
            b'G' | b'K' => {
                return Err(format!(
                    r"\{} is not supported; leave it out",
                    char::from(byte)
                ));
            }
            b'N' => self.out.push_str(r"[^\n]"),
            b'C' => self.out.push_str(r"(?s:.)"),
            b'R' => self.out.push_str(r"(?:\r\n|[\x0a-\x0d\x85])"),
            b'p' | b'P' | b'X' => {
                return Err(format!(
                    r"\{} is not supported: patterns match bytes, not characters; list the bytes",
                    char::from(byte)
                ));
            }
            byte => match self.common(byte)? {
                Escape::Byte(byte) => self.hexadecimal(byte),
                Escape::Class(members) => self.out.push_str(&format!("[{members}]")),
                Escape::Other(letter) => self.out.extend(['\\', char::from(letter)]),
            },
        }
        Ok(())
    }

    /// What an escape means in a class as well as outside.
    fn common(&mut self, byte: u8) -> Result<Escape, String> {
        Ok(match byte {
            b'd' | b'D' | b's' | b'S' | b'w' | b'W' => Escape::Other(byte),
            b'a' => Escape::Byte(0x07),
            b'e' => Escape::Byte(0x1b),
            b'f' => Escape::Byte(0x0c),
            b'n' => Escape::Byte(b'\n'),
            b'r' => Escape::Byte(b'\r'),
            b't' => Escape::Byte(b'\t'),
            b'h' => Escape::Class(HORIZONTAL),
            b'H' => Escape::Class(NOT_HORIZONTAL),
            b'v' => Escape::Class(VERTICAL),
            b'V' => Escape::Class(NOT_VERTICAL),
            b'x' => Escape::Byte(self.hexadecimal_escape()?),
            b'o' if self.take(b"{") => {
                let (number, _) = self.digits(8, 12);
                Escape::Byte(self.braced_byte(number)?)
            }
            b'0' => {
                let (number, _) = self.digits(8, 2);
                Escape::Byte(single_byte(number)?)
            }
            b'c' => {
                let control = self.next().filter(u8::is_ascii_graphic);
                let control = control.ok_or(r"\c needs a character behind it")?;
                Escape::Byte(control.to_ascii_uppercase() ^ 0x40)
            }
            byte if byte.is_ascii_alphanumeric() => {
                return Err(format!(
                    r"\{} means nothing in a regular expression",
                    char::from(byte)
                ));
            }
            byte => Escape::Byte(byte),
        })
    }

    /// After `\x`.
    fn hexadecimal_escape(&mut self) -> Result<u8, String> {
        if self.take(b"{") {
            let (number, _) = self.digits(16, 12);
            return self.braced_byte(number);
        }
        let (number, _) = self.digits(16, 2);
        single_byte(number)
    }

    fn braced_byte(&mut self, number: u32) -> Result<u8, String> {
        if !self.take(b"}") {
            return Err("a number in braces is not closed, or not hexadecimal or octal".to_owned());
        }
        single_byte(number)
    }

    /// `\1`: a back-reference; `\12` too, if there are so many groups, and else a byte in octal.
    fn reference_or_octal(&mut self, first: u8) -> Result<(), String> {
        let rest = self.rest;
        let (more, count) = self.digits(10, 3);
        let number = u32::from(first - b'0') * 10_u32.pow(u32::try_from(count).unwrap_or(0)) + more;
        if number < 10 || number <= self.groups || first > b'7' {
            return Err(back_reference());
        }
        self.rest = rest;
        let (more, count) = self.digits(8, 2);
        let number = u32::from(first - b'0') * 8_u32.pow(u32::try_from(count).unwrap_or(0)) + more;
        self.hexadecimal(single_byte(number)?);
        Ok(())
    }

    /// After `\Q`: literal up to `\E`.
    fn quoted(&mut self) {
        while !self.rest.is_empty() && !self.take(br"\E") {
            if let Some(byte) = self.next() {
                self.hexadecimal(byte);
            }
        }
    }

    /// After a quantifier's character.
    fn quantifier(&mut self, byte: u8) -> Result<(), String> {
        self.out.push(char::from(byte));
        self.after_quantifier()
    }

    fn after_quantifier(&mut self) -> Result<(), String> {
        if self.take(b"?") {
            self.out.push('?');
        } else if self.peek() == Some(b'+') {
            return Err("a possessive quantifier (a++) is not supported: matching takes linear time without it; \
                        write it without the second +"
                .to_owned());
        }
        Ok(())
    }

    /// After `{`: a quantifier, if it is written like one.
    fn counted(&mut self) -> Result<(), String> {
        let rest = self.rest;
        let (from, digits) = self.digits(10, 6);
        let mut text = format!("{{{from}");
        if digits > 0 {
            if self.take(b",") {
                text.push(',');
                let (to, digits) = self.digits(10, 6);
                if digits > 0 {
                    text.push_str(&to.to_string());
                }
            }
            if self.take(b"}") {
                text.push('}');
                self.out.push_str(&text);
                return self.after_quantifier();
            }
        }
        self.rest = rest;
        self.hexadecimal(b'{');
        Ok(())
    }

    /// After `(`.
    fn group(&mut self) -> Result<(), String> {
        if self.peek() == Some(b'*') {
            return Err("(*VERB) is not supported; leave it out".to_owned());
        }
        if !self.take(b"?") {
            self.out.push('(');
            return Ok(());
        }
        for (start, kind) in [
            (b"=".as_slice(), "a look-ahead (?=...)"),
            (b"!", "a look-ahead (?!...)"),
            (b"<=", "a look-behind (?<=...)"),
            (b"<!", "a look-behind (?<!...)"),
            (b">", "an atomic group (?>...)"),
        ] {
            if self.rest.starts_with(start) {
                return Err(format!(
                    "{kind} is not supported: no engine matches it in linear time; write it as a rule of its own in a \
                     chain, or list what is allowed"
                ));
            }
        }
        if self.take(b"#") {
            let closed = self.take_until(b')').is_some();
            return if closed {
                Ok(())
            } else {
                Err("a comment (?#...) is not closed".to_owned())
            };
        }
        if self.take(b"P<") || self.take(b"<") {
            return self.name(b'>');
        }
        if self.take(b"'") {
            return self.name(b'\'');
        }
        self.flags()
    }

    fn name(&mut self, end: u8) -> Result<(), String> {
        let name = self.take_until(end).unwrap_or_default();
        let good = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_';
        if name.is_empty() || !name.iter().all(good) {
            return Err(
                "the name of a group is missing, or is not of letters, digits and _".to_owned(),
            );
        }
        let name = String::from_utf8_lossy(name).into_owned();
        self.out.push_str(&format!("(?P<{name}>"));
        Ok(())
    }

    /// After `(?`, where flags are, and `:` or `)`.
    fn flags(&mut self) -> Result<(), String> {
        let length = self
            .rest
            .iter()
            .take_while(|byte| b"imsxU-".contains(byte))
            .count();
        let (flags, rest) = self.rest.split_at(length);
        let Some(end @ (b':' | b')')) = rest.first().copied() else {
            let kind = self.rest.get(..2).unwrap_or(self.rest).escape_ascii();
            return Err(format!(
                "(?{kind}...) is not supported: no engine matches it in linear time, or it is no syntax of regular \
                 expressions"
            ));
        };
        self.rest = rest.get(1..).unwrap_or_default();
        // `(?)` is an empty list of flags in PCRE, and an error here.
        if !(flags.is_empty() && end == b')') {
            self.out.push_str(&format!(
                "(?{}{}",
                String::from_utf8_lossy(flags),
                char::from(end)
            ));
        }
        Ok(())
    }
}

fn single_byte(number: u32) -> Result<u8, String> {
    u8::try_from(number).map_err(|_| {
        format!(
            "the number {number:#x} is no byte; write a character beyond ff as its bytes in UTF-8"
        )
    })
}

fn back_reference() -> String {
    "a back-reference is not supported: no engine matches it in linear time; capture what it refers to and compare it \
     in a rule of its own (@streq %{TX.1})"
        .to_owned()
}

/// How many capturing groups a pattern has.
fn groups(pattern: &[u8]) -> u32 {
    let (mut count, mut in_class, mut bytes) = (0, false, pattern.iter().peekable());
    while let Some(byte) = bytes.next() {
        match byte {
            b'\\' => drop(bytes.next()),
            b'[' => in_class = true,
            b']' => in_class = false,
            b'(' if !in_class && bytes.peek() != Some(&&b'?') => count += 1,
            _ => {}
        }
    }
    count
}
