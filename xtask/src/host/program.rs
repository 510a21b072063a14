//! Programs of the host and their library search paths.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use goblin::elf::Elf;
use kernel::{is_executable, places_in_path};

use super::process::quoted;

/// Returns the first executable with this name in `PATH` or the directories for administrators. As
/// in execvp(3), files that can't be executed are skipped, and an empty entry means the current
/// directory.
pub fn find(name: &str) -> Option<PathBuf> {
    candidates(name).find(|file| is_executable(file))
}

/// Returns the first executable with this name, as [`find`] does.
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

/// Returns the entries of `LD_LIBRARY_PATH`, each as written and as an absolute path.
pub fn library_path() -> Vec<(String, PathBuf)> {
    let path = env::var("LD_LIBRARY_PATH").unwrap_or_default();
    let places = path.split([':', ';']).filter(|_| !path.is_empty());
    // An empty entry means the current directory.
    let absolute = |place: &str| std::path::absolute(if place.is_empty() { "." } else { place }).ok();
    places.filter_map(|place| Some((place.to_owned(), absolute(place)?))).collect()
}

/// Returns the RPATH or RUNPATH of a program or library, with `$ORIGIN` expanded.
pub fn search_directories(file: &Path) -> Vec<PathBuf> {
    let origin = file.parent().unwrap_or(Path::new("/")).to_string_lossy().into_owned();
    let bytes = fs::read(file).unwrap_or_default();
    let Ok(elf) = Elf::parse(&bytes) else { return Vec::new() };
    let lists = if elf.runpaths.is_empty() { &elf.rpaths } else { &elf.runpaths };
    let places = lists.iter().flat_map(|list| list.split(':'));
    let put_in = |place: &str| place.replace("${ORIGIN}", &origin).replace("$ORIGIN", &origin);
    places.map(put_in).filter(|place| place.starts_with('/')).map(PathBuf::from).collect()
}
