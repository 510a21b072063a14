//! Formats of a stored series: a mailbox, a directory of patches, a Maildir, quilt's `series`.

use std::{
    cmp::Ordering,
    collections::BTreeSet,
    fs,
    io::{self, Read},
    path::{Path, PathBuf},
};

use super::{
    mail::MailFile,
    problem::{ListedProblem, SeriesProblem},
    selection::LeftOut,
};
use crate::{Error, Result, diff_parser};

/// The mails of a series, undecoded.
pub(super) struct Files {
    pub(super) mails: Vec<MailFile>,
    /// True if a list gives their order, as quilt's does.
    pub(super) is_listed: bool,
    pub(super) left_out: Vec<LeftOut>,
}

/// The endings of patches' names.
const PATCHES: [&str; 5] = [".patch", ".diff", ".eml", ".mbox", ".mbx"];
const COMPRESSED: [&str; 2] = [".gz", ".xz"];
/// The file in which quilt keeps the order of patches.
const LIST: &str = "series";
/// Number of bytes that are searched for a diff in a file that is not named like a patch.
const LOOKED_AT: u64 = 64 << 10;

/// Reads the files at that path. A directory that does not exist has none.
pub(super) fn read(path: &Path) -> Result<Files> {
    if path.is_file() {
        let bytes = contents(path)?;
        return match listed_in(path, &bytes) {
            Some(entries) => list(path, &entries),
            None => Ok(Files::unlisted(vec![mailbox(path, bytes)])),
        };
    }
    let listed = path.join(LIST);
    if listed.is_file() {
        list(&listed, &entries(&contents(&listed)?))
    } else if path.join("cur").is_dir() && path.join("new").is_dir() {
        maildir(path)
    } else {
        directory(path)
    }
}

impl Files {
    fn unlisted(mails: Vec<MailFile>) -> Self {
        Self { mails, is_listed: false, left_out: Vec::new() }
    }
}

fn mailbox(path: &Path, bytes: Vec<u8>) -> MailFile {
    MailFile { name: None, untitled: stem(&name(path)).to_owned(), bytes }
}

fn patch_file(name: String, bytes: Vec<u8>) -> MailFile {
    let untitled = stem(name.rsplit('/').next().unwrap_or(&name)).to_owned();
    MailFile { name: Some(name), untitled, bytes }
}

/// Returns the files of a directory that are named like patches, in the order of their names.
fn directory(path: &Path) -> Result<Files> {
    let (mut mails, mut left_out) = (Vec::new(), Vec::new());
    for file in sorted(path)? {
        let name = name(&file);
        if is_patch(&name) {
            mails.push(patch_file(name, contents(&file)?));
        } else if has_diff(&file) {
            left_out.push(LeftOut::OtherName(name));
        }
    }
    if mails.is_empty() && !left_out.is_empty() {
        return Err(refuse(path, SeriesProblem::NoPatchFiles));
    }
    Ok(Files { mails, is_listed: false, left_out })
}

fn maildir(path: &Path) -> Result<Files> {
    let mut mails = Vec::new();
    for file in [sorted(&path.join("cur"))?, sorted(&path.join("new"))?].concat() {
        mails.push(mailbox(&file, contents(&file)?));
    }
    Ok(Files::unlisted(mails))
}

/// A line of a `series` file that names a patch.
struct Entry {
    line: usize,
    name: String,
    options: Vec<String>,
}

/// Returns the patches in quilt's list, which are beside it or in the directory `patches` there.
fn list(list: &Path, entries: &[Entry]) -> Result<Files> {
    let mut mails = Vec::new();
    let place = list.parent().unwrap_or(Path::new(""));
    for Entry { line, name, options } in entries {
        let flaw = |why| refuse(list, SeriesProblem::Listed { file: list.to_owned(), line: *line, why });
        let mut options = options.iter().map(String::as_str);
        while let Some(option) = options.next() {
            let depth = if option == "-p" { options.next() } else { option.strip_prefix("-p") };
            if !matches!(depth, Some("1" | "ab")) {
                return Err(flaw(ListedProblem::Option { option: option.into(), name: name.clone() }));
            }
        }
        let file = find(place, name).ok_or_else(|| flaw(ListedProblem::NoSuchFile(name.clone())))?;
        mails.push(patch_file(name.clone(), contents(&file)?));
    }
    let names: BTreeSet<&str> = entries.iter().map(|entry| entry.name.as_str()).collect();
    let is_beside = entries.iter().any(|entry| place.join(&entry.name).is_file());
    let others = if is_beside { sorted(place)? } else { Vec::new() };
    let unlisted =
        others.iter().map(|file| name(file)).filter(|name| is_patch(name) && !names.contains(name.as_str()));
    Ok(Files { mails, is_listed: true, left_out: unlisted.map(LeftOut::Unlisted).collect() })
}

/// Returns the entries if that file is a list, either by its name, or since all its entries exist.
fn listed_in(path: &Path, bytes: &[u8]) -> Option<Vec<Entry>> {
    let entries = entries(bytes);
    let place = path.parent().unwrap_or(Path::new(""));
    let is_list = name(path) == LIST
        || !entries.is_empty() && entries.iter().all(|entry| find(place, &entry.name).is_some());
    is_list.then_some(entries)
}

fn entries(bytes: &[u8]) -> Vec<Entry> {
    let text = String::from_utf8_lossy(bytes);
    let entry = |(index, line): (usize, &str)| {
        let mut words = words(line).map(str::to_owned);
        Some(Entry { line: index + 1, name: words.next()?, options: words.collect() })
    };
    text.lines().enumerate().filter_map(entry).collect()
}

/// Returns the words of a line of a `series` file, without its comment.
fn words(line: &str) -> impl Iterator<Item = &str> {
    line.split_whitespace().take_while(|word| !word.starts_with('#'))
}

fn find(place: &Path, name: &str) -> Option<PathBuf> {
    [place.join(name), place.join("patches").join(name)].into_iter().find(|path| path.is_file())
}

fn is_patch(name: &str) -> bool {
    PATCHES.iter().any(|end| unpacked(name).ends_with(end))
}

fn has_diff(path: &Path) -> bool {
    // An unreadable or binary file is silently left out.
    let mut head = Vec::new();
    let read = fs::File::open(path).and_then(|file| file.take(LOOKED_AT).read_to_end(&mut head));
    read.is_ok() && !matches!(diff_parser::extent(&head), Ok(None))
}

fn name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// Returns the name of a compressed file's contents.
fn unpacked(name: &str) -> &str {
    COMPRESSED.iter().find_map(|end| name.strip_suffix(end)).unwrap_or(name)
}

/// Returns a file's name without the suffixes of its type.
fn stem(name: &str) -> &str {
    let name = unpacked(name);
    PATCHES.iter().find_map(|end| name.strip_suffix(end)).unwrap_or(name)
}

/// Returns a file's bytes, unpacked if need be.
fn contents(path: &Path) -> Result<Vec<u8>> {
    let bytes = fs::read(path).map_err(Error::io("reading", path))?;
    let mut unpacked = Vec::new();
    let done = match bytes.as_slice() {
        [0x1f, 0x8b, ..] => flate2::read::MultiGzDecoder::new(&*bytes).read_to_end(&mut unpacked),
        [0xfd, b'7', b'z', ..] => {
            liblzma::read::XzDecoder::new_multi_decoder(&*bytes).read_to_end(&mut unpacked)
        }
        [b'B', b'Z', b'h', ..] => return Err(refuse(path, SeriesProblem::Compressed("bzip2"))),
        [0x28, 0xb5, 0x2f, 0xfd, ..] => return Err(refuse(path, SeriesProblem::Compressed("zstd"))),
        [b'P', b'K', 3, 4, ..] => return Err(refuse(path, SeriesProblem::Compressed("zip"))),
        // The byte order mark of UTF-8 would hide the first line from git.
        [0xef, 0xbb, 0xbf, text @ ..] => return Ok(text.to_vec()),
        _ => return Ok(bytes),
    };
    match done {
        Ok(_) => Ok(unpacked),
        Err(why) => Err(refuse(path, SeriesProblem::Unpack(why))),
    }
}

fn refuse(path: &Path, why: SeriesProblem) -> Error {
    Error::NotASeries { name: path.display().to_string(), why }
}

/// Returns the files in a directory in the natural order of their names; none if there is no such
/// directory.
fn sorted(directory: &Path) -> Result<Vec<PathBuf>> {
    let entries = match fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(Error::io("reading", directory)(error)),
    };
    let mut files: Vec<PathBuf> =
        entries.flatten().map(|entry| entry.path()).filter(|path| path.is_file()).collect();
    files.sort_by(|one, other| natural(&name(one), &name(other)));
    Ok(files)
}

/// Compares names by the values of their numbers: `2.patch` comes before `10.patch`.
fn natural(one: &str, other: &str) -> Ordering {
    let (mut left, mut right) = (one, other);
    loop {
        let ((a, more_left), (b, more_right)) = (piece(left), piece(right));
        if a.is_empty() || b.is_empty() {
            return a.len().cmp(&b.len()).then_with(|| one.cmp(other));
        }
        let (x, y) = (a.trim_start_matches('0'), b.trim_start_matches('0'));
        let both_numbers = a.as_bytes()[0].is_ascii_digit() && b.as_bytes()[0].is_ascii_digit();
        let order = if both_numbers { x.len().cmp(&y.len()).then(x.cmp(y)) } else { a.cmp(b) };
        if order.is_ne() {
            return order;
        }
        (left, right) = (more_left, more_right);
    }
}

/// Splits a text behind its leading digits, or behind its leading other characters.
fn piece(text: &str) -> (&str, &str) {
    let is_number = text.starts_with(|c: char| c.is_ascii_digit());
    text.split_at(text.find(|c: char| c.is_ascii_digit() != is_number).unwrap_or(text.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_in_names_sort_numerically() {
        let mut names = ["10.patch", "1.patch", "a2b", "a10", "2.patch", "0002.patch", "a2", "a"];
        names.sort_by(|one, other| natural(one, other));
        assert_eq!(names, ["1.patch", "0002.patch", "2.patch", "10.patch", "a", "a2", "a2b", "a10"]);
    }
}
