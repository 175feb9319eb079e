//! What a good file becomes.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use portcullis_config::model::{
    ChainEntry, EndpointHost, FilterId, HeaderTest, Hold, HostPattern, LogLevel, ModuleSource,
    OnFault, Output, PathPattern, PluginConfig, Target, UpstreamId, UpstreamProtocol, Workers,
};
use portcullis_config::{Config, Location};
use serde_json::json;

use crate::fixture::{Fixture, minimal};

fn case(name: &str) -> Config {
    let text = std::fs::read_to_string(
        Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("tests/cases")
            .join(name),
    )
    .unwrap();
    Fixture::of_the_cases()
        .parse_as(&text, Path::new("/etc/portcullis/edge.yaml"))
        .unwrap()
}

fn address(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

#[test]
fn the_least_file_has_all_defaults() {
    let config = case("minimal.yaml");
    let listener = &config.listeners[0];
    assert_eq!(
        (listener.name.as_str(), listener.address),
        ("http", address("127.0.0.1:8080"))
    );
    assert!(listener.tls.is_none() && listener.client_ip.is_none());
    let limits = &listener.limits;
    assert_eq!(
        (
            limits.header_bytes,
            limits.headers,
            limits.body_bytes,
            limits.body_min_rate
        ),
        (65_536, 100, 1 << 30, 500)
    );
    assert_eq!((limits.connections, limits.streams), (16_384, 100));
    assert_eq!(
        (limits.header_timeout, limits.idle_timeout),
        (Duration::from_secs(10), Duration::from_secs(60))
    );
    let upstream = &config.upstreams[0];
    assert_eq!(upstream.protocol, UpstreamProtocol::H1);
    let timeouts = upstream.timeouts;
    assert_eq!(
        [
            timeouts.connect,
            timeouts.read,
            timeouts.write,
            timeouts.idle
        ]
        .map(|d| d.as_secs()),
        [3, 60, 60, 60]
    );
    assert_eq!(
        (
            config.workers,
            config.reload.watch,
            config.reload.drain.as_secs()
        ),
        (Workers::Auto, true, 30)
    );
    assert_eq!(
        (config.dns.servers.len(), config.dns.refresh.as_secs()),
        (0, 5)
    );
    assert!(config.admin.is_none() && config.observability.metrics.is_none());
    assert_eq!(
        (
            config.observability.log_level,
            &config.observability.access_log
        ),
        (LogLevel::Info, &Output::Stdout)
    );
    assert!(!config.observability.accept_request_id);
    let route = &config.routes[0];
    assert!(matches!(route.target, Target::Upstream(UpstreamId(0))) && route.chain.is_empty());
    assert!(matches!(route.matches.path, PathPattern::Any) && route.matches.hosts.is_empty());
    assert_eq!(config.watched, [PathBuf::from("/etc/portcullis/edge.yaml")]);
}

#[test]
fn the_example_of_the_format_is_understood() {
    let config = case("example.yaml");
    let hello = &config.filters[0];
    assert_eq!(
        hello.module,
        ModuleSource::File("/etc/portcullis/hello.wasm".into())
    );
    assert_eq!(
        (
            hello.name.as_str(),
            hello.root_id.as_str(),
            hello.vm_id.as_str()
        ),
        ("hello", "my_root", "my_vm")
    );
    assert_eq!(
        (hello.vm_config.as_slice(), hello.config.bytes().as_slice()),
        (&b"text"[..], &br#"{"any":"yaml"}"#[..])
    );
    assert_eq!(hello.env.get("KEY").map(String::as_str), Some("value"));
    assert_eq!(
        (hello.grants.all, hello.grants.http_call.as_slice()),
        (false, &[UpstreamId(1)][..])
    );
    let limits = &hello.limits;
    assert_eq!(
        [
            limits.memory,
            limits.body_held,
            limits.shared_data,
            limits.callouts
        ],
        [64 << 20, 16 << 20, 16 << 20, 50]
    );
    assert_eq!(
        [limits.cpu_per_call, limits.cpu_start, limits.pause].map(|d| d.as_millis()),
        [10, 10_000, 5_000]
    );
    assert_eq!((hello.on_fault, hello.hold), (OnFault::Deny, Hold::Stream));
    assert_eq!(
        hello.limits, config.filters[1].limits,
        "the example writes the defaults out"
    );

    let keys = &config.filters[1];
    assert_eq!(
        (&keys.module, keys.vm_id.as_str(), keys.root_id.as_str()),
        (&ModuleSource::Builtin("auth".into()), "keys", "")
    );
    assert_eq!(
        keys.config,
        PluginConfig::Json(
            json!({ "api_keys": { "header": "x-api-key", "keys": { "alice": "alice-key-from-env" } } })
        )
    );

    let edge = [(2, false), (1, false), (0, true)].map(|(id, reroute)| ChainEntry {
        filter: FilterId(id),
        reroute,
    });
    assert_eq!(
        (
            config.chains[0].name.as_str(),
            config.chains[0].entries.as_slice()
        ),
        ("edge", &edge[..])
    );
    let api = &config.routes[0];
    assert_eq!(api.chain, edge);
    assert_eq!(
        api.matches.hosts,
        [
            HostPattern::Exact("api.example.com".into()),
            HostPattern::Wildcard(".api.example.com".into())
        ]
    );
    assert!(matches!(&api.matches.path, PathPattern::Prefix(prefix) if prefix == "/v1"));
    assert_eq!(
        api.overrides.get(&FilterId(2)),
        Some(&PluginConfig::Json(
            json!({ "key": ["client_ip"], "rate": "5/1s", "burst": 20 })
        ))
    );
    assert_eq!(
        config.upstreams[1].endpoints[0].host,
        EndpointHost::Name("auth".into())
    );
    assert_eq!(config.upstreams[1].protocol, UpstreamProtocol::H2);
    let client_ip = config.listeners[0].client_ip.as_ref().unwrap();
    assert_eq!(
        (
            client_ip.header.as_str(),
            client_ip.trusted[0].to_string().as_str()
        ),
        ("x-forwarded-for", "10.0.0.0/8")
    );
    assert_eq!(
        config.observability.metrics,
        Some(address("127.0.0.1:9090"))
    );
    assert_eq!(
        config.admin.as_ref().map(|admin| admin.address),
        Some(address("127.0.0.1:9901"))
    );
    assert_eq!(
        config.watched,
        ["edge.yaml", "hello.wasm"].map(|name| Path::new("/etc/portcullis").join(name))
    );
}

#[test]
fn every_other_key_is_understood() {
    let config = case("full.yaml");
    let https = &config.listeners[1];
    let certificates = &https.tls.as_ref().unwrap().certificates;
    assert!(
        certificates[0]
            .cert_pem
            .starts_with(b"-----BEGIN CERTIFICATE-----")
    );
    assert!(
        certificates[1]
            .key_pem
            .windows(11)
            .any(|window| window == b"PRIVATE KEY")
    );
    assert_eq!(
        (
            https.limits.header_bytes,
            https.limits.body_min_rate,
            https.limits.streams
        ),
        (32 << 10, 0, 32)
    );
    assert_eq!(
        config.dns.servers,
        [address("127.0.0.1:5353"), address("[::1]:53")]
    );
    assert_eq!(config.workers, Workers::Count(4));
    assert_eq!(
        config.observability.access_log,
        Output::File("/etc/portcullis/logs/access.log".into())
    );
    let admin = config.admin.as_ref().unwrap();
    assert_eq!(
        (admin.token.as_deref(), admin.hosts.as_slice()),
        (
            Some("admin-token-from-env"),
            &["admin.example.com:9901".to_owned()][..]
        )
    );

    let route = |name: &str| {
        config
            .routes
            .iter()
            .find(|route| route.name == name)
            .unwrap()
    };
    let conditions = &route("headers").matches.headers;
    assert_eq!(
        conditions
            .iter()
            .map(|c| c.name.as_str())
            .collect::<Vec<_>>(),
        ["x-one", "x-two", "x-three", "x-four", "x-five"]
    );
    assert!(
        matches!(conditions[0].test, HeaderTest::Present)
            && matches!(conditions[1].test, HeaderTest::Absent)
    );
    assert!(matches!(&conditions[2].test, HeaderTest::Exact(value) if value == "1.10"));
    assert!(matches!(&conditions[3].test, HeaderTest::Regex(regex) if regex.is_match("abc")));
    assert!(matches!(&conditions[4].test, HeaderTest::Exact(value) if value == "present"));
    assert_eq!(route("headers").matches.methods, ["GET", "POST"]);
    assert_eq!(
        route("inline").chain,
        [ChainEntry {
            filter: FilterId(0),
            reroute: true
        }]
    );
    assert!(
        matches!(&route("inline").matches.path, PathPattern::Prefix(prefix) if prefix == "/docs")
    );
    let Target::Respond(respond) = &route("static").target else {
        panic!("no static answer")
    };
    assert_eq!(
        (respond.status, respond.body.as_slice()),
        (418, &b"short and stout\n"[..])
    );
    assert_eq!(
        respond.headers,
        [
            ("content-type", "text/plain"),
            ("x-many", "a"),
            ("x-many", "b")
        ]
        .map(|(n, v)| (n.to_owned(), v.to_owned()))
    );
}

#[test]
fn a_value_that_only_moved_is_the_same_value() {
    let fixture = Fixture::default();
    let filter = "filters: { f: { builtin: auth, config: { a: 1 } } }\n";
    let before = fixture.parse(&minimal(filter)).unwrap();
    let after = fixture
        .parse(&minimal(&format!("\n\n# moved\n{filter}")))
        .unwrap();
    assert_ne!(before.filters[0].at.line, after.filters[0].at.line);
    assert_eq!(before.filters, after.filters);
    let changed = fixture
        .parse(&minimal(&filter.replace("a: 1", "a: 2")))
        .unwrap();
    assert_ne!(before.filters, changed.filters);
}

#[test]
fn problems_found_later_point_into_the_file() {
    let config = Fixture::default()
        .parse(&minimal(
            "filters:\n  f:\n    wasm: { file: ./gone.wasm }\n",
        ))
        .unwrap();
    let problem = config.filters[0]
        .module_at
        .problem("no such module", Some("build it".into()));
    assert_eq!(
        problem.to_string(),
        "edge.yaml:9:19  filters.f.wasm.file: no such module\n     9 |     wasm: { file: ./gone.wasm }\n       |                   ^\n  hint: build it"
    );
    let whole = Location::whole(Path::new("edge.yaml")).problem("gone", None);
    assert_eq!(
        (whole.line, whole.to_string().as_str()),
        (0, "edge.yaml  gone")
    );
}

#[test]
fn merge_keys_and_aliases_help_to_repeat() {
    let config = Fixture::default()
        .parse(&minimal(
            "filters:\n  a: &base { builtin: auth, limits: &limits { memory: 1MiB } }\n  b: { <<: *base, on_fault: skip }\n  c: { builtin: auth, limits: { <<: *limits, callouts: 1 } }\n",
        ))
        .unwrap();
    assert_eq!(
        config
            .filters
            .iter()
            .map(|f| f.limits.memory)
            .collect::<Vec<_>>(),
        [1 << 20; 3]
    );
    assert_eq!(
        (
            config.filters[1].on_fault,
            config.filters[2].limits.callouts
        ),
        (OnFault::Skip, 1)
    );
}
