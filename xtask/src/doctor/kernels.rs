//! Named kernels that this machine can have.

use std::path::Path;

use anyhow::Result;
use kernel::{Error, Kernels};

use super::Finding;
use crate::host::terminal::Terminal;

pub(super) fn findings(cache: &Path, terminal: &Terminal) -> Result<Vec<Finding>> {
    let kernels = Kernels::load()?;
    let mut findings: Vec<Finding> = Vec::new();
    let mut has_default = false;
    for kernel in kernels.iter() {
        match kernel.require_source(cache, terminal) {
            Ok(()) => {
                let default = if has_default { "" } else { ": the default of this machine" };
                has_default = true;
                findings.push(Finding::good(&kernel.name, format!("{}{default}", kernel.origin(cache)?)));
            }
            Err(Error::NoOrigin { attempts, .. }) => {
                let remedy = "tests run on the other kernels; --kernel-src takes a source of your own";
                findings.push(Finding::degraded(&kernel.name, attempts.join("; "), remedy.into()));
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok(findings)
}
