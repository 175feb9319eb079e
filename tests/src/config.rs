//! Builds configurations. They are written as JSON, which is YAML.

use std::net::SocketAddr;

use serde_json::{Value, json};

use crate::artifacts;
use crate::proxy::Proxy;

/// A configuration under construction: by default one listener, metrics and admin on free ports, two workers, no file
/// watch, and one route `all` that runs all filters in the order they were added, to the upstream `origin`.
#[derive(Clone, Debug)]
pub struct Config {
    value: Value,
    /// Files to be written next to the configuration.
    files: Vec<(String, Vec<u8>)>,
    filters: Vec<String>,
}

impl Default for Config {
    fn default() -> Self {
        Self::new()
    }
}

impl Config {
    #[must_use]
    pub fn new() -> Self {
        let value = json!({
            "version": 1,
            "listeners": [{ "name": "http", "address": "127.0.0.1:0", "protocol": "http" }],
            "upstreams": {},
            "filters": {},
            "chains": {},
            "routes": [],
            "observability": {
                "metrics": { "address": "127.0.0.1:0" },
                "log": { "level": "debug" },
                "access_log": { "output": "./access.log" },
            },
            "admin": { "address": "127.0.0.1:0" },
            "workers": 2,
            "reload": { "watch": false },
        });
        Self {
            value,
            files: Vec::new(),
            filters: Vec::new(),
        }
    }

    /// The upstream `origin`.
    #[must_use]
    pub fn origin(self, address: SocketAddr) -> Self {
        self.upstream("origin", address)
    }

    /// An upstream with one endpoint.
    #[must_use]
    pub fn upstream(self, name: &str, address: SocketAddr) -> Self {
        self.set(
            &format!("/upstreams/{name}"),
            json!({ "endpoints": [{ "address": address.to_string() }] }),
        )
    }

    /// An upstream with one endpoint that speaks HTTP/2, as gRPC needs it.
    #[must_use]
    pub fn upstream_h2(self, name: &str, address: SocketAddr) -> Self {
        self.upstream(name, address)
            .set(&format!("/upstreams/{name}/protocol"), json!("h2"))
    }

    /// A filter, added to the end of the chain of the route `all`.
    #[must_use]
    pub fn filter(mut self, name: &str, filter: Filter) -> Self {
        let mut value = filter.value;
        if let Some(module) = filter.module {
            // One file for all filters of one module: the proxy may compile it once.
            let known = self
                .files
                .iter()
                .find(|(_, bytes)| *bytes == module)
                .map(|(file, _)| file.clone());
            let file = known.unwrap_or_else(|| {
                let file = format!("{name}.wasm");
                self.files.push((file.clone(), module));
                file
            });
            value["wasm"] = json!({ "file": format!("./{file}") });
        }
        self.filters.push(name.to_owned());
        self.set(&format!("/filters/{name}"), value)
    }

    /// A route before the default one, with its own chain.
    #[must_use]
    pub fn route(self, name: &str, matches: Value, chain: &[&str]) -> Self {
        self.route_value(
            json!({ "name": name, "match": matches, "chain": chain, "upstream": "origin" }),
        )
    }

    /// A route given whole. With any route there is no default one.
    #[must_use]
    pub fn route_value(mut self, route: Value) -> Self {
        self.value["routes"]
            .as_array_mut()
            .expect("routes are a list")
            .push(route);
        self
    }

    /// Any value, by its path in the file: `/listeners/0/limits/headers`. Mappings on the way are made.
    #[must_use]
    pub fn set(mut self, pointer: &str, value: Value) -> Self {
        let mut place = &mut self.value;
        for key in pointer.trim_start_matches('/').split('/') {
            place = match place {
                Value::Array(list) => &mut list[key.parse::<usize>().expect("index of a list")],
                place => &mut place[key],
            };
        }
        *place = value;
        self
    }

    /// A file next to the configuration.
    #[must_use]
    pub fn file(mut self, name: &str, bytes: impl Into<Vec<u8>>) -> Self {
        self.files.push((name.to_owned(), bytes.into()));
        self
    }

    /// The listener speaks TLS with this certificate and key, as PEM.
    #[must_use]
    pub fn tls(self, certificate: &str, key: &str) -> Self {
        self.file("cert.pem", certificate).file("key.pem", key).set(
            "/listeners/0/tls",
            json!({ "certificates": [{ "cert": "./cert.pem", "key": "./key.pem" }] }),
        )
    }

    /// The listener relays TCP to the upstream `origin` through all filters, and there are no routes.
    #[must_use]
    pub fn tcp(mut self) -> Self {
        let place = self.value.as_object_mut().expect("a mapping");
        place.remove("routes");
        self.set(
            "/listeners/0",
            json!({ "name": "tcp", "address": "127.0.0.1:0", "protocol": "tcp", "upstream": "origin" }),
        )
    }

    /// One more listener, which relays TCP to this upstream through these filters.
    #[must_use]
    pub fn tcp_listener(mut self, name: &str, chain: &[String], upstream: &str) -> Self {
        self.value["listeners"]
            .as_array_mut()
            .expect("listeners are a list")
            .push(json!({
                "name": name, "address": "127.0.0.1:0", "protocol": "tcp", "chain": chain, "upstream": upstream,
            }));
        self
    }

    /// The text of the file.
    #[must_use]
    pub fn text(&self) -> String {
        let mut value = self.value.clone();
        if value["listeners"][0]["protocol"] == "tcp" {
            value["listeners"][0]["chain"] = json!(self.filters);
        } else if value["routes"].as_array().is_some_and(Vec::is_empty) {
            value["routes"] = json!([{ "name": "all", "match": {}, "chain": self.filters, "upstream": "origin" }]);
        }
        serde_json::to_string_pretty(&value).expect("JSON")
    }

    /// Files that belong to it.
    #[must_use]
    pub fn files(&self) -> &[(String, Vec<u8>)] {
        &self.files
    }

    /// Starts a proxy with it, and waits until it is ready.
    pub async fn start(self) -> Proxy {
        Proxy::start(&self).await
    }
}

/// A plugin under construction.
#[derive(Clone, Debug)]
pub struct Filter {
    value: Value,
    module: Option<Vec<u8>>,
}

impl Filter {
    /// The scripted guest of the Rust SDK: `on` maps callbacks to operations (`guests/rust/src/op.rs`).
    #[must_use]
    pub fn rust(on: Value) -> Self {
        Self::module(artifacts::rust_guest().to_vec()).script(on)
    }

    /// The scripted guest of the Go SDK, or none where there is no Go.
    #[must_use]
    pub fn go(on: Value) -> Option<Self> {
        artifacts::go_guest().map(|module| Self::module(module.to_vec()).script(on))
    }

    /// Any module.
    #[must_use]
    pub fn module(bytes: Vec<u8>) -> Self {
        // A debug build of the host on shared cores is slow: the default CPU limit is for the tests of limits.
        let value = json!({ "limits": { "cpu_per_call": "1s" } });
        Self {
            value,
            module: Some(bytes),
        }
    }

    /// A module in the text format.
    ///
    /// # Panics
    /// When it does not parse.
    #[must_use]
    pub fn wat(text: &str) -> Self {
        Self::module(wat::parse_str(text).unwrap_or_else(|error| panic!("{error}")))
    }

    /// One of the filters that Portcullis brings along.
    #[must_use]
    pub fn builtin(name: &str, config: Value) -> Self {
        Self {
            value: json!({ "builtin": name, "config": config, "limits": { "cpu_per_call": "1s" } }),
            module: None,
        }
    }

    fn script(self, on: Value) -> Self {
        let config = if ["on", "tick_ms", "tcp"]
            .iter()
            .any(|key| on.get(key).is_some())
        {
            on
        } else {
            json!({ "on": on })
        };
        self.set("config", config)
    }

    /// The origin gets nothing before this plugin agreed.
    #[must_use]
    pub fn hold(self) -> Self {
        self.set("hold", json!("headers"))
    }

    /// Not for exchanges but for TCP connections.
    #[must_use]
    pub fn tcp(mut self) -> Self {
        self.value["config"]["tcp"] = json!(true);
        self
    }

    /// A fault of this plugin is passed over.
    #[must_use]
    pub fn skip(self) -> Self {
        self.set("on_fault", json!("skip"))
    }

    /// May call these upstreams.
    #[must_use]
    pub fn may_call(self, upstreams: &[&str]) -> Self {
        self.set("grants", json!({ "http_call": upstreams }))
    }

    /// May call these upstreams by gRPC.
    #[must_use]
    pub fn may_call_grpc(self, upstreams: &[&str]) -> Self {
        self.set("grants", json!({ "grpc_call": upstreams }))
    }

    #[must_use]
    pub fn limit(mut self, name: &str, value: &str) -> Self {
        self.value["limits"][name] = json!(value);
        self
    }

    /// Any key of a filter.
    #[must_use]
    pub fn set(mut self, key: &str, value: Value) -> Self {
        self.value[key] = value;
        self
    }
}
