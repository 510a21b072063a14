//! The host's programs: where they are, and where they look for libraries.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use goblin::elf::Elf;
use kernel::{is_executable, places_in_path};

use super::process::quoted;

/// The first program of that name in `PATH` or where administrators' programs are. Like execvp(3), it passes over files that can't be
/// executed, and takes an empty place for the current directory.
pub fn find(name: &str) -> Option<PathBuf> {
    candidates(name).find(|file| is_executable(file))
}

/// Likewise.
///
/// # Errors
/// There is none.
pub fn in_path(name: &str) -> Result<PathBuf> {
    if let Some(program) = find(name) {
        return Ok(program);
    }
    match candidates(name).find(|file| file.is_file()) {
        Some(file) => {
            bail!("can't run {name}: {} is not executable (chmod +x {})", file.display(), quoted(&file))
        }
        None => bail!("there is no program `{name}` in PATH"),
    }
}

fn candidates(name: &str) -> impl Iterator<Item = PathBuf> {
    let administrators = ["/sbin", "/usr/sbin"].map(|place| Path::new(place).join(name));
    places_in_path(name).chain(administrators)
}

/// Where the loader is told to look for libraries (`LD_LIBRARY_PATH`), each place as it was written and as an absolute path.
pub fn library_path() -> Vec<(String, PathBuf)> {
    let path = env::var("LD_LIBRARY_PATH").unwrap_or_default();
    let places = path.split([':', ';']).filter(|_| !path.is_empty());
    // An empty place is the current directory.
    let absolute = |place: &str| std::path::absolute(if place.is_empty() { "." } else { place }).ok();
    places.filter_map(|place| Some((place.to_owned(), absolute(place)?))).collect()
}

/// Where a program or a library wants libraries to be looked for: its RPATH or RUNPATH, with `$ORIGIN` put in.
pub fn search_directories(file: &Path) -> Vec<PathBuf> {
    let origin = file.parent().unwrap_or(Path::new("/")).to_string_lossy().into_owned();
    let bytes = fs::read(file).unwrap_or_default();
    let Ok(elf) = Elf::parse(&bytes) else { return Vec::new() };
    let lists = if elf.runpaths.is_empty() { &elf.rpaths } else { &elf.runpaths };
    let places = lists.iter().flat_map(|list| list.split(':'));
    let put_in = |place: &str| place.replace("${ORIGIN}", &origin).replace("$ORIGIN", &origin);
    places.map(put_in).filter(|place| place.starts_with('/')).map(PathBuf::from).collect()
}
