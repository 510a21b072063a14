//! A series of patches, as `git format-patch` writes it: a directory of mails, or one mailbox.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use sha2::{Digest, Sha256};

use crate::{
    Error, Result,
    command::{failed, git, output, read},
    error::DoesNotApply,
    format_patch::format_patch,
    misfit::misfits,
};

/// Patches in the order in which they apply. May be empty.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Series {
    patches: Vec<Patch>,
    /// Whether the source has what these patches would bring.
    applied: bool,
    /// For commits of a repository: the one that they begin with.
    begins_with: Option<String>,
}

/// One mail with a patch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Patch {
    /// The file's name, or the subject when it comes from a mailbox.
    pub name: String,
    mail: Vec<u8>,
}

impl Series {
    /// Reads the `*.patch` files of a directory in the order of their names, or the mails of a mailbox file.
    ///
    /// A directory that is not there is an empty series; cover letters (`0000-…`) are left out.
    pub fn read(path: &Path) -> Result<Self> {
        let patches = if path.is_file() { Self::mailbox(path)? } else { Self::directory(path)? };
        Ok(Self { patches, ..Self::default() })
    }

    /// That of a source which has keyagents already: there is nothing to apply.
    pub fn applied() -> Self {
        Self { applied: true, ..Self::default() }
    }

    /// Whether the tree has keyagents when the series is applied.
    pub fn brings_keyagents(&self) -> bool {
        self.applied || !self.patches.is_empty()
    }

    /// The series that a person names: a mailbox, a directory of patches, or a range of commits such as `v6.12..work` in the
    /// git repository that `repository` lies in.
    ///
    /// # Errors
    /// [`Error::NotASeries`]: it is none of these, or there is no patch in it.
    pub fn given(name: &str, repository: &Path) -> Result<Self> {
        let refuse = |reason: String| Error::NotASeries { name: name.to_owned(), reason };
        let path = Path::new(name);
        let series = if path.is_dir() {
            Self::read(path)?
        } else if path.is_file() {
            Self::read(path).map_err(|error| match error {
                Error::Command { .. } => {
                    refuse("there is no mail in it: write it with `git format-patch --stdout`".into())
                }
                error => error,
            })?
        } else if name.contains("..") {
            Self::range(name, repository).map_err(|error| match error {
                Error::Command { stderr, .. } => {
                    let said = stderr.lines().next().unwrap_or_default().trim_start_matches("fatal: ");
                    refuse(format!("git finds no such commits in {}: {said}", repository.display()))
                }
                error => error,
            })?
        } else {
            return Err(refuse(
                "there is no such mailbox or directory, nor is it a range of commits (A..B)".into(),
            ));
        };
        match series.is_empty() {
            true => Err(refuse("there is no patch in it".into())),
            false => Ok(series),
        }
    }

    /// The commits of a range, as `git format-patch` writes them.
    fn range(range: &str, repository: &Path) -> Result<Self> {
        let begins_with = Self::beginning(range, repository)?;
        let scratch =
            tempfile::tempdir().map_err(Error::io("creating a directory in", std::env::temp_dir()))?;
        format_patch(repository, range, scratch.path())?;
        Ok(Self { begins_with: Some(begins_with), ..Self::read(scratch.path())? })
    }

    /// The commit A of A..B or, if A has gone on since B left it, the one at which it did.
    fn beginning(range: &str, repository: &Path) -> Result<String> {
        let ends = read(git(repository).args(["rev-parse", "--revs-only", range, "--"]), b"")?;
        let mut common = git(repository);
        common.arg("merge-base").args(ends.lines().map(|end| end.trim_start_matches('^')));
        let common = output(&mut common, b"")?;
        if common.status.success() {
            return Ok(String::from_utf8_lossy(&common.stdout).trim_end().to_owned());
        }
        let reason = format!("its two ends have no commit in common in {}", repository.display());
        Err(Error::NotASeries { name: range.to_owned(), reason })
    }

    /// The commit that the series begins with, which it leaves as it is, if it is commits of a repository.
    pub(crate) fn begins_with(&self) -> Option<&str> {
        self.begins_with.as_deref()
    }

    /// The first patches of the series, so many.
    pub fn first(&self, count: usize) -> Self {
        Self { patches: self.patches.iter().take(count).cloned().collect(), ..self.clone() }
    }

    /// The patches, in order.
    pub fn patches(&self) -> &[Patch] {
        &self.patches
    }

    /// Is there no patch at all?
    pub fn is_empty(&self) -> bool {
        self.patches.is_empty()
    }

    fn directory(path: &Path) -> Result<Vec<Patch>> {
        let mut patches = Vec::new();
        for file in files(path)?.into_iter().filter(|file| file.extension().is_some_and(|end| end == "patch"))
        {
            let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
            if !name.starts_with("0000-") {
                let mail = fs::read(&file).map_err(Error::io("reading", &file))?;
                patches.push(Patch::parse(name, mail)?);
            }
        }
        Ok(patches)
    }

    fn mailbox(path: &Path) -> Result<Vec<Patch>> {
        let scratch =
            tempfile::tempdir().map_err(Error::io("creating a directory in", std::env::temp_dir()))?;
        let mut command = git(scratch.path());
        command
            .arg("mailsplit")
            .arg(format!("-o{}", scratch.path().display()))
            .arg("--")
            .arg(std::path::absolute(path).map_err(Error::io("finding", path))?);
        read(&mut command, b"")?;
        let mut patches = Vec::new();
        for file in files(scratch.path())? {
            let mail = fs::read(&file).map_err(Error::io("reading", &file))?;
            let name = subject(&mail).unwrap_or_else(|| format!("mail {}", patches.len() + 1));
            patches.push(Patch::parse(name, mail)?);
        }
        // Answers to a series come with it in an archive, and so do its mails in any order.
        patches.retain(|patch| !patch.is_cover_letter());
        if patches.iter().all(|patch| number(&patch.name).is_some()) {
            patches.sort_by_key(|patch| number(&patch.name));
        }
        Ok(patches)
    }

    /// Applies the series on top of that commit, in the repository's object store alone: no file of the work tree
    /// is touched. Returns the resulting commit, which is the same for the same series on the same base.
    pub(crate) fn commit(
        &self,
        repository: &Path,
        base: &str,
        mut applied: impl FnMut(usize),
    ) -> Result<String> {
        let mut stack = Stack::on(repository, base)?;
        for (done, patch) in self.patches.iter().enumerate() {
            stack.push(patch)?;
            applied(done + 1);
        }
        Ok(stack.top)
    }

    /// What the patches say, for hashing.
    pub(crate) fn digest(&self, hash: &mut Sha256) {
        self.patches.iter().for_each(|patch| patch.digest(hash));
    }
}

impl Patch {
    /// Its bytes, for hashing.
    pub(crate) fn digest(&self, hash: &mut Sha256) {
        hash.update((self.mail.len() as u64).to_le_bytes());
        hash.update(&self.mail);
    }
}

/// Patches become commits, one on top of the other, in a repository's object store.
pub(crate) struct Stack<'a> {
    repository: &'a Path,
    scratch: tempfile::TempDir,
    top: String,
}

impl<'a> Stack<'a> {
    /// Begins with that commit.
    pub(crate) fn on(repository: &'a Path, base: &str) -> Result<Self> {
        let scratch =
            tempfile::tempdir().map_err(Error::io("creating a directory in", std::env::temp_dir()))?;
        let index = scratch.path().join("index");
        read(git(repository).env("GIT_INDEX_FILE", &index).args(["read-tree", base]), b"")?;
        Ok(Self { repository, scratch, top: base.to_owned() })
    }

    /// Puts a patch on top, and gives the commit that it became.
    pub(crate) fn push(&mut self, patch: &Patch) -> Result<&str> {
        let scratch = self.scratch.path();
        self.top = patch.commit(self.repository, &scratch.join("index"), scratch, &self.top)?;
        Ok(&self.top)
    }
}

impl Patch {
    /// The whole file or mail.
    pub fn mail(&self) -> &[u8] {
        &self.mail
    }

    fn parse(name: String, mail: Vec<u8>) -> Result<Self> {
        let text = String::from_utf8_lossy(&mail);
        let reason = if !text.lines().any(|line| line.starts_with("From: ")) {
            "no `From:` line: write the patch with `git format-patch`"
        } else if subject(&mail).is_none() {
            "no `Subject:` line: write the patch with `git format-patch`"
        } else {
            return Ok(Self { name, mail });
        };
        Err(Error::NotAPatch { patch: name, reason: reason.into() })
    }

    fn is_cover_letter(&self) -> bool {
        !self.mail.split(|&byte| byte == b'\n').any(is_change)
    }

    fn commit(&self, repository: &Path, index: &Path, scratch: &Path, parent: &str) -> Result<String> {
        let message = scratch.join("message");
        let diff = scratch.join("diff");
        let about = read(git(repository).arg("mailinfo").arg(&message).arg(&diff), &self.mail)?;
        let header = |name: &str| {
            let line = about.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
            line.map(str::to_owned).ok_or_else(|| Error::NotAPatch {
                patch: self.name.clone(),
                reason: format!("no `{name}` in its header: write the patch with `git format-patch`"),
            })
        };

        let mut apply = git(repository);
        apply.env("GIT_INDEX_FILE", index).args(["apply", "--cached", "--whitespace=nowarn"]).arg(&diff);
        let applied = output(&mut apply, b"")?;
        // Whoever ended git by a signal has not shown that the patch does not fit.
        if applied.status.code().is_none() {
            return Err(failed(&apply, &applied));
        }
        if !applied.status.success() {
            let said = String::from_utf8_lossy(&applied.stderr).into_owned();
            let source = |file: &str| {
                let show = ["show", &format!(":{file}")];
                read(git(repository).env("GIT_INDEX_FILE", index).args(show), b"").ok()
            };
            return Err(Error::DoesNotApply(Box::new(self.explain(said, source))));
        }

        let tree = read(git(repository).env("GIT_INDEX_FILE", index).arg("write-tree"), b"")?;
        let body = fs::read_to_string(&message).map_err(Error::io("reading", &message))?;
        let text = format!("{}\n\n{body}", header("Subject")?);
        let (author, email, date) = (header("Author")?, header("Email")?, header("Date")?);
        let mut command = git(repository);
        command.args(["commit-tree", &tree, "-p", parent]);
        command.env("GIT_AUTHOR_NAME", &author).env("GIT_COMMITTER_NAME", &author);
        command.env("GIT_AUTHOR_EMAIL", &email).env("GIT_COMMITTER_EMAIL", &email);
        command.env("GIT_AUTHOR_DATE", &date).env("GIT_COMMITTER_DATE", &date);
        read(&mut command, text.as_bytes())
    }

    /// Finds the hunks that fit nowhere.
    fn explain(&self, git: String, source: impl Fn(&str) -> Option<String>) -> DoesNotApply {
        let misfits = misfits(&String::from_utf8_lossy(&self.mail), source);
        DoesNotApply { patch: self.name.clone(), misfits, git }
    }
}

/// Does a file's change begin with that line?
fn is_change(line: &[u8]) -> bool {
    line.starts_with(b"diff --git ") || line.starts_with(b"--- a/")
}

/// The 3 of a subject `[PATCH v2 03/17] keys: …`.
fn number(subject: &str) -> Option<usize> {
    let (tag, _) = subject.strip_prefix('[')?.split_once(']')?;
    tag.split(' ').find_map(|word| word.split_once('/'))?.0.parse().ok()
}

fn subject(mail: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(mail);
    text.lines().find_map(|line| line.strip_prefix("Subject: ")).map(str::to_owned)
}

/// The files in a directory in the order of their names; none if there is no such directory.
fn files(directory: &Path) -> Result<Vec<PathBuf>> {
    let mut files: Vec<PathBuf> = match fs::read_dir(directory) {
        Ok(entries) => entries.flatten().map(|entry| entry.path()).collect(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
        Err(error) => return Err(Error::io("reading", directory)(error)),
    };
    files.sort();
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAIL: &str = "\
From 1111111111111111111111111111111111111111 Mon Sep 17 00:00:00 2001
From: =?UTF-8?q?Zo=C3=AB?= <zoe@example.org>
Date: Fri, 1 Jul 2022 10:00:00 +0200
Subject: [PATCH 1/1] KEYS: Say hello
 at length

Because.

Signed-off-by: Zoe <zoe@example.org>
---
 a.c | 2 +-
 1 file changed, 1 insertion(+), 1 deletion(-)

diff --git a/a.c b/a.c
index 1111111..2222222 100644
--- a/a.c
+++ b/a.c
@@ -1,3 +1,3 @@ context
 one
-two
+TWO
 three
-- 
2.39.5

";

    fn repository(contents: &str) -> (tempfile::TempDir, String) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path();
        read(git(path).args(["init", "-q"]), b"").unwrap();
        let blob = read(git(path).args(["hash-object", "-w", "--stdin"]), contents.as_bytes()).unwrap();
        let tree = read(git(path).arg("mktree"), format!("100644 blob {blob}\ta.c\n").as_bytes()).unwrap();
        let author = ["-c", "user.name=x", "-c", "user.email=x@example.org"];
        let base = read(git(path).args(author).args(["commit-tree", &tree, "-m", "base"]), b"").unwrap();
        (directory, base)
    }

    fn series(mail: &str) -> Series {
        let patch = Patch::parse("0001-hello.patch".into(), mail.into()).unwrap();
        Series { patches: vec![patch], ..Series::default() }
    }

    #[test]
    fn a_patch_becomes_a_commit_of_its_author() {
        let (repository, base) = repository("one\ntwo\nthree\n");
        let head = series(MAIL).commit(repository.path(), &base, |_| {}).unwrap();
        let shown =
            read(git(repository.path()).args(["show", "-s", "--format=%an|%ae|%aI|%s|%b", &head]), b"");
        let expected = "Zo\u{eb}|zoe@example.org|2022-07-01T10:00:00+02:00|KEYS: Say hello at length|Because.\n\n\
                        Signed-off-by: Zoe <zoe@example.org>";
        assert_eq!(shown.unwrap().trim_end(), expected);
        let file = read(git(repository.path()).args(["show", &format!("{head}:a.c")]), b"").unwrap();
        assert_eq!(file, "one\nTWO\nthree");
        assert_eq!(series(MAIL).commit(repository.path(), &base, |_| {}).unwrap(), head);
    }

    #[test]
    fn a_hunk_that_does_not_fit_is_named_with_the_nearest_place() {
        let (repository, base) = repository("one\n2\nthree\n");
        let error = series(MAIL).commit(repository.path(), &base, |_| {}).unwrap_err();
        assert_eq!(
            error.to_string(),
            "0001-hello.patch does not apply:\
             \n  a.c: hunk `@@ -1,3 +1,3 @@ context` (line 18 of the patch) fits nowhere; nearest is line 1, which \
             has 2 of its 3 lines (`-` the hunk expects, `+` the source has):\
             \n        one\n      - two\n      + 2\n        three"
        );
    }

    #[test]
    fn a_mailbox_is_split_and_its_cover_letter_left_out() {
        let cover = "From 0000000000000000000000000000000000000000 Mon Sep 17 00:00:00 2001\n\
                     From: Zoe <zoe@example.org>\nSubject: [PATCH 0/1] Hello\n\nFrom here on, words.\n\n";
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), format!("{cover}{MAIL}")).unwrap();
        let series = Series::read(file.path()).unwrap();
        assert_eq!(series.patches().len(), 1);
        assert_eq!(series.patches()[0].name, "[PATCH 1/1] KEYS: Say hello");
    }

    #[test]
    fn a_directory_is_read_in_order_and_one_that_is_not_there_is_empty() {
        let directory = tempfile::tempdir().unwrap();
        for name in ["0002-b.patch", "0001-a.patch", "0000-cover-letter.patch", "README"] {
            fs::write(directory.path().join(name), MAIL).unwrap();
        }
        let series = Series::read(directory.path()).unwrap();
        let names: Vec<_> = series.patches().iter().map(|patch| patch.name.as_str()).collect();
        assert_eq!(names, ["0001-a.patch", "0002-b.patch"]);
        assert!(Series::read(&directory.path().join("none")).unwrap().is_empty());
    }

    #[test]
    fn a_file_that_is_no_mail_is_refused_by_name() {
        let error = Patch::parse("x.patch".into(), b"diff --git a/a b/a\n".to_vec()).unwrap_err();
        assert!(error.to_string().starts_with("x.patch: no `From:` line"), "{error}");
    }

    fn refused(name: &str, repository: &Path) -> String {
        Series::given(name, repository).unwrap_err().to_string()
    }

    #[test]
    fn a_series_is_a_mailbox_a_directory_or_a_range_of_commits() {
        let (repository, base) = repository("one\ntwo\nthree\n");
        let path = repository.path();
        let head = series(MAIL).commit(path, &base, |_| {}).unwrap();
        let given = Series::given(&format!("{base}..{head}"), path).unwrap();
        assert_eq!(given.patches().len(), 1);
        assert_eq!(given.patches()[0].name, "0001-KEYS-Say-hello-at-length.patch");

        let mailbox = path.join("mailbox");
        let other = MAIL.replace("[PATCH 1/1] KEYS: Say hello", "[PATCH 2/2] Go on");
        fs::write(&mailbox, format!("{other}{}", MAIL.replace("1/1", "1/2"))).unwrap();
        let given = Series::given(&mailbox.to_string_lossy(), path).unwrap();
        let names: Vec<_> = given.patches().iter().map(|patch| patch.name.as_str()).collect();
        assert_eq!(names, ["[PATCH 1/2] KEYS: Say hello", "[PATCH 2/2] Go on"]);
        assert_eq!(given.first(1).patches().len(), 1);
    }

    #[test]
    fn a_range_is_the_same_patches_whatever_its_commits_are_called_and_git_is_configured_to_write() {
        let (repository, base) = repository("one\ntwo\nthree\n");
        let path = repository.path();
        let patches_upon = |base: &str| {
            let head = series(MAIL).commit(path, base, |_| {}).unwrap();
            Series::given(&format!("{base}..{head}"), path).unwrap().patches().to_vec()
        };
        let patches = patches_upon(&base);
        let wishes = [
            ("core.abbrev", "40"),
            ("diff.noprefix", "true"),
            ("format.filenameMaxLength", "12"),
            ("format.from", "true"),
            ("format.headers", "To: y@example.org"),
            ("format.signOff", "true"),
            ("format.signature", "me"),
            ("format.suffix", ".txt"),
        ];
        for (key, value) in wishes.into_iter().chain([("user.name", "y"), ("user.email", "y@example.org")]) {
            read(git(path).args(["config", key, value]), b"").unwrap();
        }
        let tree = format!("{base}^{{tree}}");
        let other = read(git(path).args(["commit-tree", &tree, "-m", "another base"]), b"").unwrap();
        assert_eq!(patches_upon(&other), patches);
    }

    #[test]
    fn what_is_no_series_is_refused_in_one_sentence() {
        let (repository, base) = repository("one\n");
        let path = repository.path();
        let none = "no series of patches: there is no such mailbox or directory, nor is it a range of commits (A..B)";
        assert_eq!(refused("/not/there", path), format!("`/not/there` is {none}"));
        let empty = format!("{base}..{base}");
        assert_eq!(
            refused(&empty, path),
            format!("`{empty}` is no series of patches: there is no patch in it")
        );
        let range = refused("nowhere..there", path);
        assert!(
            range.starts_with("`nowhere..there` is no series of patches: git finds no such commits in /"),
            "{range}"
        );
        assert!(!range.contains('\n'), "{range}");
        let diff = path.join("a.diff");
        fs::write(&diff, "--- a/a\n+++ b/a\n").unwrap();
        let said = refused(&diff.to_string_lossy(), path);
        assert!(
            said.ends_with("there is no mail in it: write it with `git format-patch --stdout`"),
            "{said}"
        );
    }
}
