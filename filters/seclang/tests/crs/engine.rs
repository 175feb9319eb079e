//! The engine under test.

use std::time::Duration;

use portcullis_seclang::source::MemoryFiles;
use portcullis_seclang::transaction::host::Host;
use portcullis_seclang::{Engine, Transaction, parser};

use crate::judge::Outcome;
use crate::origin::Response;
use crate::request::Request;
use crate::rules::MAIN;

/// Compiles the rules.
///
/// # Errors
/// Everything that is wrong with them.
pub(crate) fn compile(files: &MemoryFiles) -> Result<Engine, String> {
    let lines = |problems: Vec<_>| {
        let lines: Vec<String> = problems.iter().map(ToString::to_string).collect();
        lines.join("\n")
    };
    let parsed = parser::parse(files, MAIN).map_err(lines)?;
    Engine::new(parsed.rules, files).map_err(lines)
}

/// A clock that stands still, and nothing else.
struct World;

impl Host for World {
    fn now(&self) -> Duration {
        Duration::from_secs(1_700_000_000)
    }
}

/// Tells a transaction of the request, and of its response unless the rules have one of their own.
pub(crate) fn run(
    engine: &Engine,
    request: &Request,
    response: &Response,
    explain: bool,
) -> Outcome {
    let mut transaction = engine.transaction();
    if explain {
        transaction.explain();
    }
    transaction.connection(("127.0.0.1", 50_000), ("127.0.0.1", 80), "test");
    let status = phases(&mut transaction, request, response);
    transaction.logging(&World);
    let logged = transaction.matches().iter().filter(|found| found.log);
    let lines = logged
        .map(|found| (found.id, transaction.log_line(found)))
        .collect();
    let details = if explain {
        details(&transaction)
    } else {
        Vec::new()
    };
    engine.recycle(transaction);
    Outcome {
        lines,
        status,
        details,
    }
}

/// The status that the client gets.
fn phases(transaction: &mut Transaction, request: &Request, response: &Response) -> u16 {
    transaction.request_line(&request.method, &request.target, &request.protocol);
    for (name, value) in &request.headers {
        transaction.request_header(name, value);
    }
    if let Some(verdict) = transaction.request_headers_done(&World) {
        return verdict.status;
    }
    transaction.request_body(&request.body);
    if let Some(verdict) = transaction.request_body_done(&World) {
        return verdict.status;
    }
    transaction.response_line(response.status, b"HTTP/1.1");
    for (name, value) in &response.headers {
        transaction.response_header(name.as_bytes(), value.as_bytes());
    }
    if let Some(verdict) = transaction.response_headers_done(&World) {
        return verdict.status;
    }
    transaction.response_body(&response.body);
    match transaction.response_body_done(&World) {
        Some(verdict) => verdict.status,
        None => response.status,
    }
}

/// What each rule that matched saw.
fn details(transaction: &Transaction) -> Vec<String> {
    let mut lines = Vec::new();
    for found in transaction.matches() {
        lines.push(format!(
            "{} phase {} {:?}",
            found.id,
            found.phase.number(),
            found.changes
        ));
        for value in &found.values {
            let seen = value.seen.escape_ascii();
            lines.push(format!("    link {} {} = {seen}", value.level, value.name));
        }
    }
    lines
}
