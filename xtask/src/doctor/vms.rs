//! Virtual machines that run guests here, and the reasons that others don't.

use std::path::Path;

use anyhow::Result;
use kernel::{Arch, has_program};

use super::Finding;
use crate::artifacts::image::{self, KernelOptions};
use crate::host::packages;
use crate::host::terminal::Terminal;
use crate::session::probe;

const ALTERNATIVE: &str = "tests run without KVM, on User-Mode Linux and TCG";

pub(super) fn findings(cache: &Path, terminal: &Terminal) -> Result<Vec<Finding>> {
    if !has_program("qemu-system-x86_64") {
        let remedy = format!("install QEMU: {}", packages::install_command(&[packages::QEMU]));
        return Ok(vec![uml(cache)?, Finding::degraded("kvm", "not tried without QEMU".into(), remedy)]);
    }
    let kvm = match probe::kvm_unusable(cache, terminal)? {
        None => Finding::good("kvm", "runs guests, as far as QEMU's firmware shows".into()),
        Some(why) => {
            Finding::degraded("kvm", why.to_string(), format!("{}; {ALTERNATIVE}", why.kvm_remedy()))
        }
    };
    let tcg = Finding::good("tcg", "runs on any machine".into());
    Ok(vec![kvm, uml(cache)?, tcg])
}

/// Checks User-Mode Linux: boots a built kernel without a root, unless the last probe has failed.
fn uml(cache: &Path) -> Result<Finding> {
    const ALTERNATIVE: &str = "tests run without it, on QEMU";
    if let Some(why) = probe::uml_unusable(cache)? {
        return Ok(Finding::degraded("uml", why, ALTERNATIVE.into()));
    }
    // Missing build tools have findings of their own.
    let built = image::built(&KernelOptions::default(), Arch::Um, cache).ok().flatten();
    let Some(image) = built else {
        return Ok(Finding::good("uml", "not built yet; the first test builds and probes it".into()));
    };
    Ok(match probe::uml_boots(&image.path) {
        Err(why) => Finding::degraded("uml", format!("{why:#}"), ALTERNATIVE.into()),
        Ok(Some(took)) => Finding::good("uml", format!("its kernel boots in {:.2} s", took.as_secs_f32())),
        Ok(None) => {
            Finding::degraded("uml", "its kernel does not boot on this processor".into(), ALTERNATIVE.into())
        }
    })
}
