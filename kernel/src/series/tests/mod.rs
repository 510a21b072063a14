//! Samples of series.

mod apply;
mod files;
mod mails;
mod range;

use std::fs;
use std::io::Write;
use std::path::PathBuf;

use base64::{Engine, engine::general_purpose::STANDARD};
use sha2::{Digest, Sha256};

use super::*;
use crate::{
    Kernels,
    git_objects::tree_of,
    sources::hex,
    subprocess::{git, output, read},
};

/// A repository with one file of 30 lines, and room for files beside it.
struct Fixture {
    directory: tempfile::TempDir,
    base: String,
}

impl Fixture {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path();
        read(git(path).args(["init", "-q"]), b"").unwrap();
        let base = commit_file(path, &lines(&[]), "base", &[]);
        Self { directory, base }
    }

    fn path(&self) -> &Path {
        self.directory.path()
    }

    fn write(&self, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, bytes).unwrap();
        path
    }

    fn given(&self, path: &Path) -> Result<Series> {
        Series::given(path.to_str().unwrap(), self.path())
    }

    fn mailbox(&self, bytes: impl AsRef<[u8]>) -> Result<Series> {
        self.given(&self.write("box", bytes))
    }

    fn refusal(&self, bytes: impl AsRef<[u8]>) -> String {
        let error = self.mailbox(bytes).unwrap_err().to_string();
        error.split_once(" as a series of patches: ").map_or(error.clone(), |(_, why)| why.to_owned())
    }

    /// Applies a series to the base.
    fn commit(&self, series: &Series) -> Result<String> {
        series.commit(self.path(), &self.base, |_| {})
    }

    /// Returns the subjects of the resulting commits, with author and message, and the file's
    /// contents.
    fn summary(&self, series: &Series) -> String {
        let head = self.commit(series).unwrap();
        let format = "--format=%an %ae %aI %s %b";
        let log =
            read(git(self.path()).args(["log", "--reverse", format, &format!("{}..{head}", self.base)]), b"");
        let file = read(git(self.path()).args(["show", &format!("{head}:a.c")]), b"");
        format!("{}\n{}", log.unwrap(), file.unwrap())
    }
}

fn commit_file(repository: &Path, contents: &str, message: &str, parent: &[&str]) -> String {
    commit_files(repository, &[("a.c", contents.as_bytes())], message, parent)
}

fn commit_files(repository: &Path, files: &[(&str, &[u8])], message: &str, parent: &[&str]) -> String {
    let entry = |(name, contents): &(&str, &[u8])| {
        let blob = read(git(repository).args(["hash-object", "-w", "--stdin"]), contents).unwrap();
        format!("100644 blob {blob}\t{name}\n")
    };
    let entries: String = files.iter().map(entry).collect();
    let tree = read(git(repository).arg("mktree"), entries.as_bytes()).unwrap();
    let author = ["-c", "user.name=x", "-c", "user.email=x@example.org"];
    let parents = parent.iter().flat_map(|parent| ["-p", *parent]);
    read(git(repository).args(author).args(["commit-tree", &tree, "-m", message]).args(parents), b"").unwrap()
}

/// Returns the file with these lines changed.
fn lines(changed: &[usize]) -> String {
    (1..=30)
        .map(|n| if changed.contains(&n) { format!("LINE {n}\n") } else { format!("line {n}\n") })
        .collect()
}

/// A mail, not yet encoded.
#[derive(Clone)]
struct Sample {
    subject: String,
    body: String,
}

/// Returns the patch with that number of a series of three.
fn sample(number: usize) -> Sample {
    Sample { subject: format!("[PATCH {number}/3] keys: Change {number} =at length="), body: body(number) }
}

fn body(number: usize) -> String {
    let at = number * 8;
    let context =
        |range: std::ops::RangeInclusive<usize>| range.map(|n| format!(" line {n}\n")).collect::<String>();
    format!(
        "Zo\u{eb} knows = why.\n\nSigned-off-by: Zoe <zoe@example.org>\n---\n a.c | 2 +-\n\ndiff --git a/a.c b/a.c\n\
         index 1111111..2222222 100644\n--- a/a.c\n+++ b/a.c\n@@ -{0},7 +{0},7 @@\n{1}-line {at}\n+LINE {at}\n{2}-- \n2.39.5\n\n",
        at - 3,
        context(at - 3..=at - 1),
        context(at + 1..=at + 3)
    )
}

fn header(subject: &str) -> String {
    format!(
        "From 1111111111111111111111111111111111111111 Mon Sep 17 00:00:00 2001\nFrom: =?UTF-8?q?Zo=C3=AB?= <zoe@example.org>\n\
         Date: Fri, 1 Jul 2022 10:00:00 +0200\nSubject: {subject}\n"
    )
}

impl Sample {
    fn subject(mut self, subject: &str) -> Self {
        self.subject = subject.into();
        self
    }

    fn plain(&self) -> String {
        let mime =
            "MIME-Version: 1.0\nContent-Type: text/plain; charset=UTF-8\nContent-Transfer-Encoding: 8bit\n";
        format!("{}{mime}\n{}", header(&self.subject), self.body)
    }

    fn base64(&self) -> String {
        let mime =
            "MIME-Version: 1.0\nContent-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: base64\n";
        format!("{}{mime}\n{}\n", header(&self.subject), base64(self.body.as_bytes()))
    }

    fn quoted_printable(&self) -> String {
        let mime = "MIME-Version: 1.0\nContent-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: quoted-printable\n";
        let body = self.body.bytes().map(|byte| match byte {
            b'\n' => "\n".to_owned(),
            b'=' | 128.. => format!("={byte:02X}"),
            // Lines that are broken softly.
            b',' => ",=\n".to_owned(),
            _ => char::from(byte).to_string(),
        });
        format!("{}{mime}\n{}", header(&self.subject), body.collect::<String>())
    }

    fn with_encoded_subject(&self) -> String {
        let subject = self.subject.bytes().map(|byte| format!("={byte:02X}")).collect::<Vec<_>>();
        let words = subject.chunks(15).map(|chunk| format!("=?utf-8?q?{}?=", chunk.concat()));
        self.clone().subject(&words.collect::<Vec<_>>().join("\n ")).plain()
    }

    fn attached(&self) -> String {
        let (words, diff) = self.body.split_once("---\n").unwrap();
        format!(
            "{}MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=\"cut\"\n\nsome preamble\n--cut\n\
             Content-Type: text/plain; charset=UTF-8\n\n{words}\n--cut\nContent-Type: text/x-patch; name=a.patch\n\
             Content-Transfer-Encoding: base64\nContent-Disposition: attachment\n\n{}\n--cut--\n\n",
            header(&self.subject),
            base64(format!("---\n{diff}").as_bytes())
        )
    }
}

fn base64(bytes: &[u8]) -> String {
    bytes.chunks(57).map(|line| STANDARD.encode(line)).collect::<Vec<_>>().join("\n")
}

fn series_of(encode: impl Fn(&Sample) -> String) -> String {
    (1..=3).map(|number| encode(&sample(number))).collect()
}

fn gzipped(text: &str) -> Vec<u8> {
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packed.write_all(text.as_bytes()).unwrap();
    packed.finish().unwrap()
}

const COVER: &str = "[PATCH 0/3] keys: Change";

/// Returns the series that results from every encoding of the three patches.
fn expected() -> String {
    let commits: String = (1..=3)
        .map(|number| {
            format!(
                "Zo\u{eb} zoe@example.org 2022-07-01T10:00:00+02:00 keys: Change {number} =at length= Zo\u{eb} knows = why.\n\n\
                 Signed-off-by: Zoe <zoe@example.org>\n\n"
            )
        })
        .collect();
    format!("{}\n{}", commits.trim_end(), lines(&[8, 16, 24]).trim_end())
}

/// Bytes that git treats as binary.
const BINARY: &[u8] = b"\0\x01\xff binary \0 \x80\n\0";
