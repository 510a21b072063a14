//! The command line.

use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use clap::{Args, Parser};

/// Answer request_key(2) for the processes that hold this daemon's keys
///
/// Requests are answered by the rules of request-key.conf(5), or by one program (--exec). The manual, keyagentd(8),
/// explains how processes come to be served.
#[derive(Debug, Parser)]
#[command(name = "keyagentd", version, args_conflicts_with_subcommands = true)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Option<Subcommand>,

    #[command(flatten)]
    pub(crate) daemon: DaemonOptions,

    /// Log every request
    #[arg(short, long, global = true)]
    pub(crate) verbose: bool,
}

#[derive(Debug, clap::Subcommand)]
pub(crate) enum Subcommand {
    Run(RunOptions),
    Check(CheckOptions),
}

#[derive(Debug, Args)]
pub(crate) struct DaemonOptions {
    #[command(flatten)]
    pub(crate) service: ServiceOptions,

    /// Join the session keyring of this name, which is created if it is missing, and register there rather than in
    /// the session keyring that the daemon was started with
    #[arg(long, value_name = "NAME")]
    pub(crate) keyring: Option<String>,

    /// Take over from a daemon that serves the same types in the same keyring; it can then be ended with SIGTERM, and
    /// finishes the requests that it has
    #[arg(long)]
    pub(crate) replace: bool,

    /// When the daemon is gone, let requests go to the next agent, or to the host's /sbin/request-key, rather than
    /// fail
    #[arg(long)]
    pub(crate) fallback: bool,
}

/// Run a command, and all that it starts, with answers to its requests
///
/// The command gets a new session keyring with the keys of the agents, and this program ends with it. The exit code is
/// the command's: 128 plus the number of a signal that ended it, 126 if it can't be executed, 127 if it is not found.
#[derive(Debug, Args)]
#[command(after_help = "Example:
  keyagentd run --types user --exec 'tr a-z A-Z' -- \\
      sh -c 'keyctl pipe $(keyctl request2 user greeting hello @s)'      prints HELLO")]
pub(crate) struct RunOptions {
    #[command(flatten)]
    pub(crate) service: ServiceOptions,

    /// The command, and its arguments
    #[arg(value_name = "COMMAND", required = true, trailing_var_arg = true)]
    pub(crate) command: Vec<std::ffi::OsString>,
}

/// Check rules, and say what would run for a key
///
/// Exits with 0, with 1 if no rule matches, and with 78 if the rules have errors.
#[derive(Debug, Args)]
pub(crate) struct CheckOptions {
    /// File or directory of rules [default: /etc/request-key.d and /etc/request-key.conf]
    #[arg(long, value_name = "PATH")]
    pub(crate) rules: Vec<PathBuf>,

    /// Type of the key
    #[arg(value_name = "TYPE", requires = "description")]
    pub(crate) kind: Option<String>,

    /// Description of the key
    #[arg(allow_hyphen_values = true)]
    pub(crate) description: Option<String>,

    /// Callout information of the request
    #[arg(default_value = "", hide_default_value = true, allow_hyphen_values = true)]
    pub(crate) callout: String,
}

/// What is served, and how.
#[derive(Debug, Args)]
pub(crate) struct ServiceOptions {
    /// Types of keys to serve, such as `user,dns_resolver`
    #[arg(short, long, value_name = "TYPE", value_delimiter = ',')]
    pub(crate) types: Vec<String>,

    /// File or directory of rules; may be given several times [default: /etc/request-key.d and /etc/request-key.conf]
    #[arg(long, value_name = "PATH", conflicts_with = "exec")]
    pub(crate) rules: Vec<PathBuf>,

    /// Answer by this program, not by rules: callout information on standard input, payload on standard output; words
    /// are quoted as in a shell
    #[arg(long, value_name = "PROGRAM [ARGUMENT…]")]
    pub(crate) exec: Option<String>,

    /// Let keys of a type expire after a time, unless the helper sets another one; such as `id_resolver=600`
    #[arg(long, value_name = "TYPE=SECONDS", value_delimiter = ',')]
    pub(crate) lifetime: Vec<Lifetime>,

    /// Time for a request, from when it is made [default: that of the kernel]
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    pub(crate) timeout: Option<Duration>,

    /// Helpers that run at once, for each type
    #[arg(long, value_name = "NUMBER", default_value_t = 32, value_parser = clap::value_parser!(u32).range(1..=1024))]
    pub(crate) window: u32,

    /// Run helpers as this user of /etc/passwd, or with these ids
    #[arg(long, value_name = "NAME|UID:GID")]
    pub(crate) user: Option<String>,
}

/// How long keys of a type last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Lifetime {
    pub(crate) kind: String,
    pub(crate) time: Duration,
}

impl FromStr for Lifetime {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (kind, time) = text.split_once('=').ok_or("it must be TYPE=SECONDS")?;
        let time: u32 = time.parse().map_err(|_| format!("{time:?} is not a whole number of seconds"))?;
        Ok(Self { kind: kind.to_owned(), time: Duration::from_secs(time.into()) })
    }
}

fn seconds(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text.parse().map_err(|_| "it is not a number of seconds".to_owned())?;
    let time = Duration::try_from_secs_f64(seconds).map_err(|why| why.to_string())?;
    let limits = Duration::from_millis(1)..=Duration::from_secs(600);
    if limits.contains(&time) { Ok(time) } else { Err("it must be from 0.001 to 600".to_owned()) }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn command_line_is_consistent() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn commands_own_options_are_not_parsed() {
        let arguments =
            Arguments::try_parse_from(["keyagentd", "run", "-t", "a,b", "--", "sh", "-c", "-v"]).unwrap();
        let Some(Subcommand::Run(options)) = arguments.command else { panic!("another command") };
        assert_eq!(options.service.types, ["a", "b"]);
        assert_eq!(options.command, ["sh", "-c", "-v"]);
        assert!(!arguments.verbose);
    }

    #[test]
    fn unknown_option_is_not_taken_for_the_command() {
        let parse = |arguments: &[&str]| {
            Arguments::try_parse_from([&["keyagentd", "run", "-t", "a"], arguments].concat())
        };
        for option in ["--nonexistent", "--keyring=k", "--replace", "--fallback", "-x"] {
            let error = parse(&[option, "--", "true"]).unwrap_err().to_string();
            assert!(error.starts_with("error: unexpected argument"), "{error}");
        }
        for command in [&["sh", "-c", "-v", "--replace"][..], &["--", "-x", "--replace"]] {
            let arguments = parse(command).unwrap();
            let Some(Subcommand::Run(options)) = arguments.command else { panic!("another command") };
            assert_eq!(options.command.last().unwrap(), "--replace");
        }
    }

    #[test]
    fn times_beyond_the_kernels_limits_are_refused() {
        assert_eq!(seconds("2.5"), Ok(Duration::from_millis(2500)));
        assert!(["0", "601", "-1", "nan", "x"].iter().all(|text| seconds(text).is_err()));
        assert!("user".parse::<Lifetime>().is_err());
    }
}
