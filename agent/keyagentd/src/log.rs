//! The log, on standard error: a line for each message, with a level that journald understands.

use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::os::fd::AsFd;
use std::sync::OnceLock;

static FORM: OnceLock<Form> = OnceLock::new();

#[derive(Clone, Copy, Debug, Default)]
struct Form {
    is_verbose: bool,
    is_journal: bool,
}

/// Sets the form of the log, once.
pub(crate) fn start(is_verbose: bool) {
    let _ = FORM.set(Form { is_verbose, is_journal: stderr_is_journal() });
}

/// Whether debug messages are written.
pub(crate) fn is_verbose() -> bool {
    FORM.get().is_some_and(|form| form.is_verbose)
}

pub(crate) fn error(message: &str) {
    write(3, message);
}

pub(crate) fn warning(message: &str) {
    write(4, message);
}

pub(crate) fn info(message: &str) {
    write(6, message);
}

pub(crate) fn debug(message: &str) {
    if is_verbose() {
        write(7, message);
    }
}

fn write(level: u8, message: &str) {
    let form = FORM.get().copied().unwrap_or_default();
    let prefix = if form.is_journal { format!("<{level}>") } else { "keyagentd: ".to_owned() };
    // One call a line. Without standard error there is nobody to tell.
    let _ = io::stderr().write_all(format!("{prefix}{}\n", on_one_line(message)).as_bytes());
}

/// Whether standard error is the journal: `$JOURNAL_STREAM` has the device and inode of its socket.
fn stderr_is_journal() -> bool {
    let Ok(stream) = std::env::var("JOURNAL_STREAM") else { return false };
    let Ok(stat) = rustix::fs::fstat(io::stderr().as_fd()) else { return false };
    stream == format!("{}:{}", stat.st_dev, stat.st_ino)
}

/// Escapes what would end the line or control a terminal.
fn on_one_line(message: &str) -> String {
    let mut line = String::with_capacity(message.len());
    for character in message.chars() {
        if character.is_control() {
            let _ = write!(line, "{}", character.escape_default());
        } else {
            line.push(character);
        }
    }
    line
}

/// Bytes of others as a value in the log: in quotes, as ASCII.
pub(crate) fn quoted(bytes: &[u8]) -> String {
    format!("\"{}\"", bytes.escape_ascii())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn message_stays_on_its_line() {
        assert_eq!(on_one_line("a\n<0>b\x1b[2J é"), "a\\n<0>b\\u{1b}[2J é");
        assert_eq!(quoted(b"a\" uid=0\n\xff"), r#""a\" uid=0\n\xff""#);
    }
}
