//! What is said of modules, and which are refused, by name.

use portcullis_abi::hostcalls;
use portcullis_abi::{AbiVersion, LoadError, Module, inspect};

use crate::fakes::engine;
use crate::guest::Guest;

fn refused(wat: &str) -> String {
    let wasm = wat::parse_str(wat).unwrap();
    let inspected = inspect(&wasm).unwrap_err().to_string();
    let loaded = Module::load(engine(), &wasm)
        .err()
        .expect("refused")
        .to_string();
    assert_eq!(inspected, loaded);
    loaded
}

const GOOD: &str = r#"(memory (export "memory") 1 3) (func (export "proxy_abi_version_0_2_1"))"#;

#[test]
fn a_report_says_what_a_module_is() {
    let wasm = wat::parse_str(format!(
        r#"(module
            (import "env" "proxy_log" (func (param i32 i32 i32) (result i32)))
            (import "env" "proxy_http_call" (func (param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32) (result i32)))
            (import "env" "vendor_magic" (func))
            (import "wasi_unstable" "proc_exit" (func (param i32)))
            (import "wasi_snapshot_preview1" "fd_dance" (func))
            {GOOD} (func (export "proxy_abi_version_0_2_100"))
            (func (export "proxy_on_new_connection") (param i32) (result i32) (i32.const 0)))"#
    ))
    .unwrap();
    let report = inspect(&wasm).unwrap();
    assert_eq!(report.abi, [AbiVersion::V0_2_1, AbiVersion::V0_2_100]);
    assert_eq!(report.abi[1].to_string(), "0.2.100");
    assert_eq!(report.size, wasm.len());
    assert_eq!(
        (report.memory_initial, report.memory_maximum),
        (1 << 16, Some(3 << 16))
    );
    assert_eq!(
        report.unknown_imports,
        ["env.vendor_magic", "wasi_snapshot_preview1.fd_dance"]
    );
    assert_eq!(
        report.imports.iter().filter(|import| import.known).count(),
        3
    );
    assert!(
        report.grants.http_call
            && !report.grants.foreign
            && !report.grants.grpc_call
            && !report.grants.queues
    );
    assert!(
        report
            .exports
            .contains(&"proxy_on_new_connection".to_owned())
    );

    let module = Module::load(engine(), &wasm).unwrap();
    assert_eq!(*module.report(), report);
    assert!(module.callbacks().tcp && !module.callbacks().request_headers);
    assert_eq!(module.hash().len(), 64);
}

#[test]
fn modules_are_refused_by_name() {
    let cases = [
        ("(module (memory (export \"memory\") 1))", "no ABI marker"),
        (
            "(module (func (export \"proxy_abi_version_0_2_1\")))",
            "exports no memory",
        ),
        (
            r#"(module (import "env" "proxy_log" (func (param i32 i32) (result i32))) GOOD)"#,
            "import env.proxy_log has the signature (i32, i32) -> i32; expected (i32, i32, i32) -> i32",
        ),
        (
            r#"(module (import "wasi_unstable" "fd_close" (func (param i64) (result i32))) GOOD)"#,
            "import wasi_unstable.fd_close has the signature (i64) -> i32; expected (i32) -> i32",
        ),
        (
            r#"(module (import "env" "memory" (memory 1)) (func (export "proxy_abi_version_0_2_1")))"#,
            "import env.memory is a memory",
        ),
        (
            r#"(module (import "env" "t" (table 1 funcref)) GOOD)"#,
            "import env.t is a table",
        ),
        (
            r#"(module (import "env" "g" (global i32)) GOOD)"#,
            "import env.g is a global",
        ),
        (
            r#"(module (import "sys" "open" (func)) GOOD)"#,
            "import sys.open: no module sys",
        ),
        (
            r#"(module GOOD (func (export "proxy_on_tick") (param i32) (result i32) (i32.const 0)))"#,
            "export proxy_on_tick has the signature (i32) -> i32; expected (i32)",
        ),
        (
            r#"(module GOOD (func (export "proxy_on_request_headers") (result i32) (i32.const 0)))"#,
            "expected (i32, i32, i32) -> i32 or (i32, i32) -> i32",
        ),
        (
            r#"(module GOOD (global (export "malloc") i32 (i32.const 0)))"#,
            "export malloc",
        ),
        (
            r#"(module (import "env" "proxy_get_property" (func (param i32 i32 i32 i32) (result i32))) GOOD)"#,
            "import env.proxy_get_property needs an allocator",
        ),
        (
            "(module GOOD (table 200000 funcref))",
            "200000 table elements; the limit is",
        ),
        (
            "(module GOOD (table 1 funcref) (table 1 funcref) (table 1 funcref) (table 1 funcref) (table 1 funcref))",
            "5 tables; the limit is 4",
        ),
    ];
    for (wat, reason) in cases {
        let message = refused(&wat.replace("GOOD", GOOD));
        assert!(
            message.contains(reason),
            "{message:?} should say {reason:?}"
        );
    }
    let globals = "(global i32 (i32.const 0))".repeat(10_001);
    assert!(refused(&format!("(module {GOOD} {globals})")).contains("10001 globals"));
}

#[test]
fn what_is_no_module_is_refused() {
    for bytes in [&b""[..], b"hello", b"\0asm", b"\0asm\x01\0\0\0", b"\x7fELF"] {
        assert!(Module::load(engine(), bytes).is_err(), "{bytes:?}");
    }
    let too_large = vec![0; portcullis_abi::limits::MODULE_BYTES_MAX + 1];
    assert!(matches!(
        inspect(&too_large),
        Err(LoadError::TooLarge { .. })
    ));
    let component = wat::parse_str("(component)").unwrap();
    assert!(
        inspect(&component)
            .unwrap_err()
            .to_string()
            .contains("component")
    );
    let invalid = wat::parse_str(format!("(module {GOOD} (func (result i32)))")).unwrap();
    assert!(matches!(
        Module::load(engine(), &invalid),
        Err(LoadError::Compile(_))
    ));
    let threads = wat::parse_str(
        r#"(module (memory (export "memory") 1 1 shared) (func (export "proxy_abi_version_0_2_1")))"#,
    );
    assert!(Module::load(engine(), &threads.unwrap()).is_err());
}

#[test]
fn every_truncation_and_hundreds_of_mutations_never_panic() {
    let wasm = wat::parse_str(format!(
        r#"(module
            (import "env" "proxy_log" (func $log (param i32 i32 i32) (result i32)))
            {GOOD}
            (table 2 funcref) (elem (i32.const 0) $tick)
            (global $g (mut i32) (i32.const 7))
            (data (i32.const 8) "hello")
            (func $tick (export "proxy_on_tick") (param i32)
                (drop (call $log (i32.const 2) (i32.const 8) (i32.const 5)))))"#
    ))
    .unwrap();
    assert!(Module::load(engine(), &wasm).is_ok());
    for end in 0..wasm.len() {
        let _ = Module::load(engine(), &wasm[..end]); // Ok or not: it returned
    }
    let mut seed = 0xdead_beef_cafe_u64;
    let mut refused = 0;
    for _ in 0..600 {
        let mut mutated = wasm.clone();
        for _ in 0..2 {
            seed ^= seed << 13;
            seed ^= seed >> 7;
            seed ^= seed << 17;
            let at = 8 + (seed % (wasm.len() as u64 - 8)) as usize;
            mutated[at] = (seed >> 40) as u8;
        }
        refused += usize::from(Module::load(engine(), &mutated).is_err());
    }
    assert!(refused > 300, "{refused} of 600");
}

#[test]
fn every_import_is_found_once_under_its_names() {
    let mut names: Vec<_> = hostcalls::all()
        .map(|call| (call.module, call.name))
        .collect();
    assert_eq!(
        names
            .iter()
            .filter(|(module, _)| *module == "wasi_snapshot_preview1")
            .count(),
        46
    );
    assert!(names.len() > 90);
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), hostcalls::all().count());
    for call in hostcalls::all() {
        assert_eq!(
            call.params.len(),
            call.signature.params.len(),
            "{}",
            call.name
        );
    }
    // A guest that imports all of them starts: linking them is what this shows.
    let report = inspect(&Guest::new().wasm()).unwrap();
    assert_eq!(report.imports.len(), names.len());
    assert!(report.unknown_imports.is_empty());
}

#[test]
fn the_guide_names_every_import() {
    let guide = include_str!("../../../docs/guide/abi.md");
    for call in hostcalls::all() {
        let short = call.name.strip_prefix("proxy_").unwrap_or(call.name);
        assert!(
            guide.contains(&format!("`{}`", call.name)) || guide.contains(&format!("`{short}`")),
            "{}",
            call.name
        );
    }
}
