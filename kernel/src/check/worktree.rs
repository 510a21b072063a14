//! Work tree of a check: its own tree and build directories, at constant paths.

use std::path::{Path, PathBuf};

use super::Check;
use crate::{
    Error, NoProgress, Patch, Progress, Result,
    error::DoesNotApply,
    lock::Lock,
    series::Stack,
    source_clone::keep_up,
    subprocess::{git, read},
    tree::{self, Base},
};

/// A tree in which the patches are checked out one after the other.
pub(super) struct Worktree<'a> {
    pub(super) check: &'a Check<'a>,
    /// The parent of the build directories.
    pub(super) directory: PathBuf,
    pub(super) tree: PathBuf,
    base: String,
    _lock: Lock,
}

impl<'a> Worktree<'a> {
    pub(super) fn open(check: &'a Check<'a>, cache: &Path, progress: &dyn Progress) -> Result<Self> {
        let name = &check.kernel.name;
        let lock = Lock::take(&cache.join("locks").join(format!("check-{name}")), progress)?;
        let base = Base::prepare(check.kernel, check.origin.as_ref(), cache, progress)?;
        let directory = cache.join("checks").join(base.path.file_name().unwrap_or_default());
        let tree = directory.join("tree");
        keep_up(&base, &tree)?;
        Ok(Self { check, directory, tree, base: base.commit, _lock: lock })
    }

    pub(super) fn kernel(&self) -> &str {
        &self.check.kernel.name
    }

    /// Returns the base's commit and one for each patch, up to the first that does not apply.
    pub(super) fn commits(&self, patches: &[Patch]) -> Result<(Vec<String>, Option<Box<DoesNotApply>>)> {
        let mut stack = Stack::on(&self.tree, &self.base)?;
        let mut commits = vec![self.base.clone()];
        for patch in patches {
            match stack.push(patch) {
                Ok(commit) => commits.push(commit.to_owned()),
                Err(Error::DoesNotApply(reason)) => return Ok((commits, Some(reason))),
                Err(error) => return Err(error),
            }
        }
        Ok((commits, None))
    }

    pub(super) fn check_out(&self, commit: &str) -> Result<()> {
        tree::check_out(&self.tree, commit, &NoProgress)
    }

    /// Returns the files that differ between two commits and exist in the second.
    pub(super) fn touched(&self, before: &str, after: &str) -> Result<Vec<String>> {
        let names = self.git(&["diff", "--name-only", "--no-renames", "--diff-filter=d", before, after])?;
        Ok(names.lines().map(str::to_owned).collect())
    }

    /// Returns the configuration options that were added between the base and the current checkout.
    pub(super) fn added_options(&self) -> Result<Vec<String>> {
        let diff = self.git(&["diff", "--unified=0", &self.base, "HEAD", "--", "*Kconfig*"])?;
        Ok(added_options(&diff))
    }

    fn git(&self, arguments: &[&str]) -> Result<String> {
        read(git(&self.tree).args(arguments), b"")
    }
}

fn added_options(diff: &str) -> Vec<String> {
    let added = diff.lines().filter_map(|line| line.strip_prefix('+'));
    let options = added.filter_map(|line| line.strip_prefix("config ").or(line.strip_prefix("menuconfig ")));
    options.map(|name| format!("CONFIG_{}", name.trim())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_in_added_lines_are_found() {
        let diff = "+++ b/security/keys/Kconfig\n@@ -1,0 +2,3 @@\n+config KEYAGENT\n+\tbool \"config of X\"\n\
                    -config GONE\n+menuconfig MORE\n";
        assert_eq!(added_options(diff), ["CONFIG_KEYAGENT", "CONFIG_MORE"]);
    }
}
