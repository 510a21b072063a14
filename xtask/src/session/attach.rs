//! Programs in the guest that are attached to the standard streams of this process.

use std::io::{self, Read};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use scenarios::wire::program::{AttachedProgram, Bytes, Output, Stream};
use scenarios::wire::{Ending, GuestMessage, HostMessage};

use crate::host::output;
use crate::session::failure::End;
use crate::session::raw_terminal::RawTerminal;
use crate::session::{Failure, Session, parse};
use crate::vm::machine::ChannelWriter;
use crate::vm::{KernelReport, MachineEvent};

/// Interval of checks for a new size of the terminal.
const POLL_INTERVAL: Duration = Duration::from_millis(200);

/// Maximum size of an input message: User-Mode Linux's serial lines accept no long ones.
const MAX_INPUT: usize = 1024;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AttachedRun {
    /// Ending of the program; `None` if the user left first.
    pub ending: Option<Ending>,
    /// The first kernel report in the meantime.
    pub report: Option<KernelReport>,
}

impl Session {
    /// Runs a program at the guest's console, attached to the raw terminal.
    pub fn raw_terminal(
        &mut self,
        program: &AttachedProgram,
        raw_terminal: &RawTerminal,
    ) -> Result<AttachedRun, Box<Failure>> {
        // Output starts here, since the boot is of no interest.
        raw_terminal.show_output();
        let used = self.send(&HostMessage::Attach(program.clone())).and_then(|()| {
            let console = self.machine.console_writer().map_err(|error| End::Guest(error.to_string()))?;
            raw_terminal.forward_input(console);
            self.wait_for_end(None, Some(raw_terminal))
        });
        self.explained(used)
    }

    /// Runs a program with the standard input, output and error of this process.
    pub fn pipe(&mut self, program: &AttachedProgram) -> Result<AttachedRun, Box<Failure>> {
        let used = self.send(&HostMessage::Attach(program.clone())).and_then(|()| {
            let writer = self.machine.channel_writer().map_err(|error| End::Guest(error.to_string()))?;
            let (ack, acks) = channel();
            thread::spawn(move || forward_stdin(writer, &acks));
            self.wait_for_end(Some(&ack), None)
        });
        self.explained(used)
    }

    /// Waits for the end of the program. A kernel report does not end it, since it may be
    /// interactive.
    fn wait_for_end(
        &mut self,
        ack: Option<&Sender<()>>,
        raw_terminal: Option<&RawTerminal>,
    ) -> Result<AttachedRun, End> {
        let mut report = None;
        let mut size = raw_terminal.map(|_| RawTerminal::size());
        loop {
            match self.machine.next(Instant::now() + POLL_INTERVAL) {
                Some(MachineEvent::Message(line)) => match parse(&line)? {
                    GuestMessage::Output(output) => print(&output),
                    GuestMessage::Ack => _ = ack.map(|ack| ack.send(())),
                    GuestMessage::Returned(returned) => {
                        return Ok(AttachedRun { ending: returned.ending, report });
                    }
                    other => return Err(End::unexpected(&other)),
                },
                Some(MachineEvent::KernelReport(next)) => _ = report.get_or_insert(next),
                Some(MachineEvent::Gone) => {
                    return Err(report.map_or(End::Gone, End::KernelReport));
                }
                None => {}
            }
            if raw_terminal.is_some_and(RawTerminal::is_escaped) {
                return Ok(AttachedRun { ending: None, report });
            }
            if let Some(changed) = raw_terminal.map(|_| RawTerminal::size()).filter(|now| Some(*now) != size)
            {
                size = Some(changed);
                self.send(&HostMessage::Resize(changed))?;
            }
        }
    }
}

fn print(output: &Output) {
    match output.stream {
        Stream::Output => output::write_stdout(&output.bytes.0),
        Stream::Error => output::write_stderr(&output.bytes.0),
    }
}

/// Sends standard input in pieces, each after the program has taken the one before. Ends with the
/// process at the latest.
fn forward_stdin(mut writer: ChannelWriter, acks: &Receiver<()>) {
    let mut piece = [0; MAX_INPUT];
    loop {
        let message = match io::stdin().read(&mut piece) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Ok(0) | Err(_) => HostMessage::EndOfInput,
            Ok(length) => HostMessage::Input(Bytes(piece[..length].to_vec())),
        };
        let sent =
            serde_json::to_string(&message).map_err(io::Error::from).and_then(|line| writer.send(&line));
        if sent.is_err() || message == HostMessage::EndOfInput || acks.recv().is_err() {
            return;
        }
    }
}
