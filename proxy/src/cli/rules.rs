//! `portcullis rules`: rule sets of the WAF.

use std::fmt::Write as _;
use std::io::{IsTerminal as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use portcullis_seclang::parser::Parser;
use portcullis_seclang::source::{Files, Problem, Severity, beside, matches_wildcards};
use portcullis_seclang::{Engine, parser};

use super::{PROBLEMS, UNUSABLE, print};
use crate::rules::{Done, RELEASES, Release, Source, Store};

/// Installs a release.
pub(super) fn install(name: &str, from: Option<&str>, folder: Option<PathBuf>) -> ExitCode {
    match try_install(name, from, folder) {
        Ok(text) => print(&text, ExitCode::SUCCESS),
        Err(problem) => {
            eprintln!("portcullis: {problem}");
            ExitCode::from(PROBLEMS)
        }
    }
}

fn try_install(name: &str, from: Option<&str>, folder: Option<PathBuf>) -> Result<String, String> {
    let release = Release::find(name)?;
    let store = folder.map_or_else(Store::to_write, Store::at);
    let source = from.map_or(Source::Published, Source::parse);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let runtime = runtime.map_err(|error| error.to_string())?;
    let mut progress = progress();
    let files = runtime.block_on(source.read(release, &mut progress))?;
    let done = store.install(release, &files)?;
    let folder = store.folder_of(release);
    let folder = folder.display();
    Ok(match done {
        Done::Installed => format!("{name} is installed in {folder}\n"),
        Done::Already => format!("{name} was installed in {folder} already\n"),
        Done::Repaired => format!("{name} in {folder} is replaced by what was released\n"),
    })
}

/// Shows a terminal what came so far.
fn progress() -> impl FnMut(usize) {
    let shown = std::io::stderr().is_terminal();
    let mut last = 0;
    move |bytes| {
        if shown && bytes >> 16 != last {
            last = bytes >> 16;
            eprint!("\r{} KiB\r", bytes >> 10);
            let _ = std::io::stderr().flush();
        }
    }
}

/// Lists what is known and what is installed.
pub(super) fn list(folder: Option<PathBuf>) -> ExitCode {
    let stores = folder.map_or_else(Store::to_read, |folder| vec![Store::at(folder)]);
    let mut text = String::new();
    let mut code = ExitCode::SUCCESS;
    let mut there = Vec::new();
    for found in stores.iter().flat_map(Store::list) {
        match found {
            Ok(found) => {
                let (name, title) = (found.release.name, found.release.title);
                let _ = writeln!(
                    text,
                    "{name}  {title}, from {}  {}",
                    found.published,
                    found.folder.display()
                );
                there.push(name);
            }
            Err(problem) => {
                eprintln!("portcullis: {problem}");
                code = ExitCode::from(PROBLEMS);
            }
        }
    }
    for release in RELEASES
        .iter()
        .filter(|release| !there.contains(&release.name))
    {
        let _ = writeln!(text, "{}  {}  not installed", release.name, release.title);
    }
    print(&text, code)
}

/// Reports everything that is wrong with files of rules, and what may not work as expected.
pub(super) fn check(paths: &[PathBuf], with: Option<&str>) -> ExitCode {
    let disk = Disk;
    let mut parser = Parser::new(&disk);
    if let Some(ruleset) = with
        && let Err(problem) = before(&mut parser, ruleset)
    {
        eprintln!("portcullis: {problem}");
        return ExitCode::from(UNUSABLE);
    }
    for path in paths {
        if let Err(error) = std::fs::File::open(path) {
            eprintln!("portcullis: cannot read {}: {error}", path.display());
            return ExitCode::from(UNUSABLE);
        }
        parser.file(&path.to_string_lossy());
    }
    let compiled = parser
        .finish()
        .and_then(|parser::Parsed { rules, warnings }| {
            let count = rules.entries.len();
            Engine::new(rules, &disk).map(|engine| (count, warnings, engine))
        });
    match compiled {
        Ok((_, warnings, engine)) => {
            let mut text = lines(&warnings);
            let rules = engine.plan().rules.len();
            let _ = writeln!(text, "{rules} rules, {} warnings", warnings.len());
            print(&text, ExitCode::SUCCESS)
        }
        Err(problems) => {
            eprint!("{}", lines(&problems));
            let errors = problems
                .iter()
                .filter(|problem| problem.severity == Severity::Error);
            eprintln!("{} errors", errors.count());
            ExitCode::from(PROBLEMS)
        }
    }
}

/// An installed rule set, for files that refer to its rules.
fn before(parser: &mut Parser<'_>, ruleset: &str) -> Result<(), String> {
    let installed = crate::rules::resolve(ruleset)?;
    for (name, _) in installed
        .files
        .files()
        .filter(|(name, _)| name.ends_with(".conf"))
    {
        parser.file(&installed.folder.join(name).to_string_lossy());
    }
    Ok(())
}

fn lines(problems: &[Problem]) -> String {
    problems.iter().fold(String::new(), |mut text, problem| {
        let _ = writeln!(text, "{problem}");
        text
    })
}

/// Files by their paths.
struct Disk;

impl Files for Disk {
    fn read(&self, from: &str, name: &str) -> Result<Vec<u8>, String> {
        let path = beside(from, name);
        std::fs::read(&path).map_err(|error| format!("{path}: {error}"))
    }

    fn expand(&self, from: &str, pattern: &str) -> Result<Vec<String>, String> {
        if !pattern.contains(['*', '?']) {
            return Ok(vec![pattern.to_owned()]);
        }
        let (folder, wanted) = match pattern.rsplit_once('/') {
            Some((folder, wanted)) => (format!("{folder}/"), wanted),
            None => (String::new(), pattern),
        };
        if folder.contains(['*', '?']) {
            return Err("only the last part of a path may have wildcards".to_owned());
        }
        let path = beside(from, &format!("{folder}."));
        let path = if path.is_empty() {
            Path::new(".")
        } else {
            Path::new(&path)
        };
        let entries =
            std::fs::read_dir(path).map_err(|error| format!("{}: {error}", path.display()))?;
        let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
        let mut names: Vec<String> = names
            .filter(|name| matches_wildcards(wanted, name))
            .collect();
        names.sort();
        Ok(names
            .into_iter()
            .map(|name| folder.clone() + &name)
            .collect())
    }
}
