//! Observer of a guest's console output and messages.

use std::fmt;
use std::sync::Arc;

#[derive(Debug, Clone, Copy)]
pub enum GuestOutput<'a> {
    /// Bytes on the console.
    Console(&'a [u8]),
    /// Line of PID 1 on the channel.
    Message(&'a str),
}

/// Observer that is called in the reading thread, before the output is processed further. Empty by
/// default.
#[derive(Clone, Default)]
pub struct OutputObserver(Option<Arc<Observer>>);

type Observer = dyn Fn(GuestOutput<'_>) + Send + Sync;

impl OutputObserver {
    /// Creates an observer that calls `observe`, which must not take long.
    pub fn new(observe: impl Fn(GuestOutput<'_>) + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(observe)))
    }

    pub fn observe(&self, output: GuestOutput<'_>) {
        if let Some(observe) = &self.0 {
            observe(output);
        }
    }
}

impl fmt::Debug for OutputObserver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "OutputObserver(observed)" } else { "OutputObserver(empty)" })
    }
}
