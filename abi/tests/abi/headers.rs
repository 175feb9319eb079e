//! Header maps: with good arguments, out of their phase, and with what must not be sent on.

use portcullis_abi::{HeaderError, MapType, Refusal, wire::pairs};

use crate::fakes::{Bench, SLOT};
use crate::guest::{Guest, OUT, call};

pub(crate) const REQUEST: u32 = 0;
const RESPONSE: u32 = 2;

pub(crate) fn on_headers(body: &str) -> Guest {
    Guest::new()
        .data(100, b"x-one")
        .data(110, b"x-two")
        .data(120, b"new")
        .data(130, b"a\r\nb")
        .data(140, b"content-length")
        .on("proxy_on_request_headers", &format!("{body} (i32.const 0)"))
}

pub(crate) fn run(body: &str) -> (Bench, Vec<String>) {
    let bench = Bench::of(&on_headers(body));
    let said = bench.headers();
    (bench, said)
}

pub(crate) fn unavailable(call: &'static str) -> Refusal {
    Refusal::Unavailable { call }
}

fn pairs_of(bench: &Bench) -> Vec<(String, String)> {
    let text = |bytes: &Vec<u8>| String::from_utf8(bytes.clone()).unwrap();
    let stream = bench.stream.lock();
    stream.maps[&MapType::RequestHeaders]
        .iter()
        .map(|(key, value)| (text(key), text(value)))
        .collect()
}

#[test]
fn a_header_is_read_by_its_first_value() {
    let get = |map, key, size| {
        call(
            "proxy_get_header_map_value",
            &[map, key, size, OUT, OUT + 4],
        )
    };
    let body = format!(
        "{} (call $out (i32.const {OUT})) {} {}",
        get(REQUEST, 100, 5),
        get(REQUEST, 110, 5),
        get(RESPONSE, 100, 5),
    );
    let (_, said) = run(&body);
    assert_eq!(
        said,
        ["0", "1", "1", "1"],
        "Ok and the value, NotFound, NotFound out of phase"
    );
}

#[test]
fn pairs_are_the_serialized_map_and_nothing_out_of_phase() {
    let body = format!(
        "{} (call $number (i32.load (i32.load (i32.const {OUT})))) (call $word (i32.const {}))
         {} (call $word (i32.const {OUT})) (call $word (i32.const {}))",
        call("proxy_get_header_map_pairs", &[REQUEST, OUT, OUT + 4]),
        OUT + 4,
        call("proxy_get_header_map_pairs", &[RESPONSE, OUT, OUT + 4]),
        OUT + 4,
    );
    let (_, said) = run(&body);
    let size = pairs::encode_pairs(&[(":path", "/a"), ("x-one", "1"), ("x-one", "2")]).len();
    assert_eq!(said, ["0", "3", &size.to_string(), "0", "0", "0"]);
}

#[test]
fn sizes_are_bytes_of_names_and_values() {
    let body = format!(
        "{} (call $word (i32.const {OUT}))",
        call("proxy_get_header_map_size", &[REQUEST, OUT])
    );
    assert_eq!(run(&body).1, ["0", "19"]);
}

#[test]
fn headers_are_added_replaced_and_removed() {
    let body = call("proxy_add_header_map_value", &[REQUEST, 110, 5, 120, 3])
        + &call("proxy_replace_header_map_value", &[REQUEST, 100, 5, 120, 3])
        + &call("proxy_remove_header_map_value", &[REQUEST, 110, 4]);
    let (bench, said) = run(&body);
    assert_eq!(said, ["0", "0", "0"]);
    let pair = |key: &str, value: &str| (key.to_owned(), value.to_owned());
    assert_eq!(
        pairs_of(&bench),
        [
            pair(":path", "/a"),
            pair("x-two", "new"),
            pair("x-one", "new")
        ]
    );
    assert!(bench.host.refused().is_empty());
}

#[test]
fn a_whole_map_is_set_and_a_malformed_one_changes_nothing() {
    let map = pairs::encode_pairs(&[("a", "b")]);
    let size = map.len() as u32;
    let body = call("proxy_set_header_map_pairs", &[REQUEST, 200, size - 1])
        + "(call $word (i32.const 100))" // anything in between
        + &call("proxy_set_header_map_pairs", &[REQUEST, 200, size]);
    let guest = on_headers(&body).data(200, &map);
    let bench = Bench::of(&guest);
    let said = bench.headers();
    assert_eq!((said[0].as_str(), said[2].as_str()), ("0", "0"));
    assert_eq!(pairs_of(&bench), [("a".to_owned(), "b".to_owned())]);
    assert_eq!(
        bench.host.refused(),
        [unavailable("proxy_set_header_map_pairs")]
    );
}

#[test]
fn an_invalid_header_fails_the_exchange_and_not_the_vm() {
    let bad = pairs::encode_pairs(&[("a", "b\nc")]);
    let body = call("proxy_add_header_map_value", &[REQUEST, 110, 5, 130, 4])
        + &call("proxy_replace_header_map_value", &[REQUEST, 130, 4, 120, 3])
        + &call(
            "proxy_set_header_map_pairs",
            &[REQUEST, 200, bad.len() as u32],
        );
    let bench = Bench::of(&on_headers(&body).data(200, &bad));
    assert_eq!(bench.headers(), ["0", "0", "0"]);
    assert_eq!(
        bench.stream.lock().refused,
        [(SLOT, HeaderError::Invalid); 3]
    );
    assert_eq!(
        bench.host.refused(),
        [
            Refusal::InvalidHeader,
            Refusal::InvalidHeader,
            Refusal::InvalidHeader
        ]
    );
    assert_eq!(pairs_of(&bench).len(), 3);
    assert!(bench.vm.is_alive());
}

#[test]
fn writes_to_absent_maps_and_to_the_hosts_own_headers_are_refused_calmly() {
    let body = call("proxy_add_header_map_value", &[RESPONSE, 110, 5, 120, 3])
        + &call("proxy_add_header_map_value", &[6, 110, 5, 120, 3])
        + &call(
            "proxy_replace_header_map_value",
            &[REQUEST, 140, 14, 120, 3],
        )
        + &call("proxy_remove_header_map_value", &[RESPONSE, 110, 5]);
    let (bench, said) = run(&body);
    assert_eq!(said, ["0", "0", "0", "0"]);
    assert!(bench.stream.lock().refused.is_empty());
    assert_eq!(
        bench.host.refused(),
        [
            unavailable("proxy_add_header_map_value"),
            unavailable("proxy_add_header_map_value"),
            unavailable("proxy_replace_header_map_value"),
            unavailable("proxy_remove_header_map_value"),
        ]
    );
}

#[test]
fn unknown_numbers_are_bad_arguments() {
    let body = call("proxy_get_header_map_value", &[8, 100, 5, OUT, OUT + 4])
        + &call("proxy_get_buffer_bytes", &[9, 0, 10, OUT, OUT + 4])
        + &call("proxy_continue_stream", &[4])
        + &call("proxy_log", &[6, 100, 5])
        + &call("proxy_define_metric", &[3, 100, 5, OUT]);
    assert_eq!(run(&body).1, ["2", "2", "2", "2", "2"]);
}
