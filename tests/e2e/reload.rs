//! The configuration changes while requests pass.

use std::os::unix::fs::symlink;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use futures::future::join_all;
use http::{Request, Response};
use hyper::body::Frame;
use portcullis_tests::deadline::until;
use portcullis_tests::origin::{full, parts};
use portcullis_tests::{Client, Config, Filter, Origin, Proxy};
use rustix::process::Signal;
use serde_json::json;

fn marking(mark: &str) -> Filter {
    Filter::rust(json!({ "response_headers": [{ "set": ["x-mark", mark] }] }))
}

fn marked(origin: &Origin, mark: &str) -> Config {
    Config::new()
        .origin(origin.address())
        .filter("marking", marking(mark))
}

/// Sends GET and POST on kept and on new connections until told to stop; every answer must be whole and right.
struct Load {
    stop: Arc<AtomicBool>,
    answered: Arc<AtomicUsize>,
    tasks: Vec<tokio::task::JoinHandle<()>>,
}

impl Load {
    fn start(proxy: &Proxy) -> Self {
        let (stop, answered) = (
            Arc::new(AtomicBool::new(false)),
            Arc::new(AtomicUsize::new(0)),
        );
        let address = proxy.address();
        let tasks = (0..4)
            .map(|number| {
                let (stop, answered) = (Arc::clone(&stop), Arc::clone(&answered));
                tokio::spawn(async move {
                    let mut client = Client::h1(address).await;
                    let mut sent = 0_usize;
                    while !stop.load(Ordering::SeqCst) {
                        if number % 2 == 1 && sent.is_multiple_of(5) {
                            client = Client::h1(address).await;
                        }
                        let (method, body) = if sent.is_multiple_of(2) {
                            ("GET", "")
                        } else {
                            ("POST", "a body")
                        };
                        let request = Request::builder()
                            .method(method)
                            .uri("/")
                            .body(full(body))
                            .expect("request");
                        let answer = client.try_send(request).await.expect("no request fails");
                        assert_eq!((answer.status, answer.text().as_str()), (200, body));
                        sent += 1;
                        answered.fetch_add(1, Ordering::SeqCst);
                    }
                })
            })
            .collect();
        Self {
            stop,
            answered,
            tasks,
        }
    }

    /// How many requests were answered in all.
    async fn end(self) -> usize {
        self.stop.store(true, Ordering::SeqCst);
        for outcome in join_all(self.tasks).await {
            outcome.expect("no request fails");
        }
        self.answered.load(Ordering::SeqCst)
    }
}

/// 200 reloads under load, good and bad: no request fails, memory stays, the last chain is in force.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hundred_reloads_under_load() {
    let origin = Origin::echo().await;
    let proxy = marked(&origin, "0").start().await;
    let load = Load::start(&proxy);
    let mut fiftieth = 0;
    let mut good = "0".to_owned();
    for number in 1..=200 {
        match number % 10 {
            3 => {
                proxy.write_text("version: 1\nlisteners:\n  - { name: http, address: [\n");
                let (status, answer) = proxy.post_reload().await;
                assert_eq!(status, 422, "{answer}");
                assert!(
                    answer["problems"][0]["line"]
                        .as_u64()
                        .is_some_and(|line| line >= 3),
                    "{answer}"
                );
            }
            7 => {
                let missing = marked(&origin, "x")
                    .set("/filters/marking/wasm", json!({ "file": "./missing.wasm" }));
                let (status, answer) = proxy.reload(&missing).await;
                assert_eq!(status, 422, "{answer}");
                let problem = &answer["problems"][0];
                let line = problem["line"].as_u64().expect("a line");
                let text = missing.text();
                let named = text
                    .lines()
                    .nth(usize::try_from(line).expect("a line") - 1)
                    .expect("the line");
                assert!(
                    named.contains("missing.wasm") || named.contains("wasm"),
                    "{named}: {answer}"
                );
            }
            _ => {
                good = number.to_string();
                let (status, answer) = proxy.reload(&marked(&origin, &good)).await;
                assert_eq!(status, 200, "{answer}");
            }
        }
        let mark = proxy
            .get("/")
            .await
            .header("x-mark")
            .expect("a mark")
            .to_owned();
        assert_eq!(mark, good, "after reload {number}");
        if number == 50 {
            fiftieth = proxy.rss();
        }
    }
    let last = proxy.rss();
    let answered = load.end().await;
    assert!(answered > 1000, "only {answered} requests passed meanwhile");
    assert!(
        last as f64 <= fiftieth as f64 * 1.05,
        "memory: {fiftieth} after 50 reloads, {last} after 200"
    );
    let metrics = proxy.metrics().await;
    let good = metrics.sum("portcullis_reloads_total", &[("result", "success")]);
    let all = metrics.sum("portcullis_reloads_total", &[]);
    assert!(
        (good - 160.0).abs() < 0.5 && (all - 200.0).abs() < 0.5,
        "{good} of {all}\n{}",
        metrics.text
    );
}

/// An exchange ends in the generation it began in.
#[tokio::test]
async fn exchanges_finish_on_their_generation() {
    let (sending, mut waiting) = tokio::sync::mpsc::channel(1);
    let origin = Origin::handling(move |_| {
        let sending = sending.clone();
        async move {
            let (sender, body) = parts();
            sending.send(sender).await.expect("the test");
            Response::new(body)
        }
    })
    .await;
    let appending = |mark: &str| {
        Filter::rust(
            json!({ "response_body": [{ "at_end": [{ "append": mark }] }], "response_headers": [{ "remove": "content-length" }] }),
        )
    };
    let config = |mark: &str| {
        Config::new()
            .origin(origin.address())
            .filter("appending", appending(mark))
    };
    let proxy = config(" old").start().await;
    let mut client = proxy.client().await;
    let old = tokio::spawn(async move { client.get("/").await });
    let sender = waiting.recv().await.expect("a request");
    sender
        .send(Ok(Frame::data("body".into())))
        .await
        .expect("the proxy reads");
    assert_eq!(proxy.reload(&config(" new")).await.0, 200);
    let mut client = proxy.client().await;
    let new = tokio::spawn(async move { client.get("/").await });
    let second = waiting.recv().await.expect("a request");
    second
        .send(Ok(Frame::data("body".into())))
        .await
        .expect("the proxy reads");
    drop((sender, second));
    assert_eq!(old.await.expect("the client").text(), "body old");
    assert_eq!(new.await.expect("the client").text(), "body new");
}

/// What did not change keeps its VMs, with all they remember; what changed starts anew.
#[tokio::test]
async fn unchanged_plugins_keep_their_state() {
    let counting = |note: &str| {
        Filter::rust(
            json!({ "note": note, "on": { "configure": [{ "share_increment": "starts" }], "request_headers": [{ "share_get": ["starts", "x-starts"] }, { "plugin_config": "x-config" }] } }),
        )
    };
    let origin = Origin::echo().await;
    let config = |note: &str, mark: &str| {
        Config::new()
            .origin(origin.address())
            .filter("counting", counting(note))
            .filter("marking", marking(mark))
    };
    let proxy = config("a", "1").start().await;
    let starts = async || {
        proxy.get("/").await;
        origin
            .next()
            .await
            .header("x-starts")
            .expect("a count")
            .parse::<u32>()
            .expect("a number")
    };
    let before = starts().await;
    assert_eq!(proxy.reload(&config("a", "2")).await.0, 200);
    assert_eq!(
        starts().await,
        before,
        "no new VM for a plugin that did not change"
    );
    assert_eq!(proxy.reload(&config("b", "2")).await.0, 200);
    proxy.get("/").await;
    let seen = origin.next().await;
    assert!(
        seen.header("x-config")
            .is_some_and(|config| config.contains(r#""note":"b""#)),
        "{seen:?}"
    );
}

#[tokio::test]
async fn the_file_is_watched() {
    let origin = Origin::echo().await;
    let config = |mark: &str| marked(&origin, mark).set("/reload/watch", json!(true));
    let proxy = config("1").start().await;
    assert_eq!(proxy.get("/").await.header("x-mark"), Some("1"));
    proxy.write(&config("2"));
    until("the new chain", async || {
        let answer = proxy.get("/").await;
        assert_eq!(answer.status, 200);
        (answer.header("x-mark") == Some("2")).then_some(())
    })
    .await;
}

/// A bad file by the watch: said in the log and the metric, and nothing changes.
#[tokio::test]
async fn a_bad_watched_file_changes_nothing() {
    let origin = Origin::echo().await;
    let proxy = marked(&origin, "1")
        .set("/reload/watch", json!(true))
        .start()
        .await;
    proxy.write_text("version: 1\nroutez: []\n");
    let bad = |metrics: &portcullis_tests::metrics::Metrics| {
        metrics.sum("portcullis_reloads_total", &[])
            - metrics.sum("portcullis_reloads_total", &[("result", "success")])
            >= 1.0
    };
    proxy.until_metrics("a failed reload", bad).await;
    let log = proxy.until_log("routez").await;
    assert!(log.contains("portcullis.yaml:2"), "the line: {log}");
    assert_eq!(proxy.get("/").await.header("x-mark"), Some("1"));
}

/// A module is replaced under its name: the watch sees that too.
#[tokio::test]
async fn a_replaced_module_is_loaded() {
    let module = |status: u32| {
        format!(
            r#"(module
              (import "env" "proxy_send_local_response" (func $reply (param i32 i32 i32 i32 i32 i32 i32 i32) (result i32)))
              (memory (export "memory") 1)
              (func (export "proxy_abi_version_0_2_1"))
              (func (export "proxy_on_memory_allocate") (param i32) (result i32) (i32.const 1024))
              (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
                (drop (call $reply (i32.const {status}) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const -1)))
                (i32.const 1)))"#
        )
    };
    let origin = Origin::echo().await;
    let config = |status| {
        Config::new()
            .origin(origin.address())
            .filter("reply", Filter::wat(&module(status)))
            .set("/reload/watch", json!(true))
    };
    let proxy = config(418).start().await;
    assert_eq!(proxy.get("/").await.status, 418);
    proxy.write(&config(451));
    until("the new module", async || {
        (proxy.get("/").await.status == 451).then_some(())
    })
    .await;
}

/// What a value is drawn from is watched too.
#[tokio::test]
async fn a_changed_secret_file_is_taken_up() {
    let keys =
        json!({ "api_keys": { "header": "x-api-key", "keys": { "alice": "${file:alice.key}" } } });
    let origin = Origin::echo().await;
    let config = |key: &str| {
        Config::new()
            .origin(origin.address())
            .file("alice.key", key)
            .filter("keys", Filter::builtin("auth", keys.clone()))
            .set("/reload/watch", json!(true))
    };
    let proxy = config("first key").start().await;
    let with = async |key: &str| {
        let request = Request::get("/").header("x-api-key", key);
        let request = request.body(full("")).expect("request");
        proxy.client().await.send(request).await.status
    };
    assert_eq!(
        (with("first key").await, with("second key").await),
        (200, 401)
    );
    proxy.write(&config("second key"));
    until("the new key", async || {
        (with("second key").await == 200).then_some(())
    })
    .await;
    assert_eq!(with("first key").await, 401);
}

/// As Kubernetes mounts a volume: the file is a link through a link to a folder, and that link is swapped.
#[tokio::test]
async fn a_swapped_link_is_followed() {
    let origin = Origin::echo().await;
    let config = |mark: &str| marked(&origin, mark).set("/reload/watch", json!(true));
    let proxy = config("1").start().await;
    let folder = proxy.folder();
    let swap = |version: &str, text: &str| {
        std::fs::create_dir(folder.join(version)).expect("a folder");
        std::fs::write(folder.join(version).join("portcullis.yaml"), text).expect("a file");
        symlink(version, folder.join("..data_tmp")).expect("a link");
        std::fs::rename(folder.join("..data_tmp"), folder.join("..data")).expect("a link");
    };
    swap("..v2", &config("2").text());
    symlink("..data/portcullis.yaml", folder.join("link")).expect("a link");
    std::fs::rename(folder.join("link"), proxy.config_file()).expect("a link");
    let mark = async |wanted: &str| {
        until("the new chain", async || {
            (proxy.get("/").await.header("x-mark") == Some(wanted)).then_some(())
        })
        .await;
    };
    mark("2").await;
    swap("..v3", &config("3").text());
    mark("3").await;
}

#[tokio::test]
async fn sighup_reloads() {
    let origin = Origin::echo().await;
    let proxy = marked(&origin, "1").start().await;
    proxy.write(&marked(&origin, "2"));
    proxy.signal(Signal::HUP);
    until("the new chain", async || {
        (proxy.get("/").await.header("x-mark") == Some("2")).then_some(())
    })
    .await;
}

/// Every problem of a bad file is told, with place, path and a way out.
#[tokio::test]
async fn a_refused_reload_tells_every_problem() {
    let origin = Origin::echo().await;
    let proxy = marked(&origin, "1").start().await;
    let bad = marked(&origin, "2").set(
        "/routes",
        json!([
            { "name": "a", "upstream": "origni" },
            { "name": "b", "chain": ["markng"], "upstream": "origin" },
        ]),
    );
    let (status, answer) = proxy
        .reload(&bad.set("/filters/marking/limits/memory", json!("1KiB")))
        .await;
    assert_eq!(status, 422);
    let problems = answer["problems"].as_array().expect("problems");
    assert!(problems.len() >= 3, "{answer}");
    for problem in problems {
        assert!(
            problem["file"]
                .as_str()
                .is_some_and(|file| file.ends_with("portcullis.yaml")),
            "{problem}"
        );
        assert!(
            problem["line"].as_u64().is_some_and(|line| line > 0) && problem["column"].is_u64(),
            "{problem}"
        );
        assert!(
            problem["path"].is_string() && problem["message"].is_string(),
            "{problem}"
        );
    }
    let text = answer.to_string();
    assert!(text.contains("filters.marking.limits.memory"), "{text}");
    assert!(
        problems.iter().any(|problem| problem["hint"]
            .as_str()
            .is_some_and(|hint| hint.contains("origin"))),
        "{text}"
    );
    assert_eq!(proxy.get("/").await.header("x-mark"), Some("1"));
}
