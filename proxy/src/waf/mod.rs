//! What the built-in filter `waf` cannot do from its sandbox: read the files with its rules. They are read, checked and
//! compiled here when a generation is built, so that what is wrong with them is told at once and with its place, and
//! handed to the guest as its VM configuration.

mod files;

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use portcullis_config::model::{Filter, FilterId, ModuleSource};
use portcullis_config::{Config, Problem};
use portcullis_seclang::Engine;
use portcullis_seclang::transaction::tuning::Tuning;
use portcullis_waf_policy::files::{BYTES_MAX, Bundle, Recorder};
use portcullis_waf_policy::{Mode, Policy};

use files::Disk;

/// The filter's name, as `builtin` has it.
pub const NAME: &str = "waf";

/// What a filter's rules are made of.
#[derive(Debug, Default)]
pub struct Prepared {
    pub vm_config: Vec<u8>,
    /// Things that work, but perhaps not as somebody expects.
    pub warnings: Vec<Problem>,
}

/// Whether rules have to be read for this filter: it is the WAF, and was not given its VM configuration by hand.
pub fn needs_rules(filter: &Filter) -> bool {
    matches!(&filter.module, ModuleSource::Builtin(name) if name == NAME)
        && filter.vm_config.is_empty()
}

/// Reads and compiles the rules of all configurations of a filter, those of routes included. Blocks.
///
/// # Errors
/// Everything that is wrong with the configurations and their rules.
pub fn prepare(
    file: &Path,
    filter: &Filter,
    configurations: &[Vec<u8>],
) -> Result<Prepared, Vec<Problem>> {
    let folder = folder(file);
    let mut problems = Vec::new();
    let mut prepared = Prepared::default();
    let mut bundle = Bundle::default();
    let mut shapes = HashSet::new();
    let problem = |message: String| filter.at.problem(message, None);
    for configuration in configurations {
        let policy = match Policy::parse(configuration) {
            Ok(policy) => policy,
            Err(told) => {
                problems.extend(
                    told.into_iter()
                        .map(|told| problem(format!("config.{told}"))),
                );
                continue;
            }
        };
        if policy.mode == Mode::Off || !shapes.insert(policy.shape.clone()) {
            continue;
        }
        let disk = match Disk::new(folder.clone(), &policy.shape.ruleset) {
            Ok(disk) => disk,
            Err(message) => {
                problems.push(problem(message));
                continue;
            }
        };
        let recorder = Recorder::new(disk);
        let compiled = policy.shape.parse(&recorder).and_then(|parsed| {
            let warnings = parsed.warnings;
            Engine::new(parsed.rules, &recorder).map(|engine| (engine, warnings))
        });
        match compiled {
            Ok((_, warnings)) => prepared
                .warnings
                .extend(warnings.iter().map(|warning| problem(warning.to_string()))),
            Err(told) => problems.extend(told.iter().map(|told| problem(told.to_string()))),
        }
        bundle.extend(recorder.into_bundle());
    }
    if bundle.size() > BYTES_MAX {
        problems.push(problem(format!(
            "the rules are more than {} MiB of text",
            BYTES_MAX >> 20
        )));
    }
    if problems.is_empty() {
        prepared.vm_config = bundle.to_json();
        Ok(prepared)
    } else {
        Err(problems)
    }
}

/// The rules of one configuration of a filter, tuned as it says; `None` where no rule runs. Blocks.
///
/// # Errors
/// Everything that is wrong with the configuration or its rules.
pub fn rules(
    file: &Path,
    configuration: &[u8],
) -> Result<Option<(Engine, Arc<Tuning>)>, Vec<String>> {
    let policy = Policy::parse(configuration)?;
    if policy.mode == Mode::Off {
        return Ok(None);
    }
    let disk = Disk::new(folder(file), &policy.shape.ruleset).map_err(|message| vec![message])?;
    let recorder = Recorder::new(disk);
    let told = |problems: Vec<portcullis_seclang::source::Problem>| -> Vec<String> {
        problems.iter().map(ToString::to_string).collect()
    };
    let parsed = policy.shape.parse(&recorder).map_err(told)?;
    let engine = Engine::new(parsed.rules, &recorder).map_err(told)?;
    let tuning = Tuning::new(policy.tuning, engine.plan()).map_err(|problems| {
        let told = problems.into_iter();
        let told = told.map(|(index, message)| format!("exclude[{index}]: {message}"));
        told.collect::<Vec<_>>()
    })?;
    Ok(Some((engine, Arc::new(tuning))))
}

/// The rule files that a configuration names by their paths, for watching. Rule sets that are installed never change.
pub fn watched(config: &Config) -> Vec<PathBuf> {
    let folder = folder(&config.file);
    let mut paths = Vec::new();
    for (filter, id) in config.filters.iter().zip(0..) {
        if !needs_rules(filter) {
            continue;
        }
        let id = FilterId(id);
        let overrides = config.routes.iter();
        let overrides = overrides.filter_map(|route| route.overrides.get(&id));
        for configuration in [&filter.config].into_iter().chain(overrides) {
            // What is wrong is told when the generation is built.
            let policy = Policy::parse(&configuration.bytes());
            let disk = policy.and_then(|policy| {
                let disk = Disk::new(folder.clone(), &policy.shape.ruleset);
                Ok((policy, disk.map_err(|message| vec![message])?))
            });
            if let Ok((policy, disk)) = disk {
                let recorder = Recorder::new(disk);
                let _whatever_it_says = policy.shape.parse(&recorder);
                let names = recorder.into_bundle().0.files.into_keys();
                paths.extend(names.map(|name| folder.join(name)));
            }
        }
    }
    paths.retain(|path| path.is_file());
    paths
}

fn folder(file: &Path) -> PathBuf {
    let absolute = std::path::absolute(file).unwrap_or_else(|_| file.to_owned());
    absolute.parent().unwrap_or(Path::new("/")).to_owned()
}
