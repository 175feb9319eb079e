//! Wild pointers: every function of the host, with every combination of bad addresses and sizes.

use std::collections::BTreeSet;

use portcullis_abi::hostcalls::{self, Hostcall, Type};

use crate::fakes::{Bench, FakeHost, SLOT, plugin, shared, start, stream};
use crate::guest::Guest;
use crate::statuses::documented;

/// Two pages.
const MEMORY: u32 = 2 << 16;

/// Addresses and sizes at the edges: null, the last byte, the end, one beyond, the sign bit, the top, unaligned.
const EDGES: [u32; 8] = [
    0,
    101,
    MEMORY - 1,
    MEMORY,
    MEMORY + 1,
    1 << 31,
    u32::MAX - 3,
    u32::MAX,
];

/// A guest with an export `grid_n` for each call, which logs nothing (the rate is limited) and adds up answers.
fn grid(call: &Hostcall, rows: &[Vec<u32>]) -> String {
    let mut body = String::new();
    for row in rows {
        let arguments: String = call
            .signature
            .params
            .iter()
            .zip(row)
            .map(|(kind, value)| match kind {
                Type::I64 => format!("(i64.const {value}) "),
                _ => format!("(i32.const {value}) "),
            })
            .collect();
        let invoke = format!("(call ${} {arguments})", call.name);
        body += &match call.signature.results {
            [] => invoke,
            _ => format!("(call $seen {invoke})"),
        };
        // An allocator that is asked again and again must not walk out of the memory.
        body += "(global.set $heap (i32.const 0x8000))\n";
    }
    body
}

/// Every edge at every place with the others good, then a walk through combinations.
fn rows(places: usize) -> Vec<Vec<u32>> {
    const GOOD: u32 = 16;
    let mut rows = vec![vec![GOOD; places], vec![0; places], vec![u32::MAX; places]];
    for place in 0..places {
        for edge in EDGES {
            let mut row = vec![GOOD; places];
            row[place] = edge;
            rows.push(row);
        }
    }
    let mut seed = 0x9e37_79b9_7f4a_7c15_u64;
    for _ in 0..200 {
        let row = (0..places).map(|_| {
            seed ^= seed << 13;
            seed ^= seed >> 7;
            seed ^= seed << 17;
            // Half of the time a small number, so that ids and kinds are valid too.
            if seed & 1 == 0 {
                (seed >> 8) as u32 % 9
            } else {
                EDGES[(seed >> 16) as usize % EDGES.len()]
            }
        });
        rows.push(row.collect());
    }
    rows
}

const SEEN: &str = r#"
(global $answers (mut i32) (i32.const 0))
(func $seen (param $n i32)
    (global.set $answers (i32.or (global.get $answers)
        (i32.shl (i32.const 1) (select (i32.const 31) (local.get $n) (i32.gt_u (local.get $n) (i32.const 31)))))))
"#;

#[test]
fn no_pointer_harms_the_host() {
    let documented = documented();
    for call in hostcalls::all().filter(|call| call.name != "proc_exit") {
        let body = grid(call, &rows(call.signature.params.len()));
        let guest = Guest::new()
            .extra(SEEN)
            .on(
                "proxy_on_request_headers",
                &format!("{body} (call $number (global.get $answers)) (i32.const 0)"),
            )
            .on("proxy_on_tick", &body);
        // In a stream and in a root, where there is no stream.
        let bench = Bench::of(&guest);
        bench
            .vm
            .on_tick(portcullis_abi::ContextId(1))
            .unwrap_or_else(|fault| panic!("{}: {fault}", call.name));
        bench
            .vm
            .on_request_headers(bench.context, 1, false)
            .unwrap_or_else(|fault| panic!("{}: {fault}", call.name));
        assert!(bench.vm.is_alive());
        assert_eq!(
            bench.vm.memory_bytes(),
            MEMORY as usize,
            "{}: the guest's memory did not grow",
            call.name
        );
        let statuses: Vec<u32> = bench.host.said().last().map_or(vec![], |line| {
            let answers: u32 = line.parse().unwrap_or(0);
            (0..32).filter(|bit| answers & (1 << bit) != 0).collect()
        });
        if call.module == "env"
            && call.params.iter().any(|param| {
                param.ends_with("_out")
                    && *param != "result_pointer_out"
                    && *param != "result_size_out"
            })
        {
            assert!(
                statuses.contains(&6),
                "{}: a bad address for an answer is told ({statuses:?})",
                call.name
            );
        }
        if call.params.is_empty() || call.signature.results.is_empty() {
            continue;
        }
        // Seen as bits, the last of which stands for all beyond.
        let documented: BTreeSet<u32> = documented[call.name]
            .iter()
            .map(|status| *status.min(&31))
            .collect();
        assert!(
            statuses.iter().all(|status| documented.contains(status)),
            "{}: {statuses:?} answered, {documented:?} documented",
            call.name
        );
    }
}

#[test]
fn exit_is_a_trap_with_any_code() {
    for code in EDGES {
        let guest = Guest::new().on(
            "proxy_on_tick",
            &format!("(call $proc_exit (i32.const {code}))"),
        );
        let vm = start(plugin(&guest), &FakeHost::new()).unwrap();
        vm.create_stream(0, &shared(&stream()), SLOT).unwrap();
        let fault = vm.on_tick(portcullis_abi::ContextId(1)).unwrap_err();
        assert!(
            fault.message.starts_with(&format!("proc_exit({code})")),
            "{fault}"
        );
    }
}

#[test]
fn values_are_the_same_at_odd_addresses() {
    let get = "(call $number (call $proxy_get_header_map_value (i32.const 0) (i32.const 101) (i32.const 5) (i32.const 33) (i32.const 39)))
        (call $text (i32.load (i32.const 33)) (i32.load (i32.const 39))) (i32.const 0)";
    let guest = Guest::new()
        .data(101, b":path")
        .on("proxy_on_request_headers", get);
    assert_eq!(Bench::of(&guest).headers(), ["0", "/a"]);
}

#[test]
fn an_answer_may_lie_at_the_very_end_of_the_memory() {
    let get = |at: u32| format!("(call $number (call $proxy_get_log_level (i32.const {at})))");
    let guest = Guest::new().on(
        "proxy_on_request_headers",
        &format!("{} {} (i32.const 0)", get(MEMORY - 4), get(MEMORY - 3)),
    );
    assert_eq!(Bench::of(&guest).headers(), ["0", "6"]);
}
