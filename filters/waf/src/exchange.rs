//! One exchange on its way through the rules: what arrives, and what becomes of it. Nothing here calls the proxy.

use std::rc::Rc;

use portcullis_seclang::transaction::host::Host;
use portcullis_seclang::transaction::{Intervention, Room, Transaction};
use portcullis_waf_policy::{Denial, Mode};

use crate::head::Head;
use crate::report::Report;
use crate::waf::{Rules, Waf};

/// Of a request whose body is longer than allowed, and of a response.
const STATUS_REQUEST_TOO_LONG: u16 = 413;
const STATUS_RESPONSE_TOO_LONG: u16 = 500;
/// A stream of events (HTML standard, section 9.2): holding it back would end what it is for.
const EVENT_STREAM: &[u8] = b"text/event-stream";

/// What becomes of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Flow {
    Continue,
    /// It waits for the rest of its body.
    Hold,
    Reply(Denial),
    /// The connection is closed without an answer.
    Drop,
}

/// Who talks to whom.
#[derive(Clone, Debug, Default)]
pub struct Parties {
    pub client: (String, u16),
    pub server: (String, u16),
    /// Of the request.
    pub id: String,
}

/// How far a message has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Headers,
    /// The body is read, until the rules have seen enough of it.
    Body,
    Judged,
}

/// See the module.
#[derive(Debug)]
pub struct Exchange {
    waf: Rc<Waf>,
    /// `None`: no rules, or it has ended.
    transaction: Option<Transaction>,
    id: String,
    request: Stage,
    response: Stage,
    /// Matches that have been reported.
    reported: usize,
    refused: bool,
}

impl Exchange {
    /// Before anything arrived.
    #[must_use]
    pub fn new(waf: Rc<Waf>) -> Self {
        Self {
            waf,
            transaction: None,
            id: String::new(),
            request: Stage::Headers,
            response: Stage::Headers,
            reported: 0,
            refused: false,
        }
    }

    /// Whether rules run on this exchange, so that the head is worth fetching.
    #[must_use]
    pub fn has_rules(&self) -> bool {
        self.waf.rules.is_some()
    }

    /// Whether nobody has shown a request head yet.
    #[must_use]
    pub fn is_unseen(&self) -> bool {
        self.request == Stage::Headers
    }

    /// Whether origins are to be asked for an uncompressed response.
    #[must_use]
    pub fn wants_plain_response(&self) -> bool {
        let inspects = self
            .transaction
            .as_ref()
            .is_some_and(Transaction::inspects_responses);
        inspects && !self.waf.policy.backend_compression
    }

    /// The head of the request. `end`: there is no body.
    pub fn request_head(
        &mut self,
        parties: Parties,
        head: &Head,
        end: bool,
        host: &dyn Host,
    ) -> Flow {
        self.request = Stage::Judged;
        let Some(Rules { engine, tuning, .. }) = &self.waf.rules else {
            return Flow::Continue;
        };
        let mut transaction = engine.tuned_transaction(tuning);
        let Parties { client, server, id } = parties;
        transaction.connection((&client.0, client.1), (&server.0, server.1), &id);
        self.id = id;
        match &head.line {
            Some(line) => {
                transaction.raw_request_line(line, &head.method, &head.target, &head.protocol);
            }
            None => transaction.request_line(&head.method, &head.target, &head.protocol),
        }
        for (name, value) in &head.headers {
            transaction.request_header(name, value);
        }
        let verdict = transaction.request_headers_done(host);
        let reads = !end && !head.is_upgrade() && transaction.wants_request_body();
        self.transaction = Some(transaction);
        if let Some(flow) = self.act_on(verdict) {
            return flow;
        }
        if reads {
            self.request = Stage::Body;
            return Flow::Hold;
        }
        self.judge_request(host)
    }

    /// More of the request's body, all of it once `end`.
    pub fn request_body(&mut self, more: &[u8], end: bool, host: &dyn Host) -> Flow {
        let (Stage::Body, Some(transaction)) = (self.request, &mut self.transaction) else {
            return Flow::Continue;
        };
        match transaction.request_body(more) {
            Room::Refused => self.refuse(STATUS_REQUEST_TOO_LONG),
            Room::Taken if !end => Flow::Hold,
            Room::Taken | Room::Full => self.judge_request(host),
        }
    }

    /// Whether body bytes of the request are of interest.
    #[must_use]
    pub fn reads_request(&self) -> bool {
        self.request == Stage::Body
    }

    /// Whether body bytes of the response are of interest.
    #[must_use]
    pub fn reads_response(&self) -> bool {
        self.response == Stage::Body
    }

    fn judge_request(&mut self, host: &dyn Host) -> Flow {
        self.request = Stage::Judged;
        let Some(transaction) = &mut self.transaction else {
            return Flow::Continue;
        };
        let verdict = transaction.request_body_done(host);
        self.act_on(verdict).unwrap_or(Flow::Continue)
    }

    /// The head of the response. `end`: there is no body.
    pub fn response_head(
        &mut self,
        status: u16,
        protocol: &[u8],
        headers: &[(Vec<u8>, Vec<u8>)],
        end: bool,
        host: &dyn Host,
    ) -> Flow {
        // What was refused is answered by the refusal; rules have nothing to say about that.
        let (Some(transaction), false) = (&mut self.transaction, self.refused) else {
            return Flow::Continue;
        };
        transaction.response_line(status, protocol);
        let mut is_stream = status == 101;
        for (name, value) in headers {
            transaction.response_header(name, value);
            is_stream |= name.eq_ignore_ascii_case(b"content-type")
                && value.get(..EVENT_STREAM.len()) == Some(EVENT_STREAM);
        }
        let verdict = transaction.response_headers_done(host);
        let reads = !end && !is_stream && transaction.wants_response_body();
        self.response = Stage::Judged;
        if let Some(flow) = self.act_on(verdict) {
            return flow;
        }
        if reads {
            self.response = Stage::Body;
            return Flow::Hold;
        }
        self.judge_response(host)
    }

    /// More of the response's body, all of it once `end`.
    pub fn response_body(&mut self, more: &[u8], end: bool, host: &dyn Host) -> Flow {
        let (Stage::Body, Some(transaction)) = (self.response, &mut self.transaction) else {
            return Flow::Continue;
        };
        match transaction.response_body(more) {
            Room::Refused => self.refuse(STATUS_RESPONSE_TOO_LONG),
            Room::Taken if !end => Flow::Hold,
            Room::Taken | Room::Full => self.judge_response(host),
        }
    }

    fn judge_response(&mut self, host: &dyn Host) -> Flow {
        self.response = Stage::Judged;
        let Some(transaction) = &mut self.transaction else {
            return Flow::Continue;
        };
        let verdict = transaction.response_body_done(host);
        self.act_on(verdict).unwrap_or(Flow::Continue)
    }

    /// What an intervention means for the message.
    fn act_on(&mut self, verdict: Option<Intervention>) -> Option<Flow> {
        let verdict = verdict?;
        if self.waf.policy.mode != Mode::Block {
            return None;
        }
        self.refused = true;
        self.request = Stage::Judged;
        self.response = Stage::Judged;
        if verdict.drop {
            return Some(Flow::Drop);
        }
        let block = &self.waf.policy.block;
        let redirect = verdict.redirect.as_deref();
        Some(Flow::Reply(block.denial(
            verdict.status,
            redirect,
            &self.id,
        )))
    }

    fn refuse(&mut self, status: u16) -> Flow {
        self.refused = true;
        self.request = Stage::Judged;
        self.response = Stage::Judged;
        Flow::Reply(self.waf.policy.block.denial(status, None, &self.id))
    }

    /// What rules have found since this was last asked.
    pub fn report(&mut self) -> Report {
        let (Some(transaction), Some(rules)) = (&self.transaction, &self.waf.rules) else {
            return Report::default();
        };
        let new = transaction
            .matches()
            .get(self.reported..)
            .unwrap_or_default();
        self.reported += new.len();
        Report::of_matches(transaction, new, &rules.tags)
    }

    /// Phase 5. Called once, as soon as everything else is decided.
    pub fn finish(&mut self, host: &dyn Host) -> Report {
        let Some(transaction) = &mut self.transaction else {
            return Report::default();
        };
        transaction.logging(host);
        let mut report = self.report();
        if let (Some(transaction), Some(rules)) = (self.transaction.take(), &self.waf.rules) {
            report.end(&rules.engine, &transaction, self.refused);
            rules.engine.recycle(transaction);
        }
        report
    }

    /// Whether everything was decided that can be, so that [`Exchange::finish`] may be called.
    #[must_use]
    pub fn is_decided(&self) -> bool {
        self.refused || (self.request == Stage::Judged && self.response == Stage::Judged)
    }
}

#[cfg(test)]
mod tests;
