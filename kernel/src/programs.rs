//! Programs of this machine, found as execvp(3) finds them.

use std::{
    env,
    path::{Path, PathBuf},
};

use nix::unistd::{AccessFlags, access};

/// Returns the paths in `PATH` of a program with that name, in order. An empty entry is the current
/// directory.
pub fn places_in_path(name: &str) -> impl Iterator<Item = PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let places: Vec<PathBuf> = env::split_paths(&path).map(|place| place.join(name)).collect();
    places.into_iter()
}

pub fn has_program(name: &str) -> bool {
    places_in_path(name).any(|file| is_executable(&file))
}

pub fn is_executable(file: &Path) -> bool {
    file.is_file() && access(file, AccessFlags::X_OK).is_ok()
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::PermissionsExt, process::Command};

    use super::*;

    #[test]
    fn file_without_execute_permission_is_no_program() {
        const NAME: &str = "KEYAGENTS_TEST_PROGRAM";
        if let Some(name) = env::var_os(NAME) {
            let is_there = has_program(name.to_str().unwrap());
            std::process::exit(if is_there { 10 } else { 11 });
        }
        let (first, second) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let has = |name: &str| {
            let test = "programs::tests::file_without_execute_permission_is_no_program";
            let mut command = Command::new(env::current_exe().unwrap());
            command.args(["--exact", test]).env(NAME, name);
            command.env("PATH", env::join_paths([first.path(), second.path()]).unwrap());
            match command.output().unwrap().status.code() {
                Some(10) => true,
                Some(11) => false,
                other => panic!("{other:?}"),
            }
        };
        let write = |place: &tempfile::TempDir, name: &str, mode: u32| {
            let file = place.path().join(name);
            fs::write(&file, "").unwrap();
            fs::set_permissions(&file, fs::Permissions::from_mode(mode)).unwrap();
        };
        write(&first, "text", 0o644);
        write(&first, "both", 0o644);
        write(&second, "both", 0o755);
        fs::create_dir(first.path().join("directory")).unwrap();
        assert!(!has("text"));
        assert!(has("both"));
        assert!(!has("directory"));
        assert!(!has("nothing"));
    }
}
