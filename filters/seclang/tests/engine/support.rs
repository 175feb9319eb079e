//! Exchanges under rules given as text.

use std::cell::RefCell;
use std::collections::HashMap;
use std::time::Duration;

use portcullis_seclang::parser::Parser;
use portcullis_seclang::source::MemoryFiles;
use portcullis_seclang::transaction::host::{Change, Host};
use portcullis_seclang::{Engine, Intervention, Transaction};

/// By collection and key.
type Records = HashMap<(String, Vec<u8>), Vec<u8>>;

/// A world in which it is always the same moment, unless a test moves it.
#[derive(Default)]
pub(crate) struct World {
    pub(crate) seconds: RefCell<u64>,
    pub(crate) records: RefCell<Records>,
    pub(crate) places: HashMap<&'static str, &'static str>,
    pub(crate) listed: Vec<&'static str>,
}

impl Host for World {
    fn now(&self) -> Duration {
        Duration::from_secs(1_700_000_000 + *self.seconds.borrow())
    }

    fn geo(&self, address: &str) -> Option<Vec<(String, String)>> {
        let country = self.places.get(address)?;
        Some(vec![("COUNTRY_CODE".to_owned(), (*country).to_owned())])
    }

    fn listed(&self, _list: &str, address: &str) -> bool {
        self.listed.contains(&address)
    }

    fn load(&self, collection: &str, key: &[u8]) -> Option<Vec<u8>> {
        let place = (collection.to_owned(), key.to_vec());
        self.records.borrow().get(&place).cloned()
    }

    fn update(&self, collection: &str, key: &[u8], change: Change<'_>) {
        let place = (collection.to_owned(), key.to_vec());
        let mut records = self.records.borrow_mut();
        let present = records.get(&place).cloned();
        match change(present.as_deref()) {
            Some(record) => records.insert(place, record),
            None => records.remove(&place),
        };
    }
}

/// An engine that blocks and reads bodies.
pub(crate) fn engine(rules: &str) -> Engine {
    let files = MemoryFiles::default();
    let mut parser = Parser::new(&files);
    parser.text(
        "test",
        "SecRuleEngine On\nSecRequestBodyAccess On\nSecResponseBodyAccess On",
    );
    parser.text("rules", rules);
    let parsed = parser
        .finish()
        .unwrap_or_else(|problems| panic!("{problems:#?}"));
    Engine::new(parsed.rules, &files).unwrap_or_else(|problems| panic!("{problems:#?}"))
}

/// A request, and perhaps a response.
#[derive(Clone)]
pub(crate) struct Exchange<'a> {
    pub(crate) method: &'a str,
    pub(crate) target: &'a str,
    pub(crate) headers: Vec<(&'a str, &'a str)>,
    pub(crate) body: &'a str,
    pub(crate) status: u16,
    pub(crate) response_headers: Vec<(&'a str, &'a str)>,
    pub(crate) response_body: &'a str,
}

pub(crate) fn get(target: &str) -> Exchange<'_> {
    Exchange {
        method: "GET",
        target,
        headers: vec![("Host", "example.org")],
        body: "",
        status: 200,
        response_headers: vec![("Content-Type", "text/html")],
        response_body: "",
    }
}

pub(crate) fn post<'a>(content_type: &'a str, body: &'a str) -> Exchange<'a> {
    let mut exchange = get("/");
    exchange.method = "POST";
    exchange.headers.push(("Content-Type", content_type));
    exchange.body = body;
    exchange
}

/// Runs all phases, up to an intervention and then the last.
pub(crate) fn run(
    transaction: &mut Transaction,
    world: &World,
    exchange: &Exchange<'_>,
) -> Option<Intervention> {
    let verdict = until_denied(transaction, world, exchange);
    transaction.logging(world);
    verdict
}

fn until_denied(t: &mut Transaction, world: &World, e: &Exchange<'_>) -> Option<Intervention> {
    t.connection(("192.0.2.7", 40_000), ("198.51.100.1", 80), "id-1");
    t.request_line(e.method.as_bytes(), e.target.as_bytes(), b"HTTP/1.1");
    for (name, value) in &e.headers {
        t.request_header(name.as_bytes(), value.as_bytes());
    }
    if let Some(intervention) = t.request_headers_done(world) {
        return Some(intervention);
    }
    t.request_body(e.body.as_bytes());
    if let Some(intervention) = t.request_body_done(world) {
        return Some(intervention);
    }
    t.response_line(e.status, b"HTTP/1.1");
    for (name, value) in &e.response_headers {
        t.response_header(name.as_bytes(), value.as_bytes());
    }
    if let Some(intervention) = t.response_headers_done(world) {
        return Some(intervention);
    }
    t.response_body(e.response_body.as_bytes());
    t.response_body_done(world)
}

/// The ids of the rules that matched, in order.
pub(crate) fn ids(rules: &str, exchange: &Exchange<'_>) -> Vec<u64> {
    let engine = engine(rules);
    let mut transaction = engine.transaction();
    run(&mut transaction, &World::default(), exchange);
    transaction.matches().iter().map(|found| found.id).collect()
}

/// Each case: rules, exchange, the ids that match.
pub(crate) fn check(cases: &[(&str, Exchange<'_>, &[u64])]) {
    for (rules, exchange, expected) in cases {
        assert_eq!(ids(rules, exchange), *expected, "{rules}");
    }
}
