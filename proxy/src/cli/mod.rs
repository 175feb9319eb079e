//! The command line: what can be asked for, and which exit code says what.
//!
//! | code | meaning |
//! |---|---|
//! | 0 | good |
//! | 1 | problems found: in the configuration, a certificate, a module |
//! | 2 | wrong use, something that cannot be read, or a system that refuses |

mod check;
mod demo;
mod explain;
mod inspect;
pub mod logging;
mod ready;
mod rules;
mod waf;

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};
use portcullis_config::{Config, Problems};

use crate::server::{self, RunOptions, control};

/// Problems were found.
const PROBLEMS: u8 = 1;

/// Wrong use, or something that cannot be read. Also clap's code.
const UNUSABLE: u8 = 2;

/// A programmable reverse proxy: requests pass through chains of WebAssembly filters on their way to an origin.
#[derive(Parser)]
#[command(
    name = "portcullis",
    version,
    arg_required_else_help = true,
    long_about = "A programmable reverse proxy.\n\n\
        Requests pass through a chain of proxy-wasm filters on their way to an origin, and responses come back through \
        it. Listeners, upstreams, filters, chains and routes stand in one YAML file, which may change while requests \
        are under way.",
    after_long_help = "Examples:\n  \
        portcullis demo                           try it: an origin, a chain, three curl lines\n  \
        portcullis check -c edge.yaml             every problem at once, with line and hint\n  \
        portcullis run -c edge.yaml               serve\n  \
        portcullis filter inspect hello.wasm      what a module is and which grants it will need\n  \
        portcullis waf explain -c edge.yaml --request bad.http\n  \
                                                  why a request is refused, and what would let it by\n  \
        portcullis schema > portcullis.schema.json\n\n\
        Exit codes: 0 good, 1 problems found, 2 wrong use or unreadable."
)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Run(Run),
    Check(Check),
    /// Print the JSON Schema of the configuration file, for editors and checkers
    Schema,
    Demo(Demo),
    #[command(subcommand)]
    Filter(Filter),
    #[command(subcommand)]
    Rules(Rules),
    #[command(subcommand)]
    Waf(Waf),
}

/// Serve what a configuration file says
///
/// Serves until SIGTERM or SIGINT, then lets requests under way finish for at most `reload.drain` (30 s). SIGHUP, a
/// changed file and POST /reload load the configuration again; a bad one changes nothing.
#[derive(Args)]
struct Run {
    #[command(flatten)]
    config: ConfigFile,

    /// Write the addresses really bound to this file, as JSON, once requests are served
    #[arg(long, value_name = "FILE")]
    ready_file: Option<PathBuf>,
}

/// Report everything that is wrong with a configuration file
///
/// Reads the file, its modules, certificates and secrets, and reports every problem with its place and the way out.
/// Binds nothing and runs no filter. Warnings do not change the exit code.
#[derive(Args)]
struct Check {
    #[command(flatten)]
    config: ConfigFile,

    /// Print {"problems": [...], "warnings": [...]}, each {file, line, column, path, message, hint}
    #[arg(long)]
    json: bool,
}

/// Serve a chain of both built-in filters in front of a small origin
///
/// Writes a commented configuration, serves it, and prints what to try. Ends with Ctrl-C.
#[derive(Args)]
struct Demo {
    /// Port to listen on at 127.0.0.1; 0 lets the system choose
    #[arg(long, default_value_t = 8080)]
    port: u16,
}

/// Look into filter modules
#[derive(Subcommand)]
enum Filter {
    Inspect(Inspect),
}

/// Show a module's ABI, size, memory, imports and callbacks, and the grants it will need
///
/// Reads the module without running it.
#[derive(Args)]
struct Inspect {
    /// The module
    #[arg(value_name = "FILE.wasm")]
    file: PathBuf,

    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Install, list and check rule sets of the filter `waf`
#[derive(Subcommand)]
enum Rules {
    Install(InstallRules),
    List(ListRules),
    Check(CheckRules),
}

/// Install a rule set: crs@4.25.0
///
/// Takes exactly what its authors published, by its digest. Installs to $PORTCULLIS_RULES, else to
/// /var/lib/portcullis/rules as root and ~/.local/share/portcullis/rules otherwise.
#[derive(Args)]
struct InstallRules {
    /// Its name and version
    #[arg(value_name = "NAME@VERSION")]
    name: String,

    /// A folder, a .tar.gz archive or its URL, in place of where its authors publish it
    #[arg(long, value_name = "DIR|FILE|URL")]
    from: Option<String>,

    /// Install to this folder
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
}

/// List the rule sets that are known, and where they are installed
#[derive(Args)]
struct ListRules {
    /// Look into this folder
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
}

/// Report everything that is wrong with files of rules
///
/// Parses and compiles them, and reports errors and warnings with their places.
#[derive(Args)]
struct CheckRules {
    /// Files of rules, read in this order
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,

    /// Read this installed rule set first: crs@4.25.0
    #[arg(long, value_name = "NAME@VERSION")]
    with: Option<String>,
}

/// Look into the WAF of a configuration
#[derive(Subcommand)]
enum Waf {
    Config(WafConfig),
    Explain(WafExplain),
}

/// Tell what the rules of a WAF make of a request
///
/// Prints which rules matched, on what, what became of the scores, and the lines for `exclude` that would let the request
/// by if it was a mistake. The request is a file with what goes over the connection: request line, headers, an empty line,
/// body.
#[derive(Args)]
struct WafExplain {
    #[command(flatten)]
    config: ConfigFile,

    /// The request
    #[arg(long, value_name = "FILE")]
    request: PathBuf,

    /// The filter, where there is more than one with `builtin: waf`
    #[arg(long, value_name = "NAME")]
    filter: Option<String>,

    /// With the overrides of this route
    #[arg(long, value_name = "NAME")]
    route: Option<String>,

    /// Also rules that matched without a line in the log
    #[arg(long)]
    all: bool,
}

/// Print the configurations of a WAF's guest, rules included, for other proxy-wasm hosts
///
/// Prints {"configuration": ..., "vm_configuration": ...}: what Envoy, for example, takes as the configuration of the
/// plugin and of its VM.
#[derive(Args)]
struct WafConfig {
    #[command(flatten)]
    config: ConfigFile,

    /// The filter, where there is more than one with `builtin: waf`
    #[arg(long, value_name = "NAME")]
    filter: Option<String>,
}

#[derive(Args)]
struct ConfigFile {
    /// The configuration file
    #[arg(short, long = "config", value_name = "FILE")]
    config: PathBuf,
}

/// Does what the process's arguments ask for.
pub fn main() -> ExitCode {
    // Ends the process by itself for --help, --version and wrong use.
    let Arguments { command } = Arguments::parse();
    match command {
        Command::Run(Run { config, ready_file }) => run(&config.config, ready_file),
        Command::Check(Check { config, json }) => check::run(&config.config, json),
        Command::Schema => schema(),
        Command::Demo(Demo { port }) => demo::run(port),
        Command::Filter(Filter::Inspect(Inspect { file, json })) => inspect::run(&file, json),
        Command::Rules(Rules::Install(InstallRules {
            name,
            from,
            data_dir,
        })) => rules::install(&name, from.as_deref(), data_dir),
        Command::Rules(Rules::List(ListRules { data_dir })) => rules::list(data_dir),
        Command::Rules(Rules::Check(CheckRules { files, with })) => {
            rules::check(&files, with.as_deref())
        }
        Command::Waf(Waf::Config(WafConfig { config, filter })) => {
            waf::config(&config.config, filter.as_deref())
        }
        Command::Waf(Waf::Explain(WafExplain {
            config,
            request,
            filter,
            route,
            all,
        })) => explain::run(&explain::Question {
            config: &config.config,
            request: &request,
            filter: filter.as_deref(),
            route: route.as_deref(),
            all,
        }),
    }
}

fn run(file: &Path, ready_file: Option<PathBuf>) -> ExitCode {
    let config = match load(file) {
        Ok(config) => config,
        Err(code) => return code,
    };
    logging::start(config.observability.log_level);
    let options = RunOptions {
        config: file.to_owned(),
        ready: Some(Box::new(move |bound| {
            ready::announce(bound, ready_file.as_deref());
        })),
    };
    server::run(config, options)
}

/// Reads and checks a configuration; what is wrong with it goes to standard error.
fn load(file: &Path) -> Result<Config, ExitCode> {
    control::load(file).map_err(|problems| {
        eprintln!("{problems}");
        code(&problems)
    })
}

fn code(problems: &Problems) -> ExitCode {
    match problems.unreadable() {
        true => ExitCode::from(UNUSABLE),
        false => ExitCode::from(PROBLEMS),
    }
}

fn schema() -> ExitCode {
    print(
        &format!("{:#}\n", portcullis_config::schema()),
        ExitCode::SUCCESS,
    )
}

/// Prints to standard output and answers `code`. A reader that has gone (`| head`) is no failure.
fn print(text: &str, code: ExitCode) -> ExitCode {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            eprintln!("portcullis: cannot write to standard output: {error}");
            ExitCode::from(UNUSABLE)
        }
        _ => code,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_are_consistent() {
        <Arguments as clap::CommandFactory>::command().debug_assert();
    }
}
