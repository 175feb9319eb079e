//! The rule set that comes along: attacks are hit by the rule that is meant for them, and what browsers and programs send
//! is let by.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test may fail loudly"
)]

mod attacks;
mod benign;
mod settings;
#[path = "../engine/support.rs"]
#[allow(dead_code, reason = "shared with tests that use more of it")]
mod support;

use portcullis_seclang::parser::{Parsed, Parser};
use portcullis_seclang::source::MemoryFiles;
use portcullis_seclang::{Engine, Intervention};

use support::{Exchange, World, run};

/// The rule set after the base rules, and between them what a configuration says.
fn parsed(settings: &str) -> Parsed {
    let files = MemoryFiles::default();
    let mut parser = Parser::new(&files);
    parser.text("base.conf", include_str!("../../rules/base.conf"));
    parser.text("settings", "SecRuleEngine On");
    parser.text("settings", settings);
    parser.text(
        "portcullis.conf",
        include_str!("../../rules/portcullis.conf"),
    );
    parser
        .finish()
        .unwrap_or_else(|problems| panic!("{problems:#?}"))
}

fn engine(settings: &str) -> Engine {
    Engine::new(parsed(settings).rules, &MemoryFiles::default())
        .unwrap_or_else(|problems| panic!("{problems:#?}"))
}

/// What became of an exchange: the verdict, and the rules that were logged.
fn outcome(engine: &Engine, exchange: &Exchange<'_>) -> (Option<Intervention>, Vec<u64>) {
    let mut transaction = engine.transaction();
    let verdict = run(&mut transaction, &World::default(), exchange);
    let ids = transaction.matches().iter().map(|found| found.id).collect();
    engine.recycle(transaction);
    (verdict, ids)
}

/// A request as browsers send it.
fn browser<'a>(method: &'a str, target: &'a str) -> Exchange<'a> {
    let mut exchange = support::get(target);
    exchange.method = method;
    exchange.headers.extend([
        ("User-Agent", "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0"),
        ("Accept", "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8"),
        ("Accept-Language", "de,en-US;q=0.7,en;q=0.3"),
        ("Accept-Encoding", "gzip, deflate, br, zstd"),
        ("Referer", "https://example.org/search?q=it%27s+a+test&page=2"),
        ("Sec-CH-UA", "\"Chromium\";v=\"124\", \"Not-A.Brand\";v=\"99\""),
        ("Cookie", "_ga=GA1.2.1029384756.1700000000; session=eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl; theme=dark; prefs=%7B%22a%22%3A1%7D"),
        ("Connection", "keep-alive"),
    ]);
    exchange
}

/// The same with a form.
fn form<'a>(target: &'a str, body: &'a str) -> Exchange<'a> {
    with_body(target, "application/x-www-form-urlencoded", body)
}

fn with_body<'a>(target: &'a str, content_type: &'a str, body: &'a str) -> Exchange<'a> {
    let mut exchange = browser("POST", target);
    exchange.headers.push(("Content-Type", content_type));
    exchange.body = body;
    exchange
}
