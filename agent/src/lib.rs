//! Everything that runs in the guest.
//!
//! PID 1 ([`init`]) talks to the host and conducts plans ([`conduct`]). The processes of a plan are its children
//! ([`actor`]), which make the system calls of [`keyring`]. What is to be measured, PID 1 measures itself (`bench`). When no keyagent answers, the kernel runs the same
//! program once more, as the stock upcall ([`upcall`]).

pub mod actor;
pub(crate) mod bench;
pub mod children;
pub mod conduct;
pub mod fault;
pub mod init;
pub mod keyring;
pub(crate) mod memory;
pub mod post;
pub mod procfs;
pub mod signals;
pub mod tracing;
pub mod upcall;
pub mod watch_queue;
