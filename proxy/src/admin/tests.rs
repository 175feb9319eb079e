//! Over real sockets: what clients, browsers and attackers see.

use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use portcullis_config::Location;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::*;
use crate::metrics::Metrics;

struct Api {
    generation: AtomicU64,
    ready: AtomicBool,
    broken: AtomicBool,
}

impl AdminApi for Api {
    fn generation(&self) -> u64 {
        self.generation.load(Ordering::SeqCst)
    }

    fn ready(&self) -> bool {
        self.ready.load(Ordering::SeqCst)
    }

    fn config(&self) -> Value {
        json!({ "version": 1, "admin": { "token": "[redacted]" } })
    }

    fn reload(&self) -> BoxFuture<'static, Result<u64, Problems>> {
        let result = match self.broken.load(Ordering::SeqCst) {
            true => {
                let at = Location::whole(Path::new("edge.yaml"));
                Err(Problems(vec![at.problem("broken", None)]))
            }
            false => Ok(self.generation.fetch_add(1, Ordering::SeqCst) + 1),
        };
        Box::pin(async move { result })
    }
}

struct Server {
    address: std::net::SocketAddr,
    api: Arc<Api>,
}

impl Server {
    /// Must be called inside a runtime.
    fn start(address: &str, token: Option<&str>, hosts: &[&str]) -> Self {
        let api = Arc::new(Api {
            generation: AtomicU64::new(1),
            ready: AtomicBool::new(true),
            broken: AtomicBool::new(false),
        });
        let admin = Admin {
            address: address.parse().expect("address"),
            token: token.map(str::to_owned),
            hosts: hosts.iter().map(|host| (*host).to_owned()).collect(),
            at: Location::whole(Path::new("edge.yaml")),
        };
        let endpoint = Endpoint::bind(admin.address).expect("bind");
        let address = ([127, 0, 0, 1], endpoint.address().port()).into();
        let served = Arc::clone(&api);
        tokio::spawn(async move { serve(endpoint, &admin, served).await });
        Self { address, api }
    }

    /// Sends `METHOD PATH` with header lines; `{port}` stands for the port, Host is added unless given.
    async fn send(&self, request: &str, headers: &[&str]) -> (u16, String) {
        let port = self.address.port();
        let mut text = format!("{request} HTTP/1.1\r\nconnection: close\r\n");
        if !headers.iter().any(|header| header.starts_with("host:")) {
            text += &format!("host: localhost:{port}\r\n");
        }
        for header in headers.iter().filter(|header| **header != "host:") {
            text += &header.replace("{port}", &port.to_string());
            text += "\r\n";
        }
        exchange(self.address, &(text + "\r\n")).await
    }
}

async fn exchange(address: std::net::SocketAddr, request: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(address).await.expect("connect");
    stream.write_all(request.as_bytes()).await.expect("send");
    let mut answer = Vec::new();
    let read = tokio::time::timeout(Duration::from_secs(20), stream.read_to_end(&mut answer));
    // A refused body may end in a reset after the answer.
    let _ = read.await.expect("an answer in time");
    let answer = String::from_utf8(answer).expect("text");
    let status = answer.split(' ').nth(1).and_then(|code| code.parse().ok());
    (
        status.unwrap_or_else(|| panic!("no status: {answer:?}")),
        answer,
    )
}

fn body(answer: &str) -> Value {
    let (_, body) = answer.split_once("\r\n\r\n").expect("body");
    serde_json::from_str(body).expect("JSON")
}

#[tokio::test]
async fn paths_and_methods() {
    let server = Server::start("127.0.0.1:0", None, &[]);
    for (request, status) in [
        ("GET /healthz", 200),
        ("HEAD /healthz", 200),
        ("GET /readyz", 200),
        ("GET /config", 200),
        ("GET /generation", 200),
        ("POST /reload", 200),
        ("GET /reload", 405),
        ("POST /config", 405),
        ("DELETE /healthz", 405),
        ("GET /", 404),
        ("GET /healthz/", 404),
    ] {
        let (got, answer) = server.send(request, &[]).await;
        assert_eq!(got, status, "{request}");
        assert!(
            answer.contains("content-type: application/json"),
            "{answer}"
        );
        assert!(!answer.contains("access-control"), "{answer}");
    }
    let (_, refused) = server.send("GET /reload", &[]).await;
    assert!(refused.contains("allow: POST\r\n"), "{refused}");
    let (_, refused) = server.send("PUT /config", &[]).await;
    assert!(refused.contains("allow: GET, HEAD\r\n"), "{refused}");
}

#[tokio::test]
async fn answers_say_what_is_so() {
    let server = Server::start("127.0.0.1:0", None, &[]);
    let (_, config) = server.send("GET /config", &[]).await;
    assert_eq!(body(&config), server.api.config());
    let (_, reload) = server.send("POST /reload", &["content-length: 0"]).await;
    assert_eq!(body(&reload), json!({ "generation": 2 }));
    let (_, generation) = server.send("GET /generation", &[]).await;
    assert_eq!(body(&generation), json!({ "generation": 2 }));
    server.api.ready.store(false, Ordering::SeqCst);
    let (status, ready) = server.send("GET /readyz", &[]).await;
    assert_eq!((status, body(&ready)), (503, json!({ "ready": false })));
    server.api.broken.store(true, Ordering::SeqCst);
    let (status, reload) = server.send("POST /reload", &[]).await;
    let problem = json!({ "file": "edge.yaml", "line": 0, "column": 0, "path": "", "message": "broken", "hint": null });
    assert_eq!(
        (status, body(&reload)),
        (422, json!({ "problems": [problem] }))
    );
}

#[tokio::test]
async fn loopback_answers_only_for_its_own_hosts() {
    let server = Server::start("127.0.0.1:0", None, &["Admin.internal", "edge:8443"]);
    for (host, status) in [
        ("host: localhost:{port}", 200),
        ("host: LOCALHOST:{port}", 200),
        ("host: 127.0.0.1:{port}", 200),
        ("host: [::1]:{port}", 200),
        ("host: admin.internal", 200),
        ("host: admin.internal:{port}", 200),
        ("host: edge:8443", 200),
        ("host: localhost", 421),
        ("host: localhost:1", 421),
        ("host: evil.example", 421),
        ("host: evil.example:{port}", 421),
        ("host: localhost:{port}.evil.example", 421),
        ("host:", 400),
    ] {
        for path in ["GET /config", "POST /reload", "GET /nothing"] {
            let (got, answer) = server.send(path, &[host]).await;
            let expected = if status == 200 && path.ends_with("nothing") {
                404
            } else {
                status
            };
            assert_eq!(got, expected, "{path} {host}: {answer}");
        }
    }
    let twice = ["host: localhost:{port}", "host: evil.example"];
    assert_eq!(server.send("GET /config", &twice).await.0, 400);
    let (status, _) = server.send("GET http://evil.example/config", &[]).await;
    assert_eq!(status, 400);
    assert_eq!(server.api.generation(), 8, "seven good hosts reloaded");
}

#[tokio::test]
async fn other_addresses_need_the_token() {
    let server = Server::start("0.0.0.0:0", Some("s3cret"), &[]);
    for (header, status) in [
        ("authorization: Bearer s3cret", 200),
        ("authorization: bearer s3cret", 200),
        ("authorization: Bearer s3cre", 401),
        ("authorization: Bearer s3crett", 401),
        ("authorization: Basic s3cret", 401),
        ("authorization: s3cret", 401),
        ("x-none: 1", 401),
    ] {
        for path in ["GET /healthz", "GET /config", "POST /reload"] {
            let (got, answer) = server.send(path, &["host: any.example", header]).await;
            assert_eq!(got, status, "{path} {header}");
            assert_eq!(answer.contains("www-authenticate: Bearer"), status == 401);
            assert!(!answer.contains("s3cret"));
        }
    }
    let unguarded = Server::start("0.0.0.0:0", None, &[]);
    assert_eq!(unguarded.send("GET /config", &[]).await.0, 401);
}

#[tokio::test]
async fn a_token_counts_on_loopback_too() {
    let server = Server::start("127.0.0.1:0", Some("s3cret"), &[]);
    assert_eq!(server.send("GET /config", &[]).await.0, 401);
    let with = ["authorization: Bearer s3cret"];
    assert_eq!(server.send("GET /config", &with).await.0, 200);
    let foreign = ["authorization: Bearer s3cret", "host: evil.example"];
    assert_eq!(server.send("GET /config", &foreign).await.0, 421);
}

#[tokio::test]
async fn a_foreign_page_cannot_reload() {
    let server = Server::start("127.0.0.1:0", None, &[]);
    for (header, status) in [
        ("origin: http://localhost:{port}", 200),
        ("sec-fetch-site: same-origin", 200),
        ("sec-fetch-site: none", 200),
        ("origin: http://localhost:1", 403),
        ("origin: https://evil.example", 403),
        ("origin: null", 403),
        ("sec-fetch-site: cross-site", 403),
        ("sec-fetch-site: same-site", 403),
    ] {
        let (got, _) = server.send("POST /reload", &[header]).await;
        assert_eq!(got, status, "{header}");
    }
    assert_eq!(server.api.generation(), 4);
}

#[tokio::test]
async fn bodies_are_bounded() {
    let server = Server::start("127.0.0.1:0", None, &[]);
    let port = server.address.port();
    let request = format!(
        "POST /reload HTTP/1.1\r\nhost: localhost:{port}\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{}",
        BODY_BYTES_MAX + 1,
        "x".repeat(BODY_BYTES_MAX + 1),
    );
    assert_eq!(exchange(server.address, &request).await.0, 413);
    assert_eq!(server.api.generation(), 1);
}

#[tokio::test]
async fn surplus_connections_are_closed_at_once() {
    let server = Server::start("127.0.0.1:0", None, &[]);
    let mut held = Vec::new();
    for _ in 0..endpoint::CONNECTIONS_MAX {
        held.push(TcpStream::connect(server.address).await.expect("connect"));
    }
    let mut surplus = TcpStream::connect(server.address).await.expect("connect");
    let mut byte = [0];
    let read = tokio::time::timeout(Duration::from_secs(20), surplus.read(&mut byte));
    assert!(matches!(
        read.await.expect("closed in time"),
        Ok(0) | Err(_)
    ));
    held.clear();
    // A place is free again once the server has seen the ends; until then it closes at once.
    let deadline = tokio::time::Instant::now() + Duration::from_secs(20);
    loop {
        let mut stream = TcpStream::connect(server.address).await.expect("connect");
        let request = format!(
            "GET /healthz HTTP/1.1\r\nhost: localhost:{}\r\n\r\n",
            server.address.port()
        );
        let sent = stream.write_all(request.as_bytes()).await;
        if sent.is_ok() && matches!(stream.read(&mut byte).await, Ok(1)) {
            break;
        }
        assert!(tokio::time::Instant::now() < deadline, "no place came free");
    }
}

#[tokio::test]
async fn metrics_are_served_beside() {
    let endpoint = Endpoint::bind("127.0.0.1:0".parse().expect("address")).expect("bind");
    let address = endpoint.address();
    tokio::spawn(crate::metrics::serve(endpoint, Arc::new(Metrics::new())));
    let get = |request: &'static str| async move {
        let text = format!("{request} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
        exchange(address, &text).await
    };
    let (status, answer) = get("GET /metrics").await;
    assert_eq!(status, 200);
    assert!(answer.contains("content-type: text/plain; version=0.0.4"));
    assert!(answer.contains("\nportcullis_generation 0\n"), "{answer}");
    let (status, answer) = get("HEAD /metrics").await;
    assert_eq!(status, 200);
    assert!(answer.ends_with("\r\n\r\n"), "{answer}");
    assert_eq!(get("GET /").await.0, 404);
    let (status, answer) = get("POST /metrics").await;
    assert!(
        status == 405 && answer.contains("allow: GET, HEAD"),
        "{answer}"
    );
}
