//! `portcullis check`: everything that can be known without serving.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::path::Path;
use std::process::ExitCode;

use portcullis_abi::Report;
use portcullis_config::model::{Filter, ModuleSource};
use portcullis_config::{Config, Problem, Problems};
use serde_json::json;

use super::{PROBLEMS, code, print};
use crate::builtin;
use crate::generation;
use crate::listener::ListenerState;
use crate::server::control;

/// What was found. Warnings leave the configuration usable.
#[derive(Debug, Default)]
struct Findings {
    problems: Vec<Problem>,
    warnings: Vec<Problem>,
}

pub(super) fn run(file: &Path, json: bool) -> ExitCode {
    let (findings, code) = match control::load(file) {
        Err(problems) => {
            let code = code(&problems);
            let Problems(problems) = problems;
            let findings = Findings {
                problems,
                warnings: Vec::new(),
            };
            (findings, code)
        }
        Ok(config) => {
            let findings = Findings::of(&config);
            let code = match findings.problems.is_empty() {
                true => ExitCode::SUCCESS,
                false => ExitCode::from(PROBLEMS),
            };
            (findings, code)
        }
    };
    let text = match json {
        true => findings.json(),
        false => findings.text(file),
    };
    print(&text, code)
}

impl Findings {
    /// Looks into what a configuration names.
    fn of(config: &Config) -> Self {
        let (mut problems, mut warnings) = generation::check(config);
        let listeners = config.listeners.iter();
        problems
            .extend(listeners.filter_map(|listener| ListenerState::new(listener.clone()).err()));
        for filter in &config.filters {
            // What cannot be read or is no module is a problem already.
            if let Some(report) = report(filter) {
                warnings.extend(grant_warnings(filter, &report));
            }
        }
        for found in [&mut problems, &mut warnings] {
            found.sort_by_key(|problem| (problem.line, problem.column));
        }
        Self { problems, warnings }
    }

    fn json(&self) -> String {
        let Self { problems, warnings } = self;
        format!(
            "{:#}\n",
            json!({ "problems": problems, "warnings": warnings })
        )
    }

    fn text(&self, file: &Path) -> String {
        let Self { problems, warnings } = self;
        let mut text = String::new();
        for problem in problems {
            let _ = writeln!(text, "{problem}\n");
        }
        for warning in warnings {
            let _ = writeln!(text, "warning: {warning}\n");
        }
        let _ = match (problems.len(), warnings.len()) {
            (0, 0) => writeln!(text, "{}: good", file.display()),
            (0, warnings) => {
                writeln!(
                    text,
                    "{}: good, {}",
                    file.display(),
                    count(warnings, "warning")
                )
            }
            (problems, 0) => writeln!(text, "{}", count(problems, "problem")),
            (problems, warnings) => {
                let warnings = count(warnings, "warning");
                writeln!(text, "{}, {warnings}", count(problems, "problem"))
            }
        };
        text
    }
}

fn count(count: usize, what: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {what}{plural}")
}

fn report(filter: &Filter) -> Option<Report> {
    let wasm = match &filter.module {
        ModuleSource::File(path) => Cow::Owned(std::fs::read(path).ok()?),
        ModuleSource::Builtin(name) => builtin::module(name).ok()?,
    };
    portcullis_abi::inspect(&wasm).ok()
}

/// Compares what a module may call with what it is granted.
fn grant_warnings(filter: &Filter, report: &Report) -> Vec<Problem> {
    // The SDKs import some calls whether or not a module makes any; of the built-in ones it is known what they make.
    let own = matches!(filter.module, ModuleSource::File(_));
    let (grants, needs) = (&filter.grants, &report.grants);
    let rows = [
        (
            "http_call",
            "HTTP calls",
            "UPSTREAM",
            needs.http_call,
            grants.http_call.is_empty(),
        ),
        (
            "grpc_call",
            "gRPC calls",
            "UPSTREAM",
            needs.grpc_call,
            grants.grpc_call.is_empty(),
        ),
        (
            "foreign",
            "foreign functions",
            "FUNCTION",
            needs.foreign,
            grants.foreign.is_empty(),
        ),
        (
            "queues",
            "queues of other filters",
            "VM_ID",
            needs.queues,
            grants.queues.is_empty(),
        ),
    ];
    let warnings = rows.into_iter().filter_map(|(key, what, name, needed, none)| {
        // Its own queues need no grant, so that one that resolves any may well need none.
        if needed && none && own && !grants.all && key != "queues" {
            return Some(filter.at.problem(
                format!("the module can use {what}, and every use will be refused"),
                Some(format!("name what it may use: `grants: {{ {key}: [{name}] }}`")),
            ));
        }
        (!needed && !none).then(|| {
            filter.at.problem(
                format!("{what} are granted, and the module cannot use any (it does not import the call)"),
                Some(format!("remove `{key}` from its grants")),
            )
        })
    });
    warnings.collect()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    /// The findings of a file with one filter, whose module imports `proxy_http_call` or not.
    fn findings(calls: bool, grants: &str) -> Findings {
        let folder = tempfile::tempdir().expect("folder");
        let import = match calls {
            true => {
                "(import \"env\" \"proxy_http_call\" (func (param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32) (result i32)))"
            }
            false => "",
        };
        let module = format!(
            "(module {import} (memory (export \"memory\") 1) (func (export \"proxy_abi_version_0_2_1\"))
             (func (export \"malloc\") (param i32) (result i32) (i32.const 8)))"
        );
        fs::write(
            folder.path().join("a.wasm"),
            wat::parse_str(module).expect("module"),
        )
        .expect("write");
        let yaml = format!(
            "version: 1\nlisteners: [{{ name: http, address: 127.0.0.1:0 }}]\n\
             upstreams: {{ origin: {{ endpoints: [{{ address: 127.0.0.1:9 }}] }} }}\n\
             filters:\n  a: {{ wasm: {{ file: ./a.wasm }}{grants} }}\n\
             chains: {{ edge: [a] }}\nroutes: [{{ name: all, match: {{}}, chain: edge, upstream: origin }}]\n"
        );
        let file = folder.path().join("edge.yaml");
        fs::write(&file, yaml).expect("write");
        Findings::of(&control::load(&file).expect("good"))
    }

    #[test]
    fn grants_are_compared_with_imports() {
        for (calls, grants, warnings) in [
            (false, "", 0),
            (true, "", 1),
            (true, ", grants: { http_call: [origin] }", 0),
            (true, ", grants: { all: true }", 0),
            (false, ", grants: { http_call: [origin] }", 1),
            (false, ", grants: { all: true }", 0),
        ] {
            let found = findings(calls, grants);
            assert!(found.problems.is_empty(), "{:?}", found.problems);
            assert_eq!(found.warnings.len(), warnings, "{calls} {grants}");
            assert!(found.warnings.iter().all(|warning| warning.line == 5));
        }
    }

    #[test]
    fn the_last_line_sums_up() {
        let last = |findings: &Findings| {
            let text = findings.text(Path::new("edge.yaml"));
            text.lines().last().map(str::to_owned)
        };
        let warned = findings(true, "");
        assert_eq!(
            last(&Findings::default()).as_deref(),
            Some("edge.yaml: good")
        );
        assert_eq!(last(&warned).as_deref(), Some("edge.yaml: good, 1 warning"));
        let both = Findings {
            problems: [warned.warnings.clone(), warned.warnings.clone()].concat(),
            warnings: warned.warnings,
        };
        assert_eq!(last(&both).as_deref(), Some("2 problems, 1 warning"));
    }
}
