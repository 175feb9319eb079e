//! What reaches a module at its start.

use serde_json::json;

use super::{Case, case};

pub(crate) fn cases() -> Vec<Case> {
    let tell = json!({ "request_headers": [{ "vm_config": "x-vm" }] });
    let env = json!({ "request_headers": [{ "env": ["GREETING", "x-env"] }, { "env": ["HOME", "x-home"] }] });
    let seen = |what: &str| format!("client 200 x-origin=1, origin GET / {what}");
    vec![
        case(
            "the VM configuration is text",
            tell.clone(),
            &seen("x-vm=plain text"),
        )
        .with("vm_config", json!("plain text"))
        .alone(),
        case(
            "the VM configuration is JSON",
            tell.clone(),
            &seen("x-vm={\"a\":[1,true]}"),
        )
        .with("vm_config", json!({ "a": [1, true] }))
        .alone(),
        case("there is no VM configuration", tell, &seen("x-vm=")).alone(),
        case(
            "the plugin configuration is text",
            json!({ "request_headers": [] }),
            &seen("x-plugin={\"on\":{\"request_headers\":[{\"plugin_config\":\"x-plugin\"}]}}"),
        )
        .with(
            "config",
            json!("{\"on\":{\"request_headers\":[{\"plugin_config\":\"x-plugin\"}]}}"),
        ),
        case(
            "the environment is what was given",
            env,
            &seen("x-env=hello x-home=-"),
        )
        .with("env", json!({ "GREETING": "hello" }))
        .alone(),
        case(
            "a hostcall at the start",
            json!({ "configure": [{ "log": ["warn", "conformance was configured"] }] }),
            "client 200 x-origin=1, origin GET /",
        )
        .logging(&["conformance was configured"]),
    ]
}
