//! Lists of code that a check leaves out: `kernel/coverage/*.toml`, each entry with its reason.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use kernel::Kernels;
use serde::de::DeserializeOwned;

use super::workspace;

/// An entry of such a list.
pub trait Exemption: DeserializeOwned + Display {
    /// Name of the list's file, and of the entries in it.
    const NAME: &str;

    /// Kernels that the entry applies to; `None` for all.
    fn kernels(&self) -> Option<&[String]>;
}

/// Path of a list.
pub fn path<E: Exemption>() -> PathBuf {
    workspace::root().join("kernel/coverage").join(E::NAME).with_extension("toml")
}

/// Reads the entries for a kernel.
pub fn read<E: Exemption>(kernel: &str) -> Result<Vec<E>> {
    let path = path::<E>();
    let text = fs::read_to_string(&path).with_context(|| format!("can't read {}", path.display()))?;
    parse(&text, &path, kernel)
}

pub(crate) fn parse<E: Exemption>(text: &str, path: &Path, kernel: &str) -> Result<Vec<E>> {
    let unreadable = || format!("can't read {}", path.display());
    let mut lists: BTreeMap<String, Vec<E>> = toml::from_str(text).with_context(unreadable)?;
    let entries = lists.remove(E::NAME).unwrap_or_default();
    if let Some(unknown) = lists.keys().next() {
        ensure!(false, "{}: `{unknown}` is unknown; entries begin with [[{}]]", unreadable(), E::NAME);
    }
    let known = Kernels::load()?;
    for entry in &entries {
        for name in entry.kernels().unwrap_or_default() {
            known.get(name).with_context(|| format!("{}, the entry {entry}: `kernels`", path.display()))?;
        }
    }
    let is_meant =
        |entry: &E| entry.kernels().is_none_or(|kernels| kernels.iter().any(|name| name == kernel));
    Ok(entries.into_iter().filter(is_meant).collect())
}
