//! A thread with credentials of its own, in which calls on keys are made.

use std::io;
use std::sync::mpsc::{Sender, channel, sync_channel};
use std::thread;

use super::process;
use super::{Error, Result};

type Job = Box<dyn FnOnce() + Send>;

/// A thread that runs jobs, one after the other. It ends when this value is dropped.
#[derive(Debug)]
pub(crate) struct KeyThread {
    jobs: Sender<Job>,
    /// The process that has the thread. A forked one has only this value.
    process: u64,
}

impl KeyThread {
    /// Starts a thread with the credentials, keyrings and signal mask of the calling one.
    pub(crate) fn start(name: &str) -> io::Result<Self> {
        let (jobs, queue) = channel::<Job>();
        let run = move || queue.into_iter().for_each(|job| job());
        thread::Builder::new().name(name.to_owned()).stack_size(STACK).spawn(run)?;
        Ok(Self { jobs, process: process::identity() })
    }

    /// Runs a job in the thread, and returns its result.
    pub(crate) fn run<T: Send + 'static>(&self, job: impl FnOnce() -> T + Send + 'static) -> Result<T> {
        let (result, returned) = sync_channel(1);
        self.submit(move || {
            let _ = result.send(job());
        })?;
        returned.recv().map_err(|_| Error::Forked)
    }

    /// Runs a job in the thread, without waiting for it.
    pub(crate) fn submit(&self, job: impl FnOnce() + Send + 'static) -> Result<()> {
        if process::identity() != self.process {
            return Err(Error::Forked);
        }
        self.jobs.send(Box::new(job)).map_err(|_| Error::Forked)
    }
}

/// Jobs make system calls and start programs.
const STACK: usize = 256 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jobs_run_in_one_other_thread() {
        let keys = KeyThread::start("test").unwrap();
        let id = || thread::current().id();
        let (first, second) = (keys.run(id).unwrap(), keys.run(id).unwrap());
        assert_eq!(first, second);
        assert_ne!(first, id());
    }
}
