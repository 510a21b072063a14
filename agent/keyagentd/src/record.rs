//! The lines of the log about one request.

use std::time::Instant;

use keyagent::{KeySerial, Request, Requester};

use super::log;

/// The most bytes of a description that are logged.
const MAX_LOGGED: usize = 256;

/// A request in the log. A line is made only when it is written.
#[derive(Debug)]
pub(crate) struct Record {
    kind: String,
    key: KeySerial,
    requester: Requester,
    description: Vec<u8>,
    callout_bytes: usize,
    by: Option<String>,
    started: Option<Instant>,
}

impl Record {
    pub(crate) fn new(request: &Request) -> Self {
        let description = request.description();
        Self {
            kind: request.kind().to_owned(),
            key: request.key(),
            requester: request.requester(),
            description: description[..description.len().min(MAX_LOGGED)].to_owned(),
            // It may be a secret.
            callout_bytes: request.callout().len(),
            by: None,
            started: None,
        }
    }

    /// Notes when work on an answer begins, and what finds it.
    pub(crate) fn start(&mut self, by: String, at: Instant) {
        self.by = Some(by);
        self.started.get_or_insert(at);
    }

    /// The request has ended as it should.
    pub(crate) fn done(&self, result: &str) {
        if log::is_verbose() {
            log::debug(&self.line(result));
        }
    }

    /// The request is rejected because of a fault.
    pub(crate) fn warn(&self, result: &str) {
        log::warning(&self.line(result));
    }

    fn line(&self, result: &str) -> String {
        let Self { kind, key, requester: Requester { uid, gid, .. }, callout_bytes, .. } = self;
        let (description, by) = (log::quoted(&self.description), self.by.as_deref().unwrap_or("none"));
        let ms = self.started.map_or(0, |started| started.elapsed().as_millis());
        format!(
            "request type={kind} key={key} uid={uid} gid={gid} description={description} \
             callout_bytes={callout_bytes} by={by} ms={ms} result={result:?}"
        )
    }
}
