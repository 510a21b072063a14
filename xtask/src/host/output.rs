//! Standard output, and a guest program's standard error. A failed write ends this process: by
//! SIGPIPE if the reader is gone, else with an error.

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

/// Set after a failed write: nothing more is written, since the process is about to end.
static FAILED: AtomicBool = AtomicBool::new(false);

pub fn write_stdout(bytes: &[u8]) {
    // Locked so that lines of several threads stay whole.
    let mut stdout = io::stdout().lock();
    check("standard output", stdout.flush().and_then(|()| write_all(&stdout, bytes)));
}

pub fn write_stderr(bytes: &[u8]) {
    check("standard error", write_all(io::stderr().lock(), bytes));
}

/// Checks whether a file named by an option stands for standard output.
pub fn is_standard_output(file: &Path) -> bool {
    file == Path::new("-")
}

/// Writes a file atomically, or standard output for `-`.
pub fn write_file(file: &Path, bytes: &[u8]) -> Result<()> {
    if is_standard_output(file) {
        write_stdout(bytes);
        return Ok(());
    }
    // Written through a symbolic link, which is kept.
    cache::write_whole(&file.canonicalize().unwrap_or_else(|_| file.to_owned()), bytes)
}

/// Checks that a file can be written, as far as possible without leaving anything behind.
pub fn check_writable(file: &Path) -> Result<()> {
    if is_standard_output(file) {
        return Ok(());
    }
    let refuse = |why: String| anyhow!("can't write {}: {why}", file.display());
    match fs::metadata(file) {
        Ok(found) if found.is_dir() => {
            bail!(refuse("it is a directory; name a file in it".into()))
        }
        Ok(found) if !found.is_file() => {
            bail!(refuse("it is not a regular file; name another".into()))
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
        refuse(format!("{}: {error}; name a file in a writable directory", directory.display()))
    })
}

/// Checks that a directory is writable, since files are written beside their place and renamed. For
/// root, access(2) succeeds even where no write does.
fn probe(directory: &Path) -> io::Result<()> {
    let file = directory.join(format!(".keyagents-{}", std::process::id()));
    fs::File::create_new(&file)?;
    fs::remove_file(&file)
}

pub fn check(stream: &str, written: io::Result<()>) {
    let Err(error) = written else { return };
    if FAILED.swap(true, Ordering::SeqCst) {
        return;
    }
    interruption::end_process(match error.kind() {
        io::ErrorKind::BrokenPipe => Cause::Closed,
        _ => {
            let why = format!("can't write to {stream}: {error}");
            self::error(&why);
            Cause::Failed(why)
        }
    });
}

pub fn error(why: &str) {
    // If this fails, that can't be reported either.
    let _ = writeln!(io::stderr().lock(), "{} {why}", style("error:").for_stderr().red().bold());
}

/// Writes everything to a descriptor, which may be non-blocking.
pub fn write_all(stream: impl AsFd, mut bytes: &[u8]) -> io::Result<()> {
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
