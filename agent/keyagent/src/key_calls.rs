//! The thread in which an agent's calls on keys are made: one of its own, or the calling one.

use std::io;
use std::thread::{self, ThreadId};

use keyring::{KeySerial, SpecialKey};

use super::key_thread::KeyThread;
use super::process;
use super::{Error, Result};

/// Makes calls on keys.
#[derive(Debug)]
pub(crate) enum KeyCalls {
    OwnThread(KeyThread),
    CurrentThread(CurrentThread),
}

impl KeyCalls {
    pub(crate) fn in_own_thread() -> Result<Self> {
        KeyThread::start("keyagent").map(Self::OwnThread).map_err(Error::io("starting a thread"))
    }

    pub(crate) fn in_current_thread() -> Result<Self> {
        CurrentThread::new().map(Self::CurrentThread)
    }

    /// Runs a job, and returns its result.
    pub(crate) fn run<T: Send + 'static>(&self, job: impl FnOnce() -> T + Send + 'static) -> Result<T> {
        match self {
            Self::OwnThread(thread) => thread.run(job),
            Self::CurrentThread(thread) => thread.run(job),
        }
    }

    pub(crate) fn are_in_current_thread(&self) -> bool {
        matches!(self, Self::CurrentThread(_))
    }

    /// Starts a thread with the credentials in which calls are made.
    pub(crate) fn start_thread(&self, name: &'static str) -> Result<KeyThread> {
        let started: Result<io::Result<KeyThread>> = self.run(|| KeyThread::start(name));
        started?.map_err(Error::io("starting a thread"))
    }
}

/// Runs jobs in whichever thread asks for it, if that has the agent's process keyring.
#[derive(Debug)]
pub(crate) struct CurrentThread {
    /// The process that has registered. A forked one has another process keyring.
    process: u64,
    registered_in: ThreadId,
    process_keyring: KeySerial,
}

impl CurrentThread {
    /// Gives the calling thread a process keyring, which the threads that it starts share.
    fn new() -> Result<Self> {
        let process_keyring = keyring::get_keyring_id(SpecialKey::Process, true);
        let process_keyring = process_keyring.map_err(Error::call("creating a process keyring"))?;
        Ok(Self { process: process::identity(), registered_in: thread::current().id(), process_keyring })
    }

    fn run<T>(&self, job: impl FnOnce() -> T) -> Result<T> {
        if process::identity() != self.process {
            return Err(Error::Forked);
        }
        if thread::current().id() != self.registered_in
            && keyring::get_keyring_id(SpecialKey::Process, false) != Ok(self.process_keyring)
        {
            return Err(Error::EarlierThread);
        }
        Ok(job())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn current() -> CurrentThread {
        CurrentThread {
            process: process::identity(),
            registered_in: thread::current().id(),
            process_keyring: KeySerial::new(1).unwrap(),
        }
    }

    #[test]
    fn jobs_run_in_the_calling_thread() {
        assert_eq!(current().run(|| thread::current().id()).unwrap(), thread::current().id());
    }

    #[test]
    fn thread_without_the_process_keyring_is_refused() {
        let calls = current();
        let refused = thread::spawn(move || calls.run(|| ())).join().unwrap();
        assert!(matches!(refused, Err(Error::EarlierThread)), "{refused:?}");
    }

    #[test]
    fn forked_process_is_refused() {
        let calls = CurrentThread { process: process::identity() + 1, ..current() };
        assert!(matches!(calls.run(|| ()), Err(Error::Forked)));
    }
}
