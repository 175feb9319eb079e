//! A request's body: a number of bytes, or chunks and trailers (RFC 9112, 6 and 7.1).

use super::head::{BodyLength, is_token_byte};
use super::{FramingLimits, Progress, Refusal};

/// Hexadecimal digits of a chunk size; leading zeros count.
const SIZE_DIGITS_MAX: u8 = 16;

/// Extensions of one chunk, bytes. Nobody uses them; some parsers skip them badly.
const EXTENSION_BYTES_MAX: usize = 256;

/// Extensions of one body, bytes: else they would carry a body past every limit.
const EXTENSIONS_BYTES_MAX: usize = 16 << 10;

/// Trailers that would change what was decided from the head (RFC 9110, 6.5.1).
const TRAILERS_FORBIDDEN: [&[u8]; 4] =
    [b"content-length", b"transfer-encoding", b"host", b"trailer"];

/// Longest of the forbidden names, plus one to tell a longer name from it.
const NAME_KEPT_BYTES: usize = 18;

#[derive(Debug)]
pub(super) enum Body {
    /// Bytes still to come, at least one.
    Fixed(u64),
    Chunked(Chunked),
}

#[derive(Debug, Default)]
pub(super) struct Chunked {
    state: State,
    /// Payload announced by chunk sizes so far.
    announced: u64,
    /// Bytes of extensions so far.
    extensions: usize,
    trailers: Trailers,
}

#[derive(Clone, Copy, Debug, Default)]
enum State {
    #[default]
    SizeStart,
    Size {
        value: u64,
        digits: u8,
    },
    Extension {
        value: u64,
        bytes: usize,
    },
    SizeLf {
        value: u64,
    },
    Data {
        left: u64,
    },
    DataCr,
    DataLf,
    TrailerStart,
    TrailerName,
    TrailerValue,
    TrailerLf,
    LastLf,
}

#[derive(Debug, Default)]
struct Trailers {
    bytes: usize,
    lines: usize,
    name: [u8; NAME_KEPT_BYTES],
    name_len: usize,
}

impl Body {
    pub(super) fn new(length: BodyLength) -> Option<Self> {
        match length {
            BodyLength::None | BodyLength::Fixed(0) => None,
            BodyLength::Fixed(left) => Some(Self::Fixed(left)),
            BodyLength::Chunked => Some(Self::Chunked(Chunked::default())),
        }
    }

    pub(super) fn advance(
        &mut self,
        bytes: &[u8],
        limits: &FramingLimits,
    ) -> Result<Progress, Refusal> {
        match self {
            Self::Fixed(left) => {
                let taken =
                    usize::try_from(*left).map_or(bytes.len(), |left| left.min(bytes.len()));
                *left -= taken as u64;
                Ok(Progress {
                    scanned: taken,
                    safe: taken,
                    payload: taken,
                    done: *left == 0,
                })
            }
            Self::Chunked(chunked) => chunked.advance(bytes, limits),
        }
    }
}

impl Chunked {
    fn advance(&mut self, bytes: &[u8], limits: &FramingLimits) -> Result<Progress, Refusal> {
        let mut progress = Progress {
            scanned: 0,
            safe: 0,
            payload: 0,
            done: false,
        };
        while progress.scanned < bytes.len() {
            if let State::Data { left } = self.state {
                // The only state that skips ahead: everything else is a few bytes a chunk.
                let rest = bytes.len() - progress.scanned;
                let taken = usize::try_from(left).map_or(rest, |left| left.min(rest));
                progress.scanned += taken;
                progress.payload += taken;
                progress.safe = progress.scanned;
                let left = left - taken as u64;
                self.state = if left == 0 {
                    State::DataCr
                } else {
                    State::Data { left }
                };
                continue;
            }
            let byte = bytes[progress.scanned];
            progress.scanned += 1;
            self.state = match self.step(byte, limits)? {
                Step::Withhold(state) => state,
                Step::Safe(state) => {
                    progress.safe = progress.scanned;
                    state
                }
                Step::End => {
                    progress.safe = progress.scanned;
                    progress.done = true;
                    return Ok(progress);
                }
            };
        }
        Ok(progress)
    }

    fn step(&mut self, byte: u8, limits: &FramingLimits) -> Result<Step, Refusal> {
        Ok(match (self.state, byte) {
            (State::SizeStart, _) => Step::Withhold(add_digit(0, 0, byte)?),
            (State::Size { value, .. }, b';') => Step::Withhold(self.extension(value, 1)?),
            (State::Size { value, .. }, b'\r') => Step::Withhold(State::SizeLf { value }),
            (State::Size { value, digits }, _) => Step::Withhold(add_digit(value, digits, byte)?),
            (State::Extension { value, .. }, b'\r') => Step::Withhold(State::SizeLf { value }),
            (State::Extension { .. }, b'\n') => return Err(Refusal::BareLf),
            (State::Extension { value, bytes }, b'\t' | 0x20..=0x7e) => {
                Step::Withhold(self.extension(value, bytes + 1)?)
            }
            (State::Extension { .. }, _) => return Err(Refusal::ChunkExtension),
            (State::SizeLf { value }, b'\n') => self.size(value, limits)?,
            (State::SizeLf { .. }, _) => return Err(Refusal::BareCr),
            (State::DataCr, b'\r') => Step::Withhold(State::DataLf),
            (State::DataLf, b'\n') => Step::Safe(State::SizeStart),
            (State::DataCr | State::DataLf, _) => return Err(Refusal::ChunkEnd),
            (State::LastLf, b'\n') => Step::End,
            (State::LastLf, _) => return Err(Refusal::BareCr),
            (
                State::TrailerStart | State::TrailerName | State::TrailerValue | State::TrailerLf,
                _,
            ) => {
                self.trailers.bytes += 1;
                if self.trailers.bytes > limits.head_bytes {
                    return Err(Refusal::TrailersTooLarge);
                }
                Step::Withhold(self.trailers.step(self.state, byte, limits)?)
            }
            // Handled by the caller, which skips ahead.
            (State::Data { .. }, _) => Step::Withhold(self.state),
        })
    }

    fn extension(&mut self, value: u64, bytes: usize) -> Result<State, Refusal> {
        self.extensions += 1;
        if bytes > EXTENSION_BYTES_MAX || self.extensions > EXTENSIONS_BYTES_MAX {
            return Err(Refusal::ChunkExtension);
        }
        Ok(State::Extension { value, bytes })
    }

    /// A size line is complete.
    fn size(&mut self, value: u64, limits: &FramingLimits) -> Result<Step, Refusal> {
        if value == 0 {
            // Withheld until the trailers are known to be good: a parser behind might take it for the end.
            return Ok(Step::Withhold(State::TrailerStart));
        }
        self.announced = self.announced.saturating_add(value);
        if self.announced > limits.body_bytes {
            return Err(Refusal::BodyTooLarge);
        }
        Ok(Step::Safe(State::Data { left: value }))
    }
}

enum Step {
    /// Go on; what came since the last safe place stays here.
    Withhold(State),
    /// Go on; everything so far may be handed on.
    Safe(State),
    /// The body is complete.
    End,
}

fn add_digit(value: u64, digits: u8, byte: u8) -> Result<State, Refusal> {
    let digit = match byte {
        b'0'..=b'9' => byte - b'0',
        b'a'..=b'f' => byte - b'a' + 10,
        b'A'..=b'F' => byte - b'A' + 10,
        b'\n' if digits > 0 => return Err(Refusal::BareLf),
        _ => return Err(Refusal::ChunkSize),
    };
    // Sixteen digits fill a u64 exactly, so nothing is shifted out.
    if digits == SIZE_DIGITS_MAX {
        return Err(Refusal::ChunkSize);
    }
    Ok(State::Size {
        value: value << 4 | u64::from(digit),
        digits: digits + 1,
    })
}

impl Trailers {
    fn step(&mut self, state: State, byte: u8, limits: &FramingLimits) -> Result<State, Refusal> {
        Ok(match (state, byte) {
            (State::TrailerStart, b'\r') => State::LastLf,
            (State::TrailerStart | State::TrailerName | State::TrailerValue, b'\n') => {
                return Err(Refusal::BareLf);
            }
            (State::TrailerStart, _) if is_token_byte(byte) => {
                self.lines += 1;
                if self.lines > limits.headers {
                    return Err(Refusal::TooManyHeaders);
                }
                self.name_len = 0;
                self.keep(byte);
                State::TrailerName
            }
            (State::TrailerName, b':') => {
                let name = &self.name[..self.name_len];
                if TRAILERS_FORBIDDEN.contains(&name) {
                    return Err(Refusal::Trailer);
                }
                State::TrailerValue
            }
            (State::TrailerName, _) if is_token_byte(byte) => {
                self.keep(byte);
                State::TrailerName
            }
            (State::TrailerValue, b'\r') => State::TrailerLf,
            (State::TrailerValue, b'\t' | 0x20..=0x7e | 0x80..) => State::TrailerValue,
            (State::TrailerLf, b'\n') => State::TrailerStart,
            (State::TrailerLf, _) => return Err(Refusal::BareCr),
            _ => return Err(Refusal::Trailer),
        })
    }

    /// Keeps the name in lower case, as far as a forbidden one may be told from it.
    fn keep(&mut self, byte: u8) {
        if let Some(place) = self.name.get_mut(self.name_len) {
            *place = byte.to_ascii_lowercase();
            self.name_len += 1;
        }
    }
}
