//! Programs and packages that the host needs for a kernel build.

use std::path::Path;

use crate::programs::has_program;

/// One tool or header that a build needs, and the Debian (and Ubuntu) package that has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Requirement {
    /// The program's or the header's name.
    pub name: &'static str,
    pub package: &'static str,
    kind: Kind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Program,
    Header,
}

const REQUIREMENTS: &[Requirement] = &[
    program("git", "git"),
    program("make", "make"),
    program("gcc", "gcc"),
    program("ld", "binutils"),
    program("flex", "flex"),
    program("bison", "bison"),
    program("bc", "bc"),
    program("perl", "perl"),
    program("gzip", "gzip"),
    header("stdlib.h", "libc6-dev"),
    header("libelf.h", "libelf-dev"),
];

const fn program(name: &'static str, package: &'static str) -> Requirement {
    Requirement { name, package, kind: Kind::Program }
}

const fn header(name: &'static str, package: &'static str) -> Requirement {
    Requirement { name, package, kind: Kind::Header }
}

pub fn requirements() -> &'static [Requirement] {
    REQUIREMENTS
}

pub fn missing() -> Vec<Requirement> {
    REQUIREMENTS.iter().copied().filter(|one| !one.is_there()).collect()
}

impl Requirement {
    pub fn is_there(&self) -> bool {
        match self.kind {
            Kind::Program => has_program(self.name),
            Kind::Header => Path::new("/usr/include").join(self.name).is_file(),
        }
    }
}
