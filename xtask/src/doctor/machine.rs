//! The host machine: system, processors, memory, disk.

use std::env::consts::{ARCH, OS};
use std::fs;
use std::num::NonZero;
use std::path::Path;
use std::thread;

use anyhow::{Context, Error, Result};
use indicatif::HumanBytes;
use nix::sys::statvfs::statvfs;
use nix::sys::utsname::uname;

use super::Finding;
use crate::host::{cache, workspace};

const GIB: u64 = 1 << 30;

/// Maximum memory of a run on the default kernel: a few guests, and a compiler for each processor.
const MEMORY: u64 = GIB;
const MEMORY_DEBUG: u64 = 3 * GIB;

/// Disk space for sources, trees, builds and images of a kernel that is not built yet, for both
/// targets.
const DISK: u64 = 7 * GIB;
/// Disk space for a run when everything is built.
const DISK_AT_LEAST: u64 = GIB / 2;

pub(super) fn findings(cache: Result<&Path, &Error>) -> Result<Vec<Finding>> {
    let cache = match cache {
        Ok(cache) => disk("cache", cache)?,
        Err(why) => {
            let observed = why.to_string();
            let observed = observed.trim_end_matches(&format!("; {}", cache::REMEDY)).to_owned();
            Finding::missing("cache", observed, cache::REMEDY.into())
        }
    };
    Ok(vec![system(), processors(), memory()?, cache, disk("target", &workspace::target())?])
}

fn system() -> Finding {
    let release = fs::read_to_string("/etc/os-release").unwrap_or_default();
    let name = release.lines().find_map(|line| line.strip_prefix("PRETTY_NAME="));
    let name = name.unwrap_or("an unknown distribution").trim_matches('"');
    let kernel = uname().map(|it| it.release().to_string_lossy().into_owned()).unwrap_or_default();
    let observed = format!("{name}, {OS} {kernel}, {ARCH}");
    if (OS, ARCH) == ("linux", "x86_64") {
        Finding::good("system", observed)
    } else {
        let remedy = "the kernels are built for x86-64 on Linux: use such a machine, real or virtual";
        Finding::missing("system", observed, remedy.into())
    }
}

fn processors() -> Finding {
    let count = thread::available_parallelism().map_or(1, NonZero::get);
    let observed = count.to_string();
    if count > 1 {
        Finding::good("processors", observed)
    } else {
        let remedy = "scenarios that race two processors are skipped: add a second processor";
        Finding::degraded("processors", observed, remedy.into())
    }
}

fn memory() -> Result<Finding> {
    let text = fs::read_to_string("/proc/meminfo").context("can't read /proc/meminfo")?;
    Ok(memory_finding(kibibytes(&text, "MemAvailable:"), kibibytes(&text, "MemTotal:")))
}

fn kibibytes(text: &str, field: &str) -> u64 {
    let value = text.lines().find_map(|line| line.strip_prefix(field));
    value.and_then(|value| value.trim().trim_end_matches(" kB").parse::<u64>().ok()).unwrap_or(0) * 1024
}

fn memory_finding(available: u64, total: u64) -> Finding {
    let observed = format!("{} available of {}", HumanBytes(available), HumanBytes(total));
    if available < MEMORY {
        let remedy =
            format!("at least {} must be available: end other programs, or add swap", HumanBytes(MEMORY));
        Finding::missing("memory", observed, remedy)
    } else if available < MEMORY_DEBUG {
        let remedy = "--profile debug needs 3 GiB for each guest";
        Finding::degraded("memory", observed, remedy.into())
    } else {
        Finding::good("memory", observed)
    }
}

/// Checks the disk of a directory, or of its nearest existing parent.
fn disk(about: &str, place: &Path) -> Result<Finding> {
    let existing = place.ancestors().find(|place| place.exists()).unwrap_or(Path::new("/"));
    let found =
        statvfs(existing).with_context(|| format!("can't examine the disk of {}", place.display()))?;
    let free = found.blocks_available() * found.fragment_size();
    Ok(disk_finding(about, place, free))
}

fn disk_finding(about: &str, place: &Path, free: u64) -> Finding {
    let observed = format!("{} free for {}", HumanBytes(free), place.display());
    let remedy = "`cargo xtask clean` frees space by kind; $KEYAGENTS_CACHE puts the cache elsewhere";
    if free < DISK_AT_LEAST {
        Finding::missing(about, observed, remedy.into())
    } else if free < DISK {
        let remedy = format!("a kernel that is not built yet takes up to {}: {remedy}", HumanBytes(DISK));
        Finding::degraded(about, observed, remedy)
    } else {
        Finding::good(about, observed)
    }
}

#[cfg(test)]
mod tests {
    use super::super::State;
    use super::*;

    #[test]
    fn insufficient_differs_from_scarce() {
        let memory = |gib: u64| memory_finding(gib * GIB, 64 * GIB).state;
        assert!(matches!(memory(0), State::Missing(_)));
        assert!(matches!(memory(2), State::Degraded(_)));
        assert_eq!(memory(4), State::Good);
        let disk = |bytes| disk_finding("cache", Path::new("/x"), bytes).state;
        assert!(matches!(disk(GIB / 4), State::Missing(remedy) if remedy.contains("cargo xtask clean")));
        assert!(matches!(disk(GIB), State::Degraded(_)));
        assert_eq!(disk(8 * GIB), State::Good);
    }

    #[test]
    fn unusable_cache_is_a_missing_requirement() {
        let why = anyhow::anyhow!("can't use the cache /a b: make; {}", cache::REMEDY);
        let found = findings(Err(&why)).unwrap();
        let remedy = State::Missing(cache::REMEDY.into());
        assert!(found.iter().any(|it| it.observed == "can't use the cache /a b: make" && it.state == remedy));
    }

    #[test]
    fn memory_is_read_in_kibibytes() {
        assert_eq!(kibibytes("MemTotal: 9 kB\nMemAvailable:    2048 kB\n", "MemAvailable:"), 2 << 20);
    }
}
