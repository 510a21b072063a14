//! The kernel of a command: the one that `--kernel` names, or the first that this machine can have.

use std::sync::OnceLock;

use anyhow::Result;
use kernel::{Available, KernelSpec, Kernels, NoProgress};

use crate::host::cache;

/// Returns the kernel of that name. Without one it is the first that this machine can have, or, for
/// a source of the user's own, the first of all.
pub fn kernel(name: Option<&str>, has_own_source: bool) -> Result<&'static KernelSpec> {
    let kernels = Kernels::load()?;
    match (name, kernels.iter().next(), DEFAULT.get()) {
        (Some(name), ..) => Ok(kernels.get(name)?),
        (None, Some(first), _) if has_own_source => Ok(first),
        (None, _, Some(default)) => Ok(default.kernel),
        (None, _, None) => {
            let found = kernels.first_available(&cache::directory()?, &NoProgress)?;
            Ok(DEFAULT.get_or_init(|| found).kernel)
        }
    }
}

/// Returns the kernels that this command has passed over so far, each with the reason why this
/// machine can't have it.
pub fn passed_over() -> &'static [String] {
    DEFAULT.get().map_or(&[], |default| &default.passed_over)
}

/// The choice, which is made once in a process.
static DEFAULT: OnceLock<Available<'static>> = OnceLock::new();
