//! Does KVM run guests here? Only a trial boot tells: /dev/kvm can open on machines where no guest ever runs.

use std::fs::{self, OpenOptions};
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use super::qemu::Qemu;
use super::{Boot, Happening, Machine};
use crate::cache;

/// A guest on a working KVM says its first word within a fraction of this.
const DEADLINE: Duration = Duration::from_secs(6);

/// Whether KVM works here, and how that is known.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verdict {
    /// Whether a guest ran.
    pub works: bool,
    /// What was seen.
    pub reason: String,
}

#[derive(Serialize, Deserialize)]
struct Remembered {
    boot_id: String,
    verdict: Verdict,
}

/// Whether KVM works: as remembered since the host was started, or else found out by booting this guest, which
/// `trying` is told beforehand.
///
/// # Errors
/// QEMU is missing, or the verdict can't be written down.
pub fn kvm(boot: &Boot, cache: &Path, trying: impl FnOnce()) -> Result<Verdict> {
    // Permission may change from one minute to the next and costs nothing to ask: not remembered.
    if let Err(error) = OpenOptions::new().read(true).write(true).open("/dev/kvm") {
        return Ok(Verdict { works: false, reason: format!("/dev/kvm: {error}") });
    }
    let path = cache.join("kvm-verdict.json");
    let boot_id =
        fs::read_to_string("/proc/sys/kernel/random/boot_id").context("can't tell this boot of the host")?;
    if let Some(verdict) = remembered(&path, &boot_id) {
        return Ok(verdict);
    }
    trying();
    let verdict = try_boot(boot)?;
    let remembered = Remembered { boot_id, verdict };
    cache::write_whole(&path, &serde_json::to_vec_pretty(&remembered)?)?;
    Ok(remembered.verdict)
}

fn remembered(path: &Path, boot_id: &str) -> Option<Verdict> {
    let remembered: Remembered = serde_json::from_slice(&fs::read(path).ok()?).ok()?;
    (remembered.boot_id == boot_id).then_some(remembered.verdict)
}

fn try_boot(boot: &Boot) -> Result<Verdict> {
    let mut machine = Machine::start(&Qemu::kvm(), boot)?;
    let happening = machine.next(DEADLINE);
    let seconds = machine.age().as_secs_f32();
    machine.stop();
    let last_words = || machine.console().tail(1).pop().unwrap_or_else(|| "it said nothing".into());
    Ok(match happening {
        Some(Happening::Message(_)) => {
            Verdict { works: true, reason: format!("a trial guest was up in {seconds:.1} s") }
        }
        Some(Happening::Trouble(trouble)) => {
            Verdict { works: false, reason: format!("a trial guest had a {trouble}") }
        }
        Some(Happening::Gone) => Verdict {
            works: false,
            reason: format!("a trial guest died in {seconds:.1} s: {}", last_words()),
        },
        None => Verdict {
            works: false,
            reason: format!("a trial guest did not come up in {} s", DEADLINE.as_secs()),
        },
    })
}
