//! Programs and packages that the host needs for a kernel build.

use std::path::Path;

use crate::programs::has_program;

/// One tool or header that a build needs, and the Debian (and Ubuntu) package that has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Requirement {
    /// The program's or the header's name.
    pub name: &'static str,
    pub package: &'static str,
}

pub const REQUIREMENTS: &[Requirement] = &[
    needs("git", "git"),
    needs("make", "make"),
    needs("gcc", "gcc"),
    needs("ld", "binutils"),
    needs("flex", "flex"),
    needs("bison", "bison"),
    needs("bc", "bc"),
    needs("perl", "perl"),
    needs("gzip", "gzip"),
    needs("stdlib.h", "libc6-dev"),
    needs("libelf.h", "libelf-dev"),
];

const fn needs(name: &'static str, package: &'static str) -> Requirement {
    Requirement { name, package }
}

pub fn missing() -> Vec<Requirement> {
    REQUIREMENTS.iter().copied().filter(|one| !one.is_there()).collect()
}

impl Requirement {
    pub fn is_there(&self) -> bool {
        match self.name.ends_with(".h") {
            true => Path::new("/usr/include").join(self.name).is_file(),
            false => has_program(self.name),
        }
    }
}
