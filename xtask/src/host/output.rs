//! Standard output, and what a guest's program writes to standard error. A failed write ends this process, as it ends others: by SIGPIPE
//! where the reader is gone, with an error otherwise.

use std::fs;
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Result, anyhow, bail};
use console::style;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::unistd::write;

use crate::host::cache;
use crate::host::interruption::{self, Cause};
use crate::host::process::quoted;

/// Nothing is written any more once a write has failed: the process is about to end.
static FAILED: AtomicBool = AtomicBool::new(false);

/// Writes to standard output.
pub fn put(bytes: &[u8]) {
    // Held so that lines of several threads stay whole.
    let mut stdout = io::stdout().lock();
    check("standard output", stdout.flush().and_then(|()| write_all(&stdout, bytes)));
}

/// Writes to standard error what a guest's program has written there.
pub fn put_error(bytes: &[u8]) {
    check("standard error", write_all(io::stderr().lock(), bytes));
}

/// Whether a file that an option names stands for standard output.
pub fn is_standard_output(file: &Path) -> bool {
    file == Path::new("-")
}

/// Writes a file whole, or to standard output where it stands for that.
///
/// # Errors
/// The file can't be written.
pub fn put_file(file: &Path, bytes: &[u8]) -> Result<()> {
    if is_standard_output(file) {
        put(bytes);
        return Ok(());
    }
    // Through a symbolic link, which stays one.
    cache::write_whole(&file.canonicalize().unwrap_or_else(|_| file.to_owned()), bytes)
}

/// Refuses a file that can't be written, as far as that can be told without leaving anything behind.
///
/// # Errors
/// Says why, and what to do.
pub fn check_writable(file: &Path) -> Result<()> {
    if is_standard_output(file) {
        return Ok(());
    }
    let refuse = |why: String| anyhow!("can't write {}: {why}", file.display());
    match fs::metadata(file) {
        Ok(found) if found.is_dir() => {
            bail!(refuse("that is a directory; name a file in it".into()))
        }
        Ok(found) if !found.is_file() => {
            bail!(refuse("that is no regular file; name another".into()))
        }
        _ => {}
    }
    let directory = match file.canonicalize().unwrap_or_else(|_| file.to_owned()).parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
        _ => PathBuf::from("."),
    };
    match fs::metadata(&directory) {
        Ok(found) if found.is_dir() => {}
        Ok(_) => bail!(refuse(format!("{} is no directory", directory.display()))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            bail!(refuse(format!(
                "there is no {}; `mkdir -p {}` makes it",
                directory.display(),
                quoted(&directory)
            )))
        }
        Err(error) => bail!(refuse(format!("{}: {error}", directory.display()))),
    }
    probe(&directory).map_err(|error| {
        refuse(format!("{}: {error}; name a place that you may write to", directory.display()))
    })
}

/// A file is written beside its place and renamed, so that it is the directory that counts. Root is told yes by access(2) even
/// where nobody can write.
fn probe(directory: &Path) -> io::Result<()> {
    let file = directory.join(format!(".keyagents-{}", std::process::id()));
    fs::File::create_new(&file)?;
    fs::remove_file(&file)
}

/// Looks at what came of a write to standard output that something else has made.
pub fn check(stream: &str, written: io::Result<()>) {
    let Err(error) = written else { return };
    if FAILED.swap(true, Ordering::SeqCst) {
        return;
    }
    interruption::begin(match error.kind() {
        io::ErrorKind::BrokenPipe => Cause::Closed,
        _ => {
            let why = format!("can't write to {stream}: {error}");
            self::error(&why);
            Cause::Failed(why)
        }
    });
}

/// Says on standard error why a command can't do its part.
pub fn error(why: &str) {
    // Whoever can't be told of an error can't be told that either.
    let _ = writeln!(io::stderr().lock(), "{} {why}", style("error:").for_stderr().red().bold());
}

/// A descriptor that another program has made non-blocking is waited for.
fn write_all(stream: impl AsFd, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() && !FAILED.load(Ordering::SeqCst) {
        match write(&stream, bytes) {
            Ok(count) => bytes = &bytes[count..],
            Err(Errno::EINTR) => {}
            Err(Errno::EAGAIN) => {
                poll(&mut [PollFd::new(stream.as_fd(), PollFlags::POLLOUT)], PollTimeout::NONE)?;
            }
            Err(errno) => return Err(errno.into()),
        }
    }
    Ok(())
}
