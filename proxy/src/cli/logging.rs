//! The process's own log: lines on standard error, the level changeable while it runs.

use std::io::{self, IsTerminal as _};
use std::sync::OnceLock;

use portcullis_config::model::LogLevel;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::reload::{self, Handle};
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{Registry, fmt};

/// The level of the running log.
static LEVEL: OnceLock<Handle<Targets, Registry>> = OnceLock::new();

/// Pingora reports every client that hangs up and every origin that refuses, at `warn` and `error`; the access log and
/// the metrics tell the same. Its own failures remain.
const CHATTY: [&str; 3] = ["pingora_core", "pingora_proxy", "pingora_pool"];

/// Libraries whose progress is of interest to nobody who is not debugging them.
const QUIET: [&str; 10] = [
    "cranelift_codegen",
    "h2",
    "hickory_net",
    "hickory_proto",
    "hickory_resolver",
    "hyper",
    "hyper_util",
    "notify",
    "rustls",
    "wasmtime",
];

/// Starts to log at this level; lines of libraries that use the `log` crate come along. Only the first call counts.
pub fn start(level: LogLevel) {
    let (filter, handle) = reload::Layer::new(targets(level));
    let lines = fmt::layer()
        .with_writer(io::stderr)
        .with_ansi(io::stderr().is_terminal());
    let subscriber = tracing_subscriber::registry().with(filter).with(lines);
    // Fails where somebody else logs already, a test for example.
    if subscriber.try_init().is_ok() {
        let _ = LEVEL.set(handle);
        set_level(level);
    }
}

/// Logs at another level from now on. Without effect where [`start`] was not called.
pub fn set_level(level: LogLevel) {
    let Some(handle) = LEVEL.get() else {
        return;
    };
    match handle.reload(targets(level)) {
        // Records of the `log` crate are dropped by its own maximum before any filter sees them.
        Ok(()) => log::set_max_level(tracing_log::AsLog::as_log(&filter(level))),
        Err(error) => eprintln!("portcullis: the log level stays: {error}"),
    }
}

fn targets(level: LogLevel) -> Targets {
    let (chatty, quiet) = match level {
        LogLevel::Trace => (LevelFilter::DEBUG, LevelFilter::DEBUG),
        LogLevel::Debug => (LevelFilter::INFO, LevelFilter::INFO),
        LogLevel::Info | LogLevel::Warn => (LevelFilter::ERROR, LevelFilter::WARN),
        LogLevel::Error => (LevelFilter::ERROR, LevelFilter::ERROR),
    };
    Targets::new()
        .with_default(filter(level))
        .with_targets(CHATTY.map(|target| (target, chatty)))
        .with_targets(QUIET.map(|target| (target, quiet)))
}

const fn filter(level: LogLevel) -> LevelFilter {
    match level {
        LogLevel::Trace => LevelFilter::TRACE,
        LogLevel::Debug => LevelFilter::DEBUG,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Error => LevelFilter::ERROR,
    }
}

#[cfg(test)]
mod tests {
    use tracing::Level;

    use super::*;

    #[test]
    fn libraries_are_quieter_than_the_proxy() {
        for (level, target, at, expected) in [
            (LogLevel::Info, "portcullis::reload", Level::INFO, true),
            (LogLevel::Info, "portcullis::reload", Level::DEBUG, false),
            (
                LogLevel::Info,
                "pingora_proxy::proxy_h1",
                Level::WARN,
                false,
            ),
            (LogLevel::Info, "pingora_core::server", Level::ERROR, true),
            (LogLevel::Info, "hyper::proto", Level::INFO, false),
            (LogLevel::Info, "hyper::proto", Level::WARN, true),
            (LogLevel::Error, "hyper::proto", Level::WARN, false),
            (LogLevel::Error, "portcullis", Level::WARN, false),
            (LogLevel::Debug, "portcullis", Level::DEBUG, true),
            (LogLevel::Debug, "wasmtime", Level::DEBUG, false),
            (LogLevel::Trace, "wasmtime", Level::DEBUG, true),
        ] {
            let enabled = targets(level).would_enable(target, &at);
            assert_eq!(enabled, expected, "{level:?} {target} {at}");
        }
    }
}
