//! Operations of a process, with the same names in a scenario and on the wire.
//!
//! Every error comes from the kernel. An operation makes the call and reports its result, with
//! valid and invalid arguments.
//!
//! Operations are grouped by subject, with a file for each group. The groups are not visible
//! outside: `{ request = { … } }` is a request in any group.

mod authority;
mod control;
mod fault_injection;
mod inspect;
mod key;
mod keyring;
mod namespace;
mod payload;
mod perm;
mod process;
mod registration;
mod signal;
mod suspend;
mod system;
mod tag;
mod thread;
mod upcall;

use serde::Serialize;

pub use authority::AuthorityOp;
pub use control::{Condition, ControlOp};
pub use fault_injection::FaultInjectionOp;
pub use inspect::InspectOp;
pub use key::KeyOp;
pub use keyring::{DefaultKeyring, KeyringOp};
pub use namespace::{Namespace, NamespaceOp};
pub use payload::Payload;
pub use perm::Permissions;
pub use process::{Command, Ids, ProcessOp};
pub use registration::{Caller, Params, Registration};
pub use signal::{Forgery, SignalOp};
pub use suspend::SuspendOp;
pub use system::SystemOp;
pub use thread::ThreadOp;
pub use upcall::UpcallOp;

use crate::key_ref::KeyRef;

/// An operation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Op {
    /// On a keyring.
    Keyring(KeyringOp),
    /// On a key.
    Key(KeyOp),
    /// With authority over a key under construction.
    Authority(AuthorityOp),
    /// With an upcall.
    Upcall(UpcallOp),
    /// With signals.
    Signal(SignalOp),
    /// On the process itself.
    Process(ProcessOp),
    /// On the namespaces that the process is in.
    Namespace(NamespaceOp),
    /// On the system as a whole.
    System(SystemOp),
    /// Observation of the kernel.
    Inspect(InspectOp),
    /// Suspension of other processes.
    Suspend(SuspendOp),
    /// With memory allocations failing.
    FaultInjection(FaultInjectionOp),
    /// In another thread.
    Thread(ThreadOp),
    /// By PID 1.
    Control(ControlOp),
}

impl Op {
    /// Returns every key that the operation names.
    pub fn keys_mut(&mut self) -> Vec<&mut KeyRef> {
        match self {
            Self::Keyring(op) => op.keys_mut(),
            Self::Key(op) => op.keys_mut(),
            Self::Authority(op) => op.keys_mut(),
            Self::Upcall(op) => op.keys_mut(),
            Self::Signal(op) => op.keys_mut(),
            Self::FaultInjection(op) => op.keys_mut(),
            Self::Thread(op) => op.keys_mut(),
            Self::Control(op) => op.keys_mut(),
            Self::Process(_) | Self::Namespace(_) | Self::System(_) | Self::Inspect(_) | Self::Suspend(_) => {
                Vec::new()
            }
        }
    }

    /// Returns the process, or the background step, that the operation affects.
    pub fn receiver(&self) -> Option<&String> {
        match self {
            Self::Signal(op) => op.receiver(),
            Self::Suspend(op) => Some(op.receiver()),
            Self::Namespace(op) => op.receiver(),
            Self::FaultInjection(FaultInjectionOp::EachAllocation { of, .. })
            | Self::Thread(ThreadOp::InThread { of }) => of.receiver(),
            _ => None,
        }
    }

    /// Returns true if the operation ends its process.
    pub fn ends_its_process(&self) -> bool {
        matches!(self, Self::Process(ProcessOp::Exit { .. } | ProcessOp::Crash {}))
    }

    /// Returns the operation itself, without the circumstances of its execution.
    pub fn core(&self) -> &Self {
        match self {
            Self::FaultInjection(FaultInjectionOp::EachAllocation { of, .. })
            | Self::Thread(ThreadOp::InThread { of }) => of.core(),
            _ => self,
        }
    }
}
