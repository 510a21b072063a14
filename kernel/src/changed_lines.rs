//! Lines of a series: the files that it adds, and the lines that it adds to others.

use std::{collections::BTreeSet, fs, path::Path};

use crate::{
    BuildRequest, Error, Progress, Result, Series,
    diff_parser::hunk,
    sources::BASE,
    subprocess::{bytes, git, read},
    tree::{Commits, commits, tree},
};

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChangedFile {
    pub path: String,
    /// The whole file, with the series applied.
    pub text: String,
    /// The numbers of the series' lines, from 1.
    pub lines: BTreeSet<usize>,
    /// True if the series adds the whole file.
    pub is_new: bool,
}

/// Returns the paths of the C files that the series of that request adds or changes, without tests
/// and code that does not run in the kernel.
pub fn changed_files(
    request: &BuildRequest<'_>,
    cache: &Path,
    progress: &dyn Progress,
) -> Result<Vec<ChangedFile>> {
    let Commits { path, base, head } = commits(request, cache, progress)?;
    changed_files_between(&path, &base, &head)
}

/// Returns the C files that the second commit has changed. They are read from the commit, since
/// another command may have put mutants into the tree's files.
pub(crate) fn changed_files_between(tree: &Path, base: &str, head: &str) -> Result<Vec<ChangedFile>> {
    let diff = read(&mut diff(tree, [base, head], &["--unified=0"]), b"")?;
    let mut files = Vec::new();
    for (path, is_new, lines) in added(&diff) {
        let bytes = bytes(git(tree).args(["cat-file", "blob", &format!("{head}:{path}")]))?;
        let text = String::from_utf8_lossy(&bytes).into_owned();
        files.push(ChangedFile { path, text, lines, is_new });
    }
    Ok(files)
}

/// Returns the lines of the request's series that an earlier version of it does not have: files
/// with line numbers, from 1.
pub fn lines_since(
    request: &BuildRequest<'_>,
    earlier: &Series,
    cache: &Path,
    progress: &dyn Progress,
) -> Result<Vec<(String, BTreeSet<usize>)>> {
    let tree = tree(request, cache, progress)?;
    let earlier = earlier.commit(&tree.path, &tree.base, |_| {})?;
    let mut diff = git(&tree.path);
    diff.args(["diff", "--no-renames", "--no-color", "--no-ext-diff", "--unified=0", &earlier, &tree.head]);
    Ok(touched_lines(&read(&mut diff, b"")?))
}

/// Returns the paths of the C files, without headers, for line counters. These are the files that
/// the series adds or changes, and all of security/keys, whose headers it may have changed.
pub(crate) fn counted_sources(tree: &Path) -> Result<BTreeSet<String>> {
    let changed = read(&mut diff(tree, [BASE, "HEAD"], &["--name-only"]), b"")?;
    let keys = tree.join("security/keys");
    let entries = fs::read_dir(&keys).map_err(Error::io("reading", &keys))?;
    let names = entries.flatten().map(|entry| format!("security/keys/{}", entry.file_name().display()));
    let all = changed.lines().map(str::to_owned).chain(names);
    Ok(all.filter(|path| path.ends_with(".c") && !is_test(path)).collect())
}

/// Returns the paths of all files that the series adds or changes. In a source that already
/// contains keyagents the series is not distinguishable: there it is all of security/keys, and all
/// files named after keyagents.
pub(crate) fn files_of_series(tree: &Path, series: &Series) -> Result<BTreeSet<String>> {
    let mut command = git(tree);
    if series.is_applied() {
        command.args(["ls-files", "--", "security/keys", "*keyagent*"]);
    } else {
        command.args(["diff", "--no-renames", "--no-color", "--no-ext-diff", "--name-only", BASE, "HEAD"]);
    }
    Ok(read(&mut command, b"")?.lines().map(str::to_owned).collect())
}

/// Returns `git diff` of the C files of two commits.
fn diff(tree: &Path, commits: [&str; 2], options: &[&str]) -> std::process::Command {
    let mut command = git(tree);
    command.args(["diff", "--no-renames", "--no-color", "--no-ext-diff", "--diff-filter=AM"]).args(options);
    command.args(commits).args(["--", "*.c", "*.h", ":!tools", ":!samples", ":!scripts", ":!Documentation"]);
    command.args([":!*_test.c", ":!*_kunit.c"]);
    command
}

fn is_test(path: &str) -> bool {
    ["_test.c", "_kunit.c"].iter().any(|end| path.ends_with(end))
}

/// Returns the files of a unified diff, with the numbers of the lines that it adds to them.
pub fn touched_lines(diff: &str) -> Vec<(String, BTreeSet<usize>)> {
    let files = added(diff).into_iter().map(|(path, _, lines)| (path, lines));
    files.filter(|(_, lines)| !lines.is_empty()).collect()
}

/// Parses a diff. Returns each file's path, true if it is new, and the numbers of the lines that
/// were added to it.
fn added(diff: &str) -> Vec<(String, bool, BTreeSet<usize>)> {
    let mut files: Vec<(String, bool, BTreeSet<usize>)> = Vec::new();
    let mut is_new = false;
    // A line of a hunk may have any text.
    let (mut old, mut new, mut number) = (0_usize, 0_usize, 0);
    for line in diff.lines() {
        if old + new > 0 {
            let (is_old, is_new_line) = match line.as_bytes().first() {
                Some(b'+') => (0, 1),
                Some(b'-') => (1, 0),
                Some(b'\\') => (0, 0),
                _ => (1, 1),
            };
            if (is_old, is_new_line) == (0, 1)
                && let Some((.., lines)) = files.last_mut()
            {
                lines.insert(number);
            }
            number += is_new_line;
            (old, new) = (old.saturating_sub(is_old), new.saturating_sub(is_new_line));
        } else if line.starts_with("--- ") {
            is_new = line == "--- /dev/null";
        } else if let Some(path) = line.strip_prefix("+++ b/") {
            files.push((path.trim_end_matches('\t').to_owned(), is_new, BTreeSet::new()));
        } else if let Some(((_, gone), (first, count))) = hunk(line) {
            (old, new, number) = (gone, count, first);
        }
    }
    files
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{NoProgress, Phase, Series, testutil::Fixture};

    /// Progress of a command that must not wait.
    struct Impatient;

    impl Progress for Impatient {
        fn started(&self, _: &Phase, _: Option<u64>) {}
        fn done(&self, _: u64) {}
        fn finished(&self) {}
        fn note(&self, text: &str) {
            panic!("{text}");
        }
    }

    #[test]
    fn changed_files_are_read_while_the_tree_is_built_with_mutants() {
        let fixture = Fixture::new();
        let mut header = tar::Header::new_gnu();
        let mut archive = tar::Builder::new(Vec::new());
        for (name, text) in [("Makefile", "VERSION = 1\n"), ("Kconfig", "\n"), ("a.c", "1\n2\n")] {
            header.set_size(text.len() as u64);
            header.set_mode(0o644);
            archive.append_data(&mut header, format!("linux-1/{name}"), text.as_bytes()).unwrap();
        }
        fixture.write("linux.tar", archive.into_inner().unwrap());
        fixture.write_patch(1, "a.c", "@@ -1,2 +1,3 @@\n 1\n+new\n 2");
        let request = fixture.request("linux.tar", fixture.patches().unwrap()).unwrap();
        let built = tree(&request, &fixture.path("cache"), &NoProgress).unwrap();
        fs::write(built.path.join("a.c"), "1\nmutant(1)\n2\n").unwrap();

        let files = changed_files(&request, &fixture.path("cache"), &Impatient).unwrap();
        let lines = [2].into();
        assert_eq!(
            files,
            [ChangedFile { path: "a.c".into(), text: "1\nnew\n2\n".into(), lines, is_new: false }]
        );
        let pristine = fixture.request("linux.tar", Series::default()).unwrap();
        assert_eq!(changed_files(&pristine, &fixture.path("cache"), &Impatient).unwrap(), []);
    }

    #[test]
    fn changed_lines_are_numbered_in_the_new_file() {
        let diff = "diff --git a/a.c b/a.c\n--- a/a.c\n+++ b/a.c\n@@ -3 +3,2 @@ f\n-x\n+y\n+--- z\n@@ -9,2 +10,0 @@\n-p\n-q\n\
                    @@ -20,0 +20 @@\n+last\ndiff --git a/b.c b/b.c\nnew file mode 100644\n--- /dev/null\n+++ b/b.c\n@@ -0,0 +1,2 @@\n+a\n+b\n";
        let files = added(diff);
        assert_eq!(
            files,
            [
                ("a.c".to_owned(), false, BTreeSet::from([3, 4, 20])),
                ("b.c".to_owned(), true, BTreeSet::from([1, 2])),
            ]
        );
    }

    #[test]
    fn lines_that_an_earlier_series_has_are_left_out() {
        let mut fixture =
            Fixture::with_source(&[("Makefile", ""), ("Kconfig", ""), ("a.c", "1\n2\n"), ("b.c", "1\n")]);
        let series = fixture.path("series");
        fixture.kernel.series = series.to_str().unwrap().to_owned();
        fixture.write_patch(1, "a.c", "@@ -1,2 +1,4 @@\n 1\n+old\n+x\n 2");
        read(git(&fixture.path("")).args(["init", "-q", "series"]), b"").unwrap();
        read(git(&series).args(["add", "."]), b"").unwrap();
        let commit = ["-c", "user.name=Z", "-c", "user.email=z@example.org", "commit", "-qm", "1"];
        read(git(&series).args(commit), b"").unwrap();
        fixture.write_patch(1, "a.c", "@@ -1,2 +1,4 @@\n 1\n+old\n+y\n 2");
        fixture.write_patch(2, "b.c", "@@ -1 +1,2 @@\n 1\n+new");

        let earlier = fixture.kernel.series_at("HEAD").unwrap();
        let request = fixture.request("source", fixture.patches().unwrap()).unwrap();
        let lines = lines_since(&request, &earlier, &fixture.path("cache"), &NoProgress).unwrap();
        assert_eq!(lines, [("a.c".to_owned(), [3].into()), ("b.c".to_owned(), [2].into())]);
    }

    #[test]
    fn lines_of_context_are_not_touched() {
        let diff = "--- a/a.c\n+++ b/a.c\n@@ -7,4 +7,5 @@ f\n context\n-gone\n+one\n+two\n\n last\n@@ -30,2 +31,1 @@\n x\n-y\n\
                    --- a/b.c\n+++ b/b.c\n@@ -1,2 +1,1 @@\n x\n-y\n";
        assert_eq!(touched_lines(diff), [("a.c".to_owned(), BTreeSet::from([8, 9]))]);
    }
}
