//! Faults of guests as compilers make them: names of functions, and source lines where there is debug information.
//!
//! A language whose compiler is not here is passed over, which is printed; Rust always is.

use std::path::Path;
use std::process::Command;

use portcullis_abi::Fault;

use crate::fakes::{FakeHost, plugin_of, shared, start, stream};

const RUST: &str = r#"
#[unsafe(no_mangle)] pub extern "C" fn proxy_abi_version_0_2_1() {}

#[inline(never)]
fn explode(number: u32) -> u32 {
    assert!(number > 1000, "too small");
    number
}

#[unsafe(no_mangle)]
pub extern "C" fn proxy_on_request_headers(context: u32, headers: u32, _end: u32) -> u32 {
    explode(context + headers) + 1
}
"#;

const CPP: &str = r#"
extern "C" __attribute__((export_name("proxy_abi_version_0_2_1"))) void version() {}

struct Cart {
  __attribute__((noinline)) static unsigned explode(unsigned number) {
    if (number < 1000) __builtin_trap();
    return number;
  }
};

extern "C" __attribute__((export_name("proxy_on_request_headers")))
unsigned on_request_headers(unsigned context, unsigned headers, unsigned) {
  return Cart::explode(context + headers) + 1;
}
"#;

const GO: &str = "package main

//go:wasmexport proxy_abi_version_0_2_1
func version() {}

var list []uint32

//go:noinline
func explode(number uint32) uint32 {
	return list[number]
}

//go:wasmexport proxy_on_request_headers
func onRequestHeaders(context, headers, end uint32) uint32 {
	return explode(context+headers) + 1
}

func main() {}
";

const ASSEMBLYSCRIPT: &str = "
export function proxy_abi_version_0_2_1(): void {}

function explode(number: u32): u32 {
  if (number < 1000) unreachable();
  return number;
}

export function proxy_on_request_headers(context: u32, headers: u32, end: u32): u32 {
  return explode(context + headers) + 1;
}
";

/// Compiles a source in a folder of its own; `None`: there is no such compiler.
fn compile(file: &str, source: &str, compiler: &[&str], env: &[(&str, &str)]) -> Option<Vec<u8>> {
    let folder = tempfile::tempdir().unwrap();
    let (source_file, module) = (folder.path().join(file), folder.path().join("guest.wasm"));
    std::fs::write(&source_file, source).unwrap();
    let [program, arguments @ ..] = compiler else {
        panic!("no compiler");
    };
    // The toolchain of this repository is that of its folder.
    let mut command = Command::new(program);
    command
        .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")))
        .envs(env.iter().copied())
        .args(arguments)
        .arg("-o")
        .arg(&module)
        .arg(&source_file);
    let Ok(output) = command.output() else {
        println!("skipped: there is no {program}");
        return None;
    };
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    Some(std::fs::read(module).unwrap())
}

/// The fault of the guest in its request headers.
fn fault(wasm: &[u8]) -> Fault {
    let vm = start(plugin_of(wasm), &FakeHost::new()).unwrap();
    let context = vm.create_stream(0, &shared(&stream()), 1).unwrap();
    vm.on_request_headers(context, 2, true).unwrap_err()
}

/// That one of the lines names the function, and the place, and a later one who called it.
fn check(fault: &Fault, callee: &str, place: &str, caller: &str, called_at: &str) {
    let lines: Vec<&str> = fault.message.lines().collect();
    let named = |name: &str, place: &str| {
        let mut lines = lines.iter();
        lines.position(|line| line.contains(name) && line.contains(place))
    };
    let (callee, caller) = (named(callee, place), named(caller, called_at));
    assert!(callee.is_some() && callee < caller, "{fault}");
}

#[test]
fn rust() {
    let compiler = [
        "rustc",
        "--target=wasm32-wasip1",
        "--crate-type=cdylib",
        "--edition=2024",
        "-Copt-level=2",
        "-Cdebuginfo=line-tables-only",
    ];
    let wasm = compile("cart.rs", RUST, &compiler, &[]).expect("rustc");
    check(
        &fault(&wasm),
        "explode",
        "cart.rs:6",
        "proxy_on_request_headers",
        "cart.rs:12",
    );
}

#[test]
fn cpp() {
    let compiler = [
        "clang++",
        "--target=wasm32",
        "-O1",
        "-g",
        "-nostdlib",
        "-Wl,--no-entry",
    ];
    if let Some(wasm) = compile("cart.cc", CPP, &compiler, &[]) {
        check(
            &fault(&wasm),
            "explode",
            "cart.cc:6",
            "on_request_headers",
            "cart.cc:13",
        );
    }
}

/// Its compiler writes no debug information into modules; the runtime's own trace, with lines, is in the log.
#[test]
fn go() {
    let env = [("GOOS", "wasip1"), ("GOARCH", "wasm"), ("GOFLAGS", "")];
    let compiler = ["go", "build", "-buildmode=c-shared"];
    if let Some(wasm) = compile("cart.go", GO, &compiler, &env) {
        check(
            &fault(&wasm),
            "main.explode",
            "",
            "main.onRequestHeaders",
            "",
        );
    }
}

/// Its compiler writes names; lines are in a source map, which is another file.
#[test]
fn assemblyscript() {
    // Where `examples/filters/build.sh` installs it.
    let compiler = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../target/examples/assemblyscript/node_modules/assemblyscript/bin/asc.js"
    );
    if !Path::new(compiler).exists() {
        println!("skipped: there is no AssemblyScript compiler");
        return;
    }
    let compiler = [
        "node",
        compiler,
        "--debug",
        "--runtime=stub",
        "--use=abort=",
    ];
    if let Some(wasm) = compile("cart.ts", ASSEMBLYSCRIPT, &compiler, &[]) {
        check(&fault(&wasm), "explode", "", "proxy_on_request_headers", "");
    }
}
