//! JSON, flattened to arguments as libmodsecurity 3 names them: `{"a":{"b":1},"c":["x"]}` is `json.a.b` = `1` and
//! `json.c.array_0` = `x`. An object member without a name is called `empty-key`, a document that is no object or array
//! `json`. Numbers are as written, `null` is empty.
//!
//! Strict (RFC 8259, UTF-8, nothing after the document) and without recursion: the nesting is a stack of our own.

mod scanner;

use super::{Body, Error, Limits};
use crate::pairs::Pairs;
use scanner::Scanner;

/// Names repeat the way to their value, so a small body of long keys and many values could make large arguments. A body
/// may make this many times its size,
const GROWTH_MAX: usize = 8;
/// but at least this many bytes.
const GROWTH_FLOOR: usize = 64 << 10;

/// Reads a document into the arguments of `out`. An empty body is no document and no error, as in libmodsecurity.
pub(super) fn read(body: &[u8], limits: &Limits, out: &mut Body) {
    if body.is_empty() {
        return;
    }
    let mut parser = Parser {
        scanner: Scanner::new(body),
        path: b"json".to_vec(),
        stack: Vec::new(),
        size_max: body.len().saturating_mul(GROWTH_MAX).max(GROWTH_FLOOR),
        limits,
        arguments: &mut out.arguments,
    };
    if let Err(stop) = parser.document() {
        out.fail(stop);
    }
}

/// An array or object that is open.
struct Container {
    kind: Kind,
    /// Where in the path the names of its members begin.
    path: usize,
}

enum Kind {
    Object,
    Array { index: usize },
}

/// What may come next.
enum Expect {
    Value,
    /// A value, or the end of the array that has just begun.
    ValueOrEnd,
    Key,
    /// A key, or the end of the object that has just begun.
    KeyOrEnd,
    /// A comma, or the end of what is open.
    CommaOrEnd,
}

struct Parser<'a> {
    scanner: Scanner<'a>,
    /// The name that a value would have here.
    path: Vec<u8>,
    stack: Vec<Container>,
    /// Bytes of all names and values.
    size_max: usize,
    limits: &'a Limits,
    arguments: &'a mut Pairs,
}

impl Parser<'_> {
    fn document(&mut self) -> Result<(), Error> {
        let mut expect = Expect::Value;
        loop {
            self.scanner.skip_white_space();
            expect = match expect {
                Expect::ValueOrEnd if self.scanner.take(b']') => self.close(),
                Expect::Value | Expect::ValueOrEnd => self.value()?,
                Expect::KeyOrEnd if self.scanner.take(b'}') => self.close(),
                Expect::Key | Expect::KeyOrEnd => self.key()?,
                Expect::CommaOrEnd if self.stack.is_empty() => return self.scanner.end(),
                Expect::CommaOrEnd => self.comma_or_end()?,
            };
        }
    }

    fn value(&mut self) -> Result<Expect, Error> {
        match self.scanner.peek() {
            Some(b'{') => {
                self.open(Kind::Object)?;
                return Ok(Expect::KeyOrEnd);
            }
            Some(b'[') => {
                self.open(Kind::Array { index: 0 })?;
                self.name_element();
                return Ok(Expect::ValueOrEnd);
            }
            Some(b'"') => self.string()?,
            Some(b'-' | b'0'..=b'9') => {
                self.check_limits()?;
                let number = self.scanner.number()?;
                self.arguments.push(&self.path, number);
            }
            _ => {
                self.check_limits()?;
                let literal = self.scanner.literal()?;
                self.arguments.push(&self.path, literal);
            }
        }
        Ok(Expect::CommaOrEnd)
    }

    fn comma_or_end(&mut self) -> Result<Expect, Error> {
        let is_array = matches!(
            self.stack.last(),
            Some(Container {
                kind: Kind::Array { .. },
                ..
            })
        );
        if self.scanner.take(if is_array { b']' } else { b'}' }) {
            return Ok(self.close());
        }
        if !self.scanner.take(b',') {
            return Err(self
                .scanner
                .error("neither a comma nor the end after a value"));
        }
        if is_array {
            self.name_element();
            Ok(Expect::Value)
        } else {
            Ok(Expect::Key)
        }
    }

    fn open(&mut self, kind: Kind) -> Result<(), Error> {
        if self.stack.len() >= self.limits.json_depth {
            return Err(self.scanner.error("parsing depth limit exceeded"));
        }
        self.scanner.skip();
        self.stack.push(Container {
            kind,
            path: self.path.len(),
        });
        Ok(())
    }

    fn close(&mut self) -> Expect {
        if let Some(container) = self.stack.pop() {
            self.path.truncate(container.path);
        }
        Expect::CommaOrEnd
    }

    /// Ends the path with the next index of the innermost array.
    fn name_element(&mut self) {
        if let Some(Container {
            kind: Kind::Array { index },
            path,
        }) = self.stack.last_mut()
        {
            self.path.truncate(*path);
            self.path.extend_from_slice(b".array_");
            self.path.extend_from_slice(index.to_string().as_bytes());
            *index += 1;
        }
    }

    /// Ends the path with a key of the innermost object.
    fn key(&mut self) -> Result<Expect, Error> {
        if self.scanner.peek() != Some(b'"') {
            return Err(self.scanner.error("a key that is not a string"));
        }
        let begin = self.stack.last().map_or(0, |container| container.path);
        self.path.truncate(begin);
        self.path.push(b'.');
        self.scanner.string(&mut self.path)?;
        if self.path.len() == begin + 1 {
            self.path.extend_from_slice(b"empty-key");
        }
        self.scanner.skip_white_space();
        if self.scanner.take(b':') {
            Ok(Expect::Value)
        } else {
            Err(self.scanner.error("a key without a colon"))
        }
    }

    fn string(&mut self) -> Result<(), Error> {
        self.check_limits()?;
        let mut outcome = Ok(());
        self.arguments.push_with(
            |name| name.extend_from_slice(&self.path),
            |value| outcome = self.scanner.string(value),
        );
        outcome
    }

    /// Whether there is room for an argument of this name. (A value is never longer than what it was read from.)
    fn check_limits(&self) -> Result<(), Error> {
        if self.arguments.len() >= self.limits.arguments {
            return Err(super::over_argument_limit(self.limits));
        }
        if self.arguments.size() + self.path.len() > self.size_max {
            return Err(self.scanner.error("keys and values many times the body"));
        }
        Ok(())
    }
}
