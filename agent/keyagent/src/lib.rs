//! Keyagents: processes that answer [`request_key(2)`] for those that hold their key.
//!
//! A process registers for a type of key. Whoever has the registration's key linked in its session keyring, and
//! requests a key of that type that does not exist yet, is answered by the process. It needs a kernel with
//! keyagents (`CONFIG_KEYAGENT`).
//!
//! ```no_run
//! use keyagent::Agent;
//!
//! let agent = Agent::builder("user").register()?;
//! println!("link key {} into the session keyring of those to be served", agent.key());
//! for request in &agent {
//!     let request = request?;
//!     let answer = request.callout().to_ascii_uppercase();
//!     request.instantiate(&answer)?;
//! }
//! # Ok::<(), keyagent::Error>(())
//! ```
//!
//! A request is answered, negated or rejected once. One that is dropped is rejected.
//!
//! # How requests arrive
//!
//! By default the library watches the keyring into which the kernel links the authorization key of each
//! request ([`Delivery::WatchQueue`]). That works in any program, whatever threads it has: the signal that the
//! kernel also sends is ignored, and no thread's signal mask is touched. Lost notifications are made up for by
//! reading the keyring. It needs `CONFIG_KEY_NOTIFICATIONS`.
//!
//! [`Delivery::Signal`] takes the signal itself. It works without notifications, and tells the requester's pid.
//! The signal must be blocked in every thread of the program, since its default action ends the process. The
//! library blocks it in the thread that registers, and refuses to register if another thread does not block
//! it. So an agent of this kind registers before the program starts threads.
//!
//! An ignored signal stays ignored, and a blocked one blocked, in programs that the process executes.
//!
//! # Threads
//!
//! Authority over a request belongs to a thread's credentials. Each agent has a thread of its own that makes
//! all calls on its keys, so that requests can be answered from any thread, and no other thread's authority or
//! keyrings change. That thread has the credentials and the session keyring that the registering thread has at
//! that time. Two agents of one process that serve the same type may see each other's requests.
//!
//! A program with one thread for its requests does without this other thread: [`Builder::current_thread`] makes the
//! calls where they are asked for, so that no thread waits for another.
//!
//! # The end of a registration
//!
//! An [`Agent`] that is dropped revokes its key, and rejects what was not taken from it. What the kernel has queued
//! behind a request that the program still has is rejected as soon as that request has ended. From then on, requests
//! of its holders fail with `EKEYREVOKED`, or go on without it if it has registered with
//! [`Builder::fallback`]. A [`Request`] that outlives its agent can still
//! be answered. A process that exits or
//! executes another program ends its registrations, and all their requests, without further ado.
//!
//! [`request_key(2)`]: https://man7.org/linux/man-pages/man2/request_key.2.html

#![deny(unsafe_code)]
#![warn(missing_docs)]

mod agent;
#[cfg(feature = "tokio")]
mod async_agent;
mod authority;
mod builder;
mod delegation;
mod delivery;
mod error;
mod key_calls;
mod key_thread;
mod params;
mod proc_keys;
mod process;
mod request;
mod signals;

pub use agent::{Agent, Requests};
#[cfg(feature = "tokio")]
pub use async_agent::AsyncAgent;
pub use builder::Builder;
pub use delegation::Delegation;
pub use delivery::Delivery;
pub use error::{Error, Result};
pub use request::{MAX_CALLOUT, MAX_DESCRIPTION, Request, Requester};

pub use keyring::{Errno, KeyId, KeySerial, SpecialKey};
