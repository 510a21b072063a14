//! Test fixture: a temporary folder with a fake kernel source, and a cache beside it.

use std::{
    env, fs,
    io::{self, Write},
    path::{Path, PathBuf},
    process::Command,
    sync::LazyLock,
};

use crate::{Arch, BuildRequest, KernelSpec, Kernels, Origin, Profile, Result, Series};

pub(crate) struct Fixture {
    directory: tempfile::TempDir,
    pub(crate) kernel: KernelSpec,
}

impl Fixture {
    pub(crate) fn new() -> Self {
        let kernel = Kernels::load().unwrap().get("6.12").unwrap().clone();
        Self { directory: tempfile::tempdir().unwrap(), kernel }
    }

    /// Returns a folder with these files in the directory `source`.
    pub(crate) fn with_source(files: &[(&str, &str)]) -> Self {
        let fixture = Self::new();
        for (name, contents) in files {
            fixture.write(format!("source/{name}"), contents);
        }
        fixture
    }

    /// Like [`Self::with_source`], for a source that is built. `None` if the machine has no `make`.
    pub(crate) fn to_make(files: &[(&str, &str)]) -> Option<Self> {
        (!lacks_make()).then(|| Self::with_source(files))
    }

    pub(crate) fn path(&self, name: impl AsRef<Path>) -> PathBuf {
        self.directory.path().join(name)
    }

    pub(crate) fn write(&self, name: impl AsRef<Path>, bytes: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, bytes).unwrap();
        path
    }

    pub(crate) fn write_patch(&self, number: usize, file: &str, hunk: &str) {
        let mail = format!(
            "From: Z <z@example.org>\nDate: Fri, 1 Jul 2022 10:00:00 +0200\nSubject: [PATCH] Change\n\nWhy.\n---\n\
             diff --git a/{file} b/{file}\n--- a/{file}\n+++ b/{file}\n{hunk}\n-- \n2\n"
        );
        self.write(format!("series/{number:04}-x.patch"), mail);
    }

    pub(crate) fn patches(&self) -> Result<Series> {
        Series::read(&self.path("series"))
    }

    /// Returns the request for the plain kernel of that source with these patches.
    pub(crate) fn request(&self, source: &str, series: Series) -> Result<BuildRequest<'_>> {
        Ok(BuildRequest {
            kernel: &self.kernel,
            origin: Some(Origin::at(&self.path(source))?),
            series,
            arch: Arch::X86_64,
            profile: Profile::Plain,
            fragments: Vec::new(),
            jobs: 1,
        })
    }
}

/// Returns true, with a note, if `make` is missing and `cargo xtask host` can't install it. In CI that is a failure.
pub(crate) fn lacks_make() -> bool {
    static LACKS_MAKE: LazyLock<bool> = LazyLock::new(|| lacks("make"));
    *LACKS_MAKE
}

/// Like [`lacks_make`], for `gpg`.
pub(crate) fn lacks_gpg() -> bool {
    static LACKS_GPG: LazyLock<bool> = LazyLock::new(|| lacks("gpg"));
    *LACKS_GPG
}

fn lacks(program: &str) -> bool {
    let is_here = || Command::new(program).arg("--version").output().is_ok();
    if is_here() {
        return false;
    }
    let install =
        Command::new(env!("CARGO")).args(["run", "--quiet", "--package=xtask", "--", "host"]).output();
    let lacks = !is_here();
    assert!(!lacks || env::var_os("CI").is_none(), "{program} is not installed: {install:?}");
    if lacks {
        // Bypasses the harness, which keeps the output of a test that passes.
        let _ = writeln!(
            io::stderr(),
            "skipped: {program} is not installed: `cargo xtask host` says how to install it"
        );
    }
    lacks
}
