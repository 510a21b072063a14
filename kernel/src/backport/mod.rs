//! Backport of a series: its changes since the last backport are applied to the series of another
//! kernel, which keeps its own differences.
//!
//! For each patch, the other kernel's version is applied first, and then what has changed in the
//! primary's version since it was made. Both are three-way merges of trees. Where one has conflicts,
//! a work tree is left for the user.

mod merge;
mod record;
mod state;
#[cfg(test)]
mod tests;

use std::{
    fs,
    path::{Path, PathBuf},
};

use nix::fcntl::{AT_FDCWD, RenameFlags, renameat2};

use self::{
    merge::{Change, Merged},
    record::Origin,
    state::State,
};
use crate::{
    Error, KernelSpec, Patch, Phase, Progress, Result, Series,
    export::{Exported, patches},
    format_patch::diff_of,
    fs::remove,
    git_objects::{as_keyagents, commit, tree_of},
    lock::Lock,
    series::Stack,
    source_clone::keep_up,
    subprocess::{git, output, read},
    tree::{self, Base},
};

#[derive(Clone, Debug)]
pub struct Backport<'a> {
    /// The kernel whose series was changed.
    pub from: &'a KernelSpec,
    /// The kernel whose series follows.
    pub to: &'a KernelSpec,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Backported {
    /// The series was written.
    Done(Exported),
    /// A patch has conflicts, which are in a work tree.
    Stopped(Conflict),
}

/// Conflict that a person must resolve.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conflict {
    /// The file name of the patch.
    pub patch: String,
    /// What was applied.
    pub what: &'static str,
    pub files: Vec<String>,
    pub tree: PathBuf,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    New,
    /// The conflict of the last one is resolved, and added to the work tree's index.
    Resolved,
}

/// Brings the other series up to the primary one. It is written as a whole, or not at all.
///
/// # Errors
/// [`Error::WorkTree`]: a backport is under way, or there is none to continue, or its conflict is
/// not resolved. The errors of [`tree`](crate::tree()).
pub fn backport(
    backport: &Backport<'_>,
    start: Start,
    cache: &Path,
    progress: &dyn Progress,
) -> Result<Backported> {
    let Backport { from, to } = backport;
    let _lock = Lock::take(&cache.join("locks").join(format!("backport-{}", to.name)), progress)?;
    let directory = work_tree(to, cache);
    let inputs = state::inputs(from, to)?;
    let state = match (State::read(&directory)?, start) {
        (None, Start::New) => State::new(inputs),
        (Some(state), Start::Resolved) => state.resolved(&directory, &inputs)?,
        (Some(_), Start::New) => {
            return Err(Error::work_tree(&directory, "a backport is under way: --continue or --abort it"));
        }
        (None, Start::Resolved) => return Err(Error::work_tree(&directory, "no backport is under way")),
    };
    let base = Base::prepare(to, None, cache, progress)?;
    let primary = Base::prepare(from, None, cache, progress)?;
    keep_up(&base, &directory)?;
    borrow_objects(&directory, &primary)?;
    keep_attributes(&directory, &base.commit)?;

    let series = from.series()?;
    progress.started(&Phase::Series, Some(series.patches().len() as u64));
    let origin = record::recall(&to.series_directory(), &from.series_directory())?;
    let chains = Chains {
        new: Chain::of(&series, &directory, &primary.commit)?,
        old: old_chain(&origin, &series, to, &directory, &primary.commit, progress)?,
        other: Chain::of(&to.series()?, &directory, &base.commit)?,
    };
    let run = Run { repository: &directory, chains: &chains, state: &state, progress };
    match run.series(&base.commit)? {
        Ok(patches) => {
            progress.finished();
            let exported = write(&patches, &record::of(&from.series_directory())?, &to.series_directory())?;
            State::remove(&directory)?;
            Ok(Backported::Done(exported))
        }
        Err(stop) => stop.check_out(&directory, &state, progress).map(Backported::Stopped),
    }
}

/// Gives up a backport that has stopped. The series stays as it was.
pub fn abort(to: &KernelSpec, cache: &Path, progress: &dyn Progress) -> Result<()> {
    let _lock = Lock::take(&cache.join("locks").join(format!("backport-{}", to.name)), progress)?;
    let directory = work_tree(to, cache);
    if State::read(&directory)?.is_none() {
        return Err(Error::work_tree(&directory, "no backport is under way"));
    }
    read(git(&directory).args(["reset", "-q", "--hard"]), b"")?;
    State::remove(&directory)
}

fn work_tree(to: &KernelSpec, cache: &Path) -> PathBuf {
    cache.join("backports").join(&to.name)
}

/// Lets the work tree's repository read the objects of the primary kernel's, without a copy.
fn borrow_objects(directory: &Path, primary: &Base) -> Result<()> {
    let file = directory.join(".git/objects/info/alternates");
    let objects = primary.path.join(".git/objects");
    fs::write(&file, format!("{}\n", objects.display())).map_err(Error::io("writing", file))
}

/// Lets git find the functions of hunks by the tree's attributes, as in a checkout: their names are
/// in the patches.
fn keep_attributes(directory: &Path, commit: &str) -> Result<()> {
    let shown = output(git(directory).args(["show", &format!("{commit}:.gitattributes")]), b"")?;
    let file = directory.join(".git/info/attributes");
    let place = directory.join(".git/info");
    fs::create_dir_all(&place).map_err(Error::io("creating", place))?;
    fs::write(&file, shown.stdout).map_err(Error::io("writing", file))
}

/// Returns the primary series that the other one was made of; `None` if it is not known any more.
fn old_chain(
    origin: &Origin,
    new: &Series,
    to: &KernelSpec,
    repository: &Path,
    base: &str,
    progress: &dyn Progress,
) -> Result<Option<Chain>> {
    let why = match origin {
        // The first backport takes the patches that both have as equal.
        Origin::Unrecorded => return Chain::of(new, repository, base).map(Some),
        Origin::Series(old) => match Chain::of(old, repository, base) {
            Err(Error::DoesNotApply(why)) => format!("{} of then does not apply any more", why.patch),
            other => return other.map(Some),
        },
        Origin::Lost(patch) => format!("the version of {patch} that it was made of was not committed"),
    };
    progress.note(&format!("changed patches replace those for {} as a whole: {why}", to.name));
    Ok(None)
}

/// A series with the trees before and after each patch.
struct Chain {
    patches: Vec<(Patch, Change)>,
}

impl Chain {
    fn of(series: &Series, repository: &Path, base: &str) -> Result<Self> {
        let mut stack = Stack::on(repository, base)?;
        let mut from = tree_of(repository, base)?;
        let mut patches = Vec::new();
        for patch in series.patches() {
            let to = tree_of(repository, stack.push(patch)?)?;
            patches.push((patch.clone(), Change { from, to: to.clone() }));
            from = to;
        }
        Ok(Self { patches })
    }

    fn find(&self, title: &str) -> Option<&(Patch, Change)> {
        self.patches.iter().find(|(patch, _)| patch.title == title)
    }
}

struct Chains {
    /// The primary series.
    new: Chain,
    /// The primary series that the other one was made of.
    old: Option<Chain>,
    /// The other kernel's series.
    other: Chain,
}

impl Chains {
    /// Returns the patches that only the other kernel has, each with the title of the one before it.
    fn own(&self) -> Vec<(Option<&str>, &(Patch, Change))> {
        let is_primary = |title: &str| {
            self.new.find(title).is_some() || self.old.as_ref().is_some_and(|old| old.find(title).is_some())
        };
        let before = self.other.patches.iter().map(|(patch, _)| patch.title.as_str());
        let before = std::iter::once(None).chain(before.map(Some));
        before.zip(&self.other.patches).filter(|(_, (patch, _))| !is_primary(&patch.title)).collect()
    }
}

struct Run<'a> {
    repository: &'a Path,
    chains: &'a Chains,
    state: &'a State,
    progress: &'a dyn Progress,
}

/// A merge with conflicts.
struct Stop {
    patch: String,
    what: &'static str,
    step: String,
    /// The tree that the change is applied to.
    tree: String,
    pick: String,
}

/// Result of a step: the tree, or the reason to stop.
type Step<T = String> = Result<Result<T, Stop>>;

impl Run<'_> {
    fn series(&self, base: &str) -> Step<Vec<Patch>> {
        let mut tree = tree_of(self.repository, base)?;
        let mut patches = Vec::new();
        let mut own = self.chains.own();
        let mut before = None;
        let mut queue = self.chains.new.patches.iter();
        loop {
            let place = own.iter().position(|(after, _)| *after == before);
            let (patch, next) = match (place, before) {
                (Some(place), _) => {
                    let (_, (patch, change)) = own.remove(place);
                    (patch.clone(), self.merge(patch, "its version", &tree, change)?)
                }
                (None, _) => match queue.next() {
                    Some((primary, change)) => {
                        (self.described(primary), self.primary(primary, change, &tree)?)
                    }
                    None => break,
                },
            };
            // The other kernel's own patches are placed by the titles of its series.
            before = self.chains.other.find(&patch.title).map(|(patch, _)| patch.title.as_str());
            let next = match next {
                Ok(next) => next,
                Err(stop) => return Ok(Err(stop)),
            };
            if next == tree {
                self.progress.note(&format!("nothing is left of {}: it is left out", patch.name));
                continue;
            }
            patches.push(self.patch(patch, &tree, &next, patches.len() + 1)?);
            self.progress.done(patches.len() as u64);
            tree = next;
        }
        Ok(Ok(patches))
    }

    /// Applies a patch of the primary series: the other kernel's version of it, if there is one, with
    /// what has changed since.
    fn primary(&self, primary: &Patch, change: &Change, tree: &str) -> Step {
        let old = self.chains.old.as_ref().map(|old| old.find(&primary.title));
        let Some((_, own)) = self.chains.other.find(&primary.title) else {
            return self.merge(primary, "the whole patch", tree, change);
        };
        let old = match old {
            None => return self.merge(primary, "the whole patch", tree, change),
            // Both have got such a patch, and neither from the other.
            Some(None) => return self.merge(primary, "its version", tree, own),
            Some(Some((_, old))) => old,
        };
        let to = change.to.clone();
        match merge::apply(self.repository, &change.from, old)? {
            Merged::Clean(from) => match self.merge(primary, "its version", tree, own)? {
                Ok(tree) => self.merge(primary, "what has changed", &tree, &Change { from, to }),
                stopped => Ok(stopped),
            },
            // The patches before it were changed too much for that: the trees after it are compared,
            // so that nothing of the other kernel's version is lost.
            Merged::Conflict { .. } => {
                let change = Change { from: old.to.clone(), to };
                self.merge(primary, "what has changed up to it", &own.to, &change)
            }
        }
    }

    fn merge(&self, patch: &Patch, what: &'static str, tree: &str, change: &Change) -> Step {
        let step = format!("{what} of {}", patch.title);
        if let Some(resolved) = self.state.resolution(&step) {
            return Ok(Ok(resolved.to_owned()));
        }
        Ok(match merge::apply(self.repository, tree, change)? {
            Merged::Clean(tree) => Ok(tree),
            Merged::Conflict { pick } => {
                Err(Stop { patch: patch.name.clone(), what, step, tree: tree.to_owned(), pick })
            }
        })
    }

    /// Returns the primary's patch with the words of the other kernel's version where only that one
    /// was changed.
    fn described(&self, primary: &Patch) -> Patch {
        let Some((own, _)) = self.chains.other.find(&primary.title) else {
            return Patch { remarks: Vec::new(), ..primary.clone() };
        };
        let old = self.chains.old.as_ref().and_then(|old| old.find(&primary.title)).map(|(old, _)| old);
        let words =
            |patch: &Patch| [&patch.author, &patch.email, &patch.date, &patch.message].map(String::clone);
        if old.is_none_or(|old| words(old) == words(primary)) {
            return Patch { name: primary.name.clone(), ..own.clone() };
        }
        if old.is_some_and(|old| old.message != own.message) && own.message != primary.message {
            self.progress
                .note(&format!("{}: both messages were changed; that of the primary is taken", own.name));
        }
        Patch { remarks: own.remarks.clone(), ..primary.clone() }
    }

    /// Returns the patch that leads from one tree to the next.
    fn patch(&self, patch: Patch, from: &str, to: &str, number: usize) -> Result<Patch> {
        let parent = commit(self.repository, from, None, "before")?;
        let after = commit(self.repository, to, Some(&parent), "after")?;
        let (stat, diff) = diff_of(self.repository, &after)?;
        let notes = patch.notes();
        let patch = Patch { remarks: stat, diff, ..patch }.with_notes(notes.as_deref());
        Ok(Patch { name: patch.file_name(number).into_owned(), ..patch })
    }
}

impl Stop {
    /// Leaves the conflict in the work tree.
    fn check_out(self, directory: &Path, state: &State, progress: &dyn Progress) -> Result<Conflict> {
        let head = commit(directory, &self.tree, None, "The series so far")?;
        tree::check_out(directory, &head, progress)?;
        let mut pick = git(directory);
        pick.args(["-c", "merge.renames=false", "-c", "merge.conflictStyle=diff3"]);
        output(as_keyagents(&mut pick).args(["cherry-pick", "--no-commit", &self.pick]), b"")?;
        state.stop(directory, &self.step)?;
        let files = state::unmerged(directory)?;
        Ok(Conflict { patch: self.patch, what: self.what, files, tree: directory.to_owned() })
    }
}

/// Replaces a series. Another process sees the old directory or the new one.
fn write(series: &[Patch], record: &str, directory: &Path) -> Result<Exported> {
    let parent = directory.parent().unwrap_or(Path::new("."));
    let old = patches(directory)?;
    let scratch = tempfile::Builder::new()
        .prefix(".backport-")
        .tempdir_in(parent)
        .map_err(Error::io("creating a directory in", parent))?;
    let new = scratch.path().join("series");
    fs::create_dir(&new).map_err(Error::io("creating", &new))?;
    for entry in fs::read_dir(directory).map_err(Error::io("reading", directory))?.flatten() {
        let name = entry.file_name();
        if !old.contains(&*name.to_string_lossy()) {
            fs::copy(entry.path(), new.join(name)).map_err(Error::io("copying", entry.path()))?;
        }
    }
    let mut written = Vec::new();
    for patch in series {
        let path = new.join(&patch.name);
        let mail = patch.mail();
        if !fs::read(directory.join(&patch.name)).is_ok_and(|there| there == mail) {
            written.push(patch.name.clone());
        }
        fs::write(&path, mail).map_err(Error::io("writing", path))?;
    }
    let file = new.join(record::FILE);
    fs::write(&file, record).map_err(Error::io("writing", file))?;
    renameat2(AT_FDCWD, &new, AT_FDCWD, directory, RenameFlags::RENAME_EXCHANGE)
        .map_err(|errno| Error::io("replacing", directory)(errno.into()))?;
    let removed = old.into_iter().filter(|name| !series.iter().any(|patch| patch.name == *name)).collect();
    remove(&new)?;
    Ok(Exported { directory: directory.to_owned(), patches: series.len(), written, removed })
}
