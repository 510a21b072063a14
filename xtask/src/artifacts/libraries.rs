//! Shared libraries of the host's programs.

use std::path::Path;

use anyhow::{Context, Result, anyhow, bail};
use lddtree::DependencyAnalyzer;

use super::guest_file::Program;
use crate::host::program::{library_path, search_directories};

/// Returns the program for this path in the guest, and its libraries for the paths where its loader
/// searches.
pub fn with_libraries(program: &Path, path: &str) -> Result<Vec<Program>> {
    let listed = library_path();
    // The analyzer takes relative entries for absolute ones, and ignores that a library inherits
    // its program's RPATH.
    let further = listed.iter().map(|(_, place)| place.clone()).chain(search_directories(program));
    let tree = DependencyAnalyzer::default()
        .library_paths(further.collect())
        .analyze(program)
        .with_context(|| format!("can't find the libraries of {}", program.display()))?;
    let mut files = vec![Program { path: path.to_owned(), file: program.to_owned() }];
    let loader = tree.interpreter.as_deref();
    if let Some(loader) = loader.filter(|loader| !Path::new(loader).is_file()) {
        bail!("can't pack {}: it needs the loader {loader}, which this host lacks", program.display());
    }
    files.extend(loader.map(|loader| Program { path: loader.to_owned(), file: loader.into() }));
    // The C library lists the loader as a library, which is packed already.
    let is_loader = |name: &str| loader.is_some_and(|loader| Path::new(loader).ends_with(name));
    for library in tree.libraries.into_values().filter(|library| !is_loader(&library.name)) {
        let missing =
            || anyhow!("can't pack {}: it loads {}, which this host lacks", program.display(), library.name);
        let file = library.realpath.ok_or_else(missing)?;
        // The loader prefers these directories to a RUNPATH; the analyzer does not.
        let preferred = listed.iter().map(|(_, place)| place.join(&library.name)).find(|file| file.is_file());
        if let Some(preferred) = preferred.filter(|preferred| *preferred != library.path) {
            files.push(Program { path: preferred.to_string_lossy().into_owned(), file: preferred });
        }
        files.push(Program { path: library.path.to_string_lossy().into_owned(), file });
    }
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::program::find;

    #[test]
    fn dynamic_program_includes_its_loader_and_libc() {
        let files = with_libraries(&find("sh").unwrap(), "/bin/sh").unwrap();
        let has = |part: &str| files.iter().filter(|it| it.path.contains(part)).count();
        assert_eq!((has("/bin/sh"), has("/ld-linux"), has("/libc.so")), (1, 1, 1), "{files:?}");
        assert!(files.iter().all(|it| it.path.starts_with('/') && it.file.is_file()), "{files:?}");
    }
}
