//! Tells a supervisor, a test or a person where requests are served.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::server::Bound;

/// Logs one line, and writes the file where one is wanted.
pub(super) fn announce(bound: &Bound, file: Option<&Path>) {
    tracing::info!("{}", line(bound));
    if let Some(file) = file
        && let Err(error) = write(bound, file)
    {
        tracing::error!(
            "the ready file {} cannot be written: {error}",
            file.display()
        );
    }
}

/// `ready: http=127.0.0.1:8080 metrics=127.0.0.1:9090 admin=127.0.0.1:9901`
fn line(bound: &Bound) -> String {
    let Bound {
        listeners,
        metrics,
        admin,
    } = bound;
    let mut line = "ready:".to_owned();
    for (name, address) in listeners {
        line += &format!(" {name}={address}");
    }
    for (name, address) in [("metrics", metrics), ("admin", admin)] {
        if let Some(address) = address {
            line += &format!(" {name}={address}");
        }
    }
    line
}

/// Under another name first: whoever waits for the file finds it whole.
fn write(bound: &Bound, file: &Path) -> io::Result<()> {
    let mut partial = file.as_os_str().to_owned();
    partial.push(".partial");
    let partial = PathBuf::from(partial);
    fs::write(&partial, serde_json::to_vec(bound)?)?;
    fs::rename(&partial, file)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bound() -> Bound {
        let address = |port: u16| ([127, 0, 0, 1], port).into();
        Bound {
            listeners: vec![("http".into(), address(1)), ("tls".into(), address(2))],
            metrics: None,
            admin: Some(address(3)),
        }
    }

    #[test]
    fn the_line_names_every_address() {
        assert_eq!(
            line(&bound()),
            "ready: http=127.0.0.1:1 tls=127.0.0.1:2 admin=127.0.0.1:3"
        );
    }

    #[test]
    fn the_file_is_whole_and_alone() {
        let folder = tempfile::tempdir().expect("folder");
        let file = folder.path().join("ready.json");
        write(&bound(), &file).expect("write");
        let json: serde_json::Value =
            serde_json::from_slice(&fs::read(&file).expect("file")).expect("JSON");
        assert_eq!(
            json,
            serde_json::json!({
                "listeners": [["http", "127.0.0.1:1"], ["tls", "127.0.0.1:2"]],
                "metrics": null,
                "admin": "127.0.0.1:3",
            })
        );
        assert_eq!(fs::read_dir(folder.path()).expect("folder").count(), 1);
    }
}
