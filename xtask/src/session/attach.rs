//! Programs in the guest that are attached to the standard streams of this process.

use std::io::{self, Read};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::Duration;

use scenarios::wire::program::{AttachedProgram, Bytes, Output, Stream, WindowSize};
use scenarios::wire::{Ending, GuestMessage, HostMessage};

use crate::host::output;
use crate::session::failure::End;
use crate::session::raw_terminal::RawTerminal;
use crate::session::{Failure, Session};
use crate::vm::machine::ChannelWriter;
use crate::vm::{KernelReport, MachineEvent};

/// Interval of checks for a new size of the terminal.
const GLANCE: Duration = Duration::from_millis(200);

/// Maximum size of an input message: User-Mode Linux's serial lines accept no long ones.
const PIECE: usize = 1024;

/// Result of an attached program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Used {
    /// Ending of the program; `None` if the user left first.
    pub ending: Option<Ending>,
    /// Kernel reports in the meantime.
    pub troubles: Vec<KernelReport>,
}

impl Session {
    /// Runs a program at the guest's console, attached to the raw terminal.
    ///
    /// # Errors
    /// The guest is no longer usable: drop the session.
    pub fn raw_terminal(
        &mut self,
        program: &AttachedProgram,
        raw_terminal: &RawTerminal,
    ) -> Result<Used, Box<Failure>> {
        // Output starts here, since the boot is of no interest.
        raw_terminal.listen();
        let used = self.begin(program).and_then(|()| {
            let keyboard = self.machine.keyboard().map_err(|error| End::Guest(error.to_string()))?;
            raw_terminal.type_at(keyboard);
            self.wait_for_end(None, Some(raw_terminal))
        });
        used.map_err(|end| end.explain(&mut self.machine, Vec::new()))
    }

    /// Runs a program with the standard input, output and error of this process.
    ///
    /// # Errors
    /// The guest is no longer usable: drop the session.
    pub fn pipe(&mut self, program: &AttachedProgram) -> Result<Used, Box<Failure>> {
        let used = self.begin(program).and_then(|()| {
            let voice = self.machine.voice().map_err(|error| End::Guest(error.to_string()))?;
            let (written, taken) = channel();
            thread::spawn(move || pass_input_on(voice, &taken));
            self.wait_for_end(Some(&written), None)
        });
        used.map_err(|end| end.explain(&mut self.machine, Vec::new()))
    }

    fn begin(&mut self, program: &AttachedProgram) -> Result<(), End> {
        self.say(&HostMessage::Attach(program.clone()))
    }

    /// Waits for the end of the program. A kernel report does not end it, since it may be
    /// interactive.
    fn wait_for_end(
        &mut self,
        written: Option<&Sender<()>>,
        raw_terminal: Option<&RawTerminal>,
    ) -> Result<Used, End> {
        let mut troubles = Vec::new();
        let mut size = raw_terminal.map(|_| RawTerminal::size());
        loop {
            match self.machine.next(GLANCE) {
                Some(MachineEvent::Message(line)) => match understood(&line)? {
                    GuestMessage::Output(output) => show(&output),
                    GuestMessage::Ack => _ = written.map(|written| written.send(())),
                    GuestMessage::Returned(returned) => {
                        return Ok(Used { ending: returned.ending, troubles });
                    }
                    GuestMessage::Broken(broken) => return Err(End::Guest(broken.why)),
                    other => return Err(End::Guest(format!("it said {other:?} while it ran a program"))),
                },
                Some(MachineEvent::KernelReport(trouble)) => troubles.push(trouble),
                Some(MachineEvent::Gone) => {
                    return Err(troubles.into_iter().next().map_or(End::Gone, End::KernelReport));
                }
                None => {}
            }
            if raw_terminal.is_some_and(RawTerminal::is_left) {
                return Ok(Used { ending: None, troubles });
            }
            if let Some(changed) = raw_terminal.map(|_| RawTerminal::size()).filter(|now| Some(*now) != size)
            {
                size = Some(changed);
                self.resize(changed)?;
            }
        }
    }

    fn resize(&mut self, size: WindowSize) -> Result<(), End> {
        self.say(&HostMessage::Resize(size))
    }
}

fn understood(line: &str) -> Result<GuestMessage, End> {
    serde_json::from_str(line)
        .map_err(|error| End::Guest(format!("it said what nobody understands ({error}): {line}")))
}

fn show(printed: &Output) {
    match printed.stream {
        Stream::Output => output::put(&printed.bytes.0),
        Stream::Error => output::put_error(&printed.bytes.0),
    }
}

/// Sends standard input in pieces, each after the program has taken the one before. Ends with the
/// process at the latest.
fn pass_input_on(mut voice: ChannelWriter, taken: &Receiver<()>) {
    let mut piece = [0; PIECE];
    loop {
        let message = match io::stdin().read(&mut piece) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Ok(0) | Err(_) => HostMessage::EndOfInput,
            Ok(length) => HostMessage::Input(Bytes(piece[..length].to_vec())),
        };
        let sent =
            serde_json::to_string(&message).map_err(io::Error::from).and_then(|line| voice.send(&line));
        if sent.is_err() || message == HostMessage::EndOfInput || taken.recv().is_err() {
            return;
        }
    }
}
