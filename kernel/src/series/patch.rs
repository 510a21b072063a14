//! A patch, which becomes one commit.

use std::borrow::Cow;

use sha2::{Digest, Sha256};

/// A patch, decoded from the mail that it came in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Patch {
    /// Its name: that of its file, or the mail's subject if it comes from a mailbox.
    pub name: String,
    /// The first line of the commit's message.
    pub(crate) title: String,
    pub(crate) author: String,
    pub(crate) email: String,
    pub(crate) date: String,
    /// The commit's message below its first line.
    pub(crate) message: String,
    /// The text between message and diff, such as a diffstat. It does not become part of the
    /// commit.
    pub(crate) remarks: Vec<u8>,
    pub(crate) diff: Vec<u8>,
}

/// The column in which `git format-patch` folds a subject.
const WIDTH: usize = 78;

impl Patch {
    /// Returns the patch as a mail in the form of `git format-patch`, regardless of its original
    /// encoding.
    pub fn mail(&self) -> Vec<u8> {
        let Self { author, email, date, message, remarks, diff, .. } = self;
        let subject = folded(&format!("Subject: [PATCH] {}", self.title));
        let author = quoted(author);
        let header = format!(
            "From 0000000000000000000000000000000000000000 Mon Sep 17 00:00:00 2001\nFrom: {author} <{email}>\nDate: {date}\n{subject}\n"
        );
        let encoding = match header.is_ascii() && message.is_ascii() {
            true => "",
            false => {
                "MIME-Version: 1.0\nContent-Type: text/plain; charset=UTF-8\nContent-Transfer-Encoding: 8bit\n"
            }
        };
        [header.as_bytes(), encoding.as_bytes(), b"\n", message.as_bytes(), remarks, diff].concat()
    }

    /// Returns the text between `---` and the diffstat; `None` if there is none.
    pub(crate) fn notes(&self) -> Option<String> {
        let remarks = String::from_utf8_lossy(&self.remarks);
        let text = remarks.strip_prefix("---\n")?;
        let is_stat = |line: &&str| line.starts_with(' ') && line.contains(" | ");
        let lines: Vec<&str> = text.lines().take_while(|line| !is_stat(line)).collect();
        let notes = lines.join("\n").trim_matches('\n').to_owned();
        (!notes.is_empty()).then_some(notes)
    }

    /// Returns the patch, which has no notes, with these between `---` and the diffstat.
    pub(crate) fn with_notes(mut self, notes: Option<&str>) -> Self {
        if let (Some(notes), Some(stat)) = (notes, self.remarks.strip_prefix(b"---\n")) {
            self.remarks = [b"---\n", notes.as_bytes(), b"\n\n", stat].concat();
        }
        self
    }

    /// Returns the paragraph that begins with those words, in the message or behind `---`.
    pub(crate) fn paragraph(&self, words: &str) -> Option<String> {
        let text = format!("{}\n\n{}", self.message, self.notes().unwrap_or_default());
        let mut lines = text.lines().map(str::trim).skip_while(|line| !line.starts_with(words));
        let first = lines.next()?.to_owned();
        let rest = lines.take_while(|line| !line.is_empty());
        Some(rest.fold(first, |paragraph, line| paragraph + " " + line))
    }

    /// Returns a file name by which patches sort in their order. It is the original one if that
    /// begins with the number, or one made of the title in the manner of `git format-patch`.
    pub fn file_name(&self, number: usize) -> Cow<'_, str> {
        let name = &self.name;
        if name.starts_with(&format!("{number:04}-")) && name.ends_with(".patch") && !name.contains('/') {
            return Cow::Borrowed(name);
        }
        let words = self.title.split(|c: char| !c.is_ascii_alphanumeric() && c != '_' && c != '.');
        let title = words.filter(|word| !word.is_empty()).collect::<Vec<_>>().join("-");
        let title = title.get(..52).unwrap_or(&title).trim_end_matches(['-', '.']);
        Cow::Owned(format!("{number:04}-{title}.patch"))
    }

    /// Hashes the content. The same patch has the same hash, regardless of its mail's encoding.
    pub(crate) fn digest(&self, hash: &mut Sha256) {
        let mail = self.mail();
        hash.update((mail.len() as u64).to_le_bytes());
        hash.update(mail);
    }
}

/// Returns an author's name, quoted if the grammar of mail requires it.
fn quoted(name: &str) -> Cow<'_, str> {
    if !name.contains(|c| "()<>[]:;@\\,.\"".contains(c)) {
        return Cow::Borrowed(name);
    }
    Cow::Owned(format!("\"{}\"", name.replace('\\', "\\\\").replace('"', "\\\"")))
}

/// Returns a line of a mail's header, folded as git does it.
fn folded(line: &str) -> String {
    let mut folded = String::new();
    let mut column = 0;
    for word in line.split(' ') {
        let width = word.chars().count();
        match column {
            0 => {}
            _ if column + 1 + width > WIDTH => {
                folded.push_str("\n ");
                column = 1;
            }
            _ => {
                folded.push(' ');
                column += 1;
            }
        }
        folded.push_str(word);
        column += width;
    }
    folded
}
