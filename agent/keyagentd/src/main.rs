//! A daemon that answers request_key(2) for the processes that hold its keys.

#![deny(unsafe_code)]

mod answers;
mod args;
mod check;
mod child;
mod daemon;
mod failure;
mod helper;
mod helpers_user;
mod keyrings;
mod log;
mod notify;
mod record;
mod rules;
mod rules_watch;
mod run;
mod service;
mod signals;

use std::process::ExitCode;

use args::{Arguments, Subcommand};
use clap::Parser;
use failure::{Code, Failure};

fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => {
            let _ = error.print();
            return if error.use_stderr() { Code::Usage.into() } else { ExitCode::SUCCESS };
        }
    };
    log::start(arguments.verbose);
    child::wait_for_children();
    let done = match &arguments.command {
        Some(Subcommand::Check(options)) => check::check(options),
        Some(Subcommand::Run(options)) => run::run(options),
        None => daemon::serve(&arguments.daemon),
    };
    done.unwrap_or_else(|Failure { code, message }| {
        log::error(&message);
        code.into()
    })
}
