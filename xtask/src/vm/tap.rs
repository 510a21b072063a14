//! Observer of a guest's console output and messages.

use std::fmt;
use std::sync::Arc;

/// Output of a guest.
#[derive(Debug, Clone, Copy)]
pub enum Heard<'a> {
    /// Bytes on the console.
    Console(&'a [u8]),
    /// Line of PID 1 on the channel.
    Message(&'a str),
}

/// Observer that is called in the reading thread, before the output is processed further. Empty by
/// default.
#[derive(Clone, Default)]
pub struct Tap(Option<Arc<Hear>>);

type Hear = dyn Fn(Heard<'_>) + Send + Sync;

impl Tap {
    /// Creates an observer that calls `hear`, which must not take long.
    pub fn new(hear: impl Fn(Heard<'_>) + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(hear)))
    }

    /// Passes output to the observer.
    pub fn hear(&self, heard: Heard<'_>) {
        if let Some(hear) = &self.0 {
            hear(heard);
        }
    }
}

impl fmt::Debug for Tap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "somebody" } else { "nobody" })
    }
}
