//! Out-of-tree build with `make`: the configuration, then the kernel.

use std::{
    collections::BTreeSet,
    fs::{self, File},
    io::{BufRead, BufReader, Write},
    path::{Path, PathBuf},
    process::{Command, ExitStatus, Stdio},
};

use crate::{
    Arch, Error, Fragment, Phase, Profile, Progress, Result,
    changed_lines::counted_sources,
    config,
    fs::{is_full, read_if_present},
    programs::has_program,
    subprocess::{self, Running},
    warnings::Warnings,
};

/// Files without KCSAN, since it finds races of the stock kernel there: proc.c reads the numbers of
/// /proc/key-users without the lock that they are changed under.
const RACY: &[&str] = &["proc"];

/// Header that delays calls of the kernel's functions.
pub(crate) const PERTURB: &str = include_str!("../perturb/perturb.h");

/// Characters that the path of a build directory must not contain, besides white space. make, the
/// shell or the compiler interpret them.
const NOT_IN_PATHS: &str = ":#$%=\\'\"`;&|<>()*?[]";

/// Returns the first character that prevents a kernel build below that directory, or `None`.
pub fn unbuildable(directory: &Path) -> Option<char> {
    let path = directory.to_string_lossy();
    // A path that is not UTF-8 is converted for make with this character.
    let is_bad =
        |c: &char| c.is_whitespace() || c.is_control() || NOT_IN_PATHS.contains(*c) || *c == '\u{fffd}';
    path.chars().find(is_bad)
}

/// Number of compiler errors in an error message. The log has them all.
pub(crate) const SHOWN_ERRORS: usize = 8;

/// Directory of the source in the debug information of an image.
pub const SOURCE: &str = "/usr/src/linux";

/// A directory in which one tree is built for one architecture and profile. It is kept, so that a
/// build compiles only the changes.
#[derive(Debug)]
pub(crate) struct Build<'a> {
    pub(crate) tree: &'a Path,
    pub(crate) directory: PathBuf,
    pub(crate) arch: Arch,
    pub(crate) profile: Profile,
    pub(crate) toolchain: Toolchain,
    pub(crate) jobs: usize,
    /// True if nothing was ever built in the directory.
    pub(crate) is_new: bool,
}

#[derive(Debug)]
pub(crate) struct Compiled {
    /// The compiler's messages, with paths in the tree.
    pub(crate) lines: Vec<String>,
    pub(crate) is_complete: bool,
    /// The error for an incomplete compilation.
    pub(crate) failure: Error,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Toolchain {
    Gnu,
    Llvm,
}

impl Build<'_> {
    /// Makes the `.config` and checks that it satisfies the fragments.
    pub(crate) fn configure(&self, fragments: &[Fragment], progress: &dyn Progress) -> Result<()> {
        progress.started(&Phase::Configure, None);
        fs::create_dir_all(&self.directory).map_err(Error::io("creating", &self.directory))?;
        let requested = self.directory.join("requested.config");
        fs::write(&requested, config::merged(fragments)).map_err(Error::io("writing", &requested))?;
        // As `make tinyconfig` does: all other options are off.
        subprocess::read(self.make().arg("allnoconfig").env("KCONFIG_ALLCONFIG", &requested), b"")?;
        let file = self.directory.join(".config");
        let text = fs::read_to_string(&file).map_err(Error::io("reading", &file))?;
        config::check(fragments, &text, |option| self.has_option(option))?;
        progress.finished();
        Ok(())
    }

    /// Builds the image; its path is [`Build::product`].
    pub(crate) fn run(&self, warnings: &mut Warnings, progress: &dyn Progress) -> Result<()> {
        let counts = self.directory.join("steps-of-a-whole-build");
        let counted = fs::read_to_string(&counts).ok().and_then(|text| text.parse().ok());
        let is_whole = self.is_new || !self.vmlinux().exists();
        progress.started(&Phase::Build, is_whole.then(|| counted.unwrap_or(estimated_steps(self.arch))));

        let log = self.log();
        let mut out = File::create(&log).map_err(Error::io("creating", &log))?;
        let (reader, writer) = std::io::pipe().map_err(Error::io("making a pipe for", &log))?;
        let both = writer.try_clone().map_err(Error::io("making a pipe for", &log))?;
        let mut command = self.make();
        command.arg(format!("-j{}", self.jobs)).args([self.target(), "modules"]);
        command.args(self.instrumented_objects()?);
        command.stdin(Stdio::null()).stdout(writer).stderr(both);
        let mut make = Running::start(&mut command)?;
        drop(command);

        let mut errors = Vec::new();
        let mut steps = 0;
        for line in BufReader::new(reader).split(b'\n') {
            let line = line.map_err(Error::io("reading the output of make for", &log))?;
            let line = String::from_utf8_lossy(&line);
            writeln!(out, "{line}").map_err(Error::io("writing", &log))?;
            if progress.is_cancelled() {
                return Err(Error::Cancelled);
            }
            warnings.add_line(&line)?;
            if is_step(&line) {
                steps += 1;
                progress.done(steps);
            } else if is_error(&line) {
                errors.push(line.into_owned());
            }
        }
        let status = make.wait()?;
        if !status.success() {
            return Err(self.failure(status, errors));
        }
        if self.is_new {
            fs::write(&counts, steps.to_string()).map_err(Error::io("writing", &counts))?;
        }
        progress.finished();
        Ok(())
    }

    /// Compiles these objects, and continues with the next one after an error.
    pub(crate) fn compile(&self, objects: &[String]) -> Result<Compiled> {
        let mut command = self.make();
        command.arg(format!("-j{}", self.jobs)).arg("-k").args(objects).args(self.instrumented_objects()?);
        let output = subprocess::output(&mut command, b"")?;
        let log = self.log();
        let errors = String::from_utf8_lossy(&output.stderr);
        fs::write(&log, errors.as_bytes()).map_err(Error::io("writing", &log))?;
        let tree = format!("{}/", self.tree.display());
        let lines = errors.lines().map(|line| line.strip_prefix(&tree).unwrap_or(line).to_owned()).collect();
        let first = errors.lines().filter(|line| is_error(line)).map(str::to_owned).collect();
        Ok(Compiled {
            lines,
            is_complete: output.status.success(),
            failure: self.failure(output.status, first),
        })
    }

    /// Returns the bootable file.
    pub(crate) fn product(&self) -> PathBuf {
        self.directory.join(match self.arch {
            Arch::X86_64 => "arch/x86/boot/bzImage",
            Arch::Um => "linux",
        })
    }

    pub(crate) fn vmlinux(&self) -> PathBuf {
        self.directory.join("vmlinux")
    }

    /// Returns the modules of the build, not stripped.
    pub(crate) fn modules(&self) -> Result<Vec<PathBuf>> {
        let order = self.directory.join("modules.order");
        let listed = fs::read_to_string(&order).map_err(Error::io("reading", &order))?;
        Ok(listed.lines().map(|module| self.directory.join(module).with_extension("ko")).collect())
    }

    /// Returns the release, as `uname -r` prints it.
    pub(crate) fn release(&self) -> Result<String> {
        let file = self.directory.join("include/config/kernel.release");
        let text = fs::read_to_string(&file).map_err(Error::io("reading", &file))?;
        Ok(text.trim_end().to_owned())
    }

    fn target(&self) -> &'static str {
        match self.arch {
            Arch::X86_64 => "bzImage",
            Arch::Um => "linux",
        }
    }

    fn log(&self) -> PathBuf {
        self.directory.join("build.log")
    }

    /// Returns `make` with all arguments except the targets.
    pub(crate) fn make(&self) -> Command {
        let mut command = make_in(self.tree);
        command.arg(format!("O={}", self.directory.display()));
        command.arg(format!("ARCH={}", self.arch.name()));
        let compiler = match self.toolchain {
            Toolchain::Gnu => "gcc",
            Toolchain::Llvm => "clang",
        };
        if self.toolchain == Toolchain::Llvm {
            command.arg("LLVM=1");
        }
        if has_program("ccache") && !began_without_cache(&self.directory) {
            command.args([format!("CC={}", cached(compiler)), format!("HOSTCC=ccache {compiler}")]);
            // Headers as kbuild's dependency files list them: a miss does not run the preprocessor twice.
            command.env("CCACHE_DEPEND", "1");
        }
        // The same source makes the same bytes, regardless of the user, the host and the time.
        command.args(["KBUILD_BUILD_TIMESTAMP=2022-07-01 00:00:00 UTC", "KBUILD_BUILD_VERSION=1"]);
        command.args(["KBUILD_BUILD_USER=keyagents", "KBUILD_BUILD_HOST=keyagents", "LOCALVERSION="]);
        // Symbols have the paths of files in the tree, independent of the tree's own path.
        let (tree, directory) = (self.tree.display(), self.directory.display());
        let maps = format!("-ffile-prefix-map={tree}/= -ffile-prefix-map={directory}={SOURCE}");
        command.args([format!("KCFLAGS={maps}"), format!("KAFLAGS={maps}")]);
        command
    }

    fn failure(&self, status: ExitStatus, mut first: Vec<String>) -> Error {
        if first.iter().any(|line| is_full(line)) {
            return Error::DiskFull { path: self.directory.clone() };
        }
        first.truncate(SHOWN_ERRORS);
        Error::Build { status: status.to_string(), first, log: self.log() }
    }

    /// Returns the kbuild variables by which the series' files of the key service get its delays. Like
    /// instrumentation, this needs no change to the tree.
    fn delayed_objects(&self) -> Result<BTreeSet<String>> {
        let header = self.directory.join("perturb.h");
        // Written anew, it would be a reason to compile.
        if read_if_present(&header)?.as_deref() != Some(PERTURB) {
            fs::write(&header, PERTURB).map_err(Error::io("writing", &header))?;
        }
        let sources = counted_sources(self.tree)?;
        let of_keys = sources.iter().filter(|source| source.starts_with("security/keys/"));
        let names = of_keys.filter_map(|source| Path::new(source).file_stem()?.to_str());
        Ok(names.map(|name| format!("CFLAGS_{name}.o=-include {}", header.display())).collect())
    }

    /// Returns the kbuild variables by which only the series' files are instrumented, without a
    /// change to the tree's Makefiles. kbuild matches objects by their bare names, so a file of the
    /// same name elsewhere is instrumented, too.
    fn instrumented_objects(&self) -> Result<BTreeSet<String>> {
        let (variable, rest) = match self.profile {
            Profile::Plain => return Ok(BTreeSet::new()),
            Profile::Debug | Profile::Mutants => return self.delayed_objects(),
            Profile::Coverage => ("GCOV_PROFILE", None),
            Profile::Kcsan => ("KCSAN_SANITIZE", Some("KCSAN_SANITIZE=n".to_owned())),
        };
        let sources = counted_sources(self.tree)?;
        let names = sources.iter().filter_map(|source| Path::new(source).file_stem()?.to_str());
        let is_left_out = |name: &&str| self.profile == Profile::Kcsan && RACY.contains(name);
        Ok(names
            .filter(|name| !is_left_out(name))
            .map(|name| format!("{variable}_{name}.o=y"))
            .chain(rest)
            .collect())
    }

    /// Returns the compiler's notes on the objects with line counters, by their paths in the
    /// build's directory.
    pub(crate) fn notes(&self) -> Result<Vec<PathBuf>> {
        if self.profile != Profile::Coverage {
            return Ok(Vec::new());
        }
        let mut notes = Vec::new();
        let mut left = vec![self.directory.clone()];
        while let Some(directory) = left.pop() {
            for entry in fs::read_dir(&directory).map_err(Error::io("reading", &directory))?.flatten() {
                let path = entry.path();
                match entry.file_type() {
                    Ok(kind) if kind.is_dir() => left.push(path),
                    Ok(_) if path.extension().is_some_and(|end| end == "gcno") => notes.push(path),
                    _ => {}
                }
            }
        }
        let relative =
            notes.iter().filter_map(|note| Some(note.strip_prefix(&self.directory).ok()?.to_owned()));
        Ok(relative.collect())
    }

    /// Returns true if this kernel has such an option on this architecture. Reads every Kconfig
    /// file, so it is called only where the option is missing.
    fn has_option(&self, option: &str) -> bool {
        let name = option.trim_start_matches("CONFIG_");
        let pattern = format!("^(menu)?config {name}$");
        let of_architecture: &[&str] = match self.arch {
            Arch::X86_64 => &["arch/Kconfig", "arch/x86/*Kconfig*", ":!arch/x86/um"],
            Arch::Um => &["arch/Kconfig", "arch/um/*Kconfig*", "arch/x86/um/*Kconfig*"],
        };
        [&["*Kconfig*", ":!arch"], of_architecture].into_iter().any(|files| {
            let mut grep = subprocess::git(self.tree);
            grep.args(["grep", "-qE", &pattern, "--"]).args(files);
            subprocess::output(&mut grep, b"").is_ok_and(|output| output.status.success())
        })
    }
}

/// Returns true if the first program of a build was compiled without ccache. kbuild compares
/// commands word by word, so a later use of ccache would cause a complete rebuild.
fn began_without_cache(directory: &Path) -> bool {
    let first = fs::read_to_string(directory.join("scripts/basic/.fixdep.cmd"));
    first.is_ok_and(|command| !command.contains("ccache "))
}

/// Returns the compiler behind ccache, as make expands it in each recipe. Assembly is left out:
/// with dependency files ccache does not see the files of `.incbin`, and a bzImage may get the
/// compressed kernel of another build, of the same size.
fn cached(compiler: &str) -> String {
    format!("$(if $(filter %.S,$<),,ccache ){compiler}")
}

/// Runs make with all its output in a log. A full disk is an error of its own.
pub(crate) fn run_logged(make: &mut Command, log: &Path) -> Result<ExitStatus> {
    let out = File::create(log).map_err(Error::io("creating", log))?;
    let both = out.try_clone().map_err(Error::io("creating", log))?;
    let status = Running::start(make.stdin(Stdio::null()).stdout(out).stderr(both))?.wait()?;
    if !status.success()
        && is_full(&String::from_utf8_lossy(&fs::read(log).map_err(Error::io("reading", log))?))
    {
        return Err(Error::DiskFull { path: log.to_owned() });
    }
    Ok(status)
}

/// Returns `make` in that directory, without the environment's variables for it ([`subprocess::tool`]).
pub(crate) fn make_in(directory: &Path) -> Command {
    let mut command = subprocess::tool("make");
    command.arg("-C").arg(directory);
    command
}

/// Estimated steps of a complete build, until one has been counted.
fn estimated_steps(arch: Arch) -> u64 {
    match arch {
        Arch::X86_64 => 1950,
        Arch::Um => 1400,
    }
}

/// Returns true for a line of kbuild's, as in `  CC      security/keys/key.o`.
fn is_step(line: &str) -> bool {
    line.strip_prefix("  ").is_some_and(|rest| rest.starts_with(|first: char| first.is_ascii_uppercase()))
}

/// Returns true for a line that belongs into the error message of a failed build.
pub(crate) fn is_error(line: &str) -> bool {
    ["error: ", "Error: ", "ERROR: ", "undefined reference", "not found"]
        .iter()
        .any(|mark| line.contains(mark))
        || is_full(line)
        || line.contains("*** ") && !line.contains("Error ")
}

#[cfg(test)]
mod tests {
    use std::env;

    use super::*;
    use crate::testutil::lacks_make;

    #[test]
    fn directory_begun_without_ccache_stays_without() {
        let directory = tempfile::tempdir().unwrap();
        assert!(!began_without_cache(directory.path()));
        let first = directory.path().join("scripts/basic/.fixdep.cmd");
        fs::create_dir_all(first.parent().unwrap()).unwrap();
        fs::write(&first, "savedcmd_scripts/basic/fixdep := ccache gcc -Wall").unwrap();
        assert!(!began_without_cache(directory.path()));
        fs::write(&first, "savedcmd_scripts/basic/fixdep := gcc -Wall").unwrap();
        assert!(began_without_cache(directory.path()));
    }

    #[test]
    fn character_that_make_misreads_is_found_in_a_path() {
        for (path, bad) in
            [("/a b", ' '), ("/a:b", ':'), ("/a'b", '\''), ("/a$b", '$'), ("/a%b/c", '%'), ("/a\nb", '\n')]
        {
            assert_eq!(unbuildable(Path::new(path)), Some(bad));
        }
        assert_eq!(unbuildable(Path::new("/home/jürgen/.cache/keyagents-2,@~+^{}!_")), None);
    }

    #[test]
    fn make_inherits_only_paths() {
        if lacks_make() {
            return;
        }
        const MARK: &str = "KEYAGENTS_TEST_OF_MAKES_ENVIRONMENT";
        if env::var_os(MARK).is_none() {
            // The environment of a process can't be changed safely while other tests run in it.
            let mut again = Command::new(env::current_exe().unwrap());
            let test = "build::tests::make_inherits_only_paths";
            again.args(["--exact", test, "--nocapture"]).env(MARK, "1");
            again.envs([
                ("LLVM", "1"),
                ("W", "1"),
                ("ARCH", "arm64"),
                ("KBUILD_VERBOSE", "1"),
                ("CPATH", "/x"),
            ]);
            again.envs([("GNUMAKEFLAGS", "-n"), ("MAKEFILES", "/nowhere"), ("CCACHE_DIR", "/ccache")]);
            let output = again.output().unwrap();
            let passed = String::from_utf8_lossy(&output.stdout).contains("1 passed");
            assert!(output.status.success() && passed, "{output:?}");
            return;
        }
        let place = tempfile::tempdir().unwrap();
        fs::write(place.path().join("Makefile"), "all:\n\t@env\n").unwrap();
        let environment = subprocess::read(make_in(place.path()).arg("--no-print-directory"), b"").unwrap();
        let names: BTreeSet<&str> =
            environment.lines().filter_map(|line| Some(line.split_once('=')?.0)).collect();
        // Make and its shell have some of their own.
        let own = [
            "MAKEFLAGS",
            "MAKELEVEL",
            "MFLAGS",
            "MAKE_TERMERR",
            "MAKE_TERMOUT",
            "PWD",
            "OLDPWD",
            "SHLVL",
            "_",
        ];
        let passed = ["PATH", "LD_LIBRARY_PATH", "HOME", "TMPDIR", "XDG_CACHE_HOME", "XDG_CONFIG_HOME"];
        let expected =
            |name: &&str| own.contains(name) || passed.contains(name) || name.starts_with("CCACHE_");
        let others: Vec<_> = names.iter().filter(|name| !expected(name) && **name != "LC_ALL").collect();
        assert!(others.is_empty(), "{others:?}");
        assert!(names.contains("PATH") && names.contains("CCACHE_DIR"), "{names:?}");
    }

    #[test]
    fn assembly_bypasses_ccache_in_recursive_makes() {
        if lacks_make() {
            return;
        }
        let place = tempfile::tempdir().unwrap();
        fs::write(place.path().join("Makefile"), "all:\n\t@$(MAKE) --no-print-directory -f below\n").unwrap();
        fs::write(
            place.path().join("below"),
            "all: a.o b.o\n%.o: %.S\n\t@echo $(CC) $<\n%.o: %.c\n\t@echo $(CC) $<\n",
        )
        .unwrap();
        ["a.S", "b.c"].iter().for_each(|name| fs::write(place.path().join(name), "").unwrap());
        let mut make = make_in(place.path());
        let output =
            subprocess::read(make.arg("--no-print-directory").arg(format!("CC={}", cached("gcc"))), b"");
        assert_eq!(output.unwrap(), "gcc a.S\nccache gcc b.c");
    }
}
