//! Handing a request to child processes.

use std::io;
use std::process::{Child, Command};

use keyring::{KeySerial, SpecialKey};

use super::key_calls::KeyCalls;
use super::key_thread::KeyThread;
use super::{Error, Requester, Result};

/// A request prepared for child processes that answer it.
///
/// A child has the authority assumed, and a new session keyring with the authorization key, so that it can also
/// assume the authority itself, as request-key(8) and its helpers do. It gets no keyring of the requester: a
/// rule that looks for a key of the requester finds none.
///
/// ```no_run
/// # fn run(request: keyagent::Request) -> Result<(), Box<dyn std::error::Error>> {
/// use std::process::Command;
///
/// let delegation = request.delegate()?;
/// let mut command = Command::new("/sbin/request-key");
/// command.args(delegation.request_key_arguments());
/// let mut helper = delegation.spawn(command)?;
/// helper.wait()?;
/// drop(request); // Rejects it if the helper has not answered.
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Delegation {
    thread: KeyThread,
    target: KeySerial,
    session: KeySerial,
    requester: Requester,
}

impl Delegation {
    /// Prepares a thread, which the children are forked from, so that they inherit its credentials.
    pub(crate) fn new(keys: &KeyCalls, target: KeySerial, requester: Requester) -> Result<Self> {
        let thread = keys.start_thread("keyagent-child")?;
        let session = thread.run(move || {
            let session = keyring::join_session_keyring(None)?;
            keyring::assume_authority(target)?;
            keyring::link(SpecialKey::AssumedAuthkey, SpecialKey::Session)?;
            Ok(session)
        })?;
        let session = session.map_err(Error::of_request("handing over a request"))?;
        Ok(Self { thread, target, session, requester })
    }

    /// The children's session keyring.
    pub fn session_keyring(&self) -> KeySerial {
        self.session
    }

    /// Arguments for request-key(8), and for programs that are started in the same way:
    /// `create KEY UID GID 0 0 SESSION`. There is no thread or process keyring of the requester.
    pub fn request_key_arguments(&self) -> [String; 7] {
        let (uid, gid) = (self.requester.uid.to_string(), self.requester.gid.to_string());
        let none = || "0".to_owned();
        let (key, session) = (self.target.to_string(), self.session.to_string());
        ["create".to_owned(), key, uid, gid, none(), none(), session]
    }

    /// Starts a child that can answer the request.
    ///
    /// It is forked from a thread that ends with this value, which matters for `PR_SET_PDEATHSIG` only. It
    /// inherits the agent's signal as ignored or blocked.
    ///
    /// # Errors
    /// Those of [`Command::spawn`].
    pub fn spawn(&self, mut command: Command) -> Result<Child> {
        let spawned = self.thread.run(move || command.spawn())?;
        spawned.map_err(Error::io("starting a program"))
    }

    /// Starts a child as [`spawn`](Self::spawn) does, but does not wait until the child executes its program: a file
    /// system may delay that, or a signal that stops the child. `then` gets the child, in another thread.
    ///
    /// # Errors
    /// [`Error::Forked`].
    pub fn spawn_then(
        &self,
        mut command: Command,
        then: impl FnOnce(io::Result<Child>) + Send + 'static,
    ) -> Result<()> {
        self.thread.submit(move || then(command.spawn()))
    }
}
