//! Mailboxes: encodings, numbers, versions and what is left out.

use super::*;

/// Returns the series with another tag in its subjects.
fn tagged(tag: &str) -> String {
    let tag = tag.to_owned();
    series_of(move |sample| sample.clone().subject(&sample.subject.replace("[PATCH ", &tag)).plain())
}

fn words(subject: &str, body: &str) -> String {
    Sample { subject: subject.into(), body: body.into() }.plain()
}

#[test]
fn mailbox_is_read_independent_of_encoding_and_order() {
    let fixture = Fixture::new();
    let boxes: Vec<(&str, Vec<u8>)> = vec![
        ("plain", series_of(Sample::plain).into()),
        ("base64", series_of(Sample::base64).into()),
        ("one in base64", format!("{}{}{}", sample(1).plain(), sample(2).base64(), sample(3).plain()).into()),
        (
            "base64 of CRLF",
            series_of(|sample| {
                let body = sample.body.replace('\n', "\r\n");
                Sample { body, ..sample.clone() }.base64()
            })
            .into(),
        ),
        ("quoted-printable", series_of(Sample::quoted_printable).into()),
        ("attachments", series_of(Sample::attached).into()),
        ("CRLF", series_of(Sample::plain).replace('\n', "\r\n").into()),
        ("a byte order mark", format!("\u{feff}{}", series_of(Sample::plain)).into()),
        ("encoded subjects", series_of(Sample::with_encoded_subject).into()),
        ("any order", [3, 1, 2].map(|number| sample(number).with_encoded_subject()).concat().into()),
        ("a list's tag", tagged("[list] [PATCH ").into()),
        ("a tree's name", tagged("[PATCH tree/next ").into()),
        ("a kernel's version", tagged("[PATCH 6.12 ").into()),
        ("gzip", gzipped(&series_of(Sample::base64))),
    ];
    for (name, bytes) in boxes {
        let series = fixture.mailbox(bytes).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(fixture.summary(&series), expected(), "{name}");
        assert_eq!(series.left_out(), None, "{name}");
    }
}

#[test]
fn mails_that_are_no_patches_of_the_series_are_left_out_and_named() {
    let fixture = Fixture::new();
    let cover = words(COVER, "Words.\n");
    let reply = sample(2).subject("Re: [PATCH 2/3] keys: Change 2").plain().replace("LINE", "reply");
    let boxes: Vec<(&str, String, &str)> = vec![
        (
            "a thread",
            format!("{cover}{reply}{}{}", series_of(Sample::plain), words("Re: words", "> words\n")),
            "cover letter `[PATCH 0/3] keys: Change`; 2 replies, 1 with a diff: `Re: [PATCH 2/3] keys: Change 2`",
        ),
        (
            "a cover with a diff",
            format!("{}{}", sample(1).subject(COVER).plain(), series_of(Sample::plain)),
            "cover letter with a diff `[PATCH 0/3] keys: Change`",
        ),
        (
            "each mail twice, once with a footer",
            [series_of(Sample::plain), series_of(|sample| format!("{}____\nthe list\n\n", sample.base64()))]
                .concat(),
            "3 duplicates",
        ),
        (
            "two versions",
            format!("{}{}", tagged("[PATCH v2 "), series_of(Sample::plain).replace("LINE", "old line")),
            "3 patches of v1, which a newer version replaces",
        ),
        (
            "a mail without a diff",
            format!("{}{}", words("[ANNOUNCE] a", "x\n"), series_of(Sample::plain)),
            "mail without a diff `[ANNOUNCE] a`",
        ),
    ];
    for (name, text, left_out) in boxes {
        let series = fixture.mailbox(text).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(fixture.summary(&series), expected(), "{name}");
        assert_eq!(series.left_out().as_deref(), Some(left_out), "{name}");
    }
}

#[test]
fn from_quoting_of_archives_is_removed() {
    let fixture = Fixture::new();
    let archived = format!(
        "{}{}",
        series_of(Sample::plain).replace("knows = why.\n", "knows = why.\n\n>From here on, words.\n"),
        words("[PATCH 0/3] x", "x\n")
    );
    let archived = fixture.summary(&fixture.mailbox(archived).unwrap());
    assert!(archived.contains("knows = why.\n\nFrom here on, words.\n\nSigned-off-by"), "{archived}");
}

#[test]
fn inconsistent_numbers_are_refused() {
    let fixture = Fixture::new();
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
        assert_eq!(fixture.refusal(&mailbox), why, "{mailbox}");
    }
}

#[test]
fn damaged_or_unknown_compression_is_refused() {
    let fixture = Fixture::new();
    let packed = gzipped(&series_of(Sample::plain));
    let truncated = fixture.refusal(&packed[..packed.len() / 2]);
    assert!(
        truncated.starts_with("can't unpack it: ") && truncated.ends_with("; fetch it again"),
        "{truncated}"
    );
    assert_eq!(fixture.refusal(b"BZh9"), "it is compressed with bzip2; unpack it first");
}

#[test]
fn unnumbered_patches_are_matched_by_title() {
    let fixture = Fixture::new();
    let mail = |subject: &str, number: usize, day: usize| {
        let mail = sample(number).subject(subject).plain();
        mail.replace("1 Jul", &format!("{day} Jul"))
    };
    // A newer version of one patch is not a version of the other.
    let mailbox = mail("[PATCH] keys: One", 1, 1) + &mail("[PATCH] keys: Two", 3, 1);
    let series = fixture.mailbox(mailbox + &mail("[PATCH v2] keys: Two", 2, 1)).unwrap();
    assert!(fixture.summary(&series).ends_with(lines(&[8, 16]).trim_end()));
    assert_eq!(series.left_out().as_deref(), Some("1 patch of v1, which a newer version replaces"));
    // A patch that is applied again after its revert is another patch, and the same mail is not.
    let revert = mail("[PATCH] keys: Revert", 1, 2).replace("-line 8\n+LINE 8\n", "-LINE 8\n+line 8\n");
    let mails = [mail("[PATCH] keys: One", 1, 1), revert, mail("[PATCH] keys: One", 1, 3)];
    let series = fixture.mailbox(mails.concat() + &mails[2]).unwrap();
    assert!(fixture.summary(&series).ends_with(lines(&[8]).trim_end()));
    assert_eq!((series.patches().len(), series.left_out().as_deref()), (3, Some("1 duplicate")));
}

#[test]
fn carriage_returns_in_base64_belong_to_the_file_unless_all_lines_have_them() {
    let fixture = Fixture::new();
    let diff = "---\n\ndiff --git a/b.c b/b.c\nnew file mode 100644\n--- /dev/null\n+++ b/b.c\n@@ -0,0 +1 @@\n+x\r\n";
    for (body, file) in
        [(diff.to_owned(), "x\r\n"), (diff.replace("\r\n", "\n").replace('\n', "\r\n"), "x\n")]
    {
        let series = fixture.mailbox(Sample { subject: "[PATCH] b".into(), body }.base64()).unwrap();
        let top = fixture.commit(&series).unwrap();
        let written = output(git(fixture.path()).args(["show", &format!("{top}:b.c")]), b"").unwrap().stdout;
        assert_eq!(String::from_utf8_lossy(&written), file);
    }
}

#[test]
fn control_sequences_are_removed_from_names_and_dates() {
    let fixture = Fixture::new();
    let wild = "\u{1b}[31mred\u{7}\u{202e}";
    let date = "Fri, 1 Jul 2022 10:00:00 +0200";
    let undated = sample(1).plain().replace("1/3", "1/1").replace(date, wild);
    let file = fixture.write(&format!("{wild}/{wild}.patch"), &undated);
    let listed = fixture.write("list/series", format!("{wild}.patch\n"));
    let errors = [
        fixture.commit(&fixture.given(&file).unwrap()).unwrap_err(),
        fixture.commit(&fixture.given(file.parent().unwrap()).unwrap()).unwrap_err(),
        fixture.given(&listed).unwrap_err(),
        fixture.given(&fixture.path().join(wild).join("none")).unwrap_err(),
    ];
    for error in errors {
        let message = error.to_string();
        assert!(
            message.contains("?[31mred??") && !message.contains(['\u{1b}', '\u{7}', '\u{202e}']),
            "{message:?}"
        );
    }
}

#[test]
fn own_patches_round_trip_unchanged() {
    let kernels = Kernels::load().unwrap();
    for kernel in kernels.iter() {
        let series = kernel.series().unwrap();
        assert!(!series.is_empty(), "{}", kernel.name);
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
fn own_series_is_equal_through_every_mail_encoding() {
    let kernels = Kernels::load().unwrap();
    let own = kernels.get("6.12").unwrap().series().unwrap();
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
