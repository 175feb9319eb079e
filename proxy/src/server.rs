//! The process: puts the parts together, serves, and ends in order.

pub mod control;
mod operator;
mod refused;

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::{Arc, Barrier};
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use pingora_core::server::configuration::ServerConf;
use pingora_proxy::HttpProxy;
use portcullis_abi::{Engine, EngineOptions, Spaces};
use portcullis_config::model::{ListenerProtocol, Workers as WorkerCount};
use portcullis_config::{Config, Problem, Problems};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use crate::callout::Callouts;
use crate::gateway::Gateway;
use crate::generation::Built;
use crate::listener::{self, ListenerState};
use crate::metrics::Metrics;
use crate::pool::{Registry, Services};
use crate::reload::{Reloader, Triggers};
use crate::tcp;
use crate::upstream::{LookupOutcome, Resolver};
use crate::workers::Workers;

use control::Control;
use operator::Operator;
use refused::Refusals;

/// Attempts of one request over different endpoints and connections.
const ATTEMPTS_MAX: usize = 4;

/// Threads for what is not a request: accepting, admin, metrics, resolving, building generations.
const CONTROL_THREADS: usize = 2;

/// Called with the addresses really bound.
pub type OnReady = Box<dyn FnOnce(&Bound) + Send>;

/// Threads that build generations and replace VMs. All are started at once and kept: an allocator keeps memory for each
/// thread, so threads that come and go would let the process grow long after its start.
const BLOCKING_THREADS: usize = 4;
const BLOCKING_THREADS_KEPT: Duration = Duration::from_secs(365 * 24 * 3600);

/// How to run.
pub struct RunOptions {
    pub config: PathBuf,
    /// Called once, when every address is bound and requests are served.
    pub ready: Option<OnReady>,
}

/// The addresses really bound.
#[derive(Clone, Debug, Default, serde::Serialize)]
pub struct Bound {
    /// By name, in file order.
    pub listeners: Vec<(String, SocketAddr)>,
    pub metrics: Option<SocketAddr>,
    pub admin: Option<SocketAddr>,
}

/// Why the process could not start.
#[derive(Debug)]
pub enum StartError {
    /// The configuration is wrong.
    Problems(Problems),
    /// The system refused something.
    System(String),
}

impl From<Problems> for StartError {
    fn from(problems: Problems) -> Self {
        Self::Problems(problems)
    }
}

impl From<Problem> for StartError {
    fn from(problem: Problem) -> Self {
        Self::Problems(Problems(vec![problem]))
    }
}

impl std::fmt::Display for StartError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Problems(problems) => write!(f, "{problems}"),
            Self::System(reason) => f.write_str(reason),
        }
    }
}

fn system(what: &str) -> impl Fn(io::Error) -> StartError + '_ {
    move |error| StartError::System(format!("{what}: {error}"))
}

/// Runs until SIGTERM or SIGINT, then drains. Blocks.
pub fn run(config: Config, options: RunOptions) -> ExitCode {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(CONTROL_THREADS)
        .max_blocking_threads(BLOCKING_THREADS)
        .thread_keep_alive(BLOCKING_THREADS_KEPT)
        .thread_name("control")
        .enable_all()
        .build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("portcullis: cannot start threads: {error}");
            return ExitCode::from(2);
        }
    };
    start_blocking_threads(&runtime);
    let code = match runtime.block_on(serve(config, options)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(StartError::Problems(problems)) => {
            eprintln!("{problems}");
            ExitCode::from(1)
        }
        Err(StartError::System(reason)) => {
            eprintln!("portcullis: {reason}");
            ExitCode::from(2)
        }
    };
    // A build under way, or a client of the admin address, must not keep the process.
    runtime.shutdown_background();
    code
}

/// They start on demand: a task for each that waits for all the others demands them all.
fn start_blocking_threads(runtime: &tokio::runtime::Runtime) {
    let all = Arc::new(Barrier::new(BLOCKING_THREADS));
    for _ in 0..BLOCKING_THREADS {
        let all = all.clone();
        runtime.spawn_blocking(move || all.wait());
    }
}

/// Everything of a configuration that outlives its generation, made for the first of them.
///
/// # Errors
/// What the system refused.
pub fn prepare(config: &Config, metrics: Arc<Metrics>) -> Result<Arc<Built>, StartError> {
    let workers =
        Workers::start(worker_count(config)).map_err(system("cannot start worker threads"))?;
    let engine = Engine::new(EngineOptions {
        cache_dir: cache_dir(),
    })
    .map_err(|error| StartError::System(format!("cannot start the WebAssembly engine: {error}")))?;
    let control = tokio::runtime::Handle::current();
    let callouts = std::iter::repeat_with(Callouts::new)
        .take(workers.len())
        .collect();
    let services = Services {
        metrics,
        workers,
        callouts,
        registry: Registry::default(),
        control,
        upstreams: arc_swap::ArcSwapOption::empty(),
        audit_log: arc_swap::ArcSwap::default(),
    };
    let services = Arc::new(services);
    let resolver = Resolver::new(services.control.clone(), count_failures(services.clone()));
    Ok(Arc::new(Built {
        services,
        engine,
        spaces: Spaces::new(),
        resolver,
    }))
}

/// Failed lookups count for every upstream that uses the name.
fn count_failures(services: Arc<Services>) -> impl Fn(&str, LookupOutcome<'_>) + Send + Sync {
    move |host, outcome| {
        let upstreams = services.upstreams.load();
        if let (LookupOutcome::Failed(_), Some(upstreams)) = (outcome, upstreams.as_ref()) {
            for upstream in upstreams.using(host) {
                services.metrics.upstream(upstream).dns_failed();
            }
        }
    }
}

fn worker_count(config: &Config) -> usize {
    match config.workers {
        WorkerCount::Auto => std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
        WorkerCount::Count(count) => count,
    }
}

/// Where compiled modules are kept: `PORTCULLIS_CACHE_DIR`, else the user's cache folder; none: not at all.
fn cache_dir() -> Option<PathBuf> {
    if let Some(dir) = std::env::var_os("PORTCULLIS_CACHE_DIR") {
        return (!dir.is_empty()).then(|| dir.into());
    }
    let base = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let base = base.or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".cache")));
    base.map(|base| base.join("portcullis"))
}

/// A listener with its socket, not yet accepting.
struct Opened {
    state: Arc<ListenerState>,
    socket: std::net::TcpListener,
}

async fn serve(config: Config, options: RunOptions) -> Result<(), StartError> {
    let metrics = Arc::new(Metrics::new());
    let mut bound = Bound::default();
    let opened = open_listeners(&config, &mut bound)?;
    let built = prepare(&config, metrics.clone())?;
    let operator = Operator::bind(&config, &mut bound)?;
    let drain = config.reload.drain;
    let control = Arc::new(Control::start(options.config.clone(), built.clone(), config).await?);
    let (stop, stopping) = watch::channel(false);
    let states: Vec<_> = opened.iter().map(|opened| opened.state.clone()).collect();
    serve_listeners(opened, &control, &metrics, &stopping);
    let reloader = reloader(&control, &metrics);
    let operator = operator.start(control.clone(), reloader, metrics);
    if let Some(ready) = options.ready {
        ready(&bound);
    }
    wait_for_end().await?;
    tracing::info!(
        open = states.iter().map(|state| state.open()).sum::<usize>(),
        "draining for at most {drain:?}"
    );
    operator.draining();
    let _ = stop.send(true);
    let drained = futures::future::join_all(states.iter().map(|state| state.drained()));
    if tokio::time::timeout(drain, drained).await.is_err() {
        let open: usize = states.iter().map(|state| state.open()).sum();
        tracing::warn!(
            open,
            "the drain time is over: closing the remaining connections"
        );
        // TCP connections end by themselves now; they only have to be let.
        let relays = states
            .iter()
            .filter(|state| state.config.protocol != ListenerProtocol::Http);
        let ended = futures::future::join_all(relays.map(|state| state.drained()));
        let _ = tokio::time::timeout(tcp::CLOSING_MAX, ended).await;
    }
    built.services.workers.shutdown();
    control
        .current
        .load()
        .access_log
        .flush(Duration::from_secs(2));
    built
        .services
        .audit_log
        .load()
        .flush(Duration::from_secs(2));
    Ok(())
}

/// Begins to accept connections.
fn serve_listeners(
    opened: Vec<Opened>,
    control: &Control,
    metrics: &Arc<Metrics>,
    stopping: &watch::Receiver<bool>,
) {
    let proxy = Arc::new(proxy(control));
    let refusals = Arc::new(Refusals {
        metrics: metrics.clone(),
        current: control.current.clone(),
    });
    let workers = &control.built.services.workers;
    for Opened { state, socket } in opened {
        let listener_metrics = metrics.listener(&state.config.name);
        state.measure(listener_metrics.clone());
        let (workers, stopping) = (workers.clone(), stopping.clone());
        let serving: BoxFuture<'static, io::Result<()>> = match state.config.protocol {
            ListenerProtocol::Http => listener::serve(
                socket,
                state,
                workers,
                proxy.clone(),
                refusals.clone(),
                stopping,
            )
            .boxed(),
            ListenerProtocol::Tcp(_) => {
                let service = tcp::Service {
                    listener: state,
                    current: control.current.clone(),
                    changes: control.changes.subscribe(),
                    metrics: listener_metrics,
                    refused: refusals.clone(),
                    shutdown: stopping.clone(),
                };
                listener::accept(socket, service, workers, stopping).boxed()
            }
        };
        tokio::spawn(async move {
            if let Err(error) = serving.await {
                tracing::error!("a listener failed: {error}");
            }
        });
    }
}

fn open_listeners(config: &Config, bound: &mut Bound) -> Result<Vec<Opened>, StartError> {
    let mut opened = Vec::new();
    let mut problems = Vec::new();
    for config in &config.listeners {
        let state = match ListenerState::new(config.clone()) {
            Ok(state) => state,
            Err(problem) => {
                problems.push(problem);
                continue;
            }
        };
        match listener::bind(config).and_then(|socket| Ok((socket.local_addr()?, socket))) {
            Ok((address, socket)) => {
                bound.listeners.push((config.name.clone(), address));
                opened.push(Opened { state, socket });
            }
            Err(error) => problems.push(config.at.problem(error.to_string(), None)),
        }
    }
    if problems.is_empty() {
        Ok(opened)
    } else {
        Err(Problems(problems).into())
    }
}

fn reloader(control: &Arc<Control>, metrics: &Arc<Metrics>) -> Reloader {
    let watched = control
        .current
        .load()
        .config
        .reload
        .watch
        .then(|| control.watched());
    let control = control.clone();
    Reloader::start(
        Triggers {
            watched,
            hangup: true,
        },
        metrics.clone(),
        move || {
            let control = control.clone();
            async move { control.reload().await }
        },
    )
}

fn proxy(control: &Control) -> HttpProxy<Gateway> {
    let settings = ServerConf {
        threads: control.built.services.workers.len(),
        work_stealing: false,
        max_retries: ATTEMPTS_MAX,
        ..ServerConf::default()
    };
    let mut proxy = HttpProxy::new(
        Gateway {
            current: control.current.clone(),
            metrics: control.built.services.metrics.clone(),
        },
        Arc::new(settings),
    );
    proxy.handle_init_modules();
    proxy
}

async fn wait_for_end() -> Result<(), StartError> {
    let mut terminate = signal(SignalKind::terminate()).map_err(system("cannot handle SIGTERM"))?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(system("cannot handle SIGINT"))?;
    tokio::select! {
        _ = terminate.recv() => tracing::info!("SIGTERM: ending"),
        _ = interrupt.recv() => tracing::info!("SIGINT: ending"),
    }
    Ok(())
}
