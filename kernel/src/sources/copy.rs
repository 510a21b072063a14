//! Copy of a user's source into a tree of the cache: a directory's files, or a commit of a
//! repository. The user's files are never written to.

use std::{
    io,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use super::{BASE, place};
use crate::{
    Error, Phase, Progress, Result,
    fs::remove,
    git_objects::{self, has, tree_of},
    subprocess::{Running, git, output, read},
};

/// Files at the top of every kernel source.
const LANDMARKS: [&str; 2] = ["Makefile", "Kconfig"];

/// Checks that a directory looks like a kernel source.
pub(crate) fn check_directory(directory: &Path) -> Result<()> {
    match LANDMARKS.iter().find(|name| !directory.join(name).is_file()) {
        Some(name) => {
            let reason = format!("there is no {name} at its top");
            Err(Error::NotASource { path: directory.into(), reason })
        }
        None => Ok(()),
    }
}

/// Checks that a commit of a repository looks like a kernel source.
pub(crate) fn check_commit(repository: &Path, commit: &str) -> Result<()> {
    for name in LANDMARKS {
        if !has(repository, &format!("{commit}:{name}"))? {
            let reason =
                format!("there is no {name} at the top of its commit {commit}, where the series begins");
            return Err(Error::NotASource { path: repository.into(), reason });
        }
    }
    Ok(())
}

/// Copies a directory's files. git reads them and detects changes since the last time by their
/// times.
pub(crate) fn directory(
    directory: &Path,
    cache: &Path,
    progress: &dyn Progress,
) -> Result<(PathBuf, String)> {
    progress.started(&Phase::Copy { from: directory.into() }, None);
    let path = repository(directory, cache)?;
    let index = path.join(".git/directory-index");
    remove(&index.with_extension("lock"))?;
    let into = |command: &mut Command| {
        // With so low a threshold the files go into one pack instead of 80,000 objects.
        command.args(["-c", "core.bigFileThreshold=1"]).arg("--git-dir").arg(path.join(".git"));
        command.arg("--work-tree").arg(directory).env("GIT_INDEX_FILE", &index);
    };
    bring(directory, into)?;
    let tree = read(git(&path).arg("write-tree").env("GIT_INDEX_FILE", &index), b"")?;
    make_base(&path, &tree)?;
    progress.finished();
    Ok((path, identity(&tree)))
}

/// Copies the files of a commit, regardless of the work tree. They come into the same place as
/// those of the directory.
pub(crate) fn commit(
    directory: &Path,
    commit: &str,
    cache: &Path,
    progress: &dyn Progress,
) -> Result<(PathBuf, String)> {
    progress.started(&Phase::Copy { from: directory.into() }, None);
    let path = repository(directory, cache)?;
    let tree = tree_of(directory, commit)?;
    if !has(&path, &tree)? {
        transfer(&tree, directory, &path)?;
    }
    make_base(&path, &tree)?;
    progress.finished();
    Ok((path, identity(&tree)))
}

/// Returns the identity of a commit's files, as [`commit`] does.
pub(crate) fn identity_of(repository: &Path, commit: &str) -> Result<String> {
    tree_of(repository, commit).map(|tree| identity(&tree))
}

fn identity(tree: &str) -> String {
    format!("tree {tree}")
}

fn repository(directory: &Path, cache: &Path) -> Result<PathBuf> {
    let path = place(cache, "directory", &directory.to_string_lossy());
    if !path.join(".git/HEAD").is_file() {
        read(git(Path::new("/")).args(["init", "-q", "--initial-branch=tree"]).arg(&path), b"")?;
    }
    Ok(path)
}

/// Makes a commit of that tree, without a parent, and points [`BASE`] to it.
fn make_base(repository: &Path, tree: &str) -> Result<()> {
    let commit = git_objects::commit(repository, tree, None, "Pristine source")?;
    read(git(repository).args(["update-ref", BASE, &commit]), b"").map(drop)
}

/// Adds the files of the source to an index that `into` names. Files in .gitignore, such as
/// objects, are left out unless the user's repository tracks them: Debian's .gitignore names
/// everything.
fn bring(directory: &Path, into: impl Fn(&mut Command)) -> Result<()> {
    let run = |arguments: &[&str], input: &[u8]| {
        let mut command = git(directory);
        into(&mut command);
        read(command.args(arguments), input)
    };
    let listed = directory.join(".git").exists().then(|| listed(directory)).transpose()?;
    run(&["add", "--all", "."], b"")?;
    if let Some(files) = listed {
        run(&["update-index", "-z", "--add", "--remove", "--stdin"], &files)?;
    }
    if run(&["ls-files", "Makefile"], b"")?.is_empty() {
        let reason = "its .gitignore names its own Makefile, as Debian's does: name the tarball instead, or make it a git \
                      repository with all files in it";
        return Err(Error::NotASource { path: directory.into(), reason: reason.into() });
    }
    Ok(())
}

/// Returns the names of the files in a user's repository, with a zero byte after each.
fn listed(directory: &Path) -> Result<Vec<u8>> {
    let listed = output(git(directory).args(["ls-files", "-z"]), b"")?;
    if listed.status.success() {
        return Ok(listed.stdout);
    }
    let output = String::from_utf8_lossy(&listed.stderr);
    let output = output.lines().next().unwrap_or_default().trim_start_matches("fatal: ");
    let reason = format!(
        "git can't list the files of its repository ({output}): repair it, or give a copy without `.git`"
    );
    Err(Error::NotASource { path: directory.into(), reason })
}

/// Sends a tree with its content from one repository to another, except objects of the other's
/// base.
fn transfer(tree: &str, from: &Path, to: &Path) -> Result<()> {
    let mut wanted = format!("{tree}\n");
    // The base may be the commit of another repository, or made of a directory.
    if let Ok(base) = tree_of(to, BASE)
        && has(from, &base)?
    {
        wanted += &format!("^{base}\n");
    }
    let mut pack = git(from);
    // The search for further deltas takes longer than the time that it saves.
    pack.args(["pack-objects", "--revs", "--stdout", "--quiet", "--window=0"]);
    pack.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut unpack = git(to);
    unpack.args(["index-pack", "--stdin"]);
    unpack.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
    let (mut packer, mut unpacker) = (Running::start(&mut pack)?, Running::start(&mut unpack)?);
    let sent = send(&wanted, &mut packer, &mut unpacker);
    // The process that broke the pipe reports the reason.
    match sent {
        Ok(()) => packer.succeed().and_then(|()| unpacker.succeed()),
        Err(_) => unpacker.succeed().and_then(|()| packer.succeed()),
    }
}

fn send(wanted: &str, packer: &mut Running, unpacker: &mut Running) -> io::Result<()> {
    let (orders, pack) = (packer.child.stdin.take(), packer.child.stdout.take());
    let place = unpacker.child.stdin.take();
    if let Some(mut orders) = orders {
        io::Write::write_all(&mut orders, wanted.as_bytes())?;
    }
    if let (Some(mut pack), Some(mut place)) = (pack, place) {
        io::copy(&mut pack, &mut place)?;
    }
    Ok(())
}
