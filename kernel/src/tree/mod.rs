//! Tree: a git repository in the cache with the pristine source as its base commit and the series
//! on top.
//!
//! Its path never changes, since every object file depends on it. A new version of the series
//! rewrites only the files that differ, so a rebuild takes seconds.

use std::{
    fs,
    io::{self, BufRead, BufReader, Read},
    path::{Path, PathBuf},
    process::Stdio,
};

use sha2::{Digest, Sha256};

use crate::{
    BuildRequest, Error, KernelSpec, Origin, Phase, Progress, Result, Series,
    fs::remove,
    lock::Lock,
    sources::{self, BASE, copy, hex, place},
    subprocess::{Running, git, read},
};

/// A source tree with the series applied.
#[derive(Debug)]
pub struct Tree {
    /// Its path. It belongs to the cache: a manual change is detected and refused.
    pub path: PathBuf,
    /// The commit of the pristine source.
    pub base: String,
    /// The commit that is checked out: the base with the series on top.
    pub head: String,
    /// Identity of the source: a package's version or a hash.
    pub(crate) identity: String,
    /// Lock of the tree while it is in use. Another command would check out something else under a
    /// running build.
    _lock: Lock,
}

/// Returns the tree for that request, checked out. It is locked until it is dropped.
pub fn tree(request: &BuildRequest<'_>, cache: &Path, progress: &dyn Progress) -> Result<Tree> {
    let base = Base::prepare(request.kernel, request.origin.as_ref(), cache, progress)?;
    let head = apply(&request.series, &base, progress)?;
    check_out(&base.path, &head, progress)?;
    Ok(Tree { path: base.path, base: base.commit, head, identity: base.identity, _lock: base.lock })
}

/// A source with a series on top as commits, whose files can be read while another command builds
/// from the tree.
pub(crate) struct Commits {
    /// The repository.
    pub(crate) path: PathBuf,
    pub(crate) base: String,
    pub(crate) head: String,
}

/// Returns the commits for that request. Takes the tree's lock only if they have to be made.
pub(crate) fn commits(request: &BuildRequest<'_>, cache: &Path, progress: &dyn Progress) -> Result<Commits> {
    if let Some(commits) = known_commits(request, cache)? {
        return Ok(commits);
    }
    let base = Base::prepare(request.kernel, request.origin.as_ref(), cache, progress)?;
    let head = apply(&request.series, &base, progress)?;
    Ok(Commits { path: base.path, base: base.commit, head })
}

/// Returns the commits that an earlier command has made. A tree of an archive has the same base
/// forever. That of a directory or a repository follows it under the lock.
fn known_commits(request: &BuildRequest<'_>, cache: &Path) -> Result<Option<Commits>> {
    let is_archive = |origin: &Origin| !matches!(origin, Origin::Directory(_) | Origin::Commit { .. });
    let Some((_, path, _)) = cached_origin(&request.kernel.name, request.origins(), cache)?
        .filter(|(origin, ..)| is_archive(origin))
    else {
        return Ok(None);
    };
    let base = read(git(&path).args(["rev-parse", "--verify", BASE]), b"")?;
    let head = known_head(&request.series, &path, &base);
    Ok(head.map(|head| Commits { path, base, head }))
}

/// Brings the source into the cache with the series on top, if it is not there. A later build need
/// not wait for it.
pub fn fetch_tree(request: &BuildRequest<'_>, cache: &Path, progress: &dyn Progress) -> Result<()> {
    match whereabouts(request, cache)? {
        Some(_) => Ok(()),
        None => tree(request, cache, progress).map(drop),
    }
}

/// Returns the path of the tree for that request, if there is one. Its checkout is not verified,
/// since another command may have changed it.
pub fn whereabouts(request: &BuildRequest<'_>, cache: &Path) -> Result<Option<PathBuf>> {
    for origin in request.origins() {
        let path = match origin {
            Origin::Directory(directory) | Origin::Commit { repository: directory, .. } => {
                Some(place(cache, "directory", &directory.to_string_lossy()))
            }
            origin => origin.identity(cache)?.map(|identity| place(cache, &request.kernel.name, &identity)),
        };
        if let Some(path) = path.filter(|path| path.is_dir()) {
            return Ok(Some(path));
        }
    }
    Ok(None)
}

/// The locked repository with the pristine source.
pub(crate) struct Base {
    pub(crate) path: PathBuf,
    /// The commit of the pristine source.
    pub(crate) commit: String,
    identity: String,
    lock: Lock,
}

impl Base {
    /// Returns the cached base, or fetches it. `origin` takes the place of the kernel's own
    /// origins.
    pub(crate) fn prepare(
        kernel: &KernelSpec,
        origin: Option<&Origin>,
        cache: &Path,
        progress: &dyn Progress,
    ) -> Result<Self> {
        let name = kernel.name.as_str();
        // The trees of the user's own sources are shared by all kernels.
        let lock_name = match origin {
            Some(Origin::Directory(_) | Origin::Commit { .. }) => "directory",
            _ => name,
        };
        let lock = Lock::take(&cache.join("locks").join(lock_name), progress)?;
        let (path, identity) = match origin {
            Some(Origin::Directory(directory)) => copy::directory(directory, cache, progress)?,
            Some(Origin::Commit { repository, commit }) => copy::commit(repository, commit, cache, progress)?,
            Some(origin) => one_of(name, std::slice::from_ref(origin), cache, progress)?,
            None => one_of(name, &kernel.origins, cache, progress)?,
        };
        let commit = read(git(&path).args(["rev-parse", "--verify", BASE]), b"")?;
        Ok(Self { path, commit, identity, lock })
    }
}

/// Returns the first origin that has a tree already, with the tree and the identity of its source.
pub(crate) fn cached_origin<'o>(
    name: &str,
    origins: &'o [Origin],
    cache: &Path,
) -> Result<Option<(&'o Origin, PathBuf, String)>> {
    for origin in origins {
        if let Some(identity) = origin.identity(cache)? {
            let path = place(cache, name, &identity);
            if path.is_dir() {
                return Ok(Some((origin, path, identity)));
            }
        }
    }
    Ok(None)
}

/// Returns the tree of the first origin that has one already, or else of the first that can be
/// fetched.
fn one_of(
    name: &str,
    origins: &[Origin],
    cache: &Path,
    progress: &dyn Progress,
) -> Result<(PathBuf, String)> {
    if let Some((_, path, identity)) = cached_origin(name, origins, cache)? {
        return Ok((path, identity));
    }
    let mut attempts = Vec::new();
    for origin in origins {
        match unpack(name, origin, cache, progress) {
            Ok(tree) => return Ok(tree),
            Err(Error::Download { reason, .. }) => attempts.push(format!("{origin}: {reason}")),
            Err(error @ Error::Command { .. }) => attempts.push(format!("{origin}: {error}")),
            Err(error) => return Err(error),
        }
    }
    Err(Error::NoOrigin { kernel: name.into(), attempts })
}

fn unpack(name: &str, origin: &Origin, cache: &Path, progress: &dyn Progress) -> Result<(PathBuf, String)> {
    let archive = origin.fetch(cache, progress)?;
    let path = place(cache, name, &archive.identity);
    if !path.is_dir() {
        let mut partial = path.clone().into_os_string();
        partial.push(".partial");
        let partial = PathBuf::from(partial);
        remove(&partial)?;
        sources::import(&archive, &partial, progress).inspect_err(|error| {
            if matches!(error, Error::Archive { .. }) {
                archive.discard();
            }
        })?;
        fs::rename(&partial, &path).map_err(Error::io("renaming", &partial))?;
    }
    archive.discard();
    Ok((path, archive.identity))
}

fn apply(series: &Series, base: &Base, progress: &dyn Progress) -> Result<String> {
    if let Some(head) = known_head(series, &base.path, &base.commit) {
        return Ok(head);
    }
    progress.started(&Phase::Series, Some(series.patches().len() as u64));
    let head = series.commit(&base.path, &base.commit, |done| progress.done(done as u64))?;
    read(git(&base.path).args(["update-ref", &series_ref(series, &base.commit), &head]), b"")?;
    progress.finished();
    Ok(head)
}

/// Returns the commit of that series, if it has been applied before.
fn known_head(series: &Series, path: &Path, base: &str) -> Option<String> {
    if series.is_empty() {
        return Some(base.to_owned());
    }
    read(git(path).args(["rev-parse", "--verify", "--quiet", &series_ref(series, base)]), b"").ok()
}

/// The same series on the same base is the same commit, which is kept under their hash.
fn series_ref(series: &Series, base: &str) -> String {
    let mut hash = Sha256::new_with_prefix(base);
    series.digest(&mut hash);
    format!("refs/series/{}", hex(&hash.finalize()))
}

/// Checks that commit out, and writes only the files that differ.
pub(crate) fn check_out(path: &Path, commit: &str, progress: &dyn Progress) -> Result<()> {
    let git_dir = path.join(".git");
    // It exists while files are written: a later command then detects an interrupted checkout.
    let unfinished = git_dir.join("unfinished-checkout");
    let trusted = git_dir.join("index").is_file() && !unfinished.exists();
    if trusted {
        let files = read(git(path).args(["status", "--porcelain", "--untracked-files=no"]), b"")?;
        if !files.is_empty() {
            return Err(Error::EditedTree { path: path.into(), files });
        }
        if read(git(path).args(["rev-parse", "HEAD"]), b"")? == commit {
            return Ok(());
        }
    }
    fs::write(&unfinished, commit).map_err(Error::io("writing", &unfinished))?;
    remove(&git_dir.join("index.lock"))?;
    let mut command = git(path);
    command.args(["checkout", "--force", "--progress", "--detach", commit]);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut checkout = Running::start(&mut command)?;
    let output = checkout.child.stderr.take().map(|stderr| follow(stderr, progress)).unwrap_or_default();
    if !checkout.wait()?.success() {
        return Err(checkout.failure("failed", output));
    }
    if !trusted {
        read(git(path).args(["clean", "-fdq"]), b"")?;
    }
    remove(&unfinished)
}

/// Reads git's progress lines to their end. Returns all other output. git does not report progress
/// of a checkout that takes less than two seconds.
fn follow(stderr: impl Read, progress: &dyn Progress) -> String {
    let mut output = String::new();
    let mut started = false;
    for piece in BufReader::new(stderr).split(b'\r').map_while(io::Result::ok) {
        let piece = String::from_utf8_lossy(&piece);
        match updated(&piece) {
            Some((done, total)) => {
                if !started {
                    progress.started(&Phase::Checkout, Some(total));
                }
                started = true;
                progress.done(done);
            }
            None => output.push_str(&piece),
        }
    }
    if started {
        progress.finished();
    }
    output
}

/// Parses `Updating files:  12% (10080/84000)` into the two numbers.
fn updated(line: &str) -> Option<(u64, u64)> {
    let (_, counts) = line.trim_start().strip_prefix("Updating files:")?.split_once('(')?;
    let (done, total) = counts.split_once(')')?.0.split_once('/')?;
    Some((done.parse().ok()?, total.parse().ok()?))
}

#[cfg(test)]
mod tests;
