//! `portcullis waf explain`: what the rules of a configuration make of a request, and how to let it pass.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, SystemTime};

use portcullis_config::Config;
use portcullis_config::model::{Filter, FilterId};
use portcullis_seclang::Transaction;
use portcullis_seclang::transaction::host::Host;
use portcullis_seclang::transaction::record::{Match, Value};

use super::{PROBLEMS, UNUSABLE, load, print};
use crate::waf;

/// What is asked for.
pub(super) struct Question<'a> {
    pub config: &'a Path,
    pub request: &'a Path,
    /// The filter's name; by default the first WAF.
    pub filter: Option<&'a str>,
    /// Whose overrides apply.
    pub route: Option<&'a str>,
    /// Rules without a log line too.
    pub all: bool,
}

pub(super) fn run(question: &Question<'_>) -> ExitCode {
    let config = match load(question.config) {
        Ok(config) => config,
        Err(code) => return code,
    };
    let wire = match std::fs::read(question.request) {
        Ok(wire) => wire,
        Err(error) => {
            eprintln!(
                "portcullis: cannot read {}: {error}",
                question.request.display()
            );
            return ExitCode::from(UNUSABLE);
        }
    };
    match explain(question, &config, &wire) {
        Ok(text) => print(&text, ExitCode::SUCCESS),
        Err(problem) => {
            eprintln!("portcullis: {problem}");
            ExitCode::from(PROBLEMS)
        }
    }
}

fn explain(question: &Question<'_>, config: &Config, wire: &[u8]) -> Result<String, String> {
    let (id, filter) = chosen(question, config)?;
    let configuration = match question.route {
        None => filter.config.bytes(),
        Some(name) => {
            let route = config.routes.iter().find(|route| route.name == name);
            let route = route.ok_or_else(|| format!("there is no route \"{name}\""))?;
            let over = route.overrides.get(&id);
            over.map_or_else(|| filter.config.bytes(), |over| over.bytes())
        }
    };
    let rules = waf::rules(&config.file, &configuration).map_err(|problems| problems.join("\n"))?;
    let Some((engine, tuning)) = rules else {
        return Ok("mode: off. No rule runs.\n".to_owned());
    };
    let mut transaction = engine.tuned_transaction(&tuning);
    transaction.explain();
    let request = Request::parse(wire);
    request.tell(&mut transaction);
    Ok(answer(&transaction, &request, question.all))
}

fn chosen<'a>(
    question: &Question<'_>,
    config: &'a Config,
) -> Result<(FilterId, &'a Filter), String> {
    let mut filters = config.filters.iter().zip(0..);
    let found = filters.find(|(filter, _)| match question.filter {
        Some(name) => filter.name == name,
        None => waf::needs_rules(filter),
    });
    match found {
        Some((filter, id)) if waf::needs_rules(filter) => Ok((FilterId(id), filter)),
        Some((filter, _)) => Err(format!(
            "the filter \"{}\" is no `builtin: waf`",
            filter.name
        )),
        None => Err("there is no such filter `builtin: waf` in the configuration".to_owned()),
    }
}

/// The clock, and nothing else: collections are empty.
struct World;

impl Host for World {
    fn now(&self) -> Duration {
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        since.unwrap_or_default()
    }
}

/// A request from a file: as it goes over a connection; lines may end without a carriage return.
struct Request<'a> {
    line: &'a [u8],
    headers: Vec<(&'a [u8], &'a [u8])>,
    body: &'a [u8],
}

impl<'a> Request<'a> {
    fn parse(wire: &'a [u8]) -> Self {
        let mut rest = wire;
        let line = next_line(&mut rest);
        let mut headers = Vec::new();
        while !rest.is_empty() {
            let header = next_line(&mut rest);
            if header.is_empty() {
                break;
            }
            let mut parts = header.splitn(2, |byte| *byte == b':');
            let name = parts.next().unwrap_or_default();
            headers.push((name, parts.next().unwrap_or_default().trim_ascii()));
        }
        Self {
            line,
            headers,
            body: rest,
        }
    }

    /// Phases 1 and 2, and what follows a verdict.
    fn tell(&self, transaction: &mut Transaction) {
        let mut words = self
            .line
            .split(|byte| *byte == b' ')
            .filter(|word| !word.is_empty());
        let [method, target, protocol] = [(); 3].map(|()| words.next().unwrap_or_default());
        transaction.connection(("127.0.0.1", 0), ("127.0.0.1", 0), "explain");
        transaction.raw_request_line(self.line, method, target, protocol);
        for (name, value) in &self.headers {
            transaction.request_header(name, value);
        }
        if transaction.request_headers_done(&World).is_none() {
            transaction.request_body(self.body);
            transaction.request_body_done(&World);
        }
        transaction.logging(&World);
    }
}

fn next_line<'a>(rest: &mut &'a [u8]) -> &'a [u8] {
    let end = rest
        .iter()
        .position(|byte| *byte == b'\n')
        .unwrap_or(rest.len());
    let (line, after) = rest.split_at(end);
    *rest = after.get(1..).unwrap_or_default();
    line.strip_suffix(b"\r").unwrap_or(line)
}

fn answer(transaction: &Transaction, request: &Request<'_>, all: bool) -> String {
    let mut text = format!("{}\n", escaped(request.line));
    let traces = transaction.traces();
    match transaction.intervention() {
        Some(verdict) => {
            let (status, phase) = (verdict.status, verdict.phase.number());
            let _ = writeln!(
                text,
                "is refused with {status} by rule {} in phase {phase}",
                verdict.rule
            );
        }
        None => text.push_str("passes the rules for requests\n"),
    }
    let matched = traces.iter().filter(|trace| trace.matched).count();
    let _ = writeln!(text, "{} rules were tried, {matched} matched", traces.len());
    let told = transaction
        .matches()
        .iter()
        .filter(|found| all || found.log || scores(found));
    for found in told.clone() {
        describe(found, &mut text);
    }
    let exclusions: BTreeSet<String> = told
        .filter(|found| scores(found))
        .flat_map(|found| exclusions(found, request))
        .collect();
    if !exclusions.is_empty() {
        text.push_str("\nIf something of this was a mistake, add its line to the filter's config:\n  exclude:\n");
        for exclusion in exclusions {
            let _ = writeln!(text, "    - {exclusion}");
        }
    }
    text
}

/// Whether a rule added to a score, or ends exchanges by itself: what an exclusion may be for.
fn scores(found: &Match) -> bool {
    let counted = found.changes.iter().any(|(name, _)| name.contains("score"));
    found.log && !found.values.is_empty() && (counted || found.disruptive) && !sums_up(found)
}

/// Rules that judge the sum of what others found look at nothing of the request.
fn sums_up(found: &Match) -> bool {
    found
        .values
        .iter()
        .all(|value| value.name.starts_with("TX:"))
}

fn describe(found: &Match, text: &mut String) {
    let _ = writeln!(
        text,
        "\n{} phase {}: {}",
        found.id,
        found.phase.number(),
        found.message
    );
    let _ = writeln!(
        text,
        "    {}:{}  {}",
        found.file,
        found.line,
        operator(found)
    );
    for value in &found.values {
        let _ = writeln!(text, "    {} = {}", value.name, shortened(&value.seen));
        if let Some(original) = &value.original {
            let _ = writeln!(text, "        sent as {}", shortened(original));
        }
    }
    for (name, value) in &found.changes {
        let _ = writeln!(text, "    tx.{name} is now {}", shortened(value.as_bytes()));
    }
}

/// One line, and not too long for a terminal.
fn shortened(bytes: &[u8]) -> String {
    const BYTES_MAX: usize = 160;
    match bytes.get(..BYTES_MAX) {
        Some(start) if bytes.len() > BYTES_MAX => format!("{} ...", escaped(start)),
        _ => escaped(bytes),
    }
}

/// As the rule has it, its beginning.
fn operator(found: &Match) -> String {
    const CHARACTERS_MAX: usize = 160;
    let (negation, text) = match found.operator.strip_prefix('!') {
        Some(text) => ("!", text),
        None => ("", found.operator.as_str()),
    };
    let start: String = text.chars().take(CHARACTERS_MAX).collect();
    let more = if start.len() < text.len() { " ..." } else { "" };
    format!("{negation}@{start}{more}")
}

/// Quotes as they are: they are what many rules are about.
fn escaped(bytes: &[u8]) -> String {
    let text = bytes.escape_ascii().to_string();
    text.replace("\\'", "'").replace("\\\"", "\"")
}

/// What lets this request pass the rule, and as little else as can be.
fn exclusions(found: &Match, request: &Request<'_>) -> Vec<String> {
    let target = request
        .line
        .split(|byte| *byte == b' ')
        .nth(1)
        .unwrap_or_default();
    let path = target
        .split(|byte| matches!(byte, b'?' | b'#'))
        .next()
        .unwrap_or_default();
    let path = serde_json::Value::from(String::from_utf8_lossy(path));
    let values = found
        .values
        .iter()
        .filter(|value| !value.name.starts_with("TX:"));
    let line = |value: &Value| {
        let name = serde_json::Value::from(value.name.as_str());
        format!(
            "{{ rule: {}, path: {{ exact: {path} }}, target: {name} }}",
            found.id
        )
    };
    values.map(line).collect()
}
