//! Somebody who hears what a guest says, as it says it.

use std::fmt;
use std::sync::Arc;

/// What is heard.
#[derive(Debug, Clone, Copy)]
pub enum Heard<'a> {
    /// On the console.
    Console(&'a [u8]),
    /// A line of PID 1's over the channel.
    Message(&'a str),
}

/// Is told everything in the thread that reads it, before anybody else hears of it. Nobody, by default.
#[derive(Clone, Default)]
pub struct Tap(Option<Arc<Hear>>);

type Hear = dyn Fn(Heard<'_>) + Send + Sync;

impl Tap {
    /// One that does this, which must not take long.
    pub fn new(hear: impl Fn(Heard<'_>) + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(hear)))
    }

    /// Tells it.
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
