//! Application of patches as commits, in a repository's object store alone: no work tree is
//! changed.

use std::path::Path;

use super::{patch::Patch, problem::PatchProblem};
use crate::{
    Error, Result,
    error::DoesNotApply,
    fs::scratch,
    rejects::rejects,
    subprocess::{failed, git, output, read},
};

/// Stack of commits, each made of a patch on top of the one before.
pub(crate) struct Stack<'a> {
    repository: &'a Path,
    scratch: tempfile::TempDir,
    top: String,
}

impl<'a> Stack<'a> {
    pub(crate) fn on(repository: &'a Path, base: &str) -> Result<Self> {
        let stack = Self { repository, scratch: scratch()?, top: base.to_owned() };
        read(stack.git().args(["read-tree", base]), b"")?;
        Ok(stack)
    }

    pub(crate) fn top(self) -> String {
        self.top
    }

    /// Puts a patch on top, and returns its commit.
    pub(crate) fn push(&mut self, patch: &Patch) -> Result<&str> {
        if let Some(stderr_line) = self.apply(patch, &[])? {
            let source = |file: &str| read(self.git().args(["show", &format!(":{file}")]), b"").ok();
            let rejects = rejects(&String::from_utf8_lossy(&patch.mail()), source);
            let (patch, git) = (patch.name.clone(), stderr_line);
            return Err(Error::DoesNotApply(Box::new(DoesNotApply {
                patch,
                rejects,
                git,
                ..Default::default()
            })));
        }
        let tree = read(self.git().arg("write-tree"), b"")?;
        self.top = self.commit(patch, &tree)?;
        Ok(&self.top)
    }

    /// Reverts that patch on top. Returns false if it does not fit.
    pub(crate) fn pop(&mut self, patch: &Patch) -> Result<bool> {
        Ok(self.apply(patch, &["--reverse"])?.is_none())
    }

    /// Applies the patch's diff to the index. Returns git's error messages if it does not fit.
    fn apply(&self, patch: &Patch, options: &[&str]) -> Result<Option<String>> {
        let mut apply = self.git();
        apply.args(["apply", "--cached", "--whitespace=nowarn"]).args(options).arg("-");
        let applied = output(&mut apply, &patch.diff)?;
        match applied.status.code() {
            Some(0) => Ok(None),
            // A git that was ended by a signal does not prove that the patch does not fit.
            None => Err(failed(&apply, &applied)),
            Some(_) => Ok(Some(String::from_utf8_lossy(&applied.stderr).into_owned())),
        }
    }

    fn commit(&self, patch: &Patch, tree: &str) -> Result<String> {
        let Patch { title, author, email, date, message, .. } = patch;
        let mut command = self.git();
        command.args(["commit-tree", tree, "-p", &self.top]);
        command.env("GIT_AUTHOR_NAME", author).env("GIT_COMMITTER_NAME", author);
        command.env("GIT_AUTHOR_EMAIL", email).env("GIT_COMMITTER_EMAIL", email);
        command.env("GIT_AUTHOR_DATE", date).env("GIT_COMMITTER_DATE", date);
        read(&mut command, format!("{title}\n\n{message}").as_bytes()).map_err(|error| match error {
            Error::Command { stderr, .. } if stderr.contains("invalid date format") => {
                Error::NotAPatch { patch: patch.name.clone(), why: PatchProblem::Date(date.clone()) }
            }
            error => error,
        })
    }

    fn git(&self) -> std::process::Command {
        let mut command = git(self.repository);
        command.env("GIT_INDEX_FILE", self.scratch.path().join("index"));
        command
    }
}
