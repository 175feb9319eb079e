//! What the engine costs alone: time to compile a rule set, and CPU for a request, as JSON.
//!
//! ```text
//! cost FOLDER REQUEST.http...
//! ```
//!
//! The folder holds `crs-setup.conf` and `rules/`; a request is as it goes over a connection. `QUICK=true`: briefly.

use std::error::Error;
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use portcullis_seclang::source::MemoryFiles;
use portcullis_seclang::transaction::host::Host;
use portcullis_seclang::{Engine, parser};

const MAIN: &str = "Include base.conf\nInclude crs-setup.conf\nInclude rules/*.conf\nSecRuleEngine On\nSecAuditEngine Off\n";

struct World;

impl Host for World {
    fn now(&self) -> Duration {
        Duration::from_secs(1_700_000_000)
    }
}

struct Request {
    line: Vec<String>,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let folder = arguments.next().ok_or("no folder")?;
    let files = files(Path::new(&folder))?;
    let began = Instant::now();
    let engine = compile(&files)?;
    let compiled = began.elapsed();
    let quick = std::env::var("QUICK").is_ok_and(|value| value == "true");
    let during = Duration::from_millis(if quick { 200 } else { 2_000 });
    let mut costs = Vec::new();
    for file in arguments {
        let request = read(&fs::read(file)?)?;
        // The best of some rounds: others can only add to it.
        let rounds = (0..5).map(|_| cost(&engine, &request, during / 5));
        costs.push(rounds.fold(f64::INFINITY, f64::min));
    }
    let compiled = compiled.as_secs_f64() * 1e3;
    println!(
        "{}",
        serde_json::json!({ "compile_ms": compiled, "costs_us": costs })
    );
    Ok(())
}

/// Microseconds for one exchange.
fn cost(engine: &Engine, request: &Request, during: Duration) -> f64 {
    let began = Instant::now();
    let mut count = 0_u32;
    while began.elapsed() < during {
        exchange(engine, request);
        count += 1;
    }
    began.elapsed().as_secs_f64() * 1e6 / f64::from(count.max(1))
}

fn exchange(engine: &Engine, request: &Request) {
    let mut transaction = engine.transaction();
    transaction.connection(("192.0.2.7", 50_000), ("192.0.2.1", 80), "id");
    let [method, target, protocol] =
        [0, 1, 2].map(|index| request.line.get(index).map_or("", String::as_str));
    transaction.request_line(method.as_bytes(), target.as_bytes(), protocol.as_bytes());
    for (name, value) in &request.headers {
        transaction.request_header(name.as_bytes(), value.as_bytes());
    }
    let mut refused = transaction.request_headers_done(&World).is_some();
    if !refused {
        transaction.request_body(&request.body);
        refused = transaction.request_body_done(&World).is_some();
    }
    if !refused {
        transaction.response_line(200, b"HTTP/1.1");
        transaction.response_header(b"content-type", b"image/png");
        transaction.response_headers_done(&World);
        transaction.response_body_done(&World);
    }
    transaction.logging(&World);
    engine.recycle(transaction);
}

fn compile(files: &MemoryFiles) -> Result<Engine, String> {
    let lines = |problems: Vec<_>| {
        problems
            .iter()
            .map(|problem| format!("{problem}\n"))
            .collect::<String>()
    };
    let parsed = parser::parse(files, "main.conf").map_err(lines)?;
    Engine::new(parsed.rules, files).map_err(lines)
}

fn files(folder: &Path) -> Result<MemoryFiles, Box<dyn Error>> {
    let mut files = MemoryFiles::default();
    files.files.insert("main.conf".to_owned(), MAIN.into());
    files.files.insert(
        "base.conf".to_owned(),
        include_bytes!("../rules/base.conf").to_vec(),
    );
    files.files.insert(
        "crs-setup.conf".to_owned(),
        fs::read(folder.join("crs-setup.conf"))?,
    );
    for entry in fs::read_dir(folder.join("rules"))? {
        let path = entry?.path();
        let name = path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        files
            .files
            .insert(format!("rules/{name}"), fs::read(&path)?);
    }
    Ok(files)
}

fn read(wire: &[u8]) -> Result<Request, Box<dyn Error>> {
    let text = std::str::from_utf8(wire)?;
    let (head, body) = text.split_once("\r\n\r\n").ok_or("no end of the headers")?;
    let mut lines = head.split("\r\n");
    let line = lines
        .next()
        .unwrap_or_default()
        .split(' ')
        .map(str::to_owned)
        .collect();
    let headers = lines.filter_map(|line| line.split_once(": "));
    Ok(Request {
        line,
        headers: headers
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect(),
        body: body.into(),
    })
}
