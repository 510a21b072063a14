//! The log, on standard error: a line for each message, with a level that journald understands.

use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

/// The longest line: a pipe that takes anything takes as much.
const MAX_LINE: usize = 4096;

/// Messages that were not written since the last one that was.
static DROPPED: AtomicUsize = AtomicUsize::new(0);

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

/// Writes a message, or counts it as dropped. Whoever does not read the log must not keep requests waiting.
fn write(level: u8, message: &str) {
    let dropped = DROPPED.load(Relaxed);
    if dropped > 0 && try_write(4, &format!("{dropped} messages were dropped, as the log was not read")) {
        DROPPED.fetch_sub(dropped, Relaxed);
    }
    if !try_write(level, message) {
        DROPPED.fetch_add(1, Relaxed);
    }
}

/// Writes a line. Returns false if that would have to wait.
fn try_write(level: u8, message: &str) -> bool {
    let mut stderr = io::stderr().lock();
    if !is_writable(stderr.as_fd()) {
        return false;
    }
    let form = FORM.get().copied().unwrap_or_default();
    let prefix = if form.is_journal { format!("<{level}>") } else { "keyagentd: ".to_owned() };
    let mut line = format!("{prefix}{}", on_one_line(message));
    if line.len() >= MAX_LINE {
        let end = (0..MAX_LINE).rev().find(|at| line.is_char_boundary(*at));
        line.truncate(end.unwrap_or_default());
    }
    line.push('\n');
    // One call a line. Without standard error there is nobody to tell.
    let _ = stderr.write_all(line.as_bytes());
    true
}

/// Whether a write returns at once: a closed pipe and the like fail at once, too.
fn is_writable(fd: BorrowedFd<'_>) -> bool {
    let now = Timespec { tv_sec: 0, tv_nsec: 0 };
    poll(&mut [PollFd::from_borrowed_fd(fd, PollFlags::OUT)], Some(&now)) != Ok(0)
}

/// Whether standard error is the journal: `$JOURNAL_STREAM` has the device and inode of its socket.
fn stderr_is_journal() -> bool {
    let Ok(stream) = std::env::var("JOURNAL_STREAM") else { return false };
    let Ok(stat) = rustix::fs::fstat(io::stderr().as_fd()) else { return false };
    stream == format!("{}:{}", stat.st_dev, stat.st_ino)
}

/// Escapes what would end the line, control a terminal, or change the order of what is displayed.
pub(crate) fn on_one_line(message: &str) -> String {
    let mut line = String::with_capacity(message.len());
    for character in message.chars() {
        if character.is_control() || is_invisible(character) {
            let _ = write!(line, "{}", character.escape_default());
        } else {
            line.push(character);
        }
    }
    line
}

/// Separators of lines, and marks of the direction of writing.
fn is_invisible(character: char) -> bool {
    matches!(
        character,
        '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
    )
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
        assert_eq!(on_one_line("\u{202e}gpj.exe\u{2028}"), "\\u{202e}gpj.exe\\u{2028}");
        assert_eq!(quoted(b"a\" uid=0\n\xff"), r#""a\" uid=0\n\xff""#);
    }

    #[test]
    fn full_pipe_is_not_written_to() {
        let (reader, mut writer) = io::pipe().unwrap();
        assert!(is_writable(writer.as_fd()));
        rustix::fs::fcntl_setfl(&writer, rustix::fs::OFlags::NONBLOCK).unwrap();
        while writer.write(&[b'x'; MAX_LINE]).is_ok() {}
        assert!(!is_writable(writer.as_fd()));
        drop(reader);
        assert!(is_writable(writer.as_fd()), "a write fails at once");
    }
}
