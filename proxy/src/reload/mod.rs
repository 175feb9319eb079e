//! What makes the configuration load again: a changed file, SIGHUP, or the admin address.
//!
//! One reload runs at a time. Requests that come meanwhile share the next one, so an answer always tells of a reload
//! that began after it was asked for. What a reload does is the caller's ([`Reloader::start`]); here it is triggered,
//! logged and counted.

mod files;
#[cfg(test)]
mod tests;
mod watcher;

use std::future::Future;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use futures::future::BoxFuture;
use portcullis_config::{Location, Problem, Problems};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{mpsc, oneshot};
use tokio::task::block_in_place;
use tokio::time::{Instant, MissedTickBehavior};

use crate::metrics::{Metrics, ReloadResult};
use files::{Depth, Files};
use watcher::Watcher;

/// Quiet time after a change before the files are read: an editor or a copy writes in several steps.
const DEBOUNCE: Duration = Duration::from_millis(200);

/// Longest time a steady stream of changes may put that off.
const DEBOUNCE_MAX: Duration = Duration::from_secs(2);

/// How often files are looked at without being told: some file systems tell nothing (NFS, mounts into containers).
const POLL_PERIOD: Duration = Duration::from_secs(5);

/// Requests of the admin address that wait; it has fewer connections than this.
const REQUESTS_MAX: usize = 128;

/// Where reloads come from beside [`Reloader::reload`].
#[derive(Clone, Debug, Default)]
pub struct Triggers {
    /// Files whose change reloads; replaced by what each reload answers. `None`: files are not watched.
    pub watched: Option<Vec<PathBuf>>,
    /// SIGHUP reloads.
    pub hangup: bool,
}

/// Why a reload changed nothing.
#[derive(Clone, Debug)]
pub struct Refused {
    pub problems: Problems,
    /// The files the refused configuration depends on, where that is known, so that mending one of them reloads.
    /// `None`: the files watched so far.
    pub watched: Option<Vec<PathBuf>>,
}

impl From<Problems> for Refused {
    fn from(problems: Problems) -> Self {
        Self {
            problems,
            watched: None,
        }
    }
}

/// A handle that asks for reloads. The triggers live on when it is dropped, until the runtime ends.
#[derive(Clone, Debug)]
pub struct Reloader {
    requests: mpsc::Sender<Answer>,
}

type Answer = oneshot::Sender<Result<u64, Problems>>;

impl Reloader {
    /// Starts to wait for triggers, on the current runtime, which must be one with several threads.
    ///
    /// `build` reloads: it answers the new generation's number and the files it depends on, or why the old one stays.
    pub fn start<B, F, E>(triggers: Triggers, metrics: Arc<Metrics>, build: B) -> Self
    where
        B: Fn() -> F + Send + Sync + 'static,
        F: Future<Output = Result<(u64, Vec<PathBuf>), E>> + Send + 'static,
        E: Into<Refused>,
    {
        let (requests, received) = mpsc::channel(REQUESTS_MAX);
        let build = move || -> BoxFuture<'static, Built> {
            let building = build();
            Box::pin(async move { building.await.map_err(Into::into) })
        };
        let Triggers { watched, hangup } = triggers;
        let task = Task {
            requests: received,
            hangup: hangup.then(hangup_signal).flatten(),
            watch: watched.map(Watch::new),
            metrics,
            build: Box::new(build),
        };
        tokio::spawn(task.run());
        Self { requests }
    }

    /// Reloads, and answers when it is done: the number of the new generation.
    ///
    /// # Errors
    /// Every problem found; the generation in force stays.
    pub fn reload(&self) -> BoxFuture<'static, Result<u64, Problems>> {
        let requests = self.requests.clone();
        Box::pin(async move {
            let (answer, answered) = oneshot::channel();
            let sent = requests.send(answer).await.is_ok();
            match answered.await {
                Ok(result) if sent => result,
                _ => {
                    let problem = Location::whole(Path::new("")).problem("shutting down", None);
                    Err(problem.into())
                }
            }
        })
    }
}

fn hangup_signal() -> Option<Signal> {
    signal(SignalKind::hangup())
        .inspect_err(|error| tracing::warn!("SIGHUP will not reload: {error}"))
        .ok()
}

type Built = Result<(u64, Vec<PathBuf>), Refused>;

/// What waits for triggers.
struct Task {
    requests: mpsc::Receiver<Answer>,
    hangup: Option<Signal>,
    watch: Option<Watch>,
    metrics: Arc<Metrics>,
    build: Box<dyn Fn() -> BoxFuture<'static, Built> + Send + Sync>,
}

impl Task {
    async fn run(mut self) {
        // Once every handle is gone only the other triggers remain.
        let mut handles = true;
        loop {
            let mut waiting = Vec::new();
            let cause = tokio::select! {
                answer = self.requests.recv(), if handles => match answer {
                    Some(answer) => {
                        waiting.push(answer);
                        "the admin address asked"
                    }
                    None => {
                        handles = false;
                        continue;
                    }
                },
                () = hung_up(&mut self.hangup) => "SIGHUP",
                () = changed(&mut self.watch) => "a file changed",
            };
            while let Ok(answer) = self.requests.try_recv() {
                waiting.push(answer);
            }
            let result = self.reload(cause).await;
            for answer in waiting {
                // Who asked may have gone.
                let _ = answer.send(result.clone());
            }
        }
    }

    async fn reload(&mut self, cause: &'static str) -> Result<u64, Problems> {
        tracing::info!("reloading the configuration: {cause}");
        if let Some(watch) = &mut self.watch {
            watch.read();
        }
        let since = SystemTime::now();
        let built = (self.build)().await;
        let (result, watched) = match built {
            Ok((generation, watched)) => (Ok(generation), Some(watched)),
            Err(Refused { problems, watched }) => (Err(problems), watched),
        };
        if let (Some(watch), Some(watched)) = (&mut self.watch, watched) {
            watch.replace(watched, since);
        }
        match &result {
            Ok(generation) => {
                self.metrics.reloaded(ReloadResult::Success);
                tracing::info!(generation, "the configuration is in force");
            }
            Err(problems) => {
                self.metrics.reloaded(ReloadResult::Failure);
                tracing::error!(
                    "the configuration is refused, the one in force stays; problems: {}",
                    problems.0.len()
                );
                for problem in &problems.0 {
                    tracing::error!("{}", one_line(problem));
                }
            }
        }
        result
    }
}

/// `edge.yaml:41:18 filters.hello.limits.memory: 8KiB is below one page (use 64KiB or more)`.
fn one_line(problem: &Problem) -> String {
    let Problem {
        file,
        line,
        column,
        path,
        message,
        hint,
        snippet: _,
    } = problem;
    let mut text = match line {
        0 => format!("{file}:"),
        _ => format!("{file}:{line}:{column}"),
    };
    if !path.is_empty() {
        text += &format!(" {path}:");
    }
    // A message may quote a guest's words, in several lines.
    for (index, part) in message.lines().enumerate() {
        let separator = if index == 0 { " " } else { "; " };
        text.push_str(separator);
        text.push_str(part.trim());
    }
    if let Some(hint) = hint {
        text += &format!(" ({hint})");
    }
    text
}

async fn hung_up(hangup: &mut Option<Signal>) {
    match hangup {
        Some(hangup) => {
            // `None` is never sent while the process runs.
            hangup.recv().await;
        }
        None => std::future::pending().await,
    }
}

async fn changed(watch: &mut Option<Watch>) {
    match watch {
        Some(watch) => watch.changed().await,
        None => std::future::pending().await,
    }
}

/// The watched files: what they held last, and who tells of changes.
///
/// Reading them blocks for as long as hashing a module takes, hence `block_in_place`.
struct Watch {
    files: Files,
    watcher: Watcher,
    /// An event came after the files were read last.
    stirred: bool,
}

impl Watch {
    fn new(paths: Vec<PathBuf>) -> Self {
        let mut watcher = Watcher::new();
        watcher.watch(&paths);
        Self {
            files: Files::read(paths),
            watcher,
            stirred: false,
        }
    }

    /// Waits until a file holds something else than when it was last read. Dropping the future loses nothing.
    async fn changed(&mut self) {
        let mut poll = tokio::time::interval_at(Instant::now() + POLL_PERIOD, POLL_PERIOD);
        poll.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            if !self.stirred {
                tokio::select! {
                    () = self.watcher.event() => self.stirred = true,
                    _ = poll.tick() => {}
                }
            }
            if self.stirred {
                self.settle().await;
            }
            let depth = if std::mem::take(&mut self.stirred) {
                Depth::Content
            } else {
                Depth::Metadata
            };
            if block_in_place(|| self.files.changed(depth)) {
                return;
            }
        }
    }

    /// Waits for quiet.
    async fn settle(&mut self) {
        let latest = Instant::now() + DEBOUNCE_MAX;
        loop {
            let quiet = latest.min(Instant::now() + DEBOUNCE);
            let event = tokio::time::timeout_at(quiet, self.watcher.event());
            if event.await.is_err() {
                return;
            }
        }
    }

    /// Takes what the files hold now for known: a reload is about to read them.
    fn read(&mut self) {
        self.stirred = false;
        block_in_place(|| self.files.changed(Depth::Content));
    }

    /// Watches these files from now on. What changed since `since` may have been read before it changed.
    fn replace(&mut self, paths: Vec<PathBuf>, since: SystemTime) {
        self.watcher.watch(&paths);
        let fresh = block_in_place(|| self.files.replace(paths, since));
        self.stirred |= !fresh;
    }
}
