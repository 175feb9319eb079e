//! Follows the responses written to a client far enough to tell interim ones, a switch of protocols and final ones apart.

use super::refusal::Refusal;

/// `HTTP/1.1 200`: as much of a status line as it takes to know the status.
const STATUS_LINE_BYTES: usize = 12;

const HEAD_END: &[u8; 4] = b"\r\n\r\n";

/// The response to the request in progress.
#[derive(Debug, Default)]
pub(super) struct Answer {
    state: State,
    upgrade_asked: bool,
}

#[derive(Debug)]
enum State {
    /// At the start of a response head, with so many bytes of its status line.
    Start {
        line: [u8; STATUS_LINE_BYTES],
        len: usize,
    },
    /// Within the head of a 1xx, with so many bytes of its end matched.
    Interim {
        matched: usize,
    },
    Final,
}

impl Default for State {
    fn default() -> Self {
        Self::Start {
            line: [0; STATUS_LINE_BYTES],
            len: 0,
        }
    }
}

/// What a piece of a response turned out to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Observed {
    /// Part of an interim response, or too little to tell.
    Interim,
    /// The final response has begun.
    Final,
    /// 101: what follows is not HTTP/1.1.
    Switched,
    /// 101 to a request that did not ask for it: the client would read what follows as the next response.
    SwitchedUnasked,
}

impl Answer {
    /// To a request that did or did not ask for another protocol.
    pub(super) fn to_request(upgrade_asked: bool) -> Self {
        Self {
            state: State::default(),
            upgrade_asked,
        }
    }

    /// Whether a byte of the final response has been accepted.
    pub(super) fn is_final(&self) -> bool {
        matches!(self.state, State::Final)
    }

    /// Whether a response of the proxy's own may still be sent: nothing final has begun, and no interim head is cut short.
    pub(super) fn is_open(&self) -> bool {
        matches!(self.state, State::Start { len: 0, .. })
    }

    /// Takes note of the next bytes of the response.
    pub(super) fn observe(&mut self, bytes: &[u8]) -> Observed {
        for (at, &byte) in bytes.iter().enumerate() {
            match &mut self.state {
                State::Final => return Observed::Final,
                State::Start { line, len } => {
                    line[*len] = byte;
                    *len += 1;
                    if *len < STATUS_LINE_BYTES {
                        continue;
                    }
                    match &line[9..] {
                        b"101" if self.upgrade_asked => return Observed::Switched,
                        b"101" => return Observed::SwitchedUnasked,
                        [b'1', ..] => self.state = State::Interim { matched: 0 },
                        _ => {
                            self.state = State::Final;
                            debug_assert!(at < bytes.len());
                            return Observed::Final;
                        }
                    }
                }
                State::Interim { matched } => {
                    *matched = match byte {
                        _ if byte == HEAD_END[*matched] => *matched + 1,
                        b'\r' => 1,
                        _ => 0,
                    };
                    if *matched == HEAD_END.len() {
                        self.state = State::default();
                    }
                }
            }
        }
        Observed::Interim
    }
}

/// The response to a refused request, complete.
pub(super) fn to_refused(refusal: Refusal, date: &str) -> Vec<u8> {
    let (status, reason) = (refusal.status(), reason_phrase(refusal.status()));
    // RFC 9110, 15.5.6 demands Allow; what is allowed in truth is up to the origin.
    let allow = if status == 405 {
        "allow: GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS\r\n"
    } else {
        ""
    };
    let body = format!("{reason}: {refusal}\n");
    format!(
        "HTTP/1.1 {status} {reason}\r\ndate: {date}\r\ncontent-type: text/plain; charset=utf-8\r\ncontent-length: {}\r\n\
         cache-control: no-store\r\n{allow}connection: close\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

const fn reason_phrase(status: u16) -> &'static str {
    match status {
        405 => "Method Not Allowed",
        408 => "Request Timeout",
        413 => "Content Too Large",
        414 => "URI Too Long",
        431 => "Request Header Fields Too Large",
        505 => "HTTP Version Not Supported",
        _ => "Bad Request",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";
    const HINTS: &[u8] = b"HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n";
    const OK: &[u8] = b"HTTP/1.1 200 OK\r\n";

    fn byte_by_byte(answer: &mut Answer, bytes: &[u8]) -> Observed {
        bytes.iter().fold(Observed::Interim, |last, byte| {
            match answer.observe(&[*byte]) {
                Observed::Interim => last,
                other => other,
            }
        })
    }

    #[test]
    fn interim_responses_leave_it_open() {
        let mut answer = Answer::to_request(true);
        assert_eq!(byte_by_byte(&mut answer, CONTINUE), Observed::Interim);
        assert!(answer.is_open());
        assert_eq!(answer.observe(&[HINTS, HINTS].concat()), Observed::Interim);
        assert!(answer.is_open() && !answer.is_final());
        assert_eq!(answer.observe(&HINTS[..30]), Observed::Interim);
        assert!(
            !answer.is_open(),
            "an answer within another's head would be garbage"
        );
        assert_eq!(answer.observe(&HINTS[30..]), Observed::Interim);
        assert_eq!(byte_by_byte(&mut answer, OK), Observed::Final);
        assert!(answer.is_final() && !answer.is_open());
    }

    #[test]
    fn an_interim_and_a_final_head_in_one_piece() {
        let mut answer = Answer::to_request(false);
        assert_eq!(answer.observe(&[CONTINUE, OK].concat()), Observed::Final);
    }

    #[test]
    fn switching_needs_to_be_asked_for() {
        let switching = b"HTTP/1.1 101 Switching Protocols\r\n";
        assert_eq!(
            Answer::to_request(true).observe(switching),
            Observed::Switched
        );
        assert_eq!(
            byte_by_byte(&mut Answer::to_request(false), &switching[..12]),
            Observed::SwitchedUnasked
        );
    }

    #[test]
    fn the_answer_is_a_complete_response() {
        for refusal in Refusal::ALL {
            let text = String::from_utf8(to_refused(refusal, "Sun, 06 Nov 1994 08:49:37 GMT"))
                .expect("ASCII");
            let (head, body) = text.split_once("\r\n\r\n").expect("an empty line");
            assert!(head.starts_with(&format!("HTTP/1.1 {} ", refusal.status())));
            assert!(
                head.contains(&format!("content-length: {}\r\n", body.len()))
                    && head.ends_with("connection: close")
            );
            assert_eq!(head.contains("allow: "), refusal == Refusal::Connect);
        }
    }
}
