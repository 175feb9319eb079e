//! `portcullis demo`: the product in one command. An origin, a configuration on disk, and the same way as `run`.

mod origin;

use std::fs::{self, DirBuilder};
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use super::{UNUSABLE, load, logging, print, ready};
use crate::server::{self, Bound, RunOptions};

/// The configuration, with `{port}` and `{origin}` to be filled in.
const TEMPLATE: &str = include_str!("demo.yaml");

/// What the configuration's only API key is.
const KEY: &str = "demo-key";

pub(super) fn run(port: u16) -> ExitCode {
    let folder = match Folder::create() {
        Ok(folder) => folder,
        Err(error) => return failed("cannot create a folder for the configuration", &error),
    };
    let origin = match origin::start() {
        Ok(address) => address,
        Err(error) => return failed("cannot start the origin", &error),
    };
    let file = folder.0.join("demo.yaml");
    if let Err(error) = fs::write(&file, configuration(port, origin)) {
        return failed("cannot write the configuration", &error);
    }
    let config = match load(&file) {
        Ok(config) => config,
        Err(code) => return code,
    };
    logging::start(config.observability.log_level);
    let shown = file.clone();
    let options = RunOptions {
        config: file,
        ready: Some(Box::new(move |bound| {
            ready::announce(bound, None);
            print(&introduction(bound, origin, &shown), ExitCode::SUCCESS);
        })),
    };
    server::run(config, options)
}

fn failed(what: &str, error: &io::Error) -> ExitCode {
    eprintln!("portcullis: {what}: {error}");
    ExitCode::from(UNUSABLE)
}

fn configuration(port: u16, origin: SocketAddr) -> String {
    TEMPLATE
        .replace("{port}", &port.to_string())
        .replace("{origin}", &origin.to_string())
        .replace("{key}", KEY)
}

/// What to try. Each line is a whole command.
fn introduction(bound: &Bound, origin: SocketAddr, file: &Path) -> String {
    let url = match bound.listeners.first() {
        Some((_, address)) => format!("http://{address}"),
        None => String::new(),
    };
    let mut text = format!(
        "\nPortcullis listens on {url} and forwards to an origin at http://{origin},\n\
         through the filters rate-limit (5 requests a second, 10 at once) and auth (API keys). Try:\n\n\
         With the key: 200, and what the origin saw.\n\
         \x20   curl -i -H 'x-api-key: {KEY}' {url}/hello\n\n\
         Without: 401.\n\
         \x20   curl -i {url}/hello\n\n\
         Thirty in a row: 200 until the bucket is empty, then 429.\n\
         \x20   curl -s -o /dev/null -w '%{{http_code}}\\n' -H 'x-api-key: {KEY}' '{url}/[1-30]'\n\n\
         Change {} while it runs: it is loaded again at once.\n",
        file.display()
    );
    if let Some(metrics) = bound.metrics {
        text += &format!("Metrics:       http://{metrics}/metrics\n");
    }
    if let Some(admin) = bound.admin {
        text += &format!("Configuration: http://{admin}/config\n");
    }
    text + "End with Ctrl-C.\n\n"
}

/// A folder of our own, gone with everything in it at the end.
struct Folder(PathBuf);

impl Folder {
    fn create() -> io::Result<Self> {
        // A name nobody can foresee, and nobody else may look inside: the temporary folder is everybody's.
        let name = format!("portcullis-demo-{:016x}", rand::random::<u64>());
        let folder = std::env::temp_dir().join(name);
        DirBuilder::new().mode(0o700).create(&folder)?;
        Ok(Self(folder))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.0) {
            tracing::warn!("{} remains: {error}", self.0.display());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::control;

    #[test]
    fn the_configuration_is_good() {
        let folder = Folder::create().expect("folder");
        let file = folder.0.join("demo.yaml");
        let origin = SocketAddr::from(([127, 0, 0, 1], 9));
        fs::write(&file, configuration(0, origin)).expect("write");
        let config = control::load(&file).unwrap_or_else(|problems| panic!("{problems}"));
        let filters = config.filters.iter().map(|filter| filter.name.as_str());
        assert_eq!(filters.collect::<Vec<_>>(), ["limit", "keys"]);
        assert_eq!(config.routes[0].chain.len(), 2);
        let path = folder.0.clone();
        drop(folder);
        assert!(!path.exists());
    }

    #[test]
    fn three_lines_can_be_pasted() {
        let address = |port: u16| SocketAddr::from(([127, 0, 0, 1], port));
        let bound = Bound {
            listeners: vec![("http".into(), address(8080))],
            metrics: Some(address(1)),
            admin: Some(address(2)),
        };
        let text = introduction(&bound, address(3), Path::new("demo.yaml"));
        let lines: Vec<&str> = text
            .lines()
            .filter_map(|line| line.strip_prefix("    "))
            .collect();
        assert_eq!(
            lines,
            [
                "curl -i -H 'x-api-key: demo-key' http://127.0.0.1:8080/hello",
                "curl -i http://127.0.0.1:8080/hello",
                r"curl -s -o /dev/null -w '%{http_code}\n' -H 'x-api-key: demo-key' 'http://127.0.0.1:8080/[1-30]'",
            ]
        );
        assert!(
            text.contains("http://127.0.0.1:1/metrics")
                && text.contains("http://127.0.0.1:2/config")
        );
    }
}
