//! Server that runs programs for the host in a guest with another PID 1, such as virtme-ng's.

use std::process::ExitCode;

use scenarios::wire::program::EXEC_SERVER_PORT;
use scenarios::wire::{Broken, GuestMessage, HostMessage};

use super::{InitError, attach, features};
use crate::channel::Channel;
use crate::sys::kmsg;
use crate::sys::signals::{SignalFd, Signals};

/// Runs programs until the host closes the session.
pub(crate) fn main() -> ExitCode {
    match serve() {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            kmsg::log(kmsg::Level::Error, &why.to_string());
            ExitCode::FAILURE
        }
    }
}

fn serve() -> Result<(), InitError> {
    Signals::CHILD.block().map_err(InitError::during("blocking signals"))?;
    let mut child_signals = SignalFd::new(Signals::CHILD).map_err(InitError::during("signalfd"))?;
    let mut channel = Channel::open_port(EXEC_SERVER_PORT)?;
    channel.send(&GuestMessage::Hello(features::bare_hello()))?;
    loop {
        match channel.receive()? {
            Some(HostMessage::Attach(program)) => {
                attach::run(&mut channel, &mut child_signals, &program)?;
            }
            // Meant for a program that has exited meanwhile.
            Some(HostMessage::Input(_) | HostMessage::EndOfInput | HostMessage::Resize(_)) => {}
            Some(HostMessage::PowerOff) | None => return Ok(()),
            Some(_) => {
                let why = "this guest only runs programs: its PID 1 is not the testbed's".to_owned();
                channel.send(&GuestMessage::Broken(Broken { plan: None, why }))?;
            }
        }
    }
}
