//! Foreign functions: who may call which, what they answer, and the ones that answer later.

use portcullis_abi::{ContextId, Grants, HostAction, Plugin, Refusal, Span, wire::protobuf};

use crate::fakes::{Bench, SLOT, plugin};
use crate::guest::{Guest, OUT, call};

const NAME: u32 = 100;
const ARGUMENT: u32 = 0x1000;
/// Where a second function's name and argument are.
const NAME_2: u32 = 200;
const ARGUMENT_2: u32 = 0x3000;

fn foreign(name: (u32, usize), argument: (u32, usize)) -> String {
    let (name, size) = (name.0, name.1 as u32);
    let (argument, argument_size) = (argument.0, argument.1 as u32);
    call(
        "proxy_call_foreign_function",
        &[name, size, argument, argument_size, OUT, OUT + 4],
    )
}

/// A guest that calls one function with each request's headers, and logs what it gives.
fn calling(name: &str, argument: &[u8]) -> Guest {
    let call = foreign((NAME, name.len()), (ARGUMENT, argument.len()));
    Guest::new()
        .data(NAME, name.as_bytes())
        .data(ARGUMENT, argument)
        .on(
            "proxy_on_request_headers",
            &format!("{call} (call $out (i32.const {OUT})) (i32.const 0)"),
        )
}

fn granted(guest: &Guest, names: &[&str]) -> Plugin {
    let grants = Grants {
        foreign: names.iter().map(ToString::to_string).collect(),
        ..Grants::default()
    };
    Plugin {
        grants,
        ..plugin(guest)
    }
}

/// Status and result, as text.
fn asked(name: &str, argument: &[u8]) -> (String, String) {
    let bench = Bench::with(granted(&calling(name, argument), &[name]));
    let said = bench.headers();
    (said[0].clone(), said[1].clone())
}

fn status(name: &str, argument: &[u8]) -> String {
    asked(name, argument).0
}

fn message(fields: &[(u32, &[u8])]) -> Vec<u8> {
    let mut message = Vec::new();
    for (number, bytes) in fields {
        protobuf::put_bytes(*number, bytes, &mut message);
    }
    message
}

#[test]
fn names_that_are_not_there_or_not_granted_are_not_found() {
    assert_eq!(status("resolve_lua", b""), "1");
    assert_eq!(status("portcullis.nothing", b""), "1");
    let bench = Bench::of(&calling("compress", b"a"));
    assert_eq!(bench.headers()[0], "1");
    assert_eq!(
        bench.host.refused(),
        [Refusal::Grant {
            call: "proxy_call_foreign_function",
            missing: "grants: { foreign: [compress] }".to_owned()
        }]
    );
    let grants = Grants {
        all: true,
        ..Grants::default()
    };
    let plugin = Plugin {
        grants,
        ..plugin(&calling("compress", b"a"))
    };
    assert_eq!(Bench::with(plugin).headers()[0], "0");
}

#[test]
fn what_was_compressed_is_uncompressed() {
    let text = [b'a'; 1000];
    // The second call takes the result of the first, whose address and size are where it was given.
    let first = foreign((NAME, 8), (ARGUMENT, text.len()));
    let second = format!(
        "(call $number (call $proxy_call_foreign_function (i32.const {NAME_2}) (i32.const 10)
            (i32.load (i32.const {OUT})) (i32.load (i32.const {size})) (i32.const {OUT}) (i32.const {size})))",
        size = OUT + 4
    );
    let guest = Guest::new()
        .data(NAME, b"compress")
        .data(NAME_2, b"uncompress")
        .data(ARGUMENT, &text)
        .on(
            "proxy_on_request_headers",
            &format!(
                "{first} (call $word (i32.const {size})) {second} (call $out (i32.const {OUT})) (i32.const 0)",
                size = OUT + 4
            ),
        );
    let bench = Bench::with(granted(&guest, &["compress", "uncompress"]));
    let said = bench.headers();
    assert_eq!((said[0].as_str(), said[2].as_str()), ("0", "0"));
    assert!(said[1].parse::<usize>().unwrap() < 50, "{}", said[1]);
    assert_eq!(said[3].as_bytes(), text);
    assert_eq!(status("uncompress", b"no zlib"), "3");
}

#[test]
fn a_result_that_is_not_wanted_is_dropped() {
    let call = call("proxy_call_foreign_function", &[NAME, 8, ARGUMENT, 4, 0, 0]);
    let guest = Guest::new()
        .data(NAME, b"compress")
        .allocator("(export \"malloc\") (param i32) (result i32) unreachable")
        .on("proxy_on_request_headers", &format!("{call} (i32.const 0)"));
    let bench = Bench::with(granted(&guest, &["compress"]));
    assert_eq!(bench.headers(), ["0"]);
}

#[test]
fn arguments_are_bounded() {
    let size = (1 << 20) + 1;
    let call = foreign((NAME, 8), (0, size)) + &foreign((NAME, 8), (0, size - 1));
    let guest = Guest::new()
        .data(NAME, b"compress")
        .memory("(memory (export \"memory\") 20)")
        .on("proxy_on_request_headers", &format!("{call} (i32.const 0)"));
    let bench = Bench::with(granted(&guest, &["compress"]));
    assert_eq!(bench.headers(), ["2", "0"]);
}

/// The example of the signature by P-256 and SHA-256 of RFC 6979, appendix A.2.5: the text "sample".
#[test]
fn signatures_are_verified() {
    let hex = |text: &str| -> Vec<u8> {
        let digits: Vec<_> = text.bytes().collect();
        let pair = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16);
        digits
            .chunks(2)
            .map(|digits| pair(digits).unwrap())
            .collect()
    };
    let key = hex(concat!(
        "3059301306072a8648ce3d020106082a8648ce3d03010703420004",
        "60fed4ba255a9d31c961eb74c6356d68c049b8923b61fa6ce669622e60f29fb6",
        "7903fe1008b8bc99a41ae9e95628bc64f2f1b20c2d7e9f5177a3c294d4462299"
    ));
    let signature = hex(concat!(
        "3046022100efd48b2aacb6a8fd1140dd9cd45e81d69d2c877b56aaf991c34d0ea84eaf3716",
        "022100f7cb1c942d657c41d436c7a1b6e29f65f3e900dbb9aff4064dc4ab2f843acda8"
    ));
    let ask = |hash: &[u8], key: &[u8], text: &[u8]| {
        let argument = message(&[(1, hash), (2, key), (3, &signature), (4, text)]);
        asked("verify_signature", &argument)
    };
    // The log escapes control characters: field 1, a number, 1.
    assert_eq!(
        ask(b"sha256", &key, b"sample"),
        ("0".into(), "\\u{8}\\u{1}".into())
    );
    let (status, result) = ask(b"sha256", &key, b"simple");
    assert_eq!(status, "0");
    assert!(result.ends_with("the signature is not valid"), "{result}");
    let (_, result) = ask(b"md5", &key, b"sample");
    assert!(
        result.ends_with("md5 is not supported for this key"),
        "{result}"
    );
    for bad in [&b""[..], b"no key", &key[..20]] {
        assert_eq!(ask(b"sha256", bad, b"sample").0, "2");
    }
    assert_eq!(asked("verify_signature", b"\x0a\x05a").0, "2");
}

#[test]
fn what_cannot_sign_is_a_bad_argument() {
    for argument in [
        message(&[(1, b"sha256"), (3, b"text")]),
        message(&[(1, b"sha256"), (2, b"no key"), (3, b"text")]),
        message(&[(1, b"sha256"), (2, b"key"), (4, b"pem")]),
    ] {
        assert_eq!(status("sign", &argument), "2");
    }
}

#[test]
fn filter_state_is_the_proxys_to_know() {
    let state = |key: &[u8]| {
        let mut argument = message(&[(1, key), (2, b"value")]);
        protobuf::put_number(3, 2, &mut argument);
        argument
    };
    let argument = state(b"known");
    let name = "set_envoy_filter_state";
    let bench = Bench::with(granted(&calling(name, &argument), &[name]));
    assert_eq!(bench.headers()[0], "0");
    let stored = ("known".to_owned(), b"value".to_vec(), Span::Connection);
    assert_eq!(bench.stream.lock().filter_state, [stored]);
    assert_eq!(status(name, &state(b"unknown")), "1");
    assert_eq!(status(name, b"\x0a"), "2");
}

#[test]
fn the_route_is_cleared() {
    let name = "clear_route_cache";
    let bench = Bench::with(granted(&calling(name, b""), &[name]));
    assert_eq!(bench.headers()[0], "0");
    assert_eq!(bench.stream.lock().routes_cleared, 1);
}

#[test]
fn a_property_is_declared_once_and_set_as_declared() {
    let mut argument = message(&[(1, b"mine")]);
    protobuf::put_number(2, 1, &mut argument);
    protobuf::put_number(5, 2, &mut argument);
    let name = "declare_property";
    let declare = foreign((NAME, name.len()), (ARGUMENT, argument.len()));
    let set = call("proxy_set_property", &[NAME_2, 4, NAME_2, 4]);
    let guest = Guest::new()
        .data(NAME, name.as_bytes())
        .data(ARGUMENT, &argument)
        .data(NAME_2, b"mine")
        .on("proxy_on_configure", &format!("{declare} (i32.const 1)"))
        .on(
            "proxy_on_request_headers",
            &format!("{declare} {set} (i32.const 0)"),
        );
    let bench = Bench::with(granted(&guest, &[name]));
    assert_eq!(bench.host.said(), ["0", "0"], "once for each root");
    assert_eq!(bench.headers(), ["2", "0"]);
    let declared = bench.stream.lock().declared.clone();
    assert_eq!(declared.len(), 1);
    assert_eq!(
        (declared[0].0.as_slice(), declared[0].1.read_only),
        (&b"mine"[..], true)
    );
    assert_eq!(declared[0].1.span, Span::Connection);
}

#[test]
fn expressions_are_created_evaluated_and_deleted() {
    let text = b"request.path == '/a' && plugin_name == 'hello'";
    let token =
        format!("(i32.store (i32.const {ARGUMENT_2}) (i32.load (i32.load (i32.const {OUT}))))");
    let by_token = |name: u32, size: usize| foreign((name, size), (ARGUMENT_2, 4));
    let flag = format!("(call $number (i32.load8_u (i32.load (i32.const {OUT}))))");
    let script = [
        foreign((NAME, 11), (ARGUMENT, text.len())),
        token,
        by_token(NAME_2, 13),
        flag,
        by_token(NAME_2 + 50, 11),
        by_token(NAME_2, 13),
        by_token(NAME_2 + 50, 11),
        foreign((NAME_2, 13), (ARGUMENT_2, 3)),
        foreign((NAME, 11), (ARGUMENT, 14)),
    ];
    let guest = Guest::new()
        .data(NAME, b"expr_create")
        .data(NAME_2, b"expr_evaluate")
        .data(NAME_2 + 50, b"expr_delete")
        .data(ARGUMENT, text)
        .on(
            "proxy_on_request_headers",
            &format!("{} (i32.const 0)", script.concat()),
        );
    let names = ["expr_create", "expr_evaluate", "expr_delete"];
    let bench = Bench::with(granted(&guest, &names));
    assert_eq!(bench.headers(), ["0", "0", "1", "0", "1", "0", "2", "2"]);

    // What a plugin may not read as a property, it may not read by an expression.
    let mut plugin = granted(&guest, &names);
    plugin.grants.properties = portcullis_abi::Access::Only(vec!["response".to_owned()]);
    assert_eq!(Bench::with(plugin).headers()[1], "10");
}

fn later() -> Guest {
    let call = foreign((NAME, 15), (ARGUMENT, 3));
    let read = call_data();
    Guest::new()
        .data(NAME, b"portcullis.test")
        .data(ARGUMENT, b"abc")
        .on(
            "proxy_on_request_headers",
            &format!("{call} (call $number (i32.load (i32.load (i32.const {OUT})))) (i32.const 0)"),
        )
        .on(
            "proxy_on_foreign_function",
            &format!(
                "(call $number (local.get 0)) (call $number (local.get 1)) (call $number (local.get 2)) {read}"
            ),
        )
        .on("proxy_on_request_body", &format!("{} (i32.const 0)", call_data()))
}

fn call_data() -> String {
    call("proxy_get_buffer_bytes", &[8, 0, 100, OUT, OUT + 4])
        + &format!("(call $out (i32.const {OUT}))")
}

#[test]
fn functions_of_the_embedder_answer_later() {
    let bench = Bench::with(granted(&later(), &["portcullis.test"]));
    assert_eq!(bench.headers(), ["0", "1"]);
    let HostAction::ForeignCall(asked) = bench.host.asked().remove(0) else {
        panic!("another action");
    };
    assert_eq!((asked.token, asked.name.as_str()), (1, "portcullis.test"));
    assert_eq!(asked.argument, b"abc");
    let answer = || bench.vm.on_foreign_function(1, b"result".to_vec()).unwrap();
    answer();
    assert_eq!(bench.host.said(), ["1", "1", "6", "0", "result"]);
    answer();
    assert!(bench.host.said().is_empty(), "a result is given once");
    bench.vm.on_request_body(bench.context, 1, true).unwrap();
    assert_eq!(bench.host.said()[0], "1", "and gone after its callback");
}

#[test]
fn they_count_as_callouts() {
    let mut plugin = granted(&later(), &["portcullis.test"]);
    plugin.limits.callouts = 1;
    let bench = Bench::with(plugin);
    assert_eq!(bench.headers()[0], "0");
    assert_eq!(bench.headers()[0], "10");
    assert_eq!(bench.host.refused(), [Refusal::TooManyCallouts]);
    bench.vm.on_foreign_function(1, Vec::new()).unwrap();
    assert_eq!(bench.headers(), ["0", "2"]);
}

#[test]
fn a_response_body_is_added_to_by_import_and_by_name() {
    let names = [
        "inject_encoded_data_to_filter_chain",
        "inject_encoded_data_to_filter_chain_on_header",
    ];
    let import = call(
        "proxy_inject_encoded_data_to_filter_chain",
        &[ARGUMENT + 2, 2, 0],
    );
    for name in names {
        // 1 body "ab", 2 end of stream. After that there is nothing to add to.
        let argument = b"\x0a\x02ab\x10\x01";
        let foreign = foreign((NAME, name.len()), (ARGUMENT, argument.len()));
        let guest = Guest::new()
            .data(NAME, name.as_bytes())
            .data(ARGUMENT, argument)
            .on(
                "proxy_on_request_headers",
                &format!("{import} {foreign} {import} (i32.const 0)"),
            )
            .on("proxy_on_tick", &import);
        let bench = Bench::with(granted(&guest, &[name]));
        assert!(bench.vm.plugin().injects());
        assert_eq!(bench.headers(), ["0", "0", "0"]);
        let added = [(SLOT, b"ab".to_vec(), false), (SLOT, b"ab".to_vec(), true)];
        assert_eq!(bench.stream.lock().injected, added);
        // Without an exchange.
        bench.vm.on_tick(ContextId(1)).unwrap();
        assert_eq!(bench.host.said(), ["0"]);
        let unavailable = Refusal::Unavailable {
            call: "proxy_inject_encoded_data_to_filter_chain",
        };
        assert_eq!(bench.host.refused(), vec![unavailable; 2]);

        let mut refused = granted(&guest, &[name]);
        refused.grants.response_body.write = false;
        let bench = Bench::with(refused);
        assert!(!bench.vm.plugin().injects());
        assert_eq!(bench.headers(), ["0", "0", "0"]);
        assert_eq!(bench.stream.lock().injected, []);
        let missing = "grants: { body: { response: { write: true } } }";
        for refusal in bench.host.refused() {
            assert!(matches!(refusal, Refusal::Grant { missing: line, .. } if line == missing));
        }
    }
    assert_eq!(status(names[0], b"\x0a"), "2");
}
