//! PID 1 of the guest: mounts, then plans, programs and measurements for the host, then power-off.

mod attach;
pub(crate) mod exec_server;
mod features;
mod gcov;
mod kmemleak;
mod mounts;
mod power;
mod run_program;
mod standalone;

use std::fs;

use keyring::SpecialKey;
use nix::errno::Errno;
use nix::sys::resource::{RLIM_INFINITY, Resource, setrlimit};
use scenarios::wire::{Broken, GuestMessage, HostMessage};

use crate::bench;
use crate::channel::{Channel, ChannelError};
use crate::ipc::{REPORT_SOCKET, ReportReceiver};
use crate::plan_runner::{self, GuestContext, lending};
use crate::sys::signals::{SignalFd, Signals};
use crate::sys::{errno, kmsg, prefault};
use standalone::Standalone;

/// Runs PID 1. Reports every failure to the host, and always ends the guest.
pub(crate) fn main() -> ! {
    if let Err(why) = mounts::mount_all() {
        kmsg::log(kmsg::Level::Error, &why.to_string());
        power::off();
    }
    let standalone = Standalone::from_command_line();
    match standalone.as_ref().map_or_else(Channel::open, Standalone::channel) {
        Err(why) => kmsg::log(kmsg::Level::Error, &why.to_string()),
        Ok(mut channel) => {
            let served = set_up().and_then(|mut guest| serve(&mut channel, &mut guest));
            if let Err(why) = served {
                let why = why.to_string();
                kmsg::log(kmsg::Level::Error, &why);
                let _ = channel.send(&GuestMessage::Broken(Broken { plan: None, why }));
            }
        }
    }
    if let Some(standalone) = standalone {
        standalone.judge();
    }
    power::off()
}

/// Handles the host's messages until it ends the session.
fn serve(channel: &mut Channel, guest: &mut GuestContext) -> Result<(), InitError> {
    channel.send(&GuestMessage::Hello(features::hello(guest.lending)))?;
    loop {
        match channel.receive()? {
            Some(HostMessage::Run(plan)) => plan_runner::run(channel, guest, &plan)?,
            Some(HostMessage::Execute(program)) => {
                run_program::run(channel, &mut guest.child_signals, &program)?
            }
            Some(HostMessage::Attach(program)) => {
                attach::run(channel, &mut guest.child_signals, &program)?;
            }
            // Meant for a program that has exited meanwhile.
            Some(HostMessage::Input(_) | HostMessage::EndOfInput | HostMessage::Resize(_)) => {}
            Some(HostMessage::Measure(measurement)) => {
                let message = bench::measure(&measurement).map_or_else(
                    |why| GuestMessage::Broken(Broken { plan: None, why: why.to_string() }),
                    GuestMessage::Measured,
                );
                channel.send(&message)?;
            }
            Some(HostMessage::PowerOff) => {
                gcov::send_counters(channel)?;
                break;
            }
            None => break,
        }
    }
    kmemleak::report();
    Ok(())
}

fn set_up() -> Result<GuestContext, InitError> {
    raise_limits();
    prefault::record_writable_ranges();
    Signals::REAL_TIME.with(Signals::CHILD).block().map_err(InitError::during("blocking signals"))?;
    let child_signals = SignalFd::new(Signals::CHILD).map_err(InitError::during("signalfd"))?;
    let reports = ReportReceiver::open(REPORT_SOCKET.as_ref()).map_err(InitError::ReportSocket)?;
    let lending = lending::create().map_err(InitError::during("the lending keyring"))?;
    // Creates root's own keyrings now, so that no plan appears to leak them.
    keyring::get_keyring_id(SpecialKey::UserSession, false).map_err(InitError::during("root's keyrings"))?;
    Ok(GuestContext { reports, child_signals, lending })
}

/// Allows ten thousand processes in a small guest, and collects keys quickly. Missing settings are skipped.
fn raise_limits() {
    for (knob, value) in [
        ("kernel/keys/gc_delay", "1"),
        ("kernel/threads-max", "65536"),
        ("kernel/pid_max", "131072"),
        ("net/unix/max_dgram_qlen", "4096"),
    ] {
        if let Err(why) = fs::write(format!("/proc/sys/{knob}"), value) {
            kmsg::log(kmsg::Level::Info, &format!("{knob}: {why}"));
        }
    }
    let _ = setrlimit(Resource::RLIMIT_NPROC, RLIM_INFINITY, RLIM_INFINITY);
    let _ = setrlimit(Resource::RLIMIT_NOFILE, 65536, 65536);
}

#[derive(Debug, thiserror::Error)]
enum InitError {
    #[error("{0}: {name}", name = errno::name(*.1))]
    SetUp(&'static str, Errno),
    #[error("can't listen at {REPORT_SOCKET}: {0}")]
    ReportSocket(#[source] std::io::Error),
    #[error(transparent)]
    Channel(#[from] ChannelError),
}

impl InitError {
    fn during<E: Into<std::io::Error>>(what: &'static str) -> impl Fn(E) -> Self {
        move |why| Self::SetUp(what, errno::from_io(why))
    }
}
