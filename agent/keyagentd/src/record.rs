//! The lines of the log about one request.

use std::time::Instant;

use keyagent::Request;

use super::log;

/// The most bytes of a description that are logged.
const MAX_LOGGED: usize = 256;

/// A request in the log.
#[derive(Debug)]
pub(crate) struct Record {
    request: String,
    pub(crate) by: Option<String>,
    taken: Instant,
}

impl Record {
    pub(crate) fn new(request: &Request) -> Self {
        let (requester, description) = (request.requester(), request.description());
        let request = format!(
            "type={} key={} uid={} gid={} description={} callout_bytes={}",
            request.kind(),
            request.key(),
            requester.uid,
            requester.gid,
            log::quoted(&description[..description.len().min(MAX_LOGGED)]),
            // It may be a secret.
            request.callout().len(),
        );
        Self { request, by: None, taken: Instant::now() }
    }

    /// The request has ended as it should.
    pub(crate) fn done(&self, result: &str) {
        log::debug(&self.line(result));
    }

    /// The request is rejected because of a fault.
    pub(crate) fn warn(&self, result: &str) {
        log::warning(&self.line(result));
    }

    fn line(&self, result: &str) -> String {
        let Self { request, by, taken } = self;
        let by = by.as_deref().unwrap_or("none");
        format!("request {request} by={by} ms={} result={result:?}", taken.elapsed().as_millis())
    }
}
