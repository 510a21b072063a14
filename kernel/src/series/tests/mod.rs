use std::fs;
use std::io::Write;
use std::path::PathBuf;

use sha2::{Digest, Sha256};

use super::*;
use crate::{
    Kernels,
    command::{git, output, read},
    sources::hex,
};

/// A repository with one file of 30 lines, and room for files beside it.
struct Bench {
    directory: tempfile::TempDir,
    base: String,
}

impl Bench {
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

    /// The subjects of the commits that come of it, with author and message, and the file's contents.
    fn story(&self, series: &Series) -> String {
        let head = series.commit(self.path(), &self.base, |_| {}).unwrap();
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

/// The file, in which these lines have changed.
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

/// The patch with that number of a series of three.
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
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let group = |three: &[u8]| -> String {
        let bits = (0..3).fold(0_u32, |bits, at| bits << 8 | u32::from(three.get(at).copied().unwrap_or(0)));
        let digit = |at: usize| char::from(DIGITS[(bits >> (18 - 6 * at) & 63) as usize]);
        (0..4).map(|at| if at <= three.len() { digit(at) } else { '=' }).collect()
    };
    let lines = bytes.chunks(57).map(|line| line.chunks(3).map(group).collect::<String>());
    lines.collect::<Vec<_>>().join("\n")
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

/// What every encoding of the three patches comes to.
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

#[test]
fn the_same_patches_come_of_a_mailbox_however_its_mails_are_encoded_and_lie() {
    let bench = Bench::new();
    let tagged = |tag: &str| {
        let tag = tag.to_owned();
        series_of(move |sample| sample.clone().subject(&sample.subject.replace("[PATCH ", &tag)).plain())
    };
    let words = |subject: &str, body: &str| Sample { subject: subject.into(), body: body.into() }.plain();
    let cover = words(COVER, "Words.\n");
    let reply = sample(2).subject("Re: [PATCH 2/3] keys: Change 2").plain().replace("LINE", "reply");
    let archived = format!(
        "{}{}",
        series_of(Sample::plain).replace("knows = why.\n", "knows = why.\n\n>From here on, words.\n"),
        words("[PATCH 0/3] x", "x\n")
    );
    let boxes: Vec<(&str, Vec<u8>, Option<&str>)> = vec![
        ("plain", series_of(Sample::plain).into(), None),
        ("base64", series_of(Sample::base64).into(), None),
        (
            "one in base64",
            format!("{}{}{}", sample(1).plain(), sample(2).base64(), sample(3).plain()).into(),
            None,
        ),
        (
            "base64 of CRLF",
            series_of(|sample| {
                let body = sample.body.replace('\n', "\r\n");
                Sample { body, ..sample.clone() }.base64()
            })
            .into(),
            None,
        ),
        ("quoted-printable", series_of(Sample::quoted_printable).into(), None),
        ("attachments", series_of(Sample::attached).into(), None),
        ("CRLF", series_of(Sample::plain).replace('\n', "\r\n").into(), None),
        ("a byte order mark", format!("\u{feff}{}", series_of(Sample::plain)).into(), None),
        ("encoded subjects", series_of(Sample::with_encoded_subject).into(), None),
        ("any order", [3, 1, 2].map(|number| sample(number).with_encoded_subject()).concat().into(), None),
        ("a list's tag", tagged("[list] [PATCH ").into(), None),
        ("a tree's name", tagged("[PATCH tree/next ").into(), None),
        ("a kernel's version", tagged("[PATCH 6.12 ").into(), None),
        ("gzip", gzipped(&series_of(Sample::base64)), None),
        (
            "a thread",
            format!("{cover}{reply}{}{}", series_of(Sample::plain), words("Re: words", "> words\n")).into(),
            Some(
                "cover letter `[PATCH 0/3] keys: Change`; 2 replies, 1 with a diff: `Re: [PATCH 2/3] keys: Change 2`",
            ),
        ),
        (
            "each mail twice, once with a footer",
            [series_of(Sample::plain), series_of(|sample| format!("{}____\nthe list\n\n", sample.base64()))]
                .concat()
                .into(),
            Some("3 duplicates"),
        ),
        (
            "two versions",
            format!("{}{}", tagged("[PATCH v2 "), series_of(Sample::plain).replace("LINE", "old line"))
                .into(),
            Some("3 patches of v1, which a newer version replaces"),
        ),
        (
            "a mail without a diff",
            format!("{}{}", words("[ANNOUNCE] a", "x\n"), series_of(Sample::plain)).into(),
            Some("mail without a diff `[ANNOUNCE] a`"),
        ),
    ];
    for (name, bytes, left_out) in boxes {
        let series = bench.mailbox(bytes).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(bench.story(&series), expected(), "{name}");
        assert_eq!(series.left_out().as_deref(), left_out, "{name}");
    }
    let archived = bench.story(&bench.mailbox(archived).unwrap());
    assert!(archived.contains("knows = why.\n\nFrom here on, words.\n\nSigned-off-by"), "{archived}");
}

#[test]
fn numbers_that_are_no_series_are_refused() {
    let bench = Bench::new();
    let plain = |number: usize| sample(number).plain();
    let other = |subject: &str| {
        Sample { body: sample(2).body.replace("LINE", "other"), subject: subject.into() }.plain()
    };
    let without_diff = Sample { body: "lost\n".into(), ..sample(2) }.plain();
    let first = "`[PATCH 1/3] keys: Change 1 =at length=`";
    let cases = [
        (plain(1) + &plain(3), "patch 2 of 3 is missing".to_owned()),
        (plain(2), "patches 1 and 3 of 3 are missing".to_owned()),
        (
            plain(1) + &without_diff + &plain(3),
            "patch 2 of 3 is missing; `[PATCH 2/3] keys: Change 2 =at length=` is a reply or has no diff".to_owned(),
        ),
        (
            plain(1) + &plain(2) + &plain(3) + &other("[PATCH 2/3] b"),
            "two different patches have the number 2/3: `[PATCH 2/3] keys: Change 2 =at length=` and `[PATCH 2/3] b`; keep one of them"
                .to_owned(),
        ),
        (
            plain(1) + &other("[PATCH 2/2] b"),
            format!("there are two series in it, with {first} and `[PATCH 2/2] b`; keep one of them"),
        ),
        (
            plain(1) + &other("[PATCH] b"),
            format!(
                "{first} has a number and `[PATCH] b` has none, so their order is unknown; remove what does not belong to the series, or \
                 list the files in order in a file `series`"
            ),
        ),
        (series_of(Sample::plain) + &other("[PATCH v2 2/3] keys: Change 2 =at length="), "patches 1 and 3 of 3 are missing from v2".to_owned()),
        (
            plain(1) + &other("[PATCH v2 1/1] b"),
            format!("there are two series in it, with {first} and `[PATCH v2 1/1] b`; keep one of them"),
        ),
        (
            series_of(Sample::plain) + &other("[PATCH 4/3] b"),
            "the number of `[PATCH 4/3] b` is greater than its total; correct its subject".to_owned(),
        ),
        (
            other("[PATCH 1/4000000000] b"),
            "patches 2, 3, 4, 5, 6 and 3999999994 more of 4000000000 are missing".to_owned(),
        ),
        (
            Sample { subject: "Re: [PATCH] b".into(), body: "words\n".into() }.plain(),
            "there is no patch in it (left out: 1 reply)".to_owned(),
        ),
        ("words\n".to_owned(), "there is no patch in it (left out: mail without a diff `box`)".to_owned()),
        (String::new(), "there is no patch in it".to_owned()),
    ];
    for (mailbox, why) in cases {
        assert_eq!(bench.refusal(&mailbox), why, "{mailbox}");
    }
    let packed = gzipped(&series_of(Sample::plain));
    let truncated = bench.refusal(&packed[..packed.len() / 2]);
    assert!(
        truncated.starts_with("can't unpack it: ") && truncated.ends_with("; fetch it again"),
        "{truncated}"
    );
    assert_eq!(bench.refusal(b"BZh9"), "it is compressed with bzip2; unpack it first");
}

#[test]
fn a_directory_is_read_in_the_order_of_its_numbers() {
    let bench = Bench::new();
    let unnumbered =
        |number: usize| sample(number).subject(&format!("keys: Change {number} =at length=")).plain();
    let write_all = |directory: &str, names: [&str; 3], mail: &dyn Fn(usize) -> String| {
        let write =
            |(number, name): (usize, &&str)| bench.write(&format!("{directory}/{name}"), mail(number + 1));
        names.iter().enumerate().for_each(|one| drop(write(one)));
    };
    write_all("natural", ["1.patch", "2.diff", "10.patch"], &unnumbered);
    write_all("named at random", ["c.eml", "a.eml", "b.eml"], &|number| sample(number).base64());
    write_all("crlf", ["1.patch", "2.patch", "3.patch"], &|number| unnumbered(number).replace('\n', "\r\n"));
    write_all("maildir/new", ["9", "8", "7"], &|number| sample(number).plain());
    fs::create_dir(bench.path().join("maildir/cur")).unwrap();
    bench.write("one file/all.patch", series_of(Sample::plain));
    for directory in ["natural", "named at random", "crlf", "maildir", "one file"] {
        let series =
            bench.given(&bench.path().join(directory)).unwrap_or_else(|error| panic!("{directory}: {error}"));
        assert_eq!(bench.story(&series), expected(), "{directory}");
    }

    bench.write("natural/0000-cover-letter.patch", "Subject: [PATCH 0/3] x\n\nwords\n");
    bench.write("natural/README", "words\n");
    bench.write("natural/2.diff.orig", unnumbered(2));
    let series = bench.given(&bench.path().join("natural")).unwrap();
    let names: Vec<_> = series.patches().iter().map(|patch| patch.name.as_str()).collect();
    assert_eq!(names, ["1.patch", "2.diff", "10.patch"]);
    let left_out = "cover letter `0000-cover-letter.patch`; file with a diff that is not named like a patch: `2.diff.orig`";
    assert_eq!(series.left_out().as_deref(), Some(left_out));
    assert!(Series::read(&bench.path().join("none")).unwrap().is_empty());

    fs::remove_file(bench.path().join("named at random/a.eml")).unwrap();
    let error = bench.given(&bench.path().join("named at random")).unwrap_err().to_string();
    assert!(error.ends_with(": patch 2 of 3 is missing"), "{error}");
}

#[test]
fn patches_without_numbers_are_replaced_and_repeated_by_their_titles() {
    let bench = Bench::new();
    let mail = |subject: &str, number: usize, day: usize| {
        let mail = sample(number).subject(subject).plain();
        mail.replace("1 Jul", &format!("{day} Jul"))
    };
    // A newer version of one patch is none of the other.
    let mailbox = mail("[PATCH] keys: One", 1, 1) + &mail("[PATCH] keys: Two", 3, 1);
    let series = bench.mailbox(mailbox + &mail("[PATCH v2] keys: Two", 2, 1)).unwrap();
    assert!(bench.story(&series).ends_with(lines(&[8, 16]).trim_end()));
    assert_eq!(series.left_out().as_deref(), Some("1 patch of v1, which a newer version replaces"));
    // What is applied again after its revert is another patch, and the same mail is none.
    let revert = mail("[PATCH] keys: Revert", 1, 2).replace("-line 8\n+LINE 8\n", "-LINE 8\n+line 8\n");
    let mails = [mail("[PATCH] keys: One", 1, 1), revert, mail("[PATCH] keys: One", 1, 3)];
    let series = bench.mailbox(mails.concat() + &mails[2]).unwrap();
    assert!(bench.story(&series).ends_with(lines(&[8]).trim_end()));
    assert_eq!((series.patches().len(), series.left_out().as_deref()), (3, Some("1 duplicate")));
}

#[test]
fn a_list_of_quilts_is_obeyed() {
    let bench = Bench::new();
    let unified = |number: usize| {
        let diff = body(number);
        let (_, hunks) = diff.split_once("+++ b/a.c\n").unwrap();
        format!(
            "Zo\u{eb} knows\n\nIndex: linux/a.c\n====\n--- linux.orig/a.c\t2024-01-01 00:00:00\n+++ linux/a.c\n{hunks}"
        )
    };
    bench.write("q/b.patch", unified(1));
    bench.write("q/sub/a.diff.gz", gzipped(&unified(2)));
    bench.write("q/c.patch", sample(3).subject("[PATCH 7/9] keys: Three").plain());
    bench.write("q/unlisted.patch", unified(3));
    bench.write("q/series", "# mine\nb.patch -p1 # first\n\n sub/a.diff.gz\t-p ab\nc.patch\n");
    for path in ["q", "q/series"] {
        let series = bench.given(&bench.path().join(path)).unwrap();
        let story = bench.story(&series);
        assert!(story.ends_with(lines(&[8, 16, 24]).trim_end()), "{story}");
        assert!(story.starts_with("unknown unknown@localhost 1970-01-01T00:00:00"), "{story}");
        let titles: Vec<_> = series.patches().iter().map(|patch| patch.title.as_str()).collect();
        assert_eq!(titles, ["b", "a", "keys: Three"]);
        let left_out = "file that `series` does not list: `unlisted.patch`";
        assert_eq!(series.left_out().as_deref(), Some(left_out));
    }
    // As quilt has it in a source: the patches lie in a directory of their own, and the list may have any name.
    bench.write("source/patches/a.diff", unified(1));
    let list = bench.write("source/my-order", "a.diff\n");
    assert_eq!(bench.given(&list).unwrap().patches()[0].title, "a");
    let flaws = [
        ("b.patch\nnone.patch\n", "line 2 of LIST: there is no file `none.patch`"),
        (
            "b.patch -p0\n",
            "line 1 of LIST: `-p0` is not supported; rewrite b.patch so that it applies with `patch -p1`",
        ),
        (
            "b.patch -R\n",
            "line 1 of LIST: `-R` is not supported; rewrite b.patch so that it applies with `patch -p1`",
        ),
    ];
    for (list, why) in flaws {
        let path = bench.write("q/series", list);
        let error = bench.given(&path).unwrap_err().to_string();
        let expected = why.replace("LIST", path.to_str().unwrap());
        assert!(error.ends_with(&format!(": {expected}")), "{error}");
    }
}

#[test]
fn a_diff_without_a_header_is_a_patch_of_its_files_name() {
    let bench = Bench::new();
    let body = body(1);
    let series = bench.given(&bench.write("fix.diff", &body[body.find("diff --git").unwrap()..])).unwrap();
    assert_eq!(series.patches()[0].title, "fix");
    assert_eq!(series.patches()[0].file_name(1), "0001-fix.patch");
    let story = bench.story(&series);
    assert!(story.ends_with(lines(&[8]).trim_end()), "{story}");
}

#[test]
fn a_patch_that_git_would_misread_is_refused() {
    let bench = Bench::new();
    let overlong = sample(1).plain().replace("PATCH 1/3", "PATCH").replace(" line 11\n", " line 11\n+more\n");
    let why = "can't read the patch `[PATCH] keys: Change 1 =at length=`: line 14 of its diff is one more than the hunk's header counts, and \
               git would leave it out; write the patch again with `git format-patch`";
    assert_eq!(bench.refusal(overlong), why);
    let both = format!("{}{}\n{}", body(1), header("[PATCH 2/2] b"), body(2));
    let several = Sample { subject: "[PATCH] both".into(), body: both }.base64();
    let why = "can't read the patch `[PATCH] both`: there are several patches in this one mail, and git would take them for one; save \
               the attachments in a directory";
    assert_eq!(bench.refusal(several), why);
    let undated =
        sample(1).plain().replace("1/3", "1/1").replace("Fri, 1 Jul 2022 10:00:00 +0200", "one day");
    let error =
        bench.mailbox(undated).unwrap().commit(bench.path(), &bench.base, |_| {}).unwrap_err().to_string();
    assert!(error.ends_with(": git does not understand its date `one day`"), "{error}");
}

#[test]
fn a_hunk_that_does_not_fit_is_named_with_the_nearest_place() {
    let bench = Bench::new();
    let patch = sample(1).plain().replace("1/3", "1/1").replace("-line 8\n", "-line eight\n");
    let error = bench.mailbox(patch).unwrap().commit(bench.path(), &bench.base, |_| {}).unwrap_err();
    assert_eq!(
        error.to_string(),
        "[PATCH 1/1] keys: Change 1 =at length= does not apply:\
         \n  a.c: hunk `@@ -5,7 +5,7 @@` (line 19 of the patch) fits nowhere; nearest is line 5, which \
         has 6 of its 7 lines (`-` the hunk expects, `+` the source has):\
         \n        line 5\n        line 6\n        line 7\n      - line eight\n      + line 8\n        line 9\n        line 10\n        line 11"
    );
}

#[test]
fn patches_in_the_order_of_their_mails_are_said_to_be_if_one_does_not_apply() {
    const HINT: &str = "the patches have no numbers, so they were applied in the order of their mails: if that is the wrong one, save each \
                        patch in a file and list the files in order in a file `series`";
    let bench = Bench::new();
    // Each patch changes what the one before has written.
    let [first, second] = ["-line 8\n+LINE 8\n", "-LINE 8\n+Line 8\n"].map(|change| {
        let subject = change.lines().next().unwrap_or_default();
        let body = body(1).replace("-line 8\n+LINE 8\n", change);
        Sample { subject: format!("[PATCH] keys: {subject}"), body }
    });
    let last_line = |mailbox: &[&Sample]| {
        let mails: String = mailbox.iter().map(|sample| sample.plain()).collect();
        let committed = bench.mailbox(mails).unwrap().commit(bench.path(), &bench.base, |_| {});
        committed.err().map(|error| error.to_string().lines().last().unwrap().to_owned())
    };
    assert_eq!(last_line(&[&first, &second]), None);
    assert_eq!(last_line(&[&second, &first]).as_deref(), Some(HINT));
    assert_ne!(last_line(&[&second]).as_deref(), Some(HINT));
    bench.write("files/1.patch", second.plain());
    bench.write("files/2.patch", first.plain());
    let by_name = bench.given(&bench.path().join("files")).unwrap();
    let error = by_name.commit(bench.path(), &bench.base, |_| {}).unwrap_err().to_string();
    assert_ne!(error.lines().last(), Some(HINT));
    let numbered = |sample: &Sample, tag: &str| sample.clone().subject(&sample.subject.replace("PATCH", tag));
    let (first, second) = (numbered(&first, "PATCH 2/2"), numbered(&second, "PATCH 1/2"));
    assert_ne!(last_line(&[&first, &second]).as_deref(), Some(HINT));
}

#[test]
fn only_a_source_with_the_whole_series_is_to_be_taken_as_it_is() {
    let bench = Bench::new();
    let series = bench.mailbox(series_of(Sample::plain)).unwrap();
    let refusal = |changed: &[usize]| {
        let base = commit_file(bench.path(), &lines(changed), "base", &[]);
        series.commit(bench.path(), &base, |_| {}).unwrap_err().to_string()
    };
    let whole = refusal(&[8, 16, 24]);
    let advice = "the source has the whole series already: with `--series none` it is taken as it is";
    assert_eq!(whole.lines().last(), Some(advice), "{whole}");
    let part = refusal(&[8]);
    let advice = "the source has this patch already, but not the whole series: leave the patch out";
    assert_eq!(part.lines().last(), Some(advice), "{part}");
}

#[test]
fn a_range_is_the_same_patches_whatever_its_commits_are_called_and_git_is_configured_to_write() {
    let bench = Bench::new();
    let path = bench.path();
    let series = bench.mailbox(series_of(Sample::base64)).unwrap();
    let patches_upon = |base: &str| {
        let head = series.commit(path, base, |_| {}).unwrap();
        Series::given(&format!("{base}..{head}"), path).unwrap().patches().to_vec()
    };
    let patches = patches_upon(&bench.base);
    assert_eq!(patches[0].name, "0001-keys-Change-1-at-length.patch");
    assert_eq!(patches[0].title, "keys: Change 1 =at length=");
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
    let other = commit_file(path, &lines(&[]), "another base", &[]);
    assert_eq!(patches_upon(&other), patches);
}

/// The object of a commit's files.
fn tree_of(repository: &Path, commit: &str) -> String {
    read(git(repository).args(["rev-parse", &format!("{commit}^{{tree}}")]), b"").unwrap()
}

/// Bytes that git takes for no text.
const BINARY: &[u8] = b"\0\x01\xff binary \0 \x80\n\0";

#[test]
fn a_binary_change_beside_a_text_is_applied_as_well() {
    let bench = Bench::new();
    let changed = lines(&[8]);
    let files: [(&str, &[u8]); 3] = [("a.c", changed.as_bytes()), ("b", BINARY), ("c", b"text\n")];
    for files in [&files[..2], &files[..]] {
        let head = commit_files(bench.path(), files, "keys: Add", &[&bench.base]);
        let range = format!("{}..{head}", bench.base);
        let mail = read(git(bench.path()).args(["format-patch", "--stdout", &range]), b"").unwrap();
        let series = bench.mailbox(mail + "\n\n").unwrap();
        let top = series.commit(bench.path(), &bench.base, |_| {}).unwrap();
        assert_eq!(tree_of(bench.path(), &top), tree_of(bench.path(), &head));
    }
}

#[test]
fn a_range_makes_the_files_of_its_end_whatever_stands_in_messages_and_files() {
    let bench = Bench::new();
    let path = bench.path();
    let diff = "diff --git a/a.c b/a.c\n--- a/a.c\n+++ b/a.c\n@@ -1,2 +1,2 @@\n-line 1\n+LINE 1\n line 2\n";
    let from = "From 0123456789012345678901234567890123456789 Mon Sep 17 00:00:00 2001";
    let message = format!("keys: One\n\nFrom: not a header\n\n{diff}\n{from}\nSubject: x\n\n---\n{diff}");
    let changed = lines(&[8]);
    let one = commit_file(path, &changed, &message, &[&bench.base]);
    let files: [(&str, &[u8]); 4] =
        [("a.c", changed.as_bytes()), ("b.c", b"x\r\ny\r\n"), ("c", BINARY), ("d.c", b"\r\r\n \n\n")];
    let two = commit_files(path, &files, "[keys] Two", &[&one]);
    let series = Series::given(&format!("{}..{two}", bench.base), path).unwrap();
    let titles: Vec<_> = series.patches().iter().map(|patch| patch.title.as_str()).collect();
    assert_eq!(titles, ["keys: One", "[keys] Two"]);
    let top = series.commit(path, &bench.base, |_| {}).unwrap();
    assert_eq!(tree_of(path, &top), tree_of(path, &two));
    let messages = read(git(path).args(["log", "-1", "--format=%B", &format!("{top}^")]), b"").unwrap();
    assert_eq!(messages.trim_end(), message.trim_end());
}

#[test]
fn a_range_is_the_same_patches_as_the_files_of_git_format_patch() {
    let bench = Bench::new();
    let head = bench.mailbox(series_of(Sample::plain)).unwrap().commit(bench.path(), &bench.base, |_| {});
    let long = format!("keys: {}", "Many words of a title ".repeat(6));
    let files: [(&str, &[u8]); 2] = [("b.c", b"x\n"), ("c", BINARY)];
    let head = commit_files(bench.path(), &files, &format!("{long}\n\nBody.\n\n\n"), &[&head.unwrap()]);
    let range = format!("{}..{head}", bench.base);
    let directory = bench.path().join("written");
    crate::format_patch::format_patch(bench.path(), &range, &directory).unwrap();
    let written = Series::read(&directory).unwrap();
    assert_eq!(Series::given(&range, bench.path()).unwrap().patches(), written.patches());
    assert_eq!(written.patches().len(), 4);
}

#[test]
fn a_merge_with_changes_of_its_own_is_refused() {
    let bench = Bench::new();
    let side = |changed| commit_file(bench.path(), &lines(&[changed]), "side", &[&bench.base]);
    let merge = commit_file(bench.path(), &lines(&[8, 16, 24]), "Merge", &[&side(8), &side(24)]);
    let error = Series::given(&format!("{}..{merge}", bench.base), bench.path()).unwrap_err().to_string();
    let why = ": its commits don't add up to its end: a merge has changes of its own, or sides that conflict; give a range without merges";
    assert!(error.ends_with(why), "{error}");
}

#[test]
fn what_ends_lines_in_a_base64_mail_is_the_files_unless_all_lines_end_so() {
    let bench = Bench::new();
    let diff = "---\n\ndiff --git a/b.c b/b.c\nnew file mode 100644\n--- /dev/null\n+++ b/b.c\n@@ -0,0 +1 @@\n+x\r\n";
    for (body, file) in
        [(diff.to_owned(), "x\r\n"), (diff.replace("\r\n", "\n").replace('\n', "\r\n"), "x\n")]
    {
        let series = bench.mailbox(Sample { subject: "[PATCH] b".into(), body }.base64()).unwrap();
        let top = series.commit(bench.path(), &bench.base, |_| {}).unwrap();
        let written = output(git(bench.path()).args(["show", &format!("{top}:b.c")]), b"").unwrap().stdout;
        assert_eq!(String::from_utf8_lossy(&written), file);
    }
}

#[test]
fn names_and_dates_do_nothing_to_a_terminal() {
    let bench = Bench::new();
    let wild = "\u{1b}[31mred\u{7}\u{202e}";
    let date = "Fri, 1 Jul 2022 10:00:00 +0200";
    let undated = sample(1).plain().replace("1/3", "1/1").replace(date, wild);
    let file = bench.write(&format!("{wild}/{wild}.patch"), &undated);
    let listed = bench.write("list/series", format!("{wild}.patch\n"));
    let errors = [
        bench.given(&file).unwrap().commit(bench.path(), &bench.base, |_| {}).unwrap_err(),
        bench.given(file.parent().unwrap()).unwrap().commit(bench.path(), &bench.base, |_| {}).unwrap_err(),
        bench.given(&listed).unwrap_err(),
        bench.given(&bench.path().join(wild).join("none")).unwrap_err(),
    ];
    for error in errors {
        let said = error.to_string();
        assert!(said.contains("?[31mred??") && !said.contains(['\u{1b}', '\u{7}', '\u{202e}']), "{said:?}");
    }
}

#[test]
fn a_huge_file_that_is_not_named_like_a_patch_is_not_read_to_its_end() {
    let bench = Bench::new();
    bench.write("d/1.patch", sample(1).plain().replace("1/3", "1/1"));
    bench.write("d/log", "words\n".repeat(20_000) + &body(2));
    assert_eq!(bench.given(&bench.path().join("d")).unwrap().left_out(), None);
}

#[test]
fn a_merge_in_a_range_is_left_out_and_said() {
    let bench = Bench::new();
    let side = |changed| commit_file(bench.path(), &lines(&[changed]), "side", &[&bench.base]);
    let merge = commit_file(bench.path(), &lines(&[8, 24]), "Merge", &[&side(8), &side(24)]);
    let series = Series::given(&format!("{}..{merge}", bench.base), bench.path()).unwrap();
    assert_eq!(series.patches().len(), 2);
    assert_eq!(series.left_out(), Some(format!("merge commit `{} Merge`", &merge[..7])));
}

#[test]
fn what_is_not_there_is_told_apart() {
    let bench = Bench::new();
    let why = |name: &str, repository: &Path| Series::given(name, repository).unwrap_err().to_string();
    let repository = bench.path();
    let no_file = "can't take `../nosuch.mbox` as a series of patches: there is no such file";
    assert_eq!(why("../nosuch.mbox", repository), no_file);
    assert!(why("/not/there", repository).ends_with(": there is no such file"));
    assert!(
        why("nosuch", repository)
            .ends_with(": there is no such file or directory, and it is no range of commits (A..B)")
    );
    assert!(
        why("/dev/null", repository)
            .ends_with(": it is no regular file, and it is read more than once; save it in a file")
    );
    assert!(why(&format!("{0}..{0}", bench.base), repository).ends_with(": there is no patch in it"));
    let range = why("nowhere..there", repository);
    let unknown =
        format!("git finds no such commits in {}: bad revision 'nowhere..there'", repository.display());
    assert!(range.ends_with(&unknown), "{range}");
    let stranger = commit_file(repository, "x\n", "stranger", &[]);
    assert!(
        why(&format!("{stranger}..{}", bench.base), repository)
            .contains(": its two ends have no commit in common in ")
    );
}

#[test]
fn a_shallow_clone_is_said_to_be_one() {
    let bench = Bench::new();
    let next = commit_file(bench.path(), &lines(&[8]), "next", &[&bench.base]);
    read(git(bench.path()).args(["update-ref", "refs/heads/main", &next]), b"").unwrap();
    let clone = bench.path().join("clone");
    let url = format!("file://{}", bench.path().display());
    read(git(bench.path()).args(["clone", "-q", "--depth=1", "--branch=main", &url]).arg(&clone), b"")
        .unwrap();
    let why = Series::given(&format!("{}..main", bench.base), &clone).unwrap_err().to_string();
    let hint =
        format!("it is a shallow clone: fetch the rest with `git -C {} fetch --unshallow`", clone.display());
    assert!(why.ends_with(&hint), "{why}");
    // The commit is there, but not how the branch came of it.
    read(git(&clone).args(["fetch", "-q", "--depth=1", "origin", &bench.base]), b"").unwrap();
    let why = Series::given(&format!("{}..main", bench.base), &clone).unwrap_err().to_string();
    assert!(why.contains("is a shallow clone, and the history between its two ends is not in it"), "{why}");
}

#[test]
fn the_repositorys_own_patches_are_read_and_written_without_a_change() {
    let kernels = Kernels::load().unwrap();
    for name in kernels.names() {
        let kernel = kernels.get(name).unwrap();
        let series = kernel.series().unwrap();
        assert!(!series.is_empty(), "{name}");
        for patch in series.patches() {
            let bytes = fs::read(kernel.series_directory().join(&patch.name)).unwrap();
            assert_eq!(
                String::from_utf8_lossy(&patch.mail()),
                String::from_utf8_lossy(&bytes),
                "{}",
                patch.name
            );
        }
    }
}

#[test]
fn the_repositorys_own_series_is_the_same_through_a_list_and_a_gateway() {
    let kernels = Kernels::load().unwrap();
    let own = kernels.get_or_default(None).unwrap().series().unwrap();
    let count = own.patches().len();
    let mut mails: Vec<String> = Vec::new();
    for (index, patch) in own.patches().iter().enumerate() {
        let mail = String::from_utf8(patch.mail()).unwrap();
        let (header, body) = mail.split_once("\n\n").unwrap();
        let header = header.replace("[PATCH]", &format!("[list] [PATCH v2 {:02}/{count}]", index + 1));
        let body = base64(format!("{body}-- \n2.39.5\n\n____\nThe list\n").replace('\n', "\r\n").as_bytes());
        mails.push(format!(
            "{header}\nMIME-Version: 1.0\nContent-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: base64\n\n{body}\n\n"
        ));
        let diff = String::from_utf8_lossy(&patch.diff);
        mails.push(format!("{}\n\n> quoted\n{diff}\n", header.replace("[list]", "Re: [list]")));
    }
    mails.reverse();
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), gzipped(&mails.concat())).unwrap();
    let series = Series::read(file.path()).unwrap();
    let hash = |series: &Series| {
        let mut hash = Sha256::new();
        series.digest(&mut hash);
        hex(&hash.finalize())
    };
    assert_eq!(series.patches().len(), count);
    assert_eq!(hash(&series), hash(&own));
    assert_eq!(series.left_out().unwrap().split(',').next(), Some(format!("{count} replies").as_str()));
}
