//! The proxy under test: the real executable, as a process of its own.

use std::fs::{self, File};
use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, resume_unwind};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};

use futures::FutureExt;
use http::Request;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;

use crate::artifacts;
use crate::client::{Answer, Client};
use crate::config::Config;
use crate::deadline::{until, within};
use crate::metrics::Metrics;
use crate::origin::full;
use crate::raw::{RawClient, Wire};

/// The configuration's file name.
const FILE: &str = "portcullis.yaml";

/// A running proxy; dropped, it is killed. When a test fails, what the proxy logged is printed.
pub struct Proxy {
    folder: TempDir,
    child: Child,
    /// Kills the proxy when this process ends without dropping.
    guard: Child,
    listeners: Vec<(String, SocketAddr)>,
    metrics: Option<SocketAddr>,
    admin: Option<SocketAddr>,
}

/// A proxy that ended instead of becoming ready.
#[derive(Debug)]
pub struct Refused {
    /// None: it was killed by a signal.
    pub code: Option<i32>,
    pub log: String,
}

impl Proxy {
    /// Starts a proxy and waits until it is ready.
    ///
    /// # Panics
    /// When it ends instead.
    pub async fn start(config: &Config) -> Self {
        match Self::try_start(config).await {
            Ok(proxy) => proxy,
            Err(refused) => panic!(
                "the proxy ended with code {:?}:\n{}",
                refused.code, refused.log
            ),
        }
    }

    /// Starts a proxy and waits until it is ready or has ended.
    ///
    /// # Errors
    /// When it ended.
    pub async fn try_start(config: &Config) -> Result<Self, Refused> {
        Self::try_start_text(&config.text(), config.files()).await
    }

    /// With a configuration given as text.
    ///
    /// # Errors
    /// When it ended instead of becoming ready.
    pub async fn try_start_text(text: &str, files: &[(String, Vec<u8>)]) -> Result<Self, Refused> {
        let folder = tempfile::tempdir().expect("temporary folder");
        for (name, bytes) in files {
            replace(&folder.path().join(name), bytes);
        }
        replace(&folder.path().join(FILE), text.as_bytes());
        let ready = folder.path().join("ready.json");
        let child = command(folder.path())
            .args(["run", "-c", FILE, "--ready-file"])
            .arg(&ready)
            .stdin(Stdio::null())
            .stdout(File::create(folder.path().join("stdout")).expect("file"))
            .stderr(File::create(folder.path().join("stderr")).expect("file"))
            .spawn()
            .expect("the proxy starts");
        let guard = guard(&child);
        let mut proxy = Self::new(folder, child, guard);
        let outcome = until("readiness of the proxy", async || {
            if let Some(status) = proxy.child.try_wait().expect("state of the proxy") {
                return Some(Err(status));
            }
            let text = fs::read(&ready).ok()?;
            serde_json::from_slice::<Value>(&text).ok().map(Ok)
        })
        .await;
        match outcome {
            Ok(ready) => {
                proxy.note(&ready);
                Ok(proxy)
            }
            Err(status) => Err(Refused {
                code: status.code(),
                log: proxy.log() + &proxy.stdout(),
            }),
        }
    }

    /// The address of the first listener.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.listeners.first().expect("a listener").1
    }

    /// The address of a listener by its name.
    ///
    /// # Panics
    /// When there is none.
    #[must_use]
    pub fn listener(&self, name: &str) -> SocketAddr {
        self.listeners
            .iter()
            .find(|(found, _)| found == name)
            .expect("a listener of this name")
            .1
    }

    /// # Panics
    /// When there is none.
    #[must_use]
    pub fn metrics_address(&self) -> SocketAddr {
        self.metrics.expect("a metrics address")
    }

    /// # Panics
    /// When there is none.
    #[must_use]
    pub fn admin_address(&self) -> SocketAddr {
        self.admin.expect("an admin address")
    }

    /// Where the configuration lies.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    #[must_use]
    pub fn config_file(&self) -> PathBuf {
        self.folder().join(FILE)
    }

    /// An HTTP/1.1 connection to the first listener.
    pub async fn client(&self) -> Client {
        Client::h1(self.address()).await
    }

    /// An HTTP/2 connection to the first listener.
    pub async fn h2(&self) -> Client {
        Client::h2c(self.address()).await
    }

    /// A connection to the first listener for bytes.
    pub async fn raw(&self) -> Wire {
        RawClient::connect(self.address()).await
    }

    /// `GET path` on a connection of its own.
    pub async fn get(&self, path: &str) -> Answer {
        self.client().await.get(path).await
    }

    /// Puts the configuration in place without telling the proxy.
    pub fn write(&self, config: &Config) {
        for (name, bytes) in config.files() {
            replace(&self.folder().join(name), bytes);
        }
        self.write_text(&config.text());
    }

    /// The same, from text.
    pub fn write_text(&self, text: &str) {
        replace(&self.config_file(), text.as_bytes());
    }

    /// Puts the configuration in place and has the proxy load it: the answer of `POST /reload`.
    pub async fn reload(&self, config: &Config) -> (u16, Value) {
        self.write(config);
        self.post_reload().await
    }

    /// `POST /reload`, its status and answer.
    ///
    /// # Panics
    /// When the answer is no JSON.
    pub async fn post_reload(&self) -> (u16, Value) {
        let answer = self.admin("POST", "/reload").await;
        let value = serde_json::from_slice(&answer.body)
            .unwrap_or_else(|error| panic!("{error}: {}", answer.text()));
        (answer.status, value)
    }

    /// A request to the admin address.
    ///
    /// # Panics
    /// When there is no answer.
    pub async fn admin(&self, method: &str, path: &str) -> Answer {
        let address = self.admin_address();
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("host", address.to_string());
        Client::h1(address)
            .await
            .send(request.body(full("")).expect("request"))
            .await
    }

    /// One scrape of the metrics.
    ///
    /// # Panics
    /// When it fails.
    pub async fn metrics(&self) -> Metrics {
        let address = self.metrics_address();
        let request = Request::get("/metrics").header("host", address.to_string());
        let answer = Client::h1(address)
            .await
            .send(request.body(full("")).expect("request"))
            .await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        Metrics {
            text: answer.text(),
        }
    }

    /// Scrapes until this holds.
    pub async fn until_metrics(&self, what: &str, holds: impl Fn(&Metrics) -> bool) -> Metrics {
        let mut last = None;
        let look = until(what, async || {
            let metrics = last.insert(self.metrics().await);
            holds(metrics).then(|| metrics.clone())
        });
        match AssertUnwindSafe(look).catch_unwind().await {
            Ok(metrics) => metrics,
            Err(panic) => {
                eprintln!("{}", last.map_or_else(String::new, |metrics| metrics.text));
                resume_unwind(panic)
            }
        }
    }

    /// What the proxy logged until now.
    #[must_use]
    pub fn log(&self) -> String {
        self.read("stderr")
    }

    /// What it printed until now.
    #[must_use]
    pub fn stdout(&self) -> String {
        self.read("stdout")
    }

    fn read(&self, name: &str) -> String {
        let bytes = fs::read(self.folder().join(name)).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// Waits until the log contains this.
    pub async fn until_log(&self, text: &str) -> String {
        let what = format!("the log line {text:?}");
        until(&what, async || {
            Some(self.log()).filter(|log| log.contains(text))
        })
        .await
    }

    /// The access log until now, line by line.
    ///
    /// # Panics
    /// When a whole line is no JSON.
    #[must_use]
    pub fn access_log(&self) -> Vec<Value> {
        let text = self.read("access.log");
        let whole = text.rsplit_once('\n').map_or("", |(whole, _)| whole);
        whole
            .lines()
            .map(|line| {
                serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))
            })
            .collect()
    }

    /// A file next to the configuration, as far as it is written; empty where it is not there.
    #[must_use]
    pub fn file(&self, name: &str) -> String {
        self.read(name)
    }

    /// Waits for an access line.
    pub async fn access_line(&self, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        until(what, async || {
            self.access_log().into_iter().find(|line| wanted(line))
        })
        .await
    }

    /// Resident memory in bytes.
    ///
    /// # Panics
    /// When the process is gone.
    #[must_use]
    pub fn rss(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id()))
            .expect("state of the proxy");
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix("VmRSS:"))
            .expect("resident memory");
        let kib: u64 = line
            .trim()
            .trim_end_matches("kB")
            .trim()
            .parse()
            .expect("a number");
        kib << 10
    }

    /// Whether the process still runs.
    ///
    /// # Panics
    /// When the system does not know it.
    pub fn is_running(&mut self) -> bool {
        self.child.try_wait().expect("state of the proxy").is_none()
    }

    /// Sends a signal to the process.
    ///
    /// # Panics
    /// When it is gone.
    pub fn signal(&self, signal: Signal) {
        kill_process(pid(&self.child), signal).expect("the proxy is there");
    }

    /// Waits until the process has ended.
    pub async fn ended(&mut self) -> ExitStatus {
        let end = until("end of the proxy", async || {
            self.child.try_wait().expect("state of the proxy")
        });
        within("end of the proxy", end).await
    }

    fn new(folder: TempDir, child: Child, guard: Child) -> Self {
        Self {
            folder,
            child,
            guard,
            listeners: Vec::new(),
            metrics: None,
            admin: None,
        }
    }

    /// Takes the addresses from the ready file.
    fn note(&mut self, ready: &Value) {
        let address = |value: &Value| value.as_str().map(|text| text.parse().expect("an address"));
        let listeners = ready["listeners"]
            .as_array()
            .expect("listeners of the ready file");
        self.listeners = listeners
            .iter()
            .map(|pair| {
                (
                    pair[0].as_str().expect("a name").to_owned(),
                    address(&pair[1]).expect("an address"),
                )
            })
            .collect();
        self.metrics = address(&ready["metrics"]);
        self.admin = address(&ready["admin"]);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        // The guard first: once the proxy is waited for, its number may be another process's.
        for child in [&mut self.guard, &mut self.child] {
            let _ = child.kill();
            let _ = child.wait();
        }
        if std::thread::panicking() {
            eprintln!(
                "--- configuration\n{}\n--- log of the proxy\n{}---",
                self.read(FILE),
                self.log()
            );
        }
    }
}

/// The executable with a clean environment, running in this folder.
#[must_use]
pub fn command(folder: &Path) -> Command {
    let mut command = Command::new(artifacts::portcullis());
    command
        .current_dir(folder)
        .env_remove("RUST_LOG")
        .env("RUST_BACKTRACE", "1");
    command
}

/// A shell that kills the process when the other end of its input is closed, as it is when the test process dies.
pub(crate) fn guard(child: &Child) -> Child {
    Command::new("sh")
        .args(["-c", "read line; kill -9 \"$0\"", &child.id().to_string()])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("a shell")
}

fn pid(child: &Child) -> Pid {
    Pid::from_raw(i32::try_from(child.id()).expect("a process id")).expect("a process id")
}

/// Writes a file so that nobody sees it half written.
pub(crate) fn replace(path: &Path, bytes: &[u8]) {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).expect("folder");
    }
    let new = path.with_extension("new");
    fs::write(&new, bytes).expect("file");
    fs::rename(&new, path).expect("file");
}
