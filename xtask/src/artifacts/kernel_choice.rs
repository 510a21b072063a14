//! The kernel of a command: the one that `--kernel` names, or the first that this machine can have.

use std::sync::OnceLock;

use anyhow::Result;
use kernel::{KernelSpec, Kernels, NoProgress};

use crate::host::cache;

/// The kernel that is used where none is named.
#[derive(Debug)]
struct Default {
    name: String,
    /// The kernels before it, each with the reason why this machine can't have it.
    passed_over: Vec<String>,
}

/// Returns the kernel of that name. Without one it is the first that this machine can have, or, for
/// a source of the user's own, the first of all.
pub fn kernel<'k>(kernels: &'k Kernels, name: Option<&str>, has_own_source: bool) -> Result<&'k KernelSpec> {
    match (name, kernels.iter().next()) {
        (Some(name), _) => Ok(kernels.get(name)?),
        (None, Some(first)) if has_own_source => Ok(first),
        (None, _) => Ok(kernels.get(&default(kernels)?.name)?),
    }
}

/// Returns the kernels that this command has passed over so far, each with the reason why this
/// machine can't have it.
pub fn passed_over() -> &'static [String] {
    DEFAULT.get().map_or(&[], |default| &default.passed_over)
}

/// The choice, which is made once in a process.
static DEFAULT: OnceLock<Default> = OnceLock::new();

fn default(kernels: &Kernels) -> Result<&'static Default> {
    if let Some(default) = DEFAULT.get() {
        return Ok(default);
    }
    let found = kernels.first_available(&cache::directory()?, &NoProgress)?;
    let name = found.kernel.name.clone();
    Ok(DEFAULT.get_or_init(|| Default { name, passed_over: found.passed_over }))
}
