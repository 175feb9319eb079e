//! Which generation is in force, and how the next one takes its place.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arc_swap::ArcSwap;
use portcullis_config::model::{Listener, ListenerProtocol, Output};
use portcullis_config::{Config, Options, Problem, Problems};
use tokio::sync::watch;

use crate::access_log::AccessLog;
use crate::audit_log::AuditLog;
use crate::builtin;
use crate::generation::{Built, Generation};
use crate::metrics::Names;
use crate::reload::Refused;
use crate::upstream::Upstreams;
use crate::waf;

/// Reads and checks a configuration file.
///
/// # Errors
/// Everything that is wrong with it.
pub fn load(file: &Path) -> Result<Config, Problems> {
    let mut config = portcullis_config::load(
        file,
        &Options {
            builtins: &builtin::names(),
        },
    )?;
    config.watched.extend(waf::watched(&config));
    Ok(config)
}

/// Builds candidates and swaps them in.
pub struct Control {
    pub file: PathBuf,
    pub built: Arc<Built>,
    pub current: Arc<ArcSwap<Generation>>,
    /// Its number; changed after it.
    pub changes: watch::Sender<u64>,
    number: AtomicU64,
}

impl Control {
    /// Builds the first generation.
    ///
    /// # Errors
    /// Every problem found.
    pub async fn start(file: PathBuf, built: Arc<Built>, config: Config) -> Result<Self, Problems> {
        let access_log = open_access_log(&built, &config)?;
        let audit_log = open_audit_log(&built, &config)?;
        built.services.audit_log.store(audit_log);
        let generation = build(&built, config, 1, access_log).await?;
        built.services.metrics.set_generation(1);
        let current = Arc::new(ArcSwap::from_pointee(generation));
        Ok(Self {
            file,
            built,
            current,
            changes: watch::Sender::new(1),
            number: AtomicU64::new(1),
        })
    }

    /// Reads the file again and puts what it says in force: completely, or not at all. The files to watch come with it.
    ///
    /// # Errors
    /// Every problem found; the generation in force stays.
    pub async fn reload(&self) -> Result<(u64, Vec<PathBuf>), Refused> {
        let config = load(&self.file)?;
        let watched = config.watched.clone();
        match self.replace(config).await {
            Ok(number) => Ok((number, watched)),
            // Mending one of its files is another try.
            Err(problems) => Err(Refused {
                problems,
                watched: Some(watched),
            }),
        }
    }

    async fn replace(&self, config: Config) -> Result<u64, Problems> {
        let before = self.current.load_full();
        unchanged_addresses(&before.config, &config)?;
        let access_log =
            if config.observability.access_log == before.config.observability.access_log {
                before.access_log.clone()
            } else {
                open_access_log(&self.built, &config)?
            };
        let audit_log = if config.observability.audit_log == before.config.observability.audit_log {
            None
        } else {
            Some(open_audit_log(&self.built, &config)?)
        };
        let number = self.number.load(Ordering::Relaxed) + 1;
        let generation = build(&self.built, config, number, access_log).await?;
        self.number.store(number, Ordering::Relaxed);
        crate::cli::logging::set_level(generation.config.observability.log_level);
        if let Some(audit_log) = audit_log {
            self.built.services.audit_log.store(audit_log);
        }
        let generation = Arc::new(generation);
        self.current.store(generation.clone());
        self.changes.send_replace(number);
        let metrics = &self.built.services.metrics;
        metrics.set_generation(number);
        metrics.retain(&names(&generation.config));
        Ok(number)
    }

    /// The files the generation in force depends on.
    pub fn watched(&self) -> Vec<PathBuf> {
        self.current.load().config.watched.clone()
    }
}

async fn build(
    built: &Arc<Built>,
    config: Config,
    number: u64,
    access_log: Arc<AccessLog>,
) -> Result<Generation, Problems> {
    let upstreams = Arc::new(Upstreams::new(&config, &built.resolver));
    upstreams.resolved().await;
    let built = built.clone();
    let file = config.file.clone();
    // Compiling and starting modules takes its time: not on a thread that serves.
    let task = tokio::task::spawn_blocking(move || {
        built.generation(config, number, access_log, upstreams)
    });
    task.await.unwrap_or_else(|panic| {
        let at = portcullis_config::Location::whole(&file);
        Err(Problems(vec![at.problem(
            format!("building the configuration failed: {panic}"),
            None,
        )]))
    })
}

fn open_access_log(built: &Built, config: &Config) -> Result<Arc<AccessLog>, Problems> {
    let output = &config.observability.access_log;
    AccessLog::open(output, built.services.metrics.access_log_dropped())
        .map(Arc::new)
        .map_err(|error| unopened("access", output, &error, config))
}

fn open_audit_log(built: &Built, config: &Config) -> Result<Arc<AuditLog>, Problems> {
    let output = &config.observability.audit_log;
    AuditLog::open(output, built.services.metrics.audit_log_dropped())
        .map(Arc::new)
        .map_err(|error| unopened("audit", output, &error, config))
}

fn unopened(log: &str, output: &Output, error: &std::io::Error, config: &Config) -> Problems {
    let at = portcullis_config::Location::whole(&config.file);
    Problems(vec![at.problem(
        format!("the {log} log cannot be opened ({output:?}): {error}"),
        None,
    )])
}

/// Addresses are bound once: a change of them needs a restart, and is refused rather than ignored.
fn unchanged_addresses(before: &Config, after: &Config) -> Result<(), Problems> {
    let restart = || Some("restart Portcullis to change it".to_owned());
    let mut problems: Vec<Problem> = Vec::new();
    for listener in &after.listeners {
        let known = before
            .listeners
            .iter()
            .find(|known| known.name == listener.name);
        if !known.is_some_and(|known| is_same_place(known, listener)) {
            let message = format!(
                "listener \"{}\" was changed or added while running",
                listener.name
            );
            problems.push(listener.at.problem(message, restart()));
        }
    }
    for gone in before
        .listeners
        .iter()
        .filter(|known| !after.listeners.iter().any(|left| left.name == known.name))
    {
        let at = after.listeners.first().map_or(&gone.at, |first| &first.at);
        problems.push(at.problem(
            format!("listener \"{}\" was removed while running", gone.name),
            restart(),
        ));
    }
    let (old, new) = (&before.observability, &after.observability);
    if old.metrics != new.metrics {
        problems.push(
            new.metrics_at
                .problem("the metrics address was changed while running", restart()),
        );
    }
    if before.admin.as_ref().map(|admin| admin.address)
        != after.admin.as_ref().map(|admin| admin.address)
    {
        let at = after
            .admin
            .as_ref()
            .or(before.admin.as_ref())
            .map(|admin| &admin.at);
        problems.extend(
            at.map(|at| at.problem("the admin address was changed while running", restart())),
        );
    }
    if before.workers != after.workers {
        let at = portcullis_config::Location::whole(&after.file);
        problems.push(at.problem("the number of workers was changed while running", restart()));
    }
    if problems.is_empty() {
        Ok(())
    } else {
        Err(Problems(problems))
    }
}

/// Where a TCP listener leads is taken up by a reload, everything else of a listener is not.
fn is_same_place(before: &Listener, after: &Listener) -> bool {
    let mut before = before.clone();
    if let (ListenerProtocol::Tcp(_), ListenerProtocol::Tcp(_)) =
        (&before.protocol, &after.protocol)
    {
        before.protocol.clone_from(&after.protocol);
    }
    before == *after
}

fn names(config: &Config) -> Names<'_> {
    Names {
        // The empty name counts requests that match no route.
        routes: config
            .routes
            .iter()
            .map(|route| route.name.as_str())
            .chain([""])
            .collect(),
        filters: config
            .filters
            .iter()
            .map(|filter| filter.name.as_str())
            .collect(),
        upstreams: config
            .upstreams
            .iter()
            .map(|upstream| upstream.name.as_str())
            .collect(),
        listeners: config
            .listeners
            .iter()
            .map(|listener| listener.name.as_str())
            .collect(),
    }
}
