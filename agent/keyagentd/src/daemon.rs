//! The daemon: serves until it is told to end.

use std::io::{self, Write};
use std::os::fd::AsFd;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use super::args::DaemonOptions;
use super::failure::Result;
use super::service::Service;
use super::signals::Signals;
use super::{keyrings, log, notify};

/// How often a daemon that is to end looks whether requests are left.
const RECHECK: Duration = Duration::from_millis(50);

/// Serves the types of keys until SIGTERM or SIGINT.
pub(crate) fn serve(options: &DaemonOptions) -> Result<ExitCode> {
    // Before there are threads that would get them.
    let signals = Signals::block(&[Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP, Signal::SIGCHLD])?;
    let mut service = Service::new(&options.service)?;
    let keyring = match &options.keyring {
        Some(name) => keyrings::join(name)?,
        None => keyrings::shared()?,
    };
    keyrings::check_unserved(&options.service.types, options.replace.then_some(keyring))?;
    service.register(&options.service.types, options.fallback, keyring)?;
    let types = options.service.types.join(", ");
    log::info(&format!("serving {types} to processes with keyring {keyring} in their session keyring"));
    if let Err(why) = writeln!(io::stdout(), "{keyring}") {
        // It serves by now, and may have displaced another daemon.
        log::warning(&format!("can't print the serial number of the keyring: {why}"));
    }
    notify::notify(&format!("READY=1\nSTATUS=Serving {types}; keyring {keyring}"));
    let mut end_by: Option<Instant> = None;
    while !end_by.is_some_and(|time| service.is_idle() || time <= Instant::now()) {
        let is_signalled = service.turn(&[signals.as_fd()], end_by.map(|_| RECHECK))?;
        while let Some(received) = is_signalled.then(|| signals.take()).flatten() {
            match received.signal {
                // For `reap_orphans`.
                Signal::SIGCHLD => {}
                Signal::SIGHUP => {
                    notify::reloading();
                    service.reload();
                    notify::notify("READY=1");
                }
                _ if end_by.is_some() || !keyrings::are_displaced(service.agents(), keyring) => {
                    return end(service);
                }
                _ => {
                    log::info("another agent has taken over: finishing the requests that are pending");
                    // Processes with links to the keys, rather than to the keyring, could keep this one for ever.
                    end_by = Some(Instant::now() + service.timeout());
                    service.retire();
                }
            }
        }
        service.reap_orphans(None);
    }
    end(service)
}

/// Rejects what is pending.
fn end(service: Service) -> Result<ExitCode> {
    notify::notify("STOPPING=1");
    drop(service);
    Ok(ExitCode::SUCCESS)
}
