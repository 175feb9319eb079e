//! The attributes of an exchange as CEL reads them: properties, with their types.
//!
//! Source: Envoy's attribute reference. Times and durations are nanoseconds here.

use std::collections::HashMap;
use std::sync::Arc;

use cel::Value;
use cel::objects::{Key, Map};

use crate::hostcalls::grant;
use crate::vm::State;
use crate::wire::pairs;

/// How the bytes of a property are read.
#[derive(Clone, Copy)]
enum Kind {
    Text,
    Number,
    Flag,
    /// Names to texts.
    Texts,
    /// Names to bytes.
    Bytes,
}

/// Groups and what is in them.
const GROUPS: &[(&str, &[(&str, Kind)])] = &[
    (
        "request",
        &[
            ("path", Kind::Text),
            ("url_path", Kind::Text),
            ("query", Kind::Text),
            ("host", Kind::Text),
            ("scheme", Kind::Text),
            ("method", Kind::Text),
            ("headers", Kind::Texts),
            ("referer", Kind::Text),
            ("useragent", Kind::Text),
            ("id", Kind::Text),
            ("protocol", Kind::Text),
            ("time", Kind::Number),
            ("duration", Kind::Number),
            ("size", Kind::Number),
            ("total_size", Kind::Number),
            ("headers_bytes", Kind::Number),
        ],
    ),
    (
        "response",
        &[
            ("code", Kind::Number),
            ("code_details", Kind::Text),
            ("flags", Kind::Number),
            ("grpc_status", Kind::Number),
            ("headers", Kind::Texts),
            ("trailers", Kind::Texts),
            ("size", Kind::Number),
            ("total_size", Kind::Number),
            ("headers_bytes", Kind::Number),
            ("backend_latency", Kind::Number),
        ],
    ),
    ("source", &[("address", Kind::Text), ("port", Kind::Number)]),
    (
        "destination",
        &[("address", Kind::Text), ("port", Kind::Number)],
    ),
    (
        "connection",
        &[
            ("id", Kind::Number),
            ("mtls", Kind::Flag),
            ("requested_server_name", Kind::Text),
            ("tls_version", Kind::Text),
            ("subject_local_certificate", Kind::Text),
            ("subject_peer_certificate", Kind::Text),
            ("dns_san_local_certificate", Kind::Text),
            ("dns_san_peer_certificate", Kind::Text),
            ("uri_san_local_certificate", Kind::Text),
            ("uri_san_peer_certificate", Kind::Text),
            ("sha256_peer_certificate_digest", Kind::Text),
            ("termination_details", Kind::Text),
        ],
    ),
    (
        "upstream",
        &[
            ("address", Kind::Text),
            ("port", Kind::Number),
            ("local_address", Kind::Text),
            ("num_endpoints", Kind::Number),
            ("request_attempt_count", Kind::Number),
        ],
    ),
    (
        "xds",
        &[
            ("cluster_name", Kind::Text),
            ("route_name", Kind::Text),
            ("virtual_host_name", Kind::Text),
            ("filter_chain_name", Kind::Text),
            ("listener_direction", Kind::Number),
        ],
    ),
];

/// Attributes that stand alone.
const ALONE: &[(&str, Kind)] = &[("filter_state", Kind::Bytes)];

/// The variables that an expression names, as far as they are attributes. What is not there now is left out.
pub(super) fn of(state: &State, named: &[&str]) -> Vec<(&'static str, Value)> {
    let mut found = Vec::new();
    for (group, members) in GROUPS.iter().filter(|(group, _)| named.contains(group)) {
        let values = members.iter().filter_map(|(name, kind)| {
            let path = [group.as_bytes(), name.as_bytes()].join(&0);
            let value = read(state, &path, *kind)?;
            Some((Key::from(*name), value))
        });
        found.push((*group, map(values.collect())));
    }
    for (name, kind) in ALONE.iter().filter(|(name, _)| named.contains(name)) {
        found.extend(read(state, name.as_bytes(), *kind).map(|value| (*name, value)));
    }
    let plugin = &state.plugin;
    for (name, text) in [
        ("plugin_name", &plugin.name),
        ("plugin_root_id", &plugin.root_id),
        ("plugin_vm_id", &plugin.vm_id),
    ] {
        if named.contains(&name) {
            found.push((name, Value::from(text.as_str())));
        }
    }
    found
}

fn read(state: &State, path: &[u8], kind: Kind) -> Option<Value> {
    if !grant::reads_property(&state.plugin.grants, path) {
        return None;
    }
    let mut bytes = Vec::new();
    let there = match &state.effective.stream {
        Some((stream, _)) => stream.lock().property(path, &mut bytes),
        None => state.host.property(&state.plugin, path, &mut bytes),
    };
    if !there {
        return None;
    }
    Some(match kind {
        Kind::Text => text(&bytes),
        Kind::Number => Value::Int(i64::from_le_bytes(bytes.try_into().ok()?)),
        Kind::Flag => Value::Bool(bytes.first() == Some(&1)),
        Kind::Texts => entries(&bytes, text)?,
        Kind::Bytes => entries(&bytes, |value| Value::from(value.to_vec()))?,
    })
}

fn text(bytes: &[u8]) -> Value {
    Value::from(String::from_utf8_lossy(bytes).into_owned())
}

fn entries(bytes: &[u8], value: fn(&[u8]) -> Value) -> Option<Value> {
    let pairs = pairs::decode(bytes).ok()?.into_iter();
    let entry = |(key, bytes): (&[u8], &[u8])| {
        let key = Key::from(String::from_utf8_lossy(key).into_owned());
        (key, value(bytes))
    };
    Some(map(pairs.map(entry).collect()))
}

fn map(entries: HashMap<Key, Value>) -> Value {
    Value::Map(Map {
        map: Arc::new(entries),
    })
}
