//! Build of a directory of the kernel's own selftests, linked statically so that they run in any
//! guest.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Command,
};

use sha2::{Digest, Sha256};

use crate::{
    Arch, BuildRequest, Error, Phase, Progress, Result, Tree,
    build::{Build, SHOWN_ERRORS, Toolchain, is_error, make_in, run_logged},
    fs::remove,
    image::{require_tools, toolchain},
    lock::Lock,
    sources::hex,
    tree::tree,
};

/// Builds the programs of `tools/testing/selftests/COLLECTION` against the tree's own uapi headers,
/// with the tree's own Makefile. Returns their paths in the cache, in the order of their names.
/// There is at least one.
pub fn selftests(
    request: &BuildRequest<'_>,
    collection: &str,
    cache: &Path,
    progress: &dyn Progress,
) -> Result<Vec<PathBuf>> {
    require_tools()?;
    let toolchain = toolchain()?;
    let place = |identity: &str| {
        let mut hash = Sha256::new().chain_update(format!("{collection}\n{toolchain}\n{identity}\n"));
        request.series.digest(&mut hash);
        cache.join("selftests").join(&hex(&hash.finalize())[..20])
    };
    for origin in request.origins() {
        if let Some(identity) = origin.identity(cache)?
            && place(&identity).is_dir()
        {
            return programs(&place(&identity));
        }
    }
    let tree = tree(request, cache, progress)?;
    let kept = place(&tree.identity);
    if !kept.is_dir() {
        let collection = Collection::of(&tree, collection, request, cache)?;
        collection.build(progress)?;
        collection.keep(&kept, cache, progress)?;
    }
    programs(&kept)
}

struct Collection<'a> {
    build: Build<'a>,
    /// Directory of its Makefile.
    source: PathBuf,
    /// Directory for its programs.
    output: PathBuf,
}

impl<'a> Collection<'a> {
    fn of(tree: &'a Tree, name: &str, request: &BuildRequest<'_>, cache: &Path) -> Result<Self> {
        let source = tree.path.join("tools/testing/selftests").join(name);
        if !source.join("Makefile").is_file() {
            return Err(Error::NoSelftests { kernel: request.kernel.name.clone(), collection: name.into() });
        }
        let tree_name = tree.path.file_name().unwrap_or_default().to_string_lossy();
        let directory = cache.join("builds").join(format!("{tree_name}-selftests"));
        let output = directory.join(name);
        let build = Build {
            tree: &tree.path,
            directory,
            // Programs run in the machine's own user space, also under User-Mode Linux.
            arch: Arch::X86_64,
            profile: request.profile,
            toolchain: Toolchain::Gnu,
            jobs: request.jobs,
            is_new: false,
        };
        Ok(Self { build, source, output })
    }

    fn build(&self, progress: &dyn Progress) -> Result<()> {
        progress.started(&Phase::Selftests, None);
        remove(&self.output)?;
        fs::create_dir_all(&self.output).map_err(Error::io("creating", &self.output))?;
        let directory = &self.build.directory;
        run(self.build.make().arg("headers"), &directory.join("headers.log"))?;
        let mut make = make_in(&self.source);
        make.args(["CC=gcc", "LDFLAGS=-static"]).arg(format!("OUTPUT={}", self.output.display()));
        make.arg(format!("KHDR_INCLUDES=-isystem {}", directory.join("usr/include").display()));
        run(&mut make, &directory.join("selftests.log"))?;
        progress.finished();
        Ok(())
    }

    fn keep(&self, kept: &Path, cache: &Path, progress: &dyn Progress) -> Result<()> {
        let programs = programs(&self.output)?;
        let _lock = Lock::take(&cache.join("locks/selftests"), progress)?;
        let partial = cache.join("selftests/partial");
        remove(&partial)?;
        fs::create_dir_all(&partial).map_err(Error::io("creating", &partial))?;
        for program in programs {
            let to = partial.join(program.file_name().unwrap_or_default());
            fs::copy(&program, &to).map_err(Error::io("copying", program))?;
        }
        remove(kept)?;
        fs::rename(&partial, kept).map_err(Error::io("renaming", partial))
    }
}

/// Returns the executable files in a directory.
fn programs(directory: &Path) -> Result<Vec<PathBuf>> {
    let entries = fs::read_dir(directory).map_err(Error::io("reading", directory))?;
    let is_program = |path: &PathBuf| {
        path.metadata().is_ok_and(|about| about.is_file() && about.permissions().mode() & 0o111 != 0)
    };
    let mut programs: Vec<_> = entries.flatten().map(|entry| entry.path()).filter(is_program).collect();
    programs.sort();
    if programs.is_empty() {
        return Err(Error::Io {
            doing: "finding programs in",
            path: directory.into(),
            why: std::io::ErrorKind::NotFound.into(),
        });
    }
    Ok(programs)
}

/// Runs make with all its output in the log. An error contains the compiler's messages.
fn run(make: &mut Command, log: &Path) -> Result<()> {
    let status = run_logged(make, log)?;
    if status.success() {
        return Ok(());
    }
    let output = fs::read_to_string(log).unwrap_or_default();
    let first = output.lines().filter(|line| is_error(line)).map(str::to_owned).take(SHOWN_ERRORS).collect();
    Err(Error::Build { status: format!("the selftests: {status}"), first, log: log.into() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{NoProgress, Series, testutil::Fixture};

    /// Returns a fake kernel with headers, and with selftests that count their builds.
    fn kernel_with(collection: &str) -> Option<Fixture> {
        let headers = "headers:\n\t@mkdir -p $(O)/usr/include; echo 7 > $(O)/usr/include/n\n";
        let recipe = "all:\n\t@echo no > $(OUTPUT)/b.o; cp $(lastword $(KHDR_INCLUDES))/n $(OUTPUT)/a; chmod +x $(OUTPUT)/a\n";
        let makefile = format!("tools/testing/selftests/{collection}/Makefile");
        Fixture::to_make(&[("Kconfig", ""), ("Makefile", headers), (&makefile, recipe)])
    }

    fn build(fixture: &Fixture) -> Result<Vec<PathBuf>> {
        let request = BuildRequest { arch: Arch::Um, ..fixture.request("source", Series::default())? };
        selftests(&request, "keys", &fixture.path("cache"), &NoProgress)
    }

    #[test]
    fn selftests_are_built_with_the_trees_headers_and_cached() {
        let Some(fixture) = kernel_with("keys") else { return };
        let programs = build(&fixture).unwrap();
        assert_eq!(programs.len(), 1);
        assert!(programs[0].ends_with("a"), "{programs:?}");
        assert_eq!(fs::read_to_string(&programs[0]).unwrap(), "7\n");
        // A second time finds them, whatever is left of the build.
        fs::remove_dir_all(fixture.path("cache/builds")).unwrap();
        assert_eq!(build(&fixture).unwrap(), programs);
    }

    #[test]
    fn kernel_without_the_selftests_is_named() {
        let Some(fixture) = kernel_with("locks") else { return };
        let error = build(&fixture).unwrap_err().to_string();
        assert_eq!(error, "kernel 6.12 has no tools/testing/selftests/keys: does the series add it?");
    }

    #[test]
    fn compiler_output_is_shown() {
        let Some(fixture) = kernel_with("keys") else { return };
        let makefile = "source/tools/testing/selftests/keys/Makefile";
        fixture.write(makefile, "all:\n\t@echo 'x.c:1: error: no' >&2; false\n");
        let error = build(&fixture).unwrap_err().to_string();
        let expected = "the kernel build failed (the selftests: exit status: 2)\n  x.c:1: error: no\n";
        assert!(error.starts_with(expected), "{error}");
    }
}
