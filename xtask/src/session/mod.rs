//! Session with one guest: the hello message, plans and their events, and the shutdown.

mod attach;
mod boot;
mod failure;
pub mod probe;
pub mod raw_terminal;
#[cfg(test)]
mod tests;

use std::time::{Duration, Instant};

use anyhow::Result;
use scenarios::plan::Plan;
use scenarios::wire::bench::{Measurement, Series};
use scenarios::wire::program::Program;
use scenarios::wire::{self, Counters, Ending, Event, Finished, GuestMessage, Hello, HostMessage};

use crate::vm::{Machine, MachineEvent};

pub use attach::AttachedRun;
use failure::End;
pub use failure::Failure;
pub use scenarios::kernel_report::FailureKind;

/// Maximum delay past a plan's deadline, which the guest keeps, before the guest counts as hung.
const GRACE: Duration = Duration::from_secs(10);

const POWER_OFF: Duration = Duration::from_secs(5);

/// A guest whose agent has sent its hello message. After an error of a method the guest is no longer
/// usable: drop the session.
#[derive(Debug)]
pub struct Session {
    machine: Machine,
    pub hello: Hello,
    power_off: Duration,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Run {
    /// All events, in the guest's order.
    pub events: Vec<Event>,
    pub finished: Finished,
}

impl Session {
    pub fn age(&self) -> Duration {
        self.machine.age()
    }

    pub fn run(&mut self, plan: &Plan) -> Result<Run, Box<Failure>> {
        let mut events = Vec::new();
        match self.run_plan(plan, &mut events) {
            Ok(finished) => Ok(Run { events, finished }),
            Err(end) => Err(end.explain(&mut self.machine, events)),
        }
    }

    /// Runs a program in the guest, and passes each line of its output to `printed`. Returns `None`
    /// if its deadline passed.
    pub fn execute(
        &mut self,
        program: &Program,
        mut printed: impl FnMut(String),
    ) -> Result<Option<Ending>, Box<Failure>> {
        let ending = self.watch(program, &mut printed);
        self.explained(ending)
    }

    pub fn measure(
        &mut self,
        measurement: &Measurement,
        within: Duration,
    ) -> Result<Vec<Series>, Box<Failure>> {
        let deadline = Instant::now() + within;
        let measured =
            self.send(&HostMessage::Measure(measurement.clone())).and_then(|()| {
                match next_message(&self.machine, deadline)? {
                    GuestMessage::Measured(series) => Ok(series),
                    other => Err(End::unexpected(&other)),
                }
            });
        self.explained(measured)
    }

    /// Shuts the guest down in good order. Returns its kernel's coverage counters: all of them or
    /// none.
    pub fn close(mut self) -> Result<Vec<Counters>, Box<Failure>> {
        let mut counted: Vec<Counters> = Vec::new();
        // If the message can't be sent, dropping the session ends the guest.
        if self.send(&HostMessage::PowerOff).is_err() {
            return Ok(counted);
        }
        let mut deadline = Instant::now() + self.power_off;
        loop {
            match next_message(&self.machine, deadline) {
                Ok(GuestMessage::Counters(counters)) => {
                    deadline = Instant::now() + self.power_off;
                    counted.push(counters);
                }
                Ok(_) => {}
                Err(end @ End::KernelReport(_)) => {
                    return Err(end.explain(&mut self.machine, Vec::new()));
                }
                Err(_) if counted.last().is_some_and(|last| last.left > 0) => return Ok(Vec::new()),
                Err(_) => return Ok(counted),
            }
        }
    }

    fn run_plan(&mut self, plan: &Plan, events: &mut Vec<Event>) -> Result<Finished, End> {
        self.send(&HostMessage::Run(Box::new(plan.clone())))?;
        let deadline = Instant::now() + Duration::from_millis(plan.deadline_ms) + GRACE;
        loop {
            match next_message(&self.machine, deadline)? {
                GuestMessage::Event(event) => events.push(event),
                GuestMessage::Finished(finished) if finished.plan == plan.name => return Ok(finished),
                other => return Err(End::unexpected(&other)),
            }
        }
    }

    fn watch(&mut self, program: &Program, printed: &mut dyn FnMut(String)) -> Result<Option<Ending>, End> {
        self.send(&HostMessage::Execute(program.clone()))?;
        let deadline = Instant::now() + Duration::from_millis(program.deadline_ms) + GRACE;
        loop {
            match next_message(&self.machine, deadline)? {
                GuestMessage::Printed(line) => printed(line),
                GuestMessage::Returned(returned) => return Ok(returned.ending),
                other => return Err(End::unexpected(&other)),
            }
        }
    }

    /// Returns the result with the failure that explains an early end.
    fn explained<T>(&mut self, result: Result<T, End>) -> Result<T, Box<Failure>> {
        result.map_err(|end| end.explain(&mut self.machine, Vec::new()))
    }

    fn send(&mut self, message: &HostMessage) -> Result<(), End> {
        let line = serde_json::to_string(message).map_err(|error| End::Guest(error.to_string()))?;
        let mut parts = wire::framing::split(&line).into_iter();
        let mut next = parts.next();
        while let Some(part) = next {
            // A guest that has ended can't be written to; the cause is on the queue.
            self.machine.send(&part).map_err(|_| End::Gone)?;
            next = parts.next();
            if next.is_some() {
                match next_message(&self.machine, Instant::now() + GRACE)? {
                    GuestMessage::Ack => {}
                    other => return Err(End::unexpected(&other)),
                }
            }
        }
        Ok(())
    }
}

/// Parses a message of the guest. An error that the guest reports is a failure.
fn parse(line: &str) -> Result<GuestMessage, End> {
    match serde_json::from_str(line) {
        Ok(GuestMessage::Broken(broken)) => Err(End::Guest(broken.why)),
        Ok(message) => Ok(message),
        Err(error) => Err(End::Guest(format!("invalid message ({error}): {line}"))),
    }
}

fn next_message(machine: &Machine, deadline: Instant) -> Result<GuestMessage, End> {
    match machine.next(deadline) {
        Some(MachineEvent::Message(line)) => parse(&line),
        Some(MachineEvent::KernelReport(report)) => Err(End::KernelReport(report)),
        Some(MachineEvent::Gone) => Err(End::Gone),
        None => Err(End::Timeout),
    }
}
