//! The conformance kit: one set of guests and expectations, driven against Portcullis and against real Envoy.
//!
//! A case is a scripted guest (`tests/guests`), what a client sends, and what client, origin and callee must then have
//! seen. Portcullis must meet every expectation. Envoy must too, except where `differences.json` says what it does
//! instead, and why we do not; an entry there that is no difference any more fails, so that the list stays true.
//! `run.sh` installs Envoy and runs this: a table of the differences, and last `N passed, N failed`. A word on the command
//! line selects the cases with it in their name.

mod cases;
mod differences;
mod host;
mod observe;

use std::process::ExitCode;

use cases::{Case, Sdk};
use differences::Differences;
use host::Host;
use portcullis_tests::{Config, artifacts};

/// What came of one case by one SDK's guest.
struct Outcome {
    name: String,
    expected: String,
    portcullis: String,
    /// None: there is no Envoy here.
    envoy: Option<String>,
}

fn main() -> ExitCode {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let wanted = std::env::args()
        .skip(1)
        .find(|argument| !argument.starts_with('-'));
    let cases: Vec<_> = cases::all()
        .into_iter()
        .filter(|(name, _, _)| wanted.as_ref().is_none_or(|word| name.contains(word)))
        .collect();
    let outcomes = runtime.block_on(run(cases));
    let mut differences = Differences::read();
    let mut failed = 0;
    println!("| case | expected | Envoy | reason |\n|---|---|---|---|");
    for outcome in &outcomes {
        failed += usize::from(!judge(outcome, &mut differences));
    }
    if wanted.is_none() && outcomes.iter().all(|outcome| outcome.envoy.is_some()) {
        for name in differences.unused() {
            println!(
                "FAILED {name}: differences.json names it, and it is no difference (any more)"
            );
            failed += 1;
        }
    }
    println!(
        "{} passed, {failed} failed",
        outcomes.len() - failed.min(outcomes.len())
    );
    if failed == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// Whether the case passes; a row of the table where Envoy differs.
fn judge(outcome: &Outcome, differences: &mut Differences) -> bool {
    let Outcome {
        name,
        expected,
        portcullis,
        envoy,
    } = outcome;
    if portcullis != expected {
        println!("FAILED {name}\n    expected   {expected}\n    Portcullis {portcullis}");
        if let Some(envoy) = envoy {
            println!("    Envoy      {envoy}");
        }
        // Whatever is listed is not judged now.
        differences.take(name);
        return false;
    }
    let Some(envoy) = envoy.as_ref().filter(|envoy| *envoy != expected) else {
        return true;
    };
    match differences.take(name) {
        Some(known) if known.envoy == *envoy => {
            let cells = [name, expected, envoy].map(|text| text.replace('|', "\\|"));
            let [name, expected, envoy] = cells;
            println!("| {name} | `{expected}` | `{envoy}` | {} |", known.reason);
            true
        }
        known => {
            println!(
                "FAILED {name}: a difference without a reason\n    expected   {expected}\n    Envoy      {envoy}"
            );
            if let Some(known) = known {
                println!("    listed     {}", known.envoy);
            }
            false
        }
    }
}

/// All cases in one process of each proxy, one after another.
async fn run(cases: Vec<(String, Sdk, Case)>) -> Vec<Outcome> {
    let go = artifacts::go_guest();
    let cases: Vec<_> = cases
        .into_iter()
        .filter(|(_, sdk, _)| *sdk == Sdk::Rust || go.is_some())
        .collect();
    let (ours, theirs) = futures::join!(
        observe_all(&cases, Host::portcullis),
        observe_all(&cases, Host::envoy)
    );
    let ours = ours.expect("Portcullis is always there");
    let mut theirs = theirs.map(Vec::into_iter);
    cases
        .into_iter()
        .zip(ours)
        .map(|((name, _, case), portcullis)| Outcome {
            name,
            expected: case.expected(),
            portcullis,
            envoy: theirs.as_mut().and_then(Iterator::next),
        })
        .collect()
}

async fn observe_all(
    cases: &[(String, Sdk, Case)],
    start: impl AsyncFn(&Config) -> Option<Host>,
) -> Option<Vec<String>> {
    let backends = observe::Backends::start().await;
    let mut config = backends.upstreams(Config::new()).set("/workers", 1.into());
    for (index, (_, sdk, case)) in cases.iter().enumerate() {
        config = case.configure(config, index, *sdk);
    }
    let host = start(&config).await?;
    let mut observed = Vec::with_capacity(cases.len());
    for (index, (_, _, case)) in cases.iter().enumerate() {
        observed.push(backends.observe(&host, case, index).await);
    }
    Some(observed)
}
