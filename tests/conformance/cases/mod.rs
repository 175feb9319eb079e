//! The cases, a file for each family.

mod bodies;
mod callouts;
mod configuration;
mod faults;
mod foreign;
mod grpc;
mod headers;
mod pauses;
mod properties;
mod replies;
mod shared;
mod tcp;
mod trailers;

use portcullis_tests::{Config, Filter};
use serde_json::{Value, json};

/// Whose guest runs a case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sdk {
    Rust,
    Go,
}

/// A request of a case.
#[derive(Clone, Copy)]
pub(crate) struct Ask {
    /// Of a connection for TCP it is [`TCP`], and only the body counts.
    pub(crate) method: &'static str,
    pub(crate) path: &'static str,
    pub(crate) headers: &'static [(&'static str, &'static str)],
    /// Its parts; several are sent without a length.
    pub(crate) body: &'static [&'static str],
    pub(crate) trailers: &'static [(&'static str, &'static str)],
    pub(crate) h2: bool,
    /// Asks again until this is part of what was seen.
    pub(crate) until: Option<&'static str>,
}

pub(crate) const GET: Ask = Ask {
    method: "GET",
    path: "/",
    headers: &[],
    body: &[],
    trailers: &[],
    h2: false,
    until: None,
};

pub(crate) const POST: Ask = Ask {
    method: "POST",
    body: &["body"],
    ..GET
};

pub(crate) const TCP: &str = "TCP";

/// What is done, and what must be seen of it.
#[derive(Clone)]
pub(crate) struct Case {
    name: String,
    /// Scripts of the filters in their order (`tests/guests/rust/src/op.rs`), or whole filters, see [`Self::filter`].
    filters: Vec<Value>,
    sdks: &'static [Sdk],
    pub(crate) asks: Vec<Ask>,
    /// One for each of `asks`.
    expected: Vec<String>,
    /// What must be in the proxy's log.
    pub(crate) logs: &'static [&'static str],
    /// In a VM of its own: what it does would be felt by other cases, in a proxy that shares VMs.
    alone: bool,
    upstream: &'static str,
}

/// A case for the guests of both SDKs, with one `GET /`.
pub(crate) fn case(name: &str, on: Value, expected: &str) -> Case {
    Case {
        name: name.to_owned(),
        filters: vec![on],
        sdks: &[Sdk::Rust, Sdk::Go],
        asks: vec![GET],
        expected: vec![expected.to_owned()],
        logs: &[],
        alone: false,
        upstream: "origin",
    }
}

impl Case {
    /// With an operation that only the Rust SDK has.
    fn rust(mut self) -> Self {
        self.sdks = &[Sdk::Rust];
        self
    }

    fn asking(mut self, ask: Ask) -> Self {
        self.asks = vec![ask];
        self
    }

    fn then(mut self, ask: Ask, expected: &str) -> Self {
        self.asks.push(ask);
        self.expected.push(expected.to_owned());
        self
    }

    /// Another filter behind.
    fn filter(mut self, on: Value) -> Self {
        self.filters.push(on);
        self
    }

    /// A key of the last filter, beside its script.
    fn with(mut self, key: &str, value: Value) -> Self {
        let last = self.filters.last_mut().expect("a filter");
        last[format!("filter.{key}")] = value;
        self
    }

    fn alone(mut self) -> Self {
        self.alone = true;
        self
    }

    fn over_h2(mut self) -> Self {
        self.upstream = "h2";
        self
    }

    fn logging(mut self, logs: &'static [&'static str]) -> Self {
        self.logs = logs;
        self
    }

    pub(crate) fn route(index: usize) -> String {
        format!("case-{index}")
    }

    /// Everything that must be seen, as [`crate::observe`] writes it.
    pub(crate) fn expected(&self) -> String {
        let logs = self.logs.iter().map(|text| format!("logged {text:?}"));
        let lines: Vec<_> = self.expected.iter().cloned().chain(logs).collect();
        lines.join(" ; ")
    }

    /// Adds the case's filters and its route.
    pub(crate) fn configure(&self, mut config: Config, index: usize, sdk: Sdk) -> Config {
        let route = Self::route(index);
        let mut chain = Vec::new();
        for (place, script) in self.filters.iter().enumerate() {
            let name = format!("{route}-{place}");
            config = config.filter(&name, self.one(script, &route, sdk));
            chain.push(name);
        }
        if self.asks.iter().any(|ask| ask.method == TCP) {
            return config.tcp_listener(&route, &chain, "bytes");
        }
        config.route_value(json!({
            "name": route, "match": { "host": format!("{route}.test") }, "chain": chain, "upstream": self.upstream,
        }))
    }

    fn one(&self, script: &Value, route: &str, sdk: Sdk) -> Filter {
        let mut script = script.clone();
        let mut keys = Vec::new();
        script
            .as_object_mut()
            .expect("a script")
            .retain(|key, value| {
                let own = key.strip_prefix("filter.");
                keys.extend(own.map(|own| (own.to_owned(), value.take())));
                own.is_none()
            });
        let filter = match sdk {
            Sdk::Rust => Filter::rust(script),
            Sdk::Go => Filter::go(script).expect("the caller has looked"),
        };
        // One VM for all cases that allow it: Envoy makes one for each id and configuration of a VM.
        let vm_id = if self.alone {
            route.to_owned()
        } else {
            format!("{sdk:?}")
        };
        let filter = filter
            .set("vm_id", json!(vm_id))
            .set("grants", json!({ "all": true }));
        keys.into_iter()
            .fold(filter, |filter, (key, value)| filter.set(&key, value))
    }
}

/// Every case by every SDK that can run it, with its whole name.
pub(crate) fn all() -> Vec<(String, Sdk, Case)> {
    let families: [(&str, Vec<Case>); 13] = [
        ("headers", headers::cases()),
        ("bodies", bodies::cases()),
        ("pauses", pauses::cases()),
        ("replies", replies::cases()),
        ("callouts", callouts::cases()),
        ("grpc", grpc::cases()),
        ("foreign", foreign::cases()),
        ("tcp", tcp::cases()),
        ("shared", shared::cases()),
        ("properties", properties::cases()),
        ("trailers", trailers::cases()),
        ("configuration", configuration::cases()),
        ("faults", faults::cases()),
    ];
    let mut all = Vec::new();
    for (family, cases) in families {
        for case in cases {
            for sdk in case.sdks {
                let name = format!("{family}: {} ({sdk:?})", case.name);
                all.push((name, *sdk, case.clone()));
            }
        }
    }
    all
}
