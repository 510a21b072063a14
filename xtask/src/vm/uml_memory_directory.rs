//! Directory for the file that holds the memory of a User-Mode Linux guest.
//!
//! User-Mode Linux maps its memory from a file in `$TMPDIR`, else `/dev/shm`. It exits if that
//! directory does not exist, forbids execution or has too little room. So the directory is chosen
//! here and passed in `$TMPDIR`.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, bail};
use indicatif::HumanBytes;
use nix::sys::statvfs::{FsFlags, statvfs};

const MIB: u64 = 1 << 20;

/// Minimum room for a guest, which touches 20 MiB to boot.
const MIN_FREE: u64 = 64 * MIB;

/// Maximum excess of the file's size over the memory: the kernel skips the area that the host has
/// mapped behind its program.
const MAX_GAP: u64 = 1024 * MIB;

/// Returns the directory for a guest with this memory, in MiB.
pub(crate) fn of(memory_mib: u32) -> Result<PathBuf> {
    let need = u64::from(memory_mib) * MIB;
    check_file_size(need + MAX_GAP, file_size_limit())?;
    // Files in `/dev/shm` are in memory, and are not written to a disk over and over.
    let places = ["/dev/shm".into(), env::temp_dir(), "/tmp".into(), "/var/tmp".into()];
    choose(&places, need)
}

/// Returns the first place with room for all of a guest's memory, else the one with the most room.
fn choose(places: &[PathBuf], need: u64) -> Result<PathBuf> {
    let mut largest: Option<(u64, &PathBuf)> = None;
    let mut unfit = Vec::new();
    for place in places {
        match room(place) {
            Ok(free) if free >= need => return Ok(place.clone()),
            Ok(free) if free >= MIN_FREE => {
                if largest.is_none_or(|(largest_free, _)| free > largest_free) {
                    largest = Some((free, place));
                }
            }
            Ok(free) => unfit.push(format!("{} has only {} free", place.display(), HumanBytes(free))),
            Err(why) => unfit.push(format!("{} {why:#}", place.display())),
        }
    }
    unfit.dedup();
    let none = || {
        let hint = "set TMPDIR to a directory with room that is not mounted noexec";
        anyhow!("can't find a directory for the file with a guest's memory: {}; {hint}", unfit.join(", "))
    };
    largest.map(|(_, place)| place.clone()).ok_or_else(none)
}

/// Returns the room, in bytes, for a file that is mapped for execution.
fn room(place: &Path) -> Result<u64> {
    let about = statvfs(place).context("can't be used")?;
    if about.flags().contains(FsFlags::ST_NOEXEC) {
        bail!("is mounted noexec");
    }
    tempfile::tempfile_in(place).context("can't be written to")?;
    // A tmpfs without a limit reports zero blocks.
    if about.blocks() == 0 {
        return Ok(u64::MAX);
    }
    Ok(about.blocks_available() * about.fragment_size())
}

fn check_file_size(need: u64, limit: Option<u64>) -> Result<()> {
    match limit.filter(|limit| *limit < need) {
        None => Ok(()),
        Some(limit) => bail!(
            "can't create a file of up to {} for a guest's memory: no file may be larger than {} here; raise the limit (ulimit -f unlimited)",
            HumanBytes(need),
            HumanBytes(limit)
        ),
    }
}

/// Returns the maximum size of a file that this process may write (`ulimit -f`), in bytes; `None`
/// if there is no limit.
fn file_size_limit() -> Option<u64> {
    let limits = fs::read_to_string("/proc/self/limits").unwrap_or_default();
    limits
        .lines()
        .find_map(|line| line.strip_prefix("Max file size"))?
        .split_whitespace()
        .next()?
        .parse()
        .ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unusable_directory_is_skipped_and_named_if_none_remains() {
        let place = tempfile::tempdir().unwrap();
        let (good, missing) = (place.path().to_owned(), place.path().join("missing"));
        assert_eq!(choose(&[missing.clone(), good.clone()], MIB).unwrap(), good);
        let message = choose(&[missing, "/proc".into()], MIB).unwrap_err().to_string();
        assert!(message.contains("missing can't be used: ENOENT"), "{message}");
        assert!(message.contains("set TMPDIR"), "{message}");
    }

    #[test]
    fn file_size_limit_is_named() {
        check_file_size(MIB, Some(MIB)).unwrap();
        check_file_size(MIB, None).unwrap();
        assert!(check_file_size(MIB, Some(1024)).unwrap_err().to_string().contains("ulimit -f unlimited"));
    }

    #[test]
    fn directory_with_most_room_is_chosen_if_none_suffices() {
        let place = tempfile::tempdir().unwrap();
        assert_eq!(choose(&["/proc".into(), place.path().to_owned()], u64::MAX).unwrap(), place.path());
    }
}
