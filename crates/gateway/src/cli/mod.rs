//! The command line.

mod cache;
mod explain;
mod routes;
mod run;

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, CommandFactory, Parser, Subcommand};
use clap_complete::Shell;

use crate::gateway::Gateway;
use crate::source::ConfigSource;
use crate::warnings;

/// What `--help` says at its end.
const EXIT_CODES: &str = "\
Exit codes:
  0  done; for `run`: stopped after every request had ended
  1  for `run`: stopped before every request had ended (drain.timeout), or the gateway failed;
     for `explain`: no route; for `cache`: the gateway did not do it
  2  the configuration or the command line can't be used

Signals of `run`:
  SIGTERM, SIGINT  stop: /readyz says 503, listeners close, requests in flight end; a second SIGINT stops at once
  SIGHUP           read the configuration again (a change of the file does the same)
  SIGUSR1          open the access log anew, after it was rotated

Environment:
  TIDEGATE_CONFIG  the configuration, where --config isn't given
  RUST_LOG         what is logged: error, warn, info (default), debug, or per module";

/// A programmable reverse proxy and API gateway.
#[derive(Debug, Parser)]
#[command(name = "tidegate", version, about = "A programmable reverse proxy and API gateway", after_help = EXIT_CODES, max_term_width = 110)]
struct CommandLine {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve, until a signal says to stop.
    Run(Config),
    /// Say whether the configuration is good, and everything that isn't. Listens and connects nowhere.
    Check(Check),
    /// Say which route a request would take and why, and what each plugin was asked. Needs no running gateway.
    ///
    /// Example: tidegate explain GET https://api.example.com/v1/users/7 -H 'X-Version: 2'
    Explain(Explain),
    /// List the routes, in the order of the configuration, with what serves them.
    Routes(Config),
    /// The cache of a gateway that runs: what is stored, purge, warm, explain. Asks its admin listener.
    Cache(cache::Cache),
    /// Print the JSON Schema of the configuration, for editors: plugins included, doc comments as descriptions.
    Schema,
    /// Print a completion script. Example: tidegate completions bash > /etc/bash_completion.d/tidegate
    Completions {
        /// For which shell.
        shell: Shell,
    },
    /// Print the version.
    Version,
}

#[derive(Debug, Args)]
struct Config {
    /// The configuration, a YAML file.
    #[arg(short, long, value_name = "FILE", env = "TIDEGATE_CONFIG", default_value = "tidegate.yaml")]
    config: PathBuf,
}

impl Config {
    fn source(&self) -> ConfigSource {
        ConfigSource::file(&self.config)
    }
}

#[derive(Debug, Args)]
struct Check {
    /// Refuse what is only warned about, too.
    #[arg(long)]
    strict: bool,
    #[command(flatten)]
    config: Config,
}

#[derive(Debug, Args)]
struct Explain {
    /// The request's method.
    method: http::Method,
    /// The whole URL, or a path for a request without a host.
    url: String,
    /// A header field of the request; may be given several times.
    #[arg(short = 'H', long = "header", value_name = "NAME: VALUE")]
    headers: Vec<String>,
    /// The client's address.
    #[arg(long, value_name = "IP", default_value = "127.0.0.1")]
    client: std::net::IpAddr,
    /// Who would be asking: the claims of a token, as JSON. `sub`, `roles` and `scope` are read from it.
    /// Example: --claims '{"sub": "u1", "roles": ["admin"]}'
    #[arg(long, value_name = "JSON")]
    claims: Option<String>,
    /// The listener the request comes in by; default: the first whose TLS fits the URL's scheme.
    #[arg(long, value_name = "NAME")]
    listener: Option<String>,
    #[command(flatten)]
    config: Config,
}

/// Something that can't be used, for people.
const UNUSABLE: u8 = 2;

pub(crate) fn main(gateway: Gateway) -> ExitCode {
    let command = match CommandLine::try_parse() {
        Ok(line) => line.command,
        Err(error) => {
            let _ = error.print();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(UNUSABLE));
        }
    };
    match command {
        Command::Run(config) => run::run(gateway, config.source()),
        Command::Check(asked) => check(&gateway, &asked),
        Command::Explain(asked) => explain::explain(&gateway, &asked),
        Command::Routes(config) => routes::routes(&gateway, &config.source()),
        Command::Cache(asked) => cache::cache(&gateway, asked),
        Command::Schema => print(&format!("{:#}", gateway.schema())),
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut CommandLine::command(), "tidegate", &mut script);
            print(&String::from_utf8_lossy(&script))
        }
        Command::Version => print(concat!("tidegate ", env!("CARGO_PKG_VERSION"))),
    }
}

/// Writes to standard output; a reader that has gone away is no failure.
fn print(text: &str) -> ExitCode {
    let _ = writeln!(std::io::stdout(), "{}", text.trim_end());
    ExitCode::SUCCESS
}

fn unusable(why: &dyn std::fmt::Display) -> ExitCode {
    eprintln!("{why}");
    ExitCode::from(UNUSABLE)
}

fn check(gateway: &Gateway, asked: &Check) -> ExitCode {
    let (generation, document) = match in_runtime(|| gateway.dry_run(&asked.config.source())) {
        Ok(built) => built,
        Err(bad) => return unusable(&bad),
    };
    let warnings = warnings::about(&generation, &document);
    if asked.strict && !warnings.is_empty() {
        return unusable(&warnings);
    }
    for warning in warnings.findings() {
        eprintln!("warning: {warning}\n");
    }
    let (routes, upstreams) = (generation.routes.len(), generation.settings.upstreams.len());
    print(&format!("{}: good ({routes} routes, {upstreams} upstreams)", asked.config.config.display()))
}

/// Building a configuration may make things that belong to a runtime, though nothing is run in it.
fn in_runtime<T>(work: impl FnOnce() -> T) -> T {
    match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => {
            let _guard = runtime.enter();
            work()
        }
        Err(_) => work(),
    }
}
