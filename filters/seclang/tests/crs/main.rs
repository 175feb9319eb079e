//! The regression tests of the OWASP Core Rule Set against the engine alone: no proxy, no socket, no log file.
//!
//! ```text
//! cargo test -p portcullis-seclang --test crs                   all
//! cargo test -p portcullis-seclang --test crs -- 942100 920     those of a rule, of a file
//! cargo test -p portcullis-seclang --test crs -- 942100-7 -v    with the request and every line it logged
//! ```
//!
//! Rules and tests come from the Go module `coraza-coreruleset`, found in the cache of Go's modules or named by
//! `PORTCULLIS_CRS`. Without it nothing is tested, unless `PORTCULLIS_REQUIRE_ALL` is set. The last line counts.

mod engine;
mod judge;
mod origin;
mod request;
mod rules;
mod suite;

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use portcullis_seclang::Engine;
use portcullis_seclang::source::MemoryFiles;
use suite::Test;

const KNOWN: &str = include_str!("known.yaml");

fn main() -> ExitCode {
    match run() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(problem) => {
            eprintln!("{problem}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<bool, String> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let verbose = arguments
        .iter()
        .any(|argument| argument == "-v" || argument == "--verbose");
    let wanted: Vec<&String> = arguments
        .iter()
        .filter(|argument| !argument.starts_with('-'))
        .collect();
    let Some(folder) = rules::folder() else {
        let what = "the Go module coraza-coreruleset is not here; go mod download it, or set PORTCULLIS_CRS";
        if std::env::var_os("PORTCULLIS_REQUIRE_ALL").is_some() {
            return Err(what.to_owned());
        }
        println!("skipped: {what}");
        return Ok(true);
    };
    let mut known: BTreeMap<String, String> =
        serde_saphyr::from_str(KNOWN).map_err(|error| error.to_string())?;
    let mut tests = suite::load(&folder.join("tests"))?;
    if !wanted.is_empty() {
        tests.retain(|test| wanted.iter().any(|id| test.id.starts_with(id.as_str())));
        known.retain(|known, _| tests.iter().any(|test| test.id == *known));
    }
    let parsing = |test: &Test| {
        test.stages
            .iter()
            .any(|stage| judge::is_about_parsing(&stage.output))
    };
    let all = tests.len();
    tests.retain(|test| !parsing(test));
    let files = rules::files(&folder)?;
    let failures = run_all(&files, &tests, verbose)?;
    Ok(report(&tests, all - tests.len(), &failures, &known))
}

/// Runs the tests on all cores; what went wrong, by test.
fn run_all(
    files: &MemoryFiles,
    tests: &[Test],
    verbose: bool,
) -> Result<BTreeMap<String, Vec<String>>, String> {
    let next = AtomicUsize::new(0);
    let failures = Mutex::new(BTreeMap::new());
    let threads = if verbose {
        1
    } else {
        std::thread::available_parallelism().map_or(1, usize::from)
    };
    let run_next = || {
        let engine = engine::compile(files)?;
        while let Some(test) = tests.get(next.fetch_add(1, Ordering::Relaxed)) {
            let wrong = run_test(&engine, test, verbose);
            if !wrong.is_empty() {
                failures
                    .lock()
                    .expect("no thread panics")
                    .insert(test.id.clone(), wrong);
            }
        }
        Ok::<(), String>(())
    };
    std::thread::scope(|scope| {
        let running: Vec<_> = (0..threads).map(|_| scope.spawn(run_next)).collect();
        running
            .into_iter()
            .try_for_each(|thread| thread.join().expect("no thread panics"))
    })?;
    Ok(failures.into_inner().expect("no thread panics"))
}

fn run_test(engine: &Engine, test: &Test, verbose: bool) -> Vec<String> {
    let mut wrong = Vec::new();
    for stage in &test.stages {
        let wire = match request::wire(&stage.input) {
            Ok(wire) => wire,
            Err(problem) => return vec![problem],
        };
        let request = request::parse(&wire);
        let response = origin::answer(&request);
        let outcome = engine::run(engine, &request, &response, verbose);
        if verbose {
            println!("--- {}\n{}", test.id, String::from_utf8_lossy(&wire));
            for line in outcome
                .details
                .iter()
                .chain(outcome.lines.iter().map(|(_, line)| line))
            {
                println!("    {line}");
            }
        }
        wrong.extend(judge::judge(&stage.output, &outcome));
    }
    wrong
}

fn report(
    tests: &[Test],
    parsing: usize,
    failures: &BTreeMap<String, Vec<String>>,
    known: &BTreeMap<String, String>,
) -> bool {
    // In the order of the files.
    for test in tests {
        match (failures.get(&test.id), known.get(&test.id)) {
            (None, None) => {}
            (Some(wrong), None) => println!("{}: {}", test.id, wrong.join("; ")),
            (Some(_), Some(reason)) => println!("{}: known: {reason}", test.id),
            (None, Some(_)) => println!("{}: passes; take it out of known.yaml", test.id),
        }
    }
    let unknown = known
        .keys()
        .filter(|id| !tests.iter().any(|test| test.id == **id));
    let passing = known
        .keys()
        .filter(|id| !failures.contains_key(*id))
        .count();
    for id in unknown {
        println!("{id}: in known.yaml, but there is no such test");
    }
    let failed = failures
        .keys()
        .filter(|id| !known.contains_key(*id))
        .count();
    if parsing > 0 {
        println!(
            "{parsing} more are about HTTP parsing alone; the run through the proxy judges them"
        );
    }
    println!(
        "{} passed, {} failed",
        tests.len() - failures.len(),
        failures.len()
    );
    failed == 0 && passing == 0
}
