//! Everything that runs in the guest.
//!
//! PID 1 ([`init`]) talks to the host and conducts plans ([`plan_runner`]). The processes of a plan are its children
//! ([`process`]), which make the system calls of [`keyring`]. What is to be measured, PID 1 measures itself (`bench`). When no keyagent answers, the kernel runs the same
//! program once more, as the stock upcall ([`request_key`]).

pub(crate) mod bench;
pub(crate) mod channel;
pub mod children;
pub mod init;
pub mod ipc;
pub mod keyring;
pub mod plan_runner;
pub mod process;
pub mod request_key;
pub mod sys;
