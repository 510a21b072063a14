//! Named kernels.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use serde::Deserialize;

use crate::{Error, Origin, Result, Series};

/// The contents of `kernels.toml`.
#[derive(Debug)]
pub struct Kernels {
    default: String,
    named: BTreeMap<String, KernelSpec>,
}

/// One named kernel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KernelSpec {
    /// The name, such as `6.12`.
    pub name: String,
    /// Possible sources. The first that this machine can use serves.
    pub origins: Vec<Origin>,
    series: String,
}

impl Kernels {
    /// Loads this program's own table.
    pub fn load() -> Result<Self> {
        Self::parse(include_str!("../kernels.toml"))
    }

    fn parse(text: &str) -> Result<Self> {
        let table: Table = toml::from_str(text).map_err(|why| Error::Kernels { why: why.into() })?;
        let named = table
            .kernel
            .into_iter()
            .map(|(name, entry)| {
                (name.clone(), KernelSpec { name, origins: entry.origins, series: entry.series })
            })
            .collect();
        let kernels = Self { default: table.default, named };
        kernels.get(&kernels.default)?;
        Ok(kernels)
    }

    /// Returns the kernel of that name, or the default one. [`Error::NoSuchKernel`] lists the known
    /// names.
    pub fn get_or_default(&self, name: Option<&str>) -> Result<&KernelSpec> {
        self.get(name.unwrap_or(&self.default))
    }

    /// Returns the kernel of that name. [`Error::NoSuchKernel`] lists the known names.
    pub fn get(&self, name: &str) -> Result<&KernelSpec> {
        self.named.get(name).ok_or_else(|| Error::NoSuchKernel {
            name: name.to_owned(),
            known: self.names().collect::<Vec<_>>().join(", "),
        })
    }

    /// Returns all names, in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.named.keys().map(String::as_str)
    }
}

impl KernelSpec {
    /// Returns this repository's series for this kernel, which may be empty.
    pub fn series(&self) -> Result<Series> {
        Series::read(&self.series_directory())
    }

    /// Returns this repository's directory with the series for this kernel.
    pub fn series_directory(&self) -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join(&self.series)
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    default: String,
    kernel: BTreeMap<String, Entry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    series: String,
    origins: Vec<Origin>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_names_both_kernels_and_a_default() {
        let kernels = Kernels::load().unwrap();
        assert_eq!(kernels.names().collect::<Vec<_>>(), ["6.1", "6.12"]);
        assert_eq!(kernels.get_or_default(None).unwrap().name, "6.12");
    }

    #[test]
    fn an_unknown_name_is_answered_with_the_known_ones() {
        let error = Kernels::load().unwrap().get("5.4").unwrap_err();
        assert_eq!(error.to_string(), "there is no kernel named `5.4`; there are 6.1, 6.12");
    }
}
