//! Parser of mails with `git mailsplit` and `git mailinfo`, as `git am` uses them.

use std::{
    collections::VecDeque,
    fs,
    num::NonZero,
    ops::Range,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
    thread,
};

use sha2::{Digest, Sha256};

use super::{patch::Patch, problem::PatchProblem, subject::Subject};
use crate::{
    Error, Result, diff_parser,
    error::printable,
    fs::scratch,
    subprocess::{failed, git, output, read},
};

/// A file with one mail or several, or a diff without any header.
pub(super) struct MailFile {
    /// The name of its patch. A mailbox has none, since its mails are named by their subjects.
    pub(super) name: Option<String>,
    /// The title of a patch that has no subject.
    pub(super) untitled: String,
    pub(super) bytes: Vec<u8>,
}

#[derive(Clone, Debug)]
pub(super) struct Mail {
    /// The file's name, or the original subject.
    pub(super) name: String,
    pub(super) subject: Subject,
    pub(super) body: Body,
}

#[derive(Clone, Debug)]
pub(super) enum Body {
    /// No diff.
    Text,
    Patch(Patch),
    /// A diff that can't be applied, with the reason.
    Unfit(Patch, PatchProblem),
}

impl Mail {
    /// Returns its diff, applicable or not.
    pub(super) fn patch(&self) -> Option<&Patch> {
        match &self.body {
            Body::Text => None,
            Body::Patch(patch) | Body::Unfit(patch, _) => Some(patch),
        }
    }
}

/// Number of series that are kept decoded: `watch` reads a new one after each edit.
const REMEMBERED: usize = 4;

/// Author of a patch without one.
pub(super) const NO_AUTHOR: &str = "unknown";
pub(super) const NO_EMAIL: &str = "unknown@localhost";
const NO_DATE: &str = "Thu, 1 Jan 1970 00:00:00 +0000";

pub(super) fn decode(files: &[MailFile]) -> Result<Vec<Mail>> {
    // A command reads its series several times, and git takes milliseconds for each mail.
    static DECODED: Mutex<VecDeque<([u8; 32], Vec<Mail>)>> = Mutex::new(VecDeque::new());
    let key = key(files);
    let memory = || DECODED.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some((_, mails)) = memory().iter().find(|(known, _)| *known == key) {
        return Ok(mails.clone());
    }
    let mails = decode_now(files)?;
    let mut memory = memory();
    memory.push_front((key, mails.clone()));
    memory.truncate(REMEMBERED);
    Ok(mails)
}

fn key(files: &[MailFile]) -> [u8; 32] {
    let mut hash = Sha256::new();
    for MailFile { name, untitled, bytes } in files {
        for piece in [name.as_deref().unwrap_or_default().as_bytes(), untitled.as_bytes(), bytes] {
            hash.update((piece.len() as u64).to_le_bytes());
            hash.update(piece);
        }
        hash.update([u8::from(name.is_some())]);
    }
    hash.finalize().into()
}

fn decode_now(files: &[MailFile]) -> Result<Vec<Mail>> {
    let scratch = scratch()?;
    let mut mails: Vec<(PathBuf, Option<String>, String)> = Vec::new();
    for (file, parts) in files.iter().zip(split(files, scratch.path())?) {
        for (index, path) in parts.iter().enumerate() {
            let several = parts.len() > 1;
            let name = file.name.clone().filter(|_| !several);
            let untitled = if several {
                format!("mail {} of {}", index + 1, file.untitled)
            } else {
                file.untitled.clone()
            };
            mails.push((path.clone(), name, untitled));
        }
    }
    let lanes = thread::available_parallelism().map_or(1, NonZero::get);
    let share = mails.len().div_ceil(lanes).max(1);
    thread::scope(|scope| {
        let decode_all = |share: &[(PathBuf, Option<String>, String)]| -> Result<Vec<Mail>> {
            share.iter().map(|(path, name, untitled)| decode_one(path, name.clone(), untitled)).collect()
        };
        let threads: Vec<_> =
            mails.chunks(share).map(|share| scope.spawn(move || decode_all(share))).collect();
        let mut decoded = Vec::new();
        for thread in threads {
            decoded.extend(thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))?);
        }
        Ok(decoded)
    })
}

/// Splits the files into mails, and returns the mails' paths for each file.
fn split(files: &[MailFile], scratch: &Path) -> Result<Vec<Vec<PathBuf>>> {
    let mut paths = Vec::new();
    for (index, file) in files.iter().enumerate() {
        let path = scratch.join(format!("file-{index}"));
        fs::write(&path, &file.bytes).map_err(Error::io("writing", &path))?;
        paths.push(path);
    }
    let is_blank = |index: &usize| files[*index].bytes.trim_ascii().is_empty();
    let (blank, full): (Vec<usize>, Vec<usize>) = (0..files.len()).partition(is_blank);
    let mut parts = vec![Vec::new(); files.len()];
    // In most directories each file is one mail: a single run splits them all.
    let all = mailsplit(full.iter().map(|index| (&files[*index], &paths[*index])), &scratch.join("all"))?;
    if all.len() + blank.len() == files.len() {
        full.iter().zip(all).for_each(|(index, part)| parts[*index].push(part));
        return Ok(parts);
    }
    for index in full {
        let directory = scratch.join(format!("parts-{index}"));
        parts[index] = mailsplit([(&files[index], &paths[index])].into_iter(), &directory)?;
    }
    Ok(parts)
}

fn mailsplit<'a>(
    files: impl Iterator<Item = (&'a MailFile, &'a PathBuf)> + Clone,
    directory: &Path,
) -> Result<Vec<PathBuf>> {
    fs::create_dir(directory).map_err(Error::io("creating", directory))?;
    if files.clone().next().is_none() {
        return Ok(Vec::new());
    }
    let mut command = git(directory);
    command.args(["mailsplit", "-d8", "-b"]);
    // List archives quote lines that begin with "From ", and `git format-patch` does not.
    if files.clone().all(|(file, _)| file.name.is_none()) {
        command.arg("--mboxrd");
    }
    command.arg(format!("-o{}", directory.display())).arg("--").args(files.map(|(_, path)| path));
    let count: usize = read(&mut command, b"")?.trim().parse().unwrap_or_default();
    Ok((1..=count).map(|number| directory.join(format!("{number:08}"))).collect())
}

fn decode_one(path: &Path, name: Option<String>, untitled: &str) -> Result<Mail> {
    let bytes = fs::read(path).map_err(Error::io("reading", path))?;
    let ask = |options: &[&str]| {
        let known_as = || name.clone().unwrap_or_else(|| untitled.to_owned());
        Info::of(&bytes, path, options).map_err(|error| undecodable(error, known_as()))
    };
    let info = ask(&["-k"])?;
    let mut subject = Subject::parse(info.field("Subject").unwrap_or_default());
    let mut sent = info.field("Subject").map(printable);
    // A subject in the mail's body is the commit's, and the one of the header has the number.
    if !subject.is_tagged
        && let Some(header) = ask(&["-k", "--no-inbody-headers"])?.field("Subject")
    {
        subject = Subject { title: subject.title, ..Subject::parse(header) };
        sent = Some(printable(header));
    }
    let name = name.clone().or(sent).unwrap_or_else(|| untitled.to_owned());
    let title = if subject.title.is_empty() { untitled } else { &subject.title };
    let (extent, flaw) = match diff_parser::extent(&info.patch) {
        Ok(extent) => (extent, has_further_patch(&info.patch).then_some(PatchProblem::Several)),
        Err(line) => (Some(0..info.patch.len()), Some(PatchProblem::Overlong { line })),
    };
    let patch = |extent: Range<usize>| Patch {
        name: name.clone(),
        title: title.to_owned(),
        author: info.field("Author").or(info.field("Email")).unwrap_or(NO_AUTHOR).to_owned(),
        email: info.field("Email").unwrap_or(NO_EMAIL).to_owned(),
        date: info.field("Date").unwrap_or(NO_DATE).to_owned(),
        message: info.message.clone(),
        remarks: info.patch[..extent.start].to_vec(),
        diff: info.patch[extent].to_vec(),
    };
    let body = match (extent.map(patch), flaw) {
        (None, _) => Body::Text,
        (Some(patch), None) => Body::Patch(patch),
        (Some(patch), Some(why)) => Body::Unfit(patch, why),
    };
    Ok(Mail { name, subject, body })
}

/// Returns true if a file of `git format-patch` begins behind the diff of another one, as with
/// attachments of one mail. git takes them for one patch.
fn has_further_patch(patch: &[u8]) -> bool {
    const DATE: &[u8] = b" Mon Sep 17 00:00:00 2001";
    let is_beginning = |line: &[u8]| {
        line.strip_prefix(b"From ")
            .and_then(|rest| rest.trim_ascii_end().strip_suffix(DATE))
            .is_some_and(|commit| commit.len() >= 40 && commit.iter().all(u8::is_ascii_hexdigit))
    };
    patch.split(|&byte| byte == b'\n').any(is_beginning)
}

/// Output of `git mailinfo`.
struct Info {
    fields: String,
    message: String,
    patch: Vec<u8>,
}

impl Info {
    fn of(mail: &[u8], path: &Path, options: &[&str]) -> Result<Self> {
        let info = Self::with(mail, path, "--quoted-cr=nowarn", options)?;
        // A gateway has changed all line ends. If only lines in hunks end so, they are a file's.
        let text = if info.patch.is_empty() { info.message.as_bytes() } else { &info.patch };
        let first = text.split(|&byte| byte == b'\n').next();
        match first.is_some_and(|line| line.ends_with(b"\r")) {
            true => Self::with(mail, path, "--quoted-cr=strip", options),
            false => Ok(info),
        }
    }

    fn with(mail: &[u8], path: &Path, quoted_cr: &str, options: &[&str]) -> Result<Self> {
        let ask = |more: &[&str]| {
            let mut command = git(path.parent().unwrap_or(Path::new("/")));
            command.args(["mailinfo", "--encoding=UTF-8", "--no-scissors"]);
            command
                .arg(quoted_cr)
                .args(options)
                .args(more)
                .args([beside(path, "message"), beside(path, "patch")]);
            let output = output(&mut command, mail)?;
            if output.status.success() { Ok(output) } else { Err(failed(&command, &output)) }
        };
        let output = match ask(&[]) {
            // An unknown character set corrupts a name or a message, and no diff.
            Err(Error::Command { stderr, .. }) if stderr.contains("cannot convert from") => ask(&["-n"])?,
            output => output?,
        };
        let file = |kind: &str| {
            let path = beside(path, kind);
            fs::read(&path).map_err(Error::io("reading", path))
        };
        // Blank lines at its end come from the mail's parts, and `git am` removes them, too.
        let message = String::from_utf8_lossy(&file("message")?).trim_end().to_owned();
        Ok(Self {
            fields: String::from_utf8_lossy(&output.stdout).into_owned(),
            message: if message.is_empty() { message } else { message + "\n" },
            patch: file("patch")?,
        })
    }

    /// Returns a field that exists and is not empty.
    fn field(&self, name: &str) -> Option<&str> {
        let line = self.fields.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
        line.map(str::trim).filter(|value| !value.is_empty())
    }
}

fn beside(path: &Path, kind: &str) -> PathBuf {
    path.with_extension(kind)
}

fn undecodable(error: Error, patch: String) -> Error {
    match error {
        // Without a word from git the fault is not the mail's: git was not started, or killed.
        Error::Command { stderr, .. } if !stderr.is_empty() => {
            let stderr_line =
                stderr.lines().next().unwrap_or_default().trim_start_matches("error: ").to_owned();
            Error::NotAPatch { patch, why: PatchProblem::Undecodable(stderr_line) }
        }
        error => error,
    }
}
