//! A series of patches: mails in a mailbox or a directory, or the commits of a range.
//!
//! ```text
//! files ──> mail (git mailsplit, git mailinfo) ──> selection ──> Series ──> apply
//! range ──> git log, git diff-tree ───────────────────────────┘
//! ```

mod apply;
mod files;
mod mail;
mod patch;
mod problem;
mod range;
mod selection;
mod subject;

use std::path::Path;

use sha2::Sha256;

pub(crate) use self::apply::Stack;
pub use self::{
    patch::Patch,
    problem::{ListedProblem, PatchProblem, SeriesProblem},
};
use self::{
    range::{Ends, is_range},
    selection::LeftOut,
};
use crate::{Error, Result};

/// Patches in the order in which they apply. May be empty.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Series {
    patches: Vec<Patch>,
    left_out: Vec<LeftOut>,
    origin: Origin,
    /// True if only its first patches are used.
    is_cut: bool,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
enum Origin {
    /// Files or mails whose order is given: by numbers, names or a list.
    #[default]
    Ordered,
    /// A mailbox in which only the positions of the mails give the order of the patches.
    AsMailsLie,
    Range(Ends),
    /// No patches: the source already contains them.
    Source,
}

impl Series {
    /// Reads a mailbox, a directory of patches, a Maildir, or a list of patches such as quilt keeps in the file `series`. Files may
    /// be compressed with gzip or xz.
    ///
    /// Cover letters, replies, duplicates and patches that a newer version replaces are left out.
    /// Patches with numbers are sorted. A directory that does not exist is an empty series.
    pub fn read(path: &Path) -> Result<Self> {
        let files::Files { mails, is_listed, mut left_out } = files::read(path)?;
        let is_mailbox = mails.iter().all(|mail| mail.name.is_none());
        let mails = mail::decode(&mails)?;
        let origin = match is_mailbox && !is_listed && !selection::is_numbered(&mails) {
            true => Origin::AsMailsLie,
            false => Origin::Ordered,
        };
        let refuse = |why| Error::NotASeries { name: path.display().to_string(), why };
        let patches = match is_listed {
            true => selection::as_listed(mails, &mut left_out)?,
            false => selection::select(mails, &mut left_out, refuse)?,
        };
        Ok(Self { patches, left_out, origin, is_cut: false })
    }

    /// Returns the series of a source that already contains keyagents: nothing is applied.
    pub fn applied() -> Self {
        Self { origin: Origin::Source, ..Self::default() }
    }

    pub(crate) fn is_applied(&self) -> bool {
        self.origin == Origin::Source
    }

    /// Returns true if the tree has keyagents when the series is applied.
    pub(crate) fn brings_keyagents(&self) -> bool {
        self.is_applied() || !self.patches.is_empty()
    }

    /// Reads a series by its name: a path for [`read`](Self::read), or a range of commits such as
    /// `v6.12..work` in the git repository that contains `repository`.
    pub fn given(name: &str, repository: &Path) -> Result<Self> {
        let refuse = |why| Error::NotASeries { name: name.to_owned(), why };
        let path = Path::new(name);
        let series = if path.is_dir() || path.is_file() {
            Self::read(path)?
        } else if path.exists() {
            return Err(refuse(SeriesProblem::NotAFile));
        } else if is_range(name) {
            let range::Commits { patches, left_out, ends } = range::commits(name, repository)?;
            Self { patches, left_out, origin: Origin::Range(ends), is_cut: false }
        } else if name.contains("..") || name.starts_with(['/', '.', '~']) {
            return Err(refuse(SeriesProblem::NoSuchFile));
        } else {
            return Err(refuse(SeriesProblem::NoSuchName));
        };
        match series.is_empty() {
            true => Err(refuse(SeriesProblem::Empty { left_out: series.left_out() })),
            false => Ok(series),
        }
    }

    /// Returns the base of a series of commits, which the series does not contain. `None` for other
    /// series.
    pub(crate) fn begins_with(&self) -> Option<&str> {
        match &self.origin {
            Origin::Range(ends) => Some(&ends.base),
            Origin::Ordered | Origin::AsMailsLie | Origin::Source => None,
        }
    }

    /// Returns this series with the patches of another one on top.
    pub(crate) fn then(mut self, other: Self) -> Self {
        self.patches.extend(other.patches);
        self.left_out.extend(other.left_out);
        self
    }

    pub fn first(&self, count: usize) -> Self {
        let is_cut = self.is_cut || count < self.patches.len();
        Self { patches: self.patches.iter().take(count).cloned().collect(), is_cut, ..self.clone() }
    }

    pub fn patches(&self) -> &[Patch] {
        &self.patches
    }

    pub fn is_empty(&self) -> bool {
        self.patches.is_empty()
    }

    /// Describes the patches and files that are left out, or returns `None`.
    pub fn left_out(&self) -> Option<String> {
        selection::words(&self.left_out)
    }

    /// Applies the series on top of that commit, in the repository's object store alone: the work
    /// tree is not changed. Returns the resulting commit, which is the same for the same series on
    /// the same base.
    pub(crate) fn commit(
        &self,
        repository: &Path,
        base: &str,
        mut applied: impl FnMut(usize),
    ) -> Result<String> {
        let mut stack = Stack::on(repository, base)?;
        for (done, patch) in self.patches.iter().enumerate() {
            match stack.push(patch) {
                Err(Error::DoesNotApply(mut why)) => {
                    why.is_all_applied = self.is_in(repository, base)?;
                    why.is_as_mails_lie = self.origin == Origin::AsMailsLie && self.patches.len() > 1;
                    return Err(Error::DoesNotApply(why));
                }
                pushed => pushed?,
            };
            applied(done + 1);
        }
        let top = stack.top();
        match &self.origin {
            Origin::Range(ends) if !self.is_cut && !ends.are_met(repository, base, &top)? => {
                Err(Error::NotASeries { name: ends.range.clone(), why: SeriesProblem::NotASum })
            }
            _ => Ok(top),
        }
    }

    /// Returns true if that commit already has all patches: they can be reverted, the last one
    /// first.
    fn is_in(&self, repository: &Path, commit: &str) -> Result<bool> {
        let mut stack = Stack::on(repository, commit)?;
        for patch in self.patches.iter().rev() {
            if !stack.pop(patch)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    pub(crate) fn digest(&self, hash: &mut Sha256) {
        self.patches.iter().for_each(|patch| patch.digest(hash));
    }
}

#[cfg(test)]
mod tests;
