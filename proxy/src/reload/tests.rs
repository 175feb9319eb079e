//! Triggers over real files and signals. Nothing sleeps: a test waits for the reload it caused.

use std::fs;
use std::os::unix::fs::symlink;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use tokio::sync::Semaphore;

use super::*;

const PATIENCE: Duration = Duration::from_secs(30);

/// A reload that counts, and says what the files held when it ran.
struct Subject {
    reloader: Reloader,
    metrics: Arc<Metrics>,
    ran: mpsc::Receiver<Vec<String>>,
    gate: Arc<Semaphore>,
    broken: Arc<AtomicBool>,
}

impl Subject {
    fn start(watched: &[PathBuf], hangup: bool) -> Self {
        let (tell, ran) = mpsc::channel(64);
        let gate = Arc::new(Semaphore::new(Semaphore::MAX_PERMITS));
        let broken = Arc::new(AtomicBool::new(false));
        let generation = Arc::new(AtomicU64::new(1));
        let metrics = Arc::new(Metrics::new());
        let files = watched.to_vec();
        let (held, failing) = (Arc::clone(&gate), Arc::clone(&broken));
        let build = move || {
            let (tell, files, held, failing, generation) = (
                tell.clone(),
                files.clone(),
                Arc::clone(&held),
                Arc::clone(&failing),
                Arc::clone(&generation),
            );
            async move {
                let text = |path: &PathBuf| fs::read_to_string(path).unwrap_or_default();
                let texts = files.iter().map(text).collect();
                tell.send(texts).await.expect("the test listens");
                held.acquire().await.expect("open").forget();
                if failing.load(Ordering::SeqCst) {
                    let at = Location::whole(Path::new("edge.yaml"));
                    return Err(Problems(vec![at.problem("broken", None)]));
                }
                Ok((generation.fetch_add(1, Ordering::SeqCst) + 1, files))
            }
        };
        let triggers = Triggers {
            watched: (!watched.is_empty()).then(|| watched.to_vec()),
            hangup,
        };
        let reloader = Reloader::start(triggers, Arc::clone(&metrics), build);
        Self {
            reloader,
            metrics,
            ran,
            gate,
            broken,
        }
    }

    /// What the files held in the next reload.
    async fn reloaded(&mut self) -> Vec<String> {
        let ran = tokio::time::timeout(PATIENCE, self.ran.recv()).await;
        ran.expect("a reload in time").expect("the reloader runs")
    }

    /// Waits for a reload that saw these texts: one before may have caught the change half done.
    async fn reloaded_with(&mut self, texts: &[&str]) {
        while self.reloaded().await != texts {}
    }

    fn counted(&self, result: &str) -> bool {
        let text = self.metrics.render();
        let line = format!("portcullis_reloads_total{{result={result}}}").replace("=", "=\"");
        text.contains(&line.replace('}', "\"} 1\n"))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_file_reloads() {
    let folder = tempfile::tempdir().expect("folder");
    let (yaml, wasm) = (
        folder.path().join("edge.yaml"),
        folder.path().join("a.wasm"),
    );
    fs::write(&yaml, "one").expect("write");
    fs::write(&wasm, "w1").expect("write");
    let mut subject = Subject::start(&[yaml.clone(), wasm.clone()], false);
    fs::write(&yaml, "two").expect("write");
    subject.reloaded_with(&["two", "w1"]).await;
    // As editors do it.
    let new = folder.path().join("new");
    fs::write(&new, "w2").expect("write");
    fs::rename(&new, &wasm).expect("rename");
    subject.reloaded_with(&["two", "w2"]).await;
}

/// Kubernetes mounts a ConfigMap as `edge.yaml -> ..data/edge.yaml`, `..data -> ..VERSION`, and swaps `..data`.
#[tokio::test(flavor = "multi_thread")]
async fn a_swapped_config_map_reloads() {
    let folder = tempfile::tempdir().expect("folder");
    let at = |name: &str| folder.path().join(name);
    for (version, text) in [("..1", "one"), ("..2", "two")] {
        fs::create_dir(at(version)).expect("folder");
        fs::write(at(version).join("edge.yaml"), text).expect("write");
    }
    symlink("..1", at("..data")).expect("link");
    symlink("..data/edge.yaml", at("edge.yaml")).expect("link");
    let mut subject = Subject::start(&[at("edge.yaml")], false);
    symlink("..2", at("..new")).expect("link");
    fs::rename(at("..new"), at("..data")).expect("swap");
    fs::remove_dir_all(at("..1")).expect("remove");
    subject.reloaded_with(&["two"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_file_is_read_again_when_mended() {
    let folder = tempfile::tempdir().expect("folder");
    let yaml = folder.path().join("edge.yaml");
    fs::write(&yaml, "one").expect("write");
    let mut subject = Subject::start(std::slice::from_ref(&yaml), false);
    subject.broken.store(true, Ordering::SeqCst);
    let refused = subject.reloader.reload().await.expect_err("broken");
    assert_eq!(refused.0[0].message, "broken");
    assert!(subject.counted("failure") && !subject.counted("success"));
    subject.broken.store(false, Ordering::SeqCst);
    fs::write(&yaml, "mended").expect("write");
    subject.reloaded_with(&["mended"]).await;
    // Answered only when the one before is done.
    assert!(subject.reloader.reload().await.is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_during_a_reload_share_the_next() {
    let mut subject = Subject::start(&[], false);
    subject.gate.forget_permits(Semaphore::MAX_PERMITS);
    let first = tokio::spawn(subject.reloader.reload());
    subject.reloaded().await;
    // Polled once each, so that all of them have asked before the first reload ends.
    let mut later: Vec<_> = (0..5).map(|_| subject.reloader.reload()).collect();
    for request in &mut later {
        assert!(futures::poll!(request).is_pending());
    }
    subject.gate.add_permits(2);
    assert_eq!(first.await.expect("joined").expect("reloaded"), 2);
    for request in later {
        assert_eq!(request.await.expect("reloaded"), 3);
    }
    subject.reloaded().await;
    assert!(subject.ran.try_recv().is_err(), "two reloads, no more");
}

#[tokio::test(flavor = "multi_thread")]
async fn triggers_outlive_the_handle() {
    let folder = tempfile::tempdir().expect("folder");
    let yaml = folder.path().join("edge.yaml");
    fs::write(&yaml, "one").expect("write");
    let Subject {
        reloader, mut ran, ..
    } = Subject::start(std::slice::from_ref(&yaml), false);
    drop(reloader);
    fs::write(&yaml, "two").expect("write");
    let texts = tokio::time::timeout(PATIENCE, ran.recv()).await;
    assert!(texts.expect("a reload in time").is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hangup_reloads() {
    let mut subject = Subject::start(&[], true);
    let own = rustix::process::getpid();
    rustix::process::kill_process(own, rustix::process::Signal::HUP).expect("signal");
    subject.reloaded().await;
}

#[test]
fn a_problem_is_one_line_of_log() {
    let problem = Problem {
        file: "edge.yaml".into(),
        line: 41,
        column: 18,
        path: "filters.hello.limits.memory".into(),
        message: "8KiB is below one page".into(),
        hint: Some("use 64KiB or more".into()),
        snippet: Some("two\nlines".into()),
    };
    assert_eq!(
        one_line(&problem),
        "edge.yaml:41:18 filters.hello.limits.memory: 8KiB is below one page (use 64KiB or more)"
    );
    let at = Location::whole(Path::new("edge.yaml"));
    let whole = at.problem("cannot start\n  the guest said: no", None);
    assert_eq!(
        one_line(&whole),
        "edge.yaml: cannot start; the guest said: no"
    );
}
