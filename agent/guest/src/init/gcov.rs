//! Sends the line counters of a kernel with CONFIG_GCOV_KERNEL to the host, or the reached mutants of a
//! kernel that has mutants.

use std::fs;
use std::path::{Path, PathBuf};

use scenarios::wire::program::Bytes;
use scenarios::wire::{Counters, GuestMessage};

use crate::channel::{Channel, ChannelError};
use crate::sys::kmsg::{self, Level};

const DEBUGFS: &str = "/sys/kernel/debug";
const GCOV: &str = "/sys/kernel/debug/gcov";

/// Numbers of the mutants that were reached since the boot, one a line.
const MUTANTS: &str = "/sys/kernel/debug/mutants/reached";

/// Sends the counters, one message a file. Sends nothing if the kernel has none.
pub(super) fn send_counters(channel: &mut Channel) -> Result<(), ChannelError> {
    let mut files = files(Path::new(GCOV));
    files.extend(Some(PathBuf::from(MUTANTS)).filter(|file| file.exists()));
    for (index, path) in files.iter().enumerate() {
        let content = fs::read(path).unwrap_or_else(|why| {
            kmsg::log(Level::Warning, &format!("can't read {}: {why}", path.display()));
            Vec::new()
        });
        let file = path.strip_prefix(GCOV).or(path.strip_prefix(DEBUGFS)).unwrap_or(path);
        let file = file.display().to_string();
        let left = files.len() - index - 1;
        channel.send(&GuestMessage::Counters(Counters { file, content: Bytes(content), left }))?;
    }
    Ok(())
}

/// All `.gcda` files below a directory. Links lead to files of the build, which the guest does not have.
fn files(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        let path = entry.path();
        match entry.file_type() {
            Ok(kind) if kind.is_dir() => found.extend(files(&path)),
            Ok(kind) if kind.is_file() && path.extension().is_some_and(|end| end == "gcda") => {
                found.push(path)
            }
            _ => {}
        }
    }
    found
}
