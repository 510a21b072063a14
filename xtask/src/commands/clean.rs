//! `cargo xtask clean`: frees disk space of the cache, by kind.

use std::collections::{BTreeSet, HashSet};
use std::fs::{self, File};
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use clap::{Args, ValueEnum};
use console::style;
use indicatif::HumanBytes;
use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};
use walkdir::WalkDir;

use crate::artifacts::initramfs;
use crate::host::terminal::Terminal;
use crate::host::{cache, workspace};

const EXAMPLES: &str = "Examples:
  cargo xtask clean --dry-run          the size of each kind
  cargo xtask clean checks builds      frees these kinds only
  cargo xtask clean                    frees everything; the next test builds it again";

/// Kinds of files to free.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct Options {
    /// Kinds [default: all]
    #[arg(value_enum, value_name = "KIND")]
    kinds: Vec<Kind>,

    /// Show the sizes and free nothing
    #[arg(long)]
    dry_run: bool,
}

/// Kinds of files, from those that are made again quickly to those that take long.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub enum Kind {
    /// Logs of the guests' consoles
    Logs,
    /// Recorded times of scenarios and probes of virtual machines
    Memory,
    /// The guest's programs
    Guest,
    /// Built kernels
    Images,
    /// Build directories of `kernel check` and of the kernel's own tests, and work trees of `kernel backport`
    Checks,
    /// The kernels' object files, which make a rebuild take seconds
    Builds,
    /// Unpacked kernel sources
    Trees,
    /// Fetched kernel sources
    Sources,
}

impl Kind {
    /// Describes the effort of making the files again.
    fn cost(self) -> &'static str {
        match self {
            Self::Logs => "the next test writes new ones",
            Self::Memory => "the next test probes and measures again",
            Self::Guest => "built again in a minute",
            Self::Images => "copied from the builds, or built again",
            Self::Checks => "the next check builds it all again",
            Self::Builds => "the next change of a kernel takes minutes, not seconds",
            Self::Trees => "unpacked again, and then all kernels are built again",
            Self::Sources => "fetched again",
        }
    }

    fn places(self, cache: &Path) -> Vec<PathBuf> {
        let named = |names: &[&str]| names.iter().map(|name| cache.join(name)).collect();
        match self {
            Self::Logs => vec![workspace::logs()],
            Self::Memory => named(&["times.json", "kvm-verdict.json", "uml-verdict.json"]),
            Self::Guest => vec![cache.join("initramfs"), initramfs::directory()],
            Self::Images => named(&["images", "selftests"]),
            Self::Checks => named(&["checks", "backports"]),
            Self::Builds => named(&["builds"]),
            Self::Trees => named(&["trees"]),
            Self::Sources => named(&["sources", "downloads"]),
        }
    }

    /// Returns the locks that a command holds while it uses such files: this program's, the kernel
    /// library's and cargo's own.
    fn locks(self, cache: &Path) -> Vec<PathBuf> {
        let matching = |meant: &dyn Fn(&str) -> bool| -> Vec<PathBuf> {
            let locks = fs::read_dir(cache.join("locks")).into_iter().flatten().flatten();
            let meant = locks.filter(|lock| meant(&lock.file_name().to_string_lossy()));
            meant.map(|lock| lock.path()).collect()
        };
        let guests = |name: &str| name == cache::GUESTS;
        let kept = |name: &str| matches!(name, "images" | "selftests");
        let checked = |name: &str| name.starts_with("check-") || name.starts_with("backport-");
        match self {
            Self::Memory => Vec::new(),
            Self::Logs => matching(&guests),
            Self::Guest => matching(&guests).into_iter().chain(initramfs::locks()).collect(),
            Self::Images => matching(&|name| guests(name) || kept(name)),
            Self::Checks => matching(&checked),
            Self::Builds | Self::Trees | Self::Sources => {
                matching(&|name| !guests(name) && !kept(name) && !checked(name))
            }
        }
    }
}

pub fn run(options: &Options, terminal: &Terminal) -> Result<ExitCode> {
    let cache = cache::configured_path()?;
    let asked: BTreeSet<Kind> = options.kinds.iter().copied().collect();
    let kinds = Kind::value_variants().iter().filter(|kind| asked.is_empty() || asked.contains(kind));
    let (mut total, mut busy) = (0, Vec::new());
    for kind in kinds {
        let places = kind.places(&cache);
        let size = places.iter().map(|place| size(place)).sum::<Result<u64>>()?;
        let name = kind.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default();
        let remark = match lock(&kind.locks(&cache))? {
            Locks::Held(_locks) => {
                if !options.dry_run {
                    places.iter().try_for_each(|place| remove(place))?;
                }
                total += size;
                kind.cost().to_owned()
            }
            Locks::Busy(path) => {
                busy.push(name.clone());
                busy_remark(&kernel::lock_holders(&path))
            }
        };
        let size = HumanBytes(size).to_string();
        terminal.say(&format!("  {name:<8} {size:>11}   {}", style(remark).dim()));
    }
    let done = if options.dry_run { "would be freed" } else { "freed" };
    terminal.say(&format!("{} {done} in {}", style(HumanBytes(total)).bold(), cache.display()));
    if !busy.is_empty() && !options.dry_run {
        bail!(
            "can't free files in use; when the other command has ended, run `cargo xtask clean {}`",
            busy.join(" ")
        );
    }
    Ok(ExitCode::SUCCESS)
}

enum Locks {
    Held(Vec<Flock<File>>),
    /// Another command holds this lock.
    Busy(PathBuf),
}

/// Returns the reason that files of a kind are left.
fn busy_remark(holders: &[String]) -> String {
    match holders {
        [] => "left: another command uses it".to_owned(),
        [one] => format!("left: {one} uses it"),
        several => format!("left: {} use it", several.join(" and ")),
    }
}

/// Takes all of these locks, or none if another command holds one of them.
fn lock(paths: &[PathBuf]) -> Result<Locks> {
    let mut locks = Vec::new();
    for path in paths {
        let file = match File::open(path) {
            Err(error) if error.kind() == ErrorKind::NotFound => continue,
            file => file.with_context(|| format!("can't open {}", path.display()))?,
        };
        match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
            Ok(lock) => locks.push(lock),
            Err((_, Errno::EWOULDBLOCK)) => return Ok(Locks::Busy(path.clone())),
            Err((_, errno)) => return Err(errno).with_context(|| format!("can't lock {}", path.display())),
        }
    }
    Ok(Locks::Held(locks))
}

/// Returns the disk space, in bytes, that removal frees. A file with several names counts once.
fn size(place: &Path) -> Result<u64> {
    let mut size = 0;
    let mut names: HashSet<(u64, u64)> = HashSet::new();
    for entry in WalkDir::new(place).follow_root_links(false) {
        let about = match entry.and_then(|entry| entry.metadata()) {
            Err(error) if error.io_error().is_some_and(|it| it.kind() == ErrorKind::NotFound) => continue,
            about => about.with_context(|| format!("can't examine {}", place.display()))?,
        };
        if about.is_dir() || about.nlink() == 1 || names.insert((about.dev(), about.ino())) {
            size += about.blocks() * 512;
        }
    }
    Ok(size)
}

fn remove(place: &Path) -> Result<()> {
    let removed = if place.is_dir() { fs::remove_dir_all(place) } else { fs::remove_file(place) };
    match removed {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        removed => removed.with_context(|| {
            format!(
                "can't remove {}: is another command using it? Try again when it has ended",
                place.display()
            )
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lock_of_another_command_is_busy_with_its_holder() {
        let place = tempfile::tempdir().unwrap();
        fs::create_dir(place.path().join("locks")).unwrap();
        for name in ["7.3", cache::GUESTS] {
            fs::write(place.path().join("locks").join(name), "").unwrap();
        }
        let builds = Kind::Builds.locks(place.path());
        assert_eq!(builds, [place.path().join("locks/7.3")]);
        assert_eq!(Kind::Images.locks(place.path()), [place.path().join("locks/guests")]);
        assert!(Kind::Checks.locks(place.path()).is_empty());
        let held = lock(&builds).unwrap();
        assert!(matches!(&held, Locks::Held(locks) if locks.len() == 1));
        let Locks::Busy(path) = lock(&builds).unwrap() else { panic!("a lock was taken twice") };
        let remark = busy_remark(&kernel::lock_holders(&path));
        assert!(remark.starts_with(&format!("left: pid {} (", std::process::id())), "{remark}");
        drop(held);
        assert!(matches!(lock(&builds).unwrap(), Locks::Held(_)));
    }

    #[test]
    fn hard_linked_file_counts_once_and_missing_file_is_empty() {
        let directory = tempfile::tempdir().unwrap();
        let place = directory.path().join("place");
        fs::create_dir_all(place.join("inner")).unwrap();
        fs::write(place.join("file"), vec![1; 1 << 20]).unwrap();
        let once = size(&place).unwrap();
        fs::hard_link(place.join("file"), place.join("inner/again")).unwrap();
        assert_eq!((size(&place).unwrap(), size(&place.join("nothing")).unwrap()), (once, 0));
        assert!(once >= 1 << 20, "{once}");
        remove(&place).unwrap();
        remove(&place).unwrap();
        assert_eq!(size(&place).unwrap(), 0);
    }
}
