//! Real Envoy with the configuration of a [`Config`]: the same modules, each route behind a listener of its own, and each
//! listener for TCP.

use std::collections::HashMap;
use std::fs::{self, File};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use http::Request;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::artifacts;
use crate::client::Client;
use crate::config::Config;
use crate::deadline::until;
use crate::origin::full;
use crate::proxy::{guard, replace};

const TYPES: &str = "type.googleapis.com/envoy.extensions";

/// A running Envoy; dropped, it is killed. When a test fails, the end of its log is printed.
pub struct Envoy {
    folder: TempDir,
    child: Child,
    /// Kills it when this process ends without dropping.
    guard: Child,
    listeners: HashMap<String, SocketAddr>,
}

impl Envoy {
    /// Starts Envoy with what this configuration says of upstreams, filters and routes, and waits until it listens;
    /// none where there is no Envoy ([`artifacts::missing`]).
    ///
    /// # Panics
    /// When it ends instead, or the configuration needs what this translation does not know.
    pub async fn start(config: &Config) -> Option<Self> {
        let program = artifacts::envoy()?;
        let folder = tempfile::tempdir().expect("temporary folder");
        for (name, bytes) in config.files() {
            replace(&folder.path().join(name), bytes);
        }
        let text = serde_json::from_str(&config.text()).expect("JSON");
        let bootstrap = bootstrap(&text, folder.path());
        replace(
            &folder.path().join("envoy.json"),
            serde_json::to_string_pretty(&bootstrap)
                .expect("JSON")
                .as_bytes(),
        );
        let child = Command::new(program)
            .current_dir(folder.path())
            .args(["-c", "envoy.json", "--concurrency", "1"])
            .args(["--disable-hot-restart", "--log-level", "info"])
            .args(["--component-log-level", "wasm:trace"])
            .args(["--admin-address-path", "admin"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(File::create(folder.path().join("stderr")).expect("file"))
            .spawn()
            .expect("Envoy starts");
        let guard = guard(&child);
        let mut envoy = Self {
            folder,
            child,
            guard,
            listeners: HashMap::new(),
        };
        envoy.listeners = until("readiness of Envoy", async || {
            let ended = envoy.child.try_wait().expect("state of Envoy");
            assert!(ended.is_none(), "Envoy ended: {ended:?}");
            envoy.ready().await
        })
        .await;
        Some(envoy)
    }

    /// The address of a route's listener, or of one for TCP.
    ///
    /// # Panics
    /// When there is none.
    #[must_use]
    pub fn address(&self, route: &str) -> SocketAddr {
        self.listeners[route]
    }

    /// What it logged until now.
    #[must_use]
    pub fn log(&self) -> String {
        let bytes = fs::read(self.folder.path().join("stderr")).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// The listeners, when all of them accept.
    async fn ready(&self) -> Option<HashMap<String, SocketAddr>> {
        let admin = fs::read_to_string(self.folder.path().join("admin")).ok()?;
        let admin: SocketAddr = admin.trim().parse().ok()?;
        let get = async |path: &str| {
            let request = Request::get(path).body(full("")).expect("request");
            Client::h1(admin).await.send(request).await
        };
        if get("/ready").await.status != 200 {
            return None;
        }
        let listeners: Value =
            serde_json::from_slice(&get("/listeners?format=json").await.body).ok()?;
        let listeners = listeners["listener_statuses"].as_array()?.iter();
        listeners
            .map(|listener| {
                let address = &listener["local_address"]["socket_address"];
                let ip = address["address"].as_str()?.parse().ok()?;
                let port = u16::try_from(address["port_value"].as_u64()?).ok()?;
                Some((
                    listener["name"].as_str()?.to_owned(),
                    SocketAddr::new(ip, port),
                ))
            })
            .collect()
    }
}

impl Drop for Envoy {
    fn drop(&mut self) {
        for child in [&mut self.guard, &mut self.child] {
            let _ = child.kill();
            let _ = child.wait();
        }
        if std::thread::panicking() {
            let log = self.log();
            let lines: Vec<_> = log.lines().collect();
            let end = &lines[lines.len().saturating_sub(60)..];
            eprintln!("--- end of Envoy's log\n{}\n---", end.join("\n"));
        }
    }
}

fn bootstrap(config: &Value, folder: &Path) -> Value {
    let empty = serde_json::Map::new();
    let upstreams = config["upstreams"].as_object().unwrap_or(&empty);
    let clusters: Vec<_> = upstreams
        .iter()
        .map(|(name, upstream)| cluster(name, upstream))
        .collect();
    let list = |key: &str| config[key].as_array().into_iter().flatten();
    let routes = list("routes").map(|route| listener(route, &config["filters"], folder));
    let tcp = list("listeners")
        .filter(|listener| listener["protocol"] == "tcp")
        .map(|listener| tcp_listener(listener, &config["filters"], folder));
    let listeners: Vec<_> = routes.chain(tcp).collect();
    json!({
        "admin": { "address": socket_address("127.0.0.1:0") },
        "node": { "id": "node", "cluster": "cluster" },
        "static_resources": { "listeners": listeners, "clusters": clusters },
    })
}

fn cluster(name: &str, upstream: &Value) -> Value {
    let endpoints: Vec<_> = upstream["endpoints"]
        .as_array()
        .expect("endpoints")
        .iter()
        .map(|endpoint| {
            let address = endpoint["address"].as_str().expect("an address");
            json!({ "endpoint": { "address": socket_address(address) } })
        })
        .collect();
    let mut cluster = json!({
        "name": name, "type": "STATIC", "connect_timeout": "3s",
        "load_assignment": { "cluster_name": name, "endpoints": [{ "lb_endpoints": endpoints }] },
    });
    if upstream["protocol"] == "h2" {
        let options = format!("{TYPES}.upstreams.http.v3.HttpProtocolOptions");
        cluster["typed_extension_protocol_options"] = json!({
            "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
                "@type": options, "explicit_http_config": { "http2_protocol_options": {} },
            },
        });
    }
    cluster
}

fn listener(route: &Value, filters: &Value, folder: &Path) -> Value {
    let name = &route["name"];
    let mut http_filters = wasm_chain(&route["chain"], "http", filters, folder);
    http_filters.push(json!({
        "name": "router", "typed_config": { "@type": format!("{TYPES}.filters.http.router.v3.Router") },
    }));
    let manager = json!({
        "@type": format!("{TYPES}.filters.network.http_connection_manager.v3.HttpConnectionManager"),
        "stat_prefix": "http", "codec_type": "AUTO", "http_filters": http_filters,
        "http_protocol_options": { "enable_trailers": true },
        "route_config": { "name": "local", "virtual_hosts": [{ "name": "all", "domains": ["*"], "routes": [
            { "name": name, "match": { "prefix": "/" }, "route": { "cluster": route["upstream"], "timeout": "10s" } }] }] },
    });
    json!({
        "name": name, "address": socket_address("127.0.0.1:0"), "traffic_direction": "INBOUND",
        "filter_chains": [{ "filters": [{ "name": "http", "typed_config": manager }] }],
    })
}

fn tcp_listener(listener: &Value, filters: &Value, folder: &Path) -> Value {
    let name = &listener["name"];
    let mut network_filters = wasm_chain(&listener["chain"], "network", filters, folder);
    network_filters.push(json!({
        "name": "tcp", "typed_config": {
            "@type": format!("{TYPES}.filters.network.tcp_proxy.v3.TcpProxy"),
            "stat_prefix": "tcp", "cluster": listener["upstream"],
        },
    }));
    json!({
        "name": name, "address": socket_address("127.0.0.1:0"), "traffic_direction": "INBOUND",
        "filter_chains": [{ "filters": network_filters }],
    })
}

/// `kind`: of Envoy's filters, `http` or `network`.
fn wasm_chain(chain: &Value, kind: &str, filters: &Value, folder: &Path) -> Vec<Value> {
    let names = chain.as_array().into_iter().flatten();
    let names = names.map(|name| name.as_str().expect("a filter's name"));
    names
        .map(|name| wasm(name, kind, &filters[name], folder))
        .collect()
}

fn wasm(name: &str, kind: &str, filter: &Value, folder: &Path) -> Value {
    let module = match filter["builtin"].as_str() {
        Some("js") => artifacts::js_module().expect("the test has looked"),
        Some(builtin) => {
            let builtin = portcullis_bundle::find(builtin).expect("a built-in filter");
            let file = folder.join(builtin.name).with_extension("wasm");
            replace(&file, builtin.wasm);
            file
        }
        None => folder.join(filter["wasm"]["file"].as_str().expect("a module's file")),
    };
    let mut plugin = json!({
        "name": name,
        "root_id": filter["root_id"].as_str().unwrap_or_default(),
        "configuration": string_value(&filter["config"]),
        "vm_config": {
            "vm_id": filter["vm_id"].as_str().unwrap_or(name),
            "runtime": "envoy.wasm.runtime.v8",
            "code": { "local": { "filename": normal(&module) } },
            "configuration": string_value(&filter["vm_config"]),
        },
    });
    if filter["hold"] == "headers" {
        plugin["allow_on_headers_stop_iteration"] = json!(true);
    }
    if filter["on_fault"] == "skip" {
        plugin["failure_policy"] = json!("FAIL_OPEN");
    }
    if let Some(env) = filter["env"].as_object() {
        plugin["vm_config"]["environment_variables"] = json!({ "key_values": env });
    }
    json!({
        "name": name,
        "typed_config": { "@type": format!("{TYPES}.filters.{kind}.wasm.v3.Wasm"), "config": plugin },
    })
}

/// Bytes for a module, as Portcullis gives them: a string as it is, anything else as JSON, nothing as no bytes.
fn string_value(value: &Value) -> Value {
    let text = match value {
        Value::Null => return Value::Null,
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    json!({ "@type": "type.googleapis.com/google.protobuf.StringValue", "value": text })
}

fn normal(path: &Path) -> PathBuf {
    path.components().collect()
}

fn socket_address(address: &str) -> Value {
    let (host, port) = address.rsplit_once(':').expect("an address and a port");
    let port: u16 = port.parse().expect("a port");
    json!({ "socket_address": { "address": host, "port_value": port } })
}
