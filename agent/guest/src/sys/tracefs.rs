//! Records of the kernel's tracepoints `keyagent:*` (R27).

use std::fs;
use std::io;
use std::path::Path;

use scenarios::wire::Traced;

use super::kmsg;

const TRACEFS: &str = "/sys/kernel/tracing";
const SYSTEM: &str = "keyagent";

/// Enables the tracepoints until it is dropped.
pub(crate) struct Recording(());

impl Recording {
    /// Empties the buffer and enables the tracepoints.
    pub(crate) fn start() -> io::Result<Self> {
        // A counter keeps the records of all CPUs in order, where clocks may be too coarse. Setting it empties the buffer.
        write("trace_clock", "counter")?;
        write("trace", "")?;
        enable(true)?;
        Ok(Self(()))
    }
}

impl Drop for Recording {
    fn drop(&mut self) {
        let off = enable(false).and_then(|()| write("trace", ""));
        if let Err(why) = off {
            let text = format!("can't stop tracing: {why}");
            kmsg::log(kmsg::Level::Warning, &text);
        }
    }
}

/// All records, the oldest first.
pub(crate) fn records() -> io::Result<Vec<Traced>> {
    let trace = fs::read_to_string(Path::new(TRACEFS).join("trace"))?;
    Ok(trace.lines().filter_map(parse).collect())
}

pub(crate) fn usec(record: &Traced) -> Option<u64> {
    record.fields.iter().find(|(name, _)| name == "usec").and_then(|(_, value)| value.parse().ok())
}

fn write(file: &str, text: &str) -> io::Result<()> {
    fs::write(Path::new(TRACEFS).join(file), text)
}

fn enable(on: bool) -> io::Result<()> {
    write(&format!("events/{SYSTEM}/enable"), if on { "1" } else { "0" })
}

/// Parses `task-pid [cpu] flags time: keyagent_event: name=value name=value …`.
fn parse(line: &str) -> Option<Traced> {
    let (_, record) = line.split_once(&format!(": {SYSTEM}_"))?;
    let (event, fields) = record.split_once(": ")?;
    let pairs = fields.split_whitespace().filter_map(|pair| pair.split_once('='));
    let fields = pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    Some(Traced { event: event.to_owned(), fields })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn log_record_is_parsed_and_continuation_is_none() {
        let line = " kworker/u8:1-33  [001] .....  5.1: keyagent_complete: key=7 result=-126 usec=12";
        let fields = [("key", "7"), ("result", "-126"), ("usec", "12")];
        let fields = fields.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
        assert_eq!(parse(line), Some(Traced { event: "complete".to_owned(), fields }));
        assert_eq!(parse("#           TASK-PID     CPU#  |||||  TIMESTAMP  FUNCTION"), None);
    }
}
