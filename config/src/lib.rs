//! The configuration of Portcullis: YAML text to checked values.
//!
//! The way of a file: `yaml` makes a tree in which every node knows its place, `secrets` marks what must not be shown,
//! `expand` replaces `${env:...}` and `${file:...}`, `raw` reads the shape, `resolve` checks the meaning and makes the
//! [`Config`]. Every step collects problems and goes on, so that all of them are told at once.

mod expand;
mod merge;
pub mod model;
pub mod problem;
mod raw;
mod read;
mod resolve;
mod secrets;
pub mod sources;
mod suggest;
mod syntax;
pub mod units;
mod values;
mod yaml;

use std::path::{Path, PathBuf};
use std::sync::Arc;

pub use merge::merge;
pub use model::Config;
pub use problem::{Location, Problem, Problems};
pub use sources::{Sources, System};

use expand::Expander;
use read::{Cursor, Read};
use resolve::{Resolved, Resolver};
use yaml::{Flaw, Mark, Tree};

/// What a configuration is checked against besides itself.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options<'a> {
    /// Names of the embedded modules that `builtin` may name.
    pub builtins: &'a [&'a str],
}

/// Reads and checks a configuration file, with the process's environment.
///
/// # Errors
/// Everything that is wrong with it. A file that cannot be read is one problem, for which
/// [`Problems::unreadable`] answers.
pub fn load(file: &Path, options: &Options<'_>) -> Result<Config, Problems> {
    let unreadable = |reason: String| {
        let message = format!("cannot read the configuration: {reason}");
        Problems::from(Location::whole(file).problem(message, None))
    };
    let path = std::path::absolute(file).map_err(|error| unreadable(error.to_string()))?;
    let bytes = System
        .read(&path)
        .map_err(|error| unreadable(error.to_string()))?;
    let text = String::from_utf8(bytes).map_err(|_| unreadable("it is not UTF-8 text".into()))?;
    parse(&text, file, &System, options)
}

/// Checks a configuration that has been read already. `file` is for messages, and relative paths are relative to its
/// folder; everything else comes from `sources`.
///
/// # Errors
/// Everything that is wrong with it.
pub fn parse(
    text: &str,
    file: &Path,
    sources: &dyn Sources,
    options: &Options<'_>,
) -> Result<Config, Problems> {
    // Without the byte order mark, which no column counts.
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let Tree {
        root,
        flaws,
        broken,
    } = yaml::parse(text);
    let Some(mut root) = root else {
        return Err(without_tree(text, file, flaws, broken));
    };
    secrets::mark(&mut root);
    let redacted = secrets::redacted(&root);
    let top = Location::start(file, secrets::mask(text, &root).into(), 1, 1);
    let mut problems = told(&top, flaws);

    let absolute = std::path::absolute(file).unwrap_or_else(|_| file.to_owned());
    let dir = absolute.parent().unwrap_or(Path::new("/"));
    let mut expander = Expander::new(sources, dir);
    expander.tree(&mut root, &top, &mut problems);
    let drawn = expander.watched;

    let raw = raw::File::read(
        &Cursor {
            node: &root,
            at: top.clone(),
        },
        &mut problems,
    );
    let mut resolver = Resolver::new(sources, options.builtins, dir, problems);
    let resolved = raw.and_then(|raw| resolver.file(raw, &top));
    let Resolver {
        problems,
        watched: named,
        ..
    } = resolver;
    match resolved {
        Some(resolved) if problems.0.is_empty() => {
            let watched = without_repeats([absolute.clone()].into_iter().chain(named).chain(drawn));
            Ok(config(resolved, file, watched, redacted))
        }
        _ => Err(problems.sorted()),
    }
}

/// The JSON Schema of the configuration file, for editors and checkers.
pub fn schema() -> serde_json::Value {
    let mut schema = schemars::generate::SchemaSettings::draft2020_12()
        .into_generator()
        .into_root_schema_for::<raw::File>();
    schema.insert("title".into(), "Portcullis configuration".into());
    schema.to_value()
}

fn config(
    resolved: Resolved,
    file: &Path,
    watched: Vec<PathBuf>,
    redacted: serde_json::Value,
) -> Config {
    let Resolved {
        listeners,
        upstreams,
        filters,
        chains,
        routes,
        dns,
        observability,
        admin,
        workers,
        reload,
    } = resolved;
    Config {
        file: file.to_owned(),
        listeners,
        upstreams,
        filters,
        chains,
        routes,
        dns,
        observability,
        admin,
        workers,
        reload,
        watched,
        redacted,
    }
}

/// The problems of a text that is no YAML, or nothing at all.
fn without_tree(text: &str, file: &Path, flaws: Vec<Flaw>, broken: bool) -> Problems {
    let (line, path) = flaws
        .last()
        .map_or((1, ""), |flaw| (flaw.mark.line, &*flaw.path));
    let masked = secrets::mask_by_guess(text, line, path);
    let top = Location::start(file, masked.into(), 1, 1);
    let mut problems = told(&top, flaws);
    if !broken {
        let hint = "the least is version, listeners, upstreams and one route".to_owned();
        problems.push(top.problem("the file is empty", Some(hint)));
    }
    problems.sorted()
}

/// Flaws of the tree, with their file.
fn told(top: &Location, flaws: Vec<Flaw>) -> Problems {
    let tell = |Flaw {
                    mark: Mark { line, column },
                    path,
                    message,
                    hint,
                }| {
        top.moved(line, column, Arc::clone(&path))
            .problem(message, hint)
    };
    Problems(flaws.into_iter().map(tell).collect())
}

fn without_repeats(paths: impl Iterator<Item = PathBuf>) -> Vec<PathBuf> {
    let mut seen = std::collections::HashSet::new();
    paths.filter(|path| seen.insert(path.clone())).collect()
}
