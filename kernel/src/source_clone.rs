//! Independent clone of a kernel's pristine source, so that images can still be built during work
//! in it.

use std::{fs, path::Path};

use crate::{
    Error, Result,
    fs::remove,
    git_objects::has,
    sources::BASE,
    subprocess::{git, read},
    tree::Base,
};

/// Makes a complete repository there, or none. On the cache's own disk it takes next to no space.
pub(crate) fn clone(base: &Base, path: &Path) -> Result<()> {
    let mut partial = path.to_owned().into_os_string();
    partial.push(".partial");
    let partial = Path::new(&partial);
    remove(partial)?;
    let mut command = git(Path::new("/"));
    command.args(["clone", "--quiet", "--no-checkout", "--no-tags", "--branch", "base"]);
    read(command.arg(&base.path).arg(partial), b"")?;
    read(git(partial).args(["remote", "remove", "origin"]), b"")?;
    fs::rename(partial, path).map_err(Error::io("creating", path))
}

/// Creates a clone if it does not exist, and brings it up to the base's commit.
pub(crate) fn keep_up(base: &Base, path: &Path) -> Result<()> {
    if !path.join(".git/HEAD").is_file() {
        remove(path)?;
        let parent = path.parent().unwrap_or(Path::new("/"));
        fs::create_dir_all(parent).map_err(Error::io("creating", parent))?;
        return clone(base, path);
    }
    if !has(path, &base.commit)? {
        let update = format!("+{BASE}:refs/remotes/cache/base");
        read(git(path).args(["fetch", "--quiet", "--no-tags"]).arg(&base.path).arg(update), b"")?;
    }
    Ok(())
}
