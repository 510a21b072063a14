//! Compilation of the files that a series touches, with the warnings that kernel maintainers
//! enable.

use std::{
    fs,
    path::{Path, PathBuf},
};

use super::{Outcome, Switch, worktree::Worktree};
use crate::{
    Arch, Error, Fragment, NoProgress, Profile, Result, Subsystem,
    build::{Build, Toolchain, run_logged},
    diagnostics::{Diagnostic, Known},
    programs::has_program,
};

/// The directory that is compiled as a whole.
const KEYS: &str = "security/keys/";

/// Top-level directories whose C files are not part of a kernel.
const NOT_KERNEL: [&str; 5] = ["Documentation/", "samples/", "scripts/", "tools/", "usr/"];

/// A build directory in which the tree is compiled again after each patch.
pub(super) struct Compiler<'a> {
    worktree: &'a Worktree<'a>,
    build: Build<'a>,
    switch: Switch,
    /// The files outside of [`KEYS`] that the series touches.
    files: Vec<String>,
    known: Known,
    known_to_sparse: Known,
}

pub(super) struct News {
    pub(super) compiler: Vec<String>,
    /// None if sparse is missing or was not run.
    pub(super) sparse: Option<Vec<String>>,
}

impl<'a> Compiler<'a> {
    /// Compiles the current checkout, which must succeed, and records its warnings. `touched` are
    /// all files that later patches touch.
    pub(super) fn begin(worktree: &'a Worktree<'a>, switch: Switch, touched: &[String]) -> Result<Self> {
        let name = match switch {
            Switch::On => "on",
            Switch::Off => "off",
        };
        let build = build(worktree, name, Toolchain::Gnu);
        let is_object = |file: &&String| {
            file.ends_with(".c")
                && !file.starts_with(KEYS)
                && !NOT_KERNEL.iter().any(|top| file.starts_with(top))
        };
        let files = touched.iter().filter(is_object).cloned().collect();
        let (known, known_to_sparse) = Default::default();
        let mut compiler = Self { worktree, build, switch, files, known, known_to_sparse };
        compiler.forget()?;
        let made = compiler.configure().and_then(|()| compiler.make())?;
        if made.failed {
            let first = made.compiler.into_iter().map(|one| one.line).take(8).collect();
            let status = format!("{} without the patches", worktree.kernel());
            return Err(Error::Build { status, first, log: compiler.log() });
        }
        compiler.known.new_ones(made.compiler);
        compiler.known_to_sparse.new_ones(made.sparse);
        Ok(compiler)
    }

    /// Compiles the current checkout, and returns the new diagnostics.
    pub(super) fn compile(&mut self) -> Result<News> {
        let sparse = self.asks_sparse().then(Vec::new);
        match self.configure() {
            Err(Error::ConfigMismatch(options)) => {
                let compiler = options.iter().map(ToString::to_string).collect();
                return Ok(News { compiler, sparse });
            }
            done => done?,
        }
        let made = self.make()?;
        let mut compiler = self.known.new_ones(made.compiler);
        if made.failed {
            compiler.push(format!("it does not compile; the whole log: {}", self.log().display()));
        }
        Ok(News { compiler, sparse: sparse.map(|_| self.known_to_sparse.new_ones(made.sparse)) })
    }

    /// Removes the checked objects, since only a compilation has diagnostics.
    fn forget(&self) -> Result<()> {
        let mut objects = objects(&self.build.directory.join(KEYS));
        objects.extend(self.files.iter().map(|file| self.build.directory.join(file).with_extension("o")));
        for object in objects.iter().filter(|object| object.exists()) {
            fs::remove_file(object).map_err(Error::io("removing", object))?;
        }
        Ok(())
    }

    /// Sets all options that the series has added so far to the same value.
    fn configure(&self) -> Result<()> {
        let mut fragments = Profile::Plain.fragments(Arch::X86_64, false)?;
        let subsystem = self.worktree.check.subsystem.map(Subsystem::name);
        for purpose in ["keys", "kunit"].into_iter().chain(subsystem) {
            fragments.push(Fragment::named(purpose)?);
        }
        let added = self.worktree.added_options()?;
        let setting = |option: &String| match self.switch {
            Switch::On => format!("{option}=y\n"),
            Switch::Off => format!("# {option} is not set\n"),
        };
        let added: String = added.iter().map(setting).collect();
        fragments.push(Fragment::parse(Path::new("the series"), &added)?);
        self.build.configure(&fragments, &NoProgress)
    }

    fn make(&self) -> Result<Made> {
        let tree = &self.worktree.tree;
        let sparse_log = self.build.directory.join("sparse.log");
        let mut command = self.build.make();
        command.arg(format!("-j{}", self.build.jobs)).args(["--keep-going", "W=1"]);
        if self.asks_sparse() {
            fs::write(&sparse_log, "").map_err(Error::io("writing", &sparse_log))?;
            // kbuild begins a recipe with this: the output of sparse goes to a log of its own.
            command.arg("C=1").arg(format!("CHECK=2>>'{}' sparse", sparse_log.display()));
        }
        command.arg(KEYS);
        let there = self.files.iter().filter(|file| tree.join(file).is_file());
        command.args(there.map(|file| Path::new(file).with_extension("o")));
        let failed = !run_logged(&mut command, &self.log())?.success();
        let read = |path: &Path| fs::read(path).map_err(Error::io("reading", path));
        let compiler = Diagnostic::all(&String::from_utf8_lossy(&read(&self.log())?), tree);
        let sparse = match self.asks_sparse() {
            true => Diagnostic::all(&String::from_utf8_lossy(&read(&sparse_log)?), tree),
            false => Vec::new(),
        };
        Ok(Made { compiler, sparse, failed })
    }

    /// Returns true for the build with the options on. One run of sparse is sufficient, and this
    /// one covers more code.
    fn asks_sparse(&self) -> bool {
        self.switch == Switch::On && has_program("sparse")
    }

    fn log(&self) -> PathBuf {
        self.build.directory.join("build.log")
    }
}

struct Made {
    compiler: Vec<Diagnostic>,
    sparse: Vec<Diagnostic>,
    failed: bool,
}

/// Returns true if LLVM's tools for a kernel build are installed.
pub(super) fn has_clang() -> bool {
    ["clang", "ld.lld", "llvm-ar", "llvm-nm", "llvm-objcopy"].into_iter().all(has_program)
}

/// Builds the whole current checkout with clang.
pub(super) fn with_clang(worktree: &Worktree<'_>) -> Result<Outcome> {
    let build = build(worktree, "clang", Toolchain::Llvm);
    build.configure(&Profile::Plain.fragments(Arch::X86_64, true)?, &NoProgress)?;
    let log = build.directory.join("build.log");
    let mut command = build.make();
    let built = run_logged(command.arg(format!("-j{}", build.jobs)).arg("bzImage"), &log)?.success();
    let output = fs::read(&log).map_err(Error::io("reading", &log))?;
    let complaints = Diagnostic::all(&String::from_utf8_lossy(&output), &worktree.tree);
    let mut lines: Vec<String> = complaints
        .into_iter()
        .filter(|one| !built || one.file.starts_with(KEYS))
        .map(|one| one.line)
        .collect();
    if !built {
        lines.push(format!("it does not build; the whole log: {}", log.display()));
    }
    Ok(Outcome::of(lines))
}

fn build<'a>(worktree: &'a Worktree<'a>, name: &str, toolchain: Toolchain) -> Build<'a> {
    let directory = worktree.directory.join(name);
    let is_new = !directory.exists();
    let (tree, jobs) = (worktree.tree.as_path(), worktree.check.jobs);
    Build { tree, directory, arch: Arch::X86_64, profile: Profile::Plain, toolchain, jobs, is_new }
}

/// Returns the object files in a directory and those below it; none if it does not exist.
fn objects(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    entries
        .flat_map(|entry| match entry.path() {
            path if path.is_dir() => objects(&path),
            path if path.extension().is_some_and(|extension| extension == "o") => vec![path],
            _ => Vec::new(),
        })
        .collect()
}
