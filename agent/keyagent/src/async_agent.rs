//! An agent for programs that run on tokio.

use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use super::{Agent, Error, Request, Result};

/// An [`Agent`] whose requests are awaited.
///
/// Answering makes system calls that do not block. Dropping it waits until the rest of the requests is
/// rejected, for milliseconds as a rule.
#[derive(Debug)]
pub struct AsyncAgent(AsyncFd<Agent>);

impl AsyncAgent {
    /// Registers an agent's descriptor with the runtime in which this is called.
    ///
    /// # Errors
    /// [`Error::Io`]: the runtime can't take it.
    pub fn new(agent: Agent) -> Result<Self> {
        #[allow(
            deprecated,
            reason = "its successor is unsafe; an Agent owns its descriptor until it is dropped"
        )]
        let fd = AsyncFd::with_interest(agent, Interest::READABLE);
        fd.map(Self).map_err(Error::io("registering with the runtime"))
    }

    /// The agent.
    pub fn agent(&self) -> &Agent {
        self.0.get_ref()
    }

    /// Waits for a request. A call that is cancelled loses none.
    ///
    /// # Errors
    /// As for [`Agent::try_next_request`].
    pub async fn next(&self) -> Result<Request> {
        loop {
            let mut ready = self.0.readable().await.map_err(Error::io("waiting for a request"))?;
            if let Some(request) = self.agent().try_next_request()? {
                // More may be there: the descriptor stays ready.
                return Ok(request);
            }
            ready.clear_ready();
        }
    }
}
