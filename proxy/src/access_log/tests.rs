use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::time::SystemTime;

use serde_json::{Value, json};

use super::*;

const PATIENCE: Duration = Duration::from_secs(10);

fn entry<'a>() -> Entry<'a> {
    Entry {
        time: SystemTime::UNIX_EPOCH,
        request_id: "r-1",
        client: Ipv4Addr::LOCALHOST.into(),
        peer: SocketAddr::from(([127, 0, 0, 1], 4000)),
        listener: "http",
        method: b"GET",
        host: b"example.com",
        path: b"/a?b=c",
        protocol: "HTTP/1.1",
        status: 200,
        route: None,
        upstream: None,
        bytes_received: 0,
        bytes_sent: 12,
        duration: Duration::from_micros(1_500),
        user_agent: None,
        referer: None,
        tls: None,
        chain: ChainOutcome::default(),
        refused: None,
        grpc_status: None,
    }
}

fn line(entry: &Entry<'_>) -> Value {
    let mut out = Vec::new();
    entry.format(&mut out);
    serde_json::from_slice(&out).expect("a line of JSON")
}

fn counter() -> IntCounter {
    IntCounter::new("dropped", "dropped").expect("constant")
}

fn lines(path: &Path) -> Vec<Value> {
    let text = fs::read_to_string(path).expect("log file");
    text.lines()
        .map(|line| serde_json::from_str(line).expect("a line of JSON"))
        .collect()
}

#[test]
fn a_plain_exchange_has_no_empty_fields() {
    assert_eq!(
        line(&entry()),
        json!({
            "time": "1970-01-01T00:00:00.000Z", "request_id": "r-1", "client": "127.0.0.1", "listener": "http",
            "method": "GET", "host": "example.com", "path": "/a?b=c", "protocol": "HTTP/1.1", "status": 200,
            "bytes_received": 0, "bytes_sent": 12, "duration_ms": 1.5,
        })
    );
}

#[test]
fn everything_known_is_shown() {
    let full = Entry {
        peer: SocketAddr::from(([10, 0, 0, 1], 4000)),
        route: Some("api"),
        upstream: Some(Upstream {
            name: "origin",
            address: Some(SocketAddr::from(([10, 0, 0, 2], 9000))),
        }),
        user_agent: Some(b"curl/8 \"x\""),
        referer: Some(b"https://a.example/\r\nX: y"),
        tls: Some(Tls {
            version: "TLSv1.3",
            sni: Some("example.com"),
        }),
        chain: ChainOutcome {
            reply_by: Some("keys"),
            faults: 2,
        },
        refused: Some("no_host"),
        grpc_status: Some(b"7"),
        ..entry()
    };
    let json = line(&full);
    for (field, expected) in [
        ("peer", json!("10.0.0.1")),
        ("route", json!("api")),
        (
            "upstream",
            json!({"name": "origin", "address": "10.0.0.2:9000"}),
        ),
        ("user_agent", json!("curl/8 \"x\"")),
        ("referer", json!("https://a.example/\r\nX: y")),
        ("tls", json!({"version": "TLSv1.3", "sni": "example.com"})),
        ("chain", json!({"reply_by": "keys", "faults": 2})),
        ("refused", json!("no_host")),
        ("grpc_status", json!("7")),
    ] {
        assert_eq!(json[field], expected, "{field}");
    }
}

#[test]
fn threads_share_a_file_line_by_line() {
    let folder = tempfile::tempdir().expect("folder");
    let path = folder.path().join("access.log");
    let dropped = counter();
    let log = AccessLog::open(&Output::File(path.clone()), dropped.clone()).expect("open");
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let log = &log;
            scope.spawn(move || {
                for n in 0..500 {
                    let id = format!("{thread}-{n}");
                    log.write(&Entry {
                        request_id: &id,
                        ..entry()
                    });
                }
            });
        }
    });
    assert!(log.flush(PATIENCE));
    assert_eq!(lines(&path).len(), 2_000);
    drop(log);
    assert_eq!(dropped.get(), 0);
}

#[test]
fn dropping_the_log_writes_what_is_left() {
    let folder = tempfile::tempdir().expect("folder");
    let path = folder.path().join("access.log");
    let log = AccessLog::open(&Output::File(path.clone()), counter()).expect("open");
    let queue = log.queue.clone().expect("open");
    log.write(&entry());
    drop(log);
    assert!(queue.flush(PATIENCE));
    assert_eq!(lines(&path).len(), 1);
}

#[test]
fn a_full_output_drops_whole_lines_and_counts_them() {
    let dropped = counter();
    let log = AccessLog::open(&Output::File("/dev/full".into()), dropped.clone()).expect("open");
    for _ in 0..3 {
        log.write(&entry());
    }
    assert!(log.flush(PATIENCE));
    assert_eq!(dropped.get(), 3);
}

/// A named pipe nobody reads stands for an output that hangs.
#[test]
fn a_stuck_output_costs_lines_not_time() {
    let folder = tempfile::tempdir().expect("folder");
    let path = folder.path().join("pipe");
    let made = std::process::Command::new("mkfifo").arg(&path).status();
    assert!(made.expect("mkfifo").success());
    // Opened for reading too, so that opening for writing does not wait for a reader.
    let reader = fs::OpenOptions::new()
        .read(true)
        .write(true)
        .open(&path)
        .expect("pipe");
    let dropped = counter();
    let log = AccessLog::open(&Output::File(path), dropped.clone()).expect("open");
    let long = vec![b'x'; 8_000];
    for _ in 0..2_000 {
        log.write(&Entry {
            path: &long,
            ..entry()
        });
    }
    assert!(dropped.get() > 500, "{}", dropped.get());
    assert!(!log.flush(Duration::ZERO));
    drop(reader);
}

#[test]
fn off_takes_no_lines() {
    let log = AccessLog::open(&Output::Off, counter()).expect("open");
    assert!(!log.enabled());
    log.write(&entry());
    assert!(log.flush(Duration::ZERO));
}

#[test]
fn a_file_that_cannot_be_opened_is_an_error() {
    let folder = tempfile::tempdir().expect("folder");
    let inside = folder.path().join("missing/access.log");
    assert!(AccessLog::open(&Output::File(inside), counter()).is_err());
}
