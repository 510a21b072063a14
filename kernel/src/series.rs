//! A series of patches, as `git format-patch` writes it: a directory of mails, or one mailbox.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use sha2::{Digest, Sha256};

use crate::{
    Error, Result,
    command::{git, output, read},
    error::DoesNotApply,
};

/// Patches in the order in which they apply. May be empty.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Series {
    patches: Vec<Patch>,
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
        Ok(Self { patches })
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
        patches.retain(|patch| !patch.is_cover_letter());
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
        let scratch =
            tempfile::tempdir().map_err(Error::io("creating a directory in", std::env::temp_dir()))?;
        let index = scratch.path().join("index");
        read(git(repository).env("GIT_INDEX_FILE", &index).args(["read-tree", base]), b"")?;
        let mut parent = base.to_owned();
        for (done, patch) in self.patches.iter().enumerate() {
            parent = patch.commit(repository, &index, scratch.path(), &parent)?;
            applied(done + 1);
        }
        Ok(parent)
    }

    /// What the patches say, for hashing.
    pub(crate) fn digest(&self, hash: &mut Sha256) {
        for patch in &self.patches {
            hash.update((patch.mail.len() as u64).to_le_bytes());
            hash.update(&patch.mail);
        }
    }
}

impl Patch {
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
        !self.mail.split(|&byte| byte == b'\n').any(|line| line.starts_with(b"diff --git "))
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

        let applied = output(
            git(repository)
                .env("GIT_INDEX_FILE", index)
                .args(["apply", "--cached", "--whitespace=nowarn"])
                .arg(&diff),
            b"",
        )?;
        if !applied.status.success() {
            let git = String::from_utf8_lossy(&applied.stderr).into_owned();
            return Err(Error::DoesNotApply(Box::new(self.explain(git))));
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

    /// Finds the hunk that git's message is about.
    fn explain(&self, git: String) -> DoesNotApply {
        let mut failure = DoesNotApply { patch: self.name.clone(), ..DoesNotApply::default() };
        let place = git.lines().find_map(|line| line.strip_prefix("error: patch failed: ")?.rsplit_once(':'));
        if let Some((file, line)) = place {
            let text = String::from_utf8_lossy(&self.mail);
            failure.file = Some(file.to_owned());
            if let Some((at, header, expected)) = find_hunk(&text, file, line) {
                failure.hunk = Some((header, at));
                failure.expected = expected;
            }
        }
        failure.git = git;
        failure
    }
}

/// The hunk for that file whose old text starts at that line: where it is, its header, and its old text.
fn find_hunk(patch: &str, file: &str, old_line: &str) -> Option<(usize, String, Vec<String>)> {
    let mut lines = patch.lines().enumerate().skip_while(|(_, line)| *line != format!("--- a/{file}"));
    let wanted = [format!("@@ -{old_line},"), format!("@@ -{old_line} ")];
    let (at, header) = lines.find(|(_, line)| wanted.iter().any(|start| line.starts_with(start.as_str())))?;
    let expected = lines
        .map(|(_, line)| line)
        .take_while(|line| line.starts_with([' ', '+', '-']) && !line.starts_with("--- a/") && *line != "-- ")
        .filter_map(|line| line.strip_prefix([' ', '-']))
        .map(str::to_owned)
        .collect();
    Some((at + 1, header.to_owned(), expected))
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
