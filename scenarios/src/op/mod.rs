//! What a process can be told to do. The same words stand in a scenario and on the wire.
//!
//! Every error is the kernel's own: an operation makes the call and reports what came of it, however silly the arguments.
//!
//! Operations are grouped by subject, a file each. The groups are not to be seen from outside: `{ request = { … } }` is a
//! request, whatever group it is in.

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
    /// Looking on.
    Inspect(InspectOp),
    /// Holding other processes still.
    Suspend(SuspendOp),
    /// With memory allocations failing.
    FaultInjection(FaultInjectionOp),
    /// In another thread.
    Thread(ThreadOp),
    /// For PID 1 to do.
    Control(ControlOp),
}

impl Op {
    /// Every key that the operation names.
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

    /// The process, or the background step, that it is done to.
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

    /// Whether it is the last thing that its process does.
    pub fn ends_its_process(&self) -> bool {
        matches!(self, Self::Process(ProcessOp::Exit { .. } | ProcessOp::Crash {}))
    }

    /// The operation itself, without the circumstances under which it is carried out.
    pub fn core(&self) -> &Self {
        match self {
            Self::FaultInjection(FaultInjectionOp::EachAllocation { of, .. })
            | Self::Thread(ThreadOp::InThread { of }) => of.core(),
            _ => self,
        }
    }
}
