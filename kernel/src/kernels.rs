//! Named kernels.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::OnceLock,
};

use serde::Deserialize;

use crate::{
    Error, Origin, Progress, Result, Series, SeriesProblem, Subsystem,
    fs::scratch,
    image::has_image,
    subprocess::{bytes, git},
    tree::cached_origin,
};

/// The contents of `kernels.toml`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Kernels {
    kernel: Vec<KernelSpec>,
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KernelSpec {
    /// The name, such as `6.12`.
    pub name: String,
    /// Possible sources. The first that this machine can use serves.
    pub origins: Vec<Origin>,
    pub(crate) series: String,
    /// Directories of the series of subsystems, each on top of `series`.
    #[serde(default)]
    pub(crate) subsystems: BTreeMap<Subsystem, String>,
}

impl Kernels {
    /// Loads this program's own table.
    pub fn load() -> Result<&'static Self> {
        static LOADED: OnceLock<Kernels> = OnceLock::new();
        let table = toml::from_str(include_str!("../kernels.toml"));
        let table = table.map_err(|why| Error::Kernels { why: Box::new(why) })?;
        Ok(LOADED.get_or_init(|| table))
    }

    /// Returns the kernel of that name. [`Error::NoSuchKernel`] lists the known names.
    pub fn get(&self, name: &str) -> Result<&KernelSpec> {
        self.iter()
            .find(|kernel| kernel.name == name)
            .ok_or_else(|| Error::NoSuchKernel { name: name.to_owned(), known: self.listed(", ") })
    }

    /// Returns the first kernel that this machine can have: its source or its image is in the cache,
    /// or one of its origins can be used. The network is used only for the latter.
    pub fn first_available(&self, cache: &Path, progress: &dyn Progress) -> Result<Available<'_>> {
        let mut passed_over = Vec::new();
        for kernel in self.iter() {
            match kernel.require_source(cache, progress) {
                Ok(()) => return Ok(Available { kernel, passed_over }),
                Err(Error::NoOrigin { attempts, .. }) => {
                    passed_over.push(format!("{}: {}", kernel.name, attempts.join("; ")));
                }
                Err(error) => return Err(error),
            }
        }
        Err(Error::NoOrigin { kernel: self.listed(" or "), attempts: passed_over })
    }

    /// Returns the kernel with the series that people edit, which the other series follow: the first
    /// that has one.
    pub fn primary(&self) -> Result<&KernelSpec> {
        let has_series = |kernel: &&KernelSpec| kernel.series_directory().is_dir();
        let none = || Error::NoSuchKernel { name: "with a series".into(), known: self.listed(", ") };
        self.iter().find(has_series).ok_or_else(none)
    }

    fn listed(&self, separator: &str) -> String {
        self.names().collect::<Vec<_>>().join(separator)
    }

    /// Returns all kernels, in the order of the file.
    pub fn iter(&self) -> impl Iterator<Item = &KernelSpec> {
        self.kernel.iter()
    }

    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.iter().map(|kernel| kernel.name.as_str())
    }
}

/// The first kernel that a machine can have.
#[derive(Clone, Debug)]
pub struct Available<'a> {
    pub kernel: &'a KernelSpec,
    /// The kernels before it, each with the reason why this machine can't have it.
    pub passed_over: Vec<String>,
}

impl KernelSpec {
    /// Checks that the source is at hand or can be fetched, as far as that is known without its
    /// download.
    ///
    /// # Errors
    /// [`Error::NoOrigin`] with each origin's reason.
    pub fn require_source(&self, cache: &Path, progress: &dyn Progress) -> Result<()> {
        if cached_origin(&self.name, &self.origins, cache)?.is_some() {
            return Ok(());
        }
        for origin in &self.origins {
            if origin.identity(cache)?.is_some_and(|identity| has_image(&identity, cache)) {
                return Ok(());
            }
        }
        let mut attempts = Vec::new();
        for origin in &self.origins {
            match origin.check(cache, progress) {
                Ok(()) => return Ok(()),
                Err(Error::Download { reason, .. }) => attempts.push(format!("{origin}: {reason}")),
                Err(error) => return Err(error),
            }
        }
        Err(Error::NoOrigin { kernel: self.name.clone(), attempts })
    }

    /// Describes the origin of the source that is in the cache, or else of the one that is tried
    /// first.
    pub fn origin(&self, cache: &Path) -> Result<String> {
        let cached = cached_origin(&self.name, &self.origins, cache)?.map(|(origin, ..)| origin);
        Ok(cached.or(self.origins.first()).map(ToString::to_string).unwrap_or_default())
    }

    /// Returns this repository's series for this kernel, which may be empty.
    pub fn series(&self) -> Result<Series> {
        Series::read(&self.series_directory())
    }

    /// Returns this repository's series for this kernel with that of a subsystem on top.
    pub fn series_with(&self, subsystem: Option<Subsystem>) -> Result<Series> {
        let series = self.series()?;
        match subsystem {
            Some(subsystem) => Ok(series.then(Series::read(&self.subsystem_directory(subsystem)?)?)),
            None => Ok(series),
        }
    }

    /// Returns true if this kernel has a series for that subsystem.
    pub fn has(&self, subsystem: Subsystem) -> bool {
        self.subsystems.contains_key(&subsystem)
    }

    /// Returns the series as a revision of this repository has it.
    pub fn series_at(&self, revision: &str) -> Result<Series> {
        let patches = scratch()?;
        // In a directory, git archives its files alone.
        let archive = bytes(git(&self.series_directory()).args(["archive", "--format=tar", revision]));
        let archive = archive.map_err(|error| match error {
            Error::Command { stderr, .. } => {
                let stderr_line = stderr.trim_end().trim_start_matches("fatal: ").to_owned();
                let why = SeriesProblem::NotInRevision { stderr_line };
                Error::NotASeries { name: revision.to_owned(), why }
            }
            error => error,
        })?;
        let unpacked = tar::Archive::new(archive.as_slice()).unpack(patches.path());
        unpacked.map_err(Error::io("writing", patches.path()))?;
        Series::read(patches.path())
    }

    pub fn series_directory(&self) -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join(&self.series)
    }

    /// Returns the directory of a subsystem's series.
    ///
    /// # Errors
    /// [`Error::NoSubsystem`] if this kernel has none.
    pub(crate) fn subsystem_directory(&self, subsystem: Subsystem) -> Result<PathBuf> {
        let directory = self.subsystems.get(&subsystem);
        let directory =
            directory.ok_or_else(|| Error::NoSubsystem { kernel: self.name.clone(), subsystem })?;
        Ok(Path::new(env!("CARGO_MANIFEST_DIR")).join(directory))
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::{NoProgress, sources::place};

    /// A kernel that no machine can have, and one that every machine can.
    const TWO: &str = "[[kernel]]\nname = '2'\nseries = 's'\norigins = [{ debian = { package = 'linux-source-2', suite = 'never' } }]\n\
                       [[kernel]]\nname = '1'\nseries = 's'\norigins = [{ download = { url = 'http://localhost/x.tar', sha256 = '0' } }]\n";

    #[test]
    fn unknown_kernel_is_refused_with_the_known_names_in_the_order_of_the_file() {
        let error = toml::from_str::<Kernels>(TWO).unwrap().get("5.4").unwrap_err();
        assert_eq!(error.to_string(), "there is no kernel named `5.4`; there are 2, 1");
    }

    #[test]
    fn series_of_a_subsystem_is_on_top_of_the_kernels_own() {
        let kernels = Kernels::load().unwrap();
        let [new, old] = ["7.3", "6.12"].map(|name| kernels.get(name).unwrap());
        let (own, with) = (new.series().unwrap(), new.series_with(Some(Subsystem::Nfs)).unwrap());
        let (first, rest) = with.patches().split_at(own.patches().len());
        assert_eq!(first, own.patches());
        assert_eq!(rest, Series::read(&new.subsystem_directory(Subsystem::Nfs).unwrap()).unwrap().patches());
        assert!(!rest.is_empty());

        assert!(new.has(Subsystem::Nfs) && !old.has(Subsystem::Nfs));
        let error = old.series_with(Some(Subsystem::Nfs)).unwrap_err();
        assert_eq!(
            error.to_string(),
            "kernel 6.12 has no patches for nfs; kernel/kernels.toml lists those that have some"
        );
    }

    #[test]
    fn first_kernel_that_can_be_had_is_taken_and_the_others_come_with_the_reason() {
        let kernels: Kernels = toml::from_str(TWO).unwrap();
        let cache = tempfile::tempdir().unwrap();
        let found = kernels.first_available(cache.path(), &NoProgress).unwrap();
        assert_eq!(found.kernel.name, "1");
        let [reason] = &*found.passed_over else { panic!("{:?}", found.passed_over) };
        assert!(reason.starts_with("2: Debian package linux-source-2 from never: "), "{reason}");

        // Its source in the cache makes all the difference, and needs no archive.
        let identity = "debian linux-source-2 2.0-1";
        fs::create_dir_all(cache.path().join("sources")).unwrap();
        fs::write(cache.path().join("sources/linux-source-2-from-never"), identity).unwrap();
        fs::create_dir_all(place(cache.path(), "2", identity)).unwrap();
        let found = kernels.first_available(cache.path(), &NoProgress).unwrap();
        assert_eq!((found.kernel.name.as_str(), found.passed_over.len()), ("2", 0));
    }
}
