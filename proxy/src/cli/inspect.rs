//! `portcullis filter inspect`: what a module is and wants.

use std::fmt::Write as _;
use std::path::Path;
use std::process::ExitCode;

use portcullis_abi::{GrantNeeds, Report};
use serde_json::{Value, json};

use super::{PROBLEMS, UNUSABLE, print};

/// Exports that the host calls begin so; the ABI's markers do too.
const CALLBACK: &str = "proxy_";
const MARKER: &str = "proxy_abi_version_";

pub(super) fn run(file: &Path, as_json: bool) -> ExitCode {
    let wasm = match std::fs::read(file) {
        Ok(wasm) => wasm,
        Err(error) => {
            eprintln!("portcullis: cannot read {}: {error}", file.display());
            return ExitCode::from(UNUSABLE);
        }
    };
    let report = match portcullis_abi::inspect(&wasm) {
        Ok(report) => report,
        Err(error) => {
            eprintln!("{}: {error}", file.display());
            return ExitCode::from(PROBLEMS);
        }
    };
    let text = match as_json {
        true => format!("{:#}\n", json(file, &report)),
        false => text(file, &report),
    };
    print(&text, ExitCode::SUCCESS)
}

/// The exports that the host calls, and the others.
fn exports(report: &Report) -> (Vec<&str>, Vec<&str>) {
    let names = report.exports.iter().map(String::as_str);
    let names = names.filter(|name| !name.starts_with(MARKER));
    names.partition(|name| name.starts_with(CALLBACK))
}

fn json(file: &Path, report: &Report) -> Value {
    let (callbacks, others) = exports(report);
    let Report {
        abi,
        imports,
        exports: _,
        size,
        memory_initial,
        memory_maximum,
        unknown_imports,
        grants,
    } = report;
    let GrantNeeds {
        http_call,
        grpc_call,
        foreign,
        queues,
    } = grants;
    let abi: Vec<String> = abi.iter().map(ToString::to_string).collect();
    let imports = imports.iter();
    let imports: Vec<Value> = imports
        .map(
            |import| json!({ "module": import.module, "name": import.name, "known": import.known }),
        )
        .collect();
    json!({
        "file": file.display().to_string(),
        "abi": abi,
        "size": size,
        "memory": { "initial": memory_initial, "maximum": memory_maximum },
        "imports": imports,
        "unknown_imports": unknown_imports,
        "callbacks": callbacks,
        "exports": others,
        "grants": { "http_call": http_call, "grpc_call": grpc_call, "foreign": foreign, "queues": queues },
    })
}

fn text(file: &Path, report: &Report) -> String {
    let (callbacks, others) = exports(report);
    let versions: Vec<String> = report.abi.iter().map(ToString::to_string).collect();
    let maximum = match report.memory_maximum {
        Some(maximum) => format!("at most {}", size(maximum)),
        None => "bounded only by limits.memory".to_owned(),
    };
    let bytes = u64::try_from(report.size).unwrap_or(u64::MAX);
    let mut text = String::new();
    let _ = writeln!(text, "{}", file.display());
    let _ = writeln!(text, "  abi        {}", versions.join(", "));
    let _ = writeln!(text, "  size       {}", size(bytes));
    let _ = writeln!(
        text,
        "  memory     {} at the start, {maximum}",
        size(report.memory_initial)
    );
    list(
        &mut text,
        "imports",
        report.imports.iter().map(|import| {
            let note = if import.known {
                ""
            } else {
                "   (unknown here: a call is a fault)"
            };
            format!("{}.{}{note}", import.module, import.name)
        }),
    );
    list(
        &mut text,
        "callbacks",
        callbacks.into_iter().map(str::to_owned),
    );
    list(&mut text, "exports", others.into_iter().map(str::to_owned));
    text.push('\n');
    text += &grants(&report.grants);
    text
}

fn list(text: &mut String, title: &str, rows: impl Iterator<Item = String>) {
    let rows: Vec<String> = rows.collect();
    let _ = writeln!(text, "  {title:<10} {}", rows.len());
    for row in rows {
        // Names come from the module.
        let _ = writeln!(text, "    {}", row.escape_debug());
    }
}

/// The least grants as YAML, to paste below the filter.
fn grants(needs: &GrantNeeds) -> String {
    let GrantNeeds {
        http_call,
        grpc_call,
        foreign,
        queues,
    } = *needs;
    let rows = [
        (
            http_call,
            "http_call: [UPSTREAM]",
            "names of the upstreams it may call by HTTP",
        ),
        (
            grpc_call,
            "grpc_call: [UPSTREAM]",
            "names of the upstreams it may call by gRPC",
        ),
        (
            foreign,
            "foreign: [FUNCTION]",
            "names of the foreign functions it may call",
        ),
        (
            queues,
            "queues: [VM_ID]",
            "vm_ids of other filters whose queues it may use; its own need no grant",
        ),
    ];
    if rows.iter().all(|(needed, ..)| !needed) {
        return "# no grants needed\ngrants: {}\n".to_owned();
    }
    let mut text =
        "# the least grants, to paste below the filter (it may get by without one it never uses)\ngrants:\n"
            .to_owned();
    for (_, grant, what) in rows.iter().filter(|(needed, ..)| *needed) {
        let _ = writeln!(text, "  {grant:<23} # {what}");
    }
    text
}

/// `64 KiB`, `1.5 MiB`.
fn size(bytes: u64) -> String {
    let (value, unit) = match bytes {
        0..1_024 => return format!("{bytes} bytes"),
        1_024..1_048_576 => (bytes as f64 / 1_024.0, "KiB"),
        _ => (bytes as f64 / 1_048_576.0, "MiB"),
    };
    let text = format!("{value:.1}");
    format!("{} {unit}", text.strip_suffix(".0").unwrap_or(&text))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report() -> Report {
        let module = "(module
            (import \"env\" \"proxy_log\" (func (param i32 i32 i32) (result i32)))
            (import \"env\" \"proxy_of_tomorrow\" (func))
            (import \"env\" \"proxy_http_call\"
                (func (param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32) (result i32)))
            (memory (export \"memory\") 2 32)
            (func (export \"proxy_abi_version_0_2_1\"))
            (func (export \"malloc\") (param i32) (result i32) (i32.const 8))
            (func (export \"proxy_on_tick\") (param i32)))";
        portcullis_abi::inspect(&wat::parse_str(module).expect("module")).expect("a filter")
    }

    #[test]
    fn everything_is_shown() {
        let text = text(Path::new("a.wasm"), &report());
        for line in [
            "a.wasm",
            "  abi        0.2.1",
            "  memory     128 KiB at the start, at most 2 MiB",
            "  imports    3",
            "    env.proxy_log",
            "    env.proxy_of_tomorrow   (unknown here: a call is a fault)",
            "  callbacks  1",
            "    proxy_on_tick",
            "  exports    2",
            "    malloc",
            "grants:",
            "  http_call: [UPSTREAM]   # names of the upstreams it may call by HTTP",
        ] {
            assert!(text.lines().any(|found| found == line), "{line}\n{text}");
        }
    }

    #[test]
    fn the_same_as_json() {
        let json = json(Path::new("a.wasm"), &report());
        assert_eq!(json["abi"], json!(["0.2.1"]));
        assert_eq!(
            json["memory"],
            json!({ "initial": 131_072, "maximum": 2_097_152 })
        );
        assert_eq!(json["unknown_imports"], json!(["env.proxy_of_tomorrow"]));
        assert_eq!(json["callbacks"], json!(["proxy_on_tick"]));
        assert_eq!(json["grants"]["http_call"], json!(true));
    }

    #[test]
    fn sizes_are_readable() {
        for (bytes, expected) in [
            (12, "12 bytes"),
            (1_024, "1 KiB"),
            (1_536, "1.5 KiB"),
            (64 << 20, "64 MiB"),
        ] {
            assert_eq!(size(bytes), expected);
        }
    }
}
