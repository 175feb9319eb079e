//! One exchange under the rules: told what arrives, asked for verdicts.
//!
//! Phases follow ModSecurity: 1 with the request's headers, 2 with its body, 3 with the response's headers, 4 with its
//! body, 5 after all. A denial is a value, [`Intervention`], for the caller to act on.

mod actions;
pub mod audit;
pub mod data;
mod derived;
mod evaluate;
pub mod host;
pub mod members;
mod memo;
mod persistent;
mod phase;
pub mod record;
pub mod texts;
pub mod time;
pub mod tuning;
mod tx;

use std::sync::Arc;

use crate::bodies::{self, Processor};
use crate::operators::Found;
use crate::pairs::Pairs;
use crate::plan::Plan;
use crate::plan::ctl::{RemovedTarget, RuleSet};
use crate::rules::Phase;
use crate::rules::actions::{Allow, AuditEngine, RuleEngine};
use crate::rules::settings::LimitAction;
use crate::uri::{self, Target};
use crate::variables::Variable;

use data::Data;
use evaluate::Matched;
use host::Host;
use memo::Memo;
use persistent::Persistent;
use record::{Match, Trace};
use texts::Texts;
use tuning::Tuning;
use tx::Tx;

/// `MODSEC_BUILD`: some rules ask whether the engine is at least some version; this is ModSecurity 3.0.14 as it writes it.
pub(crate) const MODSEC_BUILD: &str = "030001400";

/// More values than this are not kept of one rule's matches; they still act.
const MOST_MATCHES: usize = 1_024;

/// What becomes of an exchange instead of going on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Intervention {
    /// Id of the rule.
    pub rule: u64,
    pub phase: Phase,
    pub status: u16,
    /// The connection is to be closed without an answer.
    pub drop: bool,
    /// Where the client is sent instead.
    pub redirect: Option<String>,
}

/// What a body may cost.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    request_access: bool,
    request: u64,
    request_action: LimitAction,
    response_access: bool,
    response: u64,
    response_action: LimitAction,
}

/// What is to be done with more of a body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Room {
    /// It was taken.
    Taken,
    /// As much as fits was taken; more need not be told.
    Full,
    /// The exchange is refused: 413 for a request, 500 for a response.
    Refused,
}

/// See the module. Kept and used again by [`crate::Engine`], so that its memory is.
#[derive(Debug)]
pub struct Transaction {
    plan: Arc<Plan>,
    data: Data,
    texts: Texts,
    tx: Tx,
    persistent: Persistent,
    geo: Vec<(String, String)>,
    env: Vec<(String, String)>,
    path_arguments: Pairs,

    engine: RuleEngine,
    /// The rules detect, whatever they say.
    detect_only: bool,
    audit_engine: AuditEngine,
    audit_parts: String,
    limits: Limits,
    force_request_body: bool,
    force_response_body: bool,
    allowed: Option<Allow>,
    removed: RuleSet,
    removed_targets: Vec<Arc<RemovedTarget>>,
    intervention: Option<Intervention>,
    highest_severity: u8,

    current: Phase,
    running: Option<usize>,
    memo: Memo,
    found: Found,
    matched: Vec<Matched>,
    /// Message and data of the running rule's first match.
    texts_of_match: Option<(String, String)>,
    argument: Vec<u8>,
    scratch: Vec<u8>,
    scratch_members: Vec<members::Member>,

    matches: Vec<Match>,
    explain: bool,
    traces: Vec<Trace>,
    /// What the running rule did to `TX`, for an explanation.
    changes: Vec<(String, String)>,
    tuning: Arc<Tuning>,
}

impl Transaction {
    pub(crate) fn new(plan: Arc<Plan>) -> Self {
        let settings = &plan.settings;
        let limits = Limits {
            request_access: settings.request_body_access,
            request: settings.request_body_limit,
            request_action: settings.request_body_limit_action,
            response_access: settings.response_body_access,
            response: settings.response_body_limit,
            response_action: settings.response_body_limit_action,
        };
        Self {
            data: Data::default(),
            texts: Texts::default(),
            tx: Tx::default(),
            persistent: Persistent::default(),
            geo: Vec::new(),
            env: Vec::new(),
            path_arguments: Pairs::default(),
            engine: settings.rule_engine,
            detect_only: false,
            audit_engine: settings.audit_engine,
            audit_parts: settings.audit_log_parts.clone(),
            limits,
            force_request_body: false,
            force_response_body: false,
            allowed: None,
            removed: RuleSet::default(),
            removed_targets: Vec::new(),
            intervention: None,
            highest_severity: 255,
            current: Phase::RequestHeaders,
            running: None,
            memo: Memo::default(),
            found: Found::default(),
            matched: Vec::new(),
            texts_of_match: None,
            argument: Vec::new(),
            scratch: Vec::new(),
            scratch_members: Vec::new(),
            matches: Vec::new(),
            explain: false,
            traces: Vec::new(),
            changes: Vec::new(),
            tuning: Arc::default(),
            plan,
        }
    }

    /// Forgets the former exchange and keeps its memory.
    pub(crate) fn begin(&mut self, tuning: &Arc<Tuning>) {
        let fresh = Self::new(self.plan.clone());
        let old = std::mem::replace(self, fresh);
        self.data = old.data;
        self.data.clear();
        self.texts = old.texts;
        self.texts.clear();
        self.tx = old.tx;
        self.tx.clear(&self.plan.tx_names);
        self.memo = old.memo;
        self.found = old.found;
        self.matched = old.matched;
        self.matched.clear();
        self.argument = old.argument;
        self.scratch = old.scratch;
        self.scratch_members = old.scratch_members;
        self.tuning = tuning.clone();
        self.tune();
    }

    /// Who talks to whom. Addresses as text, without zone; a request id for `UNIQUE_ID` and the logs.
    pub fn connection(&mut self, client: (&str, u16), server: (&str, u16), unique_id: &str) {
        self.data.client_address = client.0.to_owned();
        self.data.client_port = client.1;
        self.data.server_address = server.0.to_owned();
        self.data.server_port = server.1;
        self.data.unique_id = unique_id.to_owned();
    }

    /// The request line: method, target as received, version (`HTTP/1.1`).
    pub fn request_line(&mut self, method: &[u8], target: &[u8], protocol: &[u8]) {
        let mut line = Vec::with_capacity(method.len() + target.len() + protocol.len() + 2);
        line.extend_from_slice(method);
        line.push(b' ');
        line.extend_from_slice(target);
        if !protocol.is_empty() {
            line.push(b' ');
            line.extend_from_slice(protocol);
        }
        self.raw_request_line(&line, method, target, protocol);
    }

    /// The same, where the line was not made of its parts and single spaces.
    pub fn raw_request_line(&mut self, line: &[u8], method: &[u8], target: &[u8], protocol: &[u8]) {
        let request = &mut self.data.request;
        request.line = line.to_vec();
        request.method = method.to_vec();
        request.protocol = protocol.to_vec();
        request.target = target.to_vec();
        request.path = uri::decoded(Target::parse(target).path);
        let limits = bodies::Limits::new(&self.plan.settings);
        request.query_outcome = bodies::urlencoded::parse(
            Target::parse(target).query,
            limits.argument_separator,
            limits.arguments,
            &mut request.query,
        );
    }

    /// A header of the request, in order.
    pub fn request_header(&mut self, name: &[u8], value: &[u8]) {
        self.data.request.add_header(name, value);
    }

    /// Phase 1.
    pub fn request_headers_done(&mut self, host: &dyn Host) -> Option<Intervention> {
        self.data.began = host.now();
        self.exclude();
        self.phase(Phase::RequestHeaders, host)
    }

    /// Whether the body is wanted before [`Transaction::request_body_done`].
    pub fn wants_request_body(&self) -> bool {
        self.limits.request_access && self.engine != RuleEngine::Off
    }

    /// More of the request's body.
    pub fn request_body(&mut self, more: &[u8]) -> Room {
        let limits = self.limits;
        let request = &mut self.data.request;
        request.body_length = request.body_length.saturating_add(more.len() as u64);
        if !limits.request_access || self.engine == RuleEngine::Off {
            return Room::Full;
        }
        let room = take(&mut request.body, more, limits.request);
        if room == Room::Taken {
            return Room::Taken;
        }
        request.body_exceeded = true;
        match limits.request_action {
            LimitAction::Reject if self.engine == RuleEngine::On => Room::Refused,
            _ => Room::Full,
        }
    }

    /// Phase 2; also for a request without a body.
    pub fn request_body_done(&mut self, host: &dyn Host) -> Option<Intervention> {
        self.parse_request_body();
        self.phase(Phase::RequestBody, host)
    }

    fn parse_request_body(&mut self) {
        let settings = &self.plan.settings;
        let request = &mut self.data.request;
        request.body_visible =
            self.force_request_body || request.processor == Some(Processor::Urlencoded);
        if request.body.is_empty() || !self.limits.request_access {
            return;
        }
        if let Some(processor) = request.processor {
            let mut limits = bodies::Limits::new(settings);
            limits.arguments = limits.arguments.saturating_sub(request.query.len());
            let content_type = first_header(&request.headers, "content-type");
            bodies::read(
                processor,
                &request.body,
                content_type,
                &limits,
                &mut request.parsed,
            );
        }
    }

    /// The response's status and version.
    pub fn response_line(&mut self, status: u16, protocol: &[u8]) {
        self.data.response.status = status;
        self.data.response.protocol = protocol.to_vec();
    }

    /// A header of the response, in order.
    pub fn response_header(&mut self, name: &[u8], value: &[u8]) {
        self.data.response.headers.push(name, value);
    }

    /// Phase 3.
    pub fn response_headers_done(&mut self, host: &dyn Host) -> Option<Intervention> {
        self.phase(Phase::ResponseHeaders, host)
    }

    /// Whether bodies of responses are looked at, if they are of the right type.
    pub fn inspects_responses(&self) -> bool {
        self.limits.response_access && self.engine != RuleEngine::Off
    }

    /// Whether the body is wanted before [`Transaction::response_body_done`]; known after phase 3.
    pub fn wants_response_body(&self) -> bool {
        let inspected =
            self.force_response_body || self.data.response.is_inspected(&self.plan.settings);
        self.limits.response_access && self.engine != RuleEngine::Off && inspected
    }

    /// More of the response's body.
    pub fn response_body(&mut self, more: &[u8]) -> Room {
        let wanted = self.wants_response_body();
        let limits = self.limits;
        let response = &mut self.data.response;
        response.body_length = response.body_length.saturating_add(more.len() as u64);
        if !wanted {
            return Room::Full;
        }
        let room = take(&mut response.body, more, limits.response);
        if room == Room::Taken {
            return Room::Taken;
        }
        response.body_exceeded = true;
        match limits.response_action {
            LimitAction::Reject if self.engine == RuleEngine::On => Room::Refused,
            _ => Room::Full,
        }
    }

    /// Phase 4; also for a response without a body.
    pub fn response_body_done(&mut self, host: &dyn Host) -> Option<Intervention> {
        let response = &mut self.data.response;
        if let Some(processor) = response.processor
            && !response.body.is_empty()
        {
            let limits = bodies::Limits::new(&self.plan.settings);
            let content_type = first_header(&response.headers, "content-type");
            bodies::read(
                processor,
                &response.body,
                content_type,
                &limits,
                &mut response.parsed,
            );
        }
        self.phase(Phase::ResponseBody, host)
    }

    /// Phase 5, and what persistent collections hold is stored. Nothing can be denied any more.
    pub fn logging(&mut self, host: &dyn Host) {
        self.phase(Phase::Logging, host);
        let timeout = self.plan.settings.collection_timeout;
        self.persistent.store(timeout, host);
    }

    /// What the rules that matched had to say, so far, in order.
    pub fn matches(&self) -> &[Match] {
        &self.matches
    }

    /// What was decided, if anything.
    pub fn intervention(&self) -> Option<&Intervention> {
        self.intervention.as_ref()
    }

    /// The value of a member of `TX`, for scores and the like.
    pub fn tx(&self, name: &str) -> Option<&[u8]> {
        self.tx.find(&self.plan.tx_names, name)
    }

    /// What is known of the exchange.
    pub fn data(&self) -> &Data {
        &self.data
    }

    fn is_target_removed(&self, rule: usize, variable: Variable, name: &[u8]) -> bool {
        self.removed_targets
            .iter()
            .any(|target| target.rules.contains(rule) && target.what.covers(variable, name))
    }
}

fn first_header<'a>(headers: &'a Pairs, name: &str) -> &'a [u8] {
    let mut headers = headers.iter();
    let found = headers.find(|(known, _)| known.eq_ignore_ascii_case(name.as_bytes()));
    found.map(|(_, value)| value).unwrap_or_default()
}

fn take(body: &mut Vec<u8>, more: &[u8], limit: u64) -> Room {
    let left = limit.saturating_sub(body.len() as u64);
    let fits = usize::try_from(left).unwrap_or(usize::MAX).min(more.len());
    body.extend_from_slice(more.get(..fits).unwrap_or_default());
    if fits == more.len() {
        Room::Taken
    } else {
        Room::Full
    }
}

pub(crate) use crate::operators::number;
