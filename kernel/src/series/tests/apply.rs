//! Patches applied to a source.

use super::*;

#[test]
fn patch_that_git_misreads_is_refused() {
    let fixture = Fixture::new();
    let overlong = sample(1).plain().replace("PATCH 1/3", "PATCH").replace(" line 11\n", " line 11\n+more\n");
    let why = "can't read the patch `[PATCH] keys: Change 1 =at length=`: line 14 of its diff is one more than the hunk's header counts, and \
               git would leave it out; write the patch again with `git format-patch`";
    assert_eq!(fixture.refusal(overlong), why);
    let both = format!("{}{}\n{}", body(1), header("[PATCH 2/2] b"), body(2));
    let several = Sample { subject: "[PATCH] both".into(), body: both }.base64();
    let why = "can't read the patch `[PATCH] both`: there are several patches in this one mail, and git would take them for one; save \
               the attachments in a directory";
    assert_eq!(fixture.refusal(several), why);
    let undated =
        sample(1).plain().replace("1/3", "1/1").replace("Fri, 1 Jul 2022 10:00:00 +0200", "one day");
    let error = fixture.commit(&fixture.mailbox(undated).unwrap()).unwrap_err().to_string();
    assert!(error.ends_with(": git does not understand its date `one day`"), "{error}");
}

#[test]
fn rejected_hunk_has_the_nearest_match() {
    let fixture = Fixture::new();
    let patch = sample(1).plain().replace("1/3", "1/1").replace("-line 8\n", "-line eight\n");
    let error = fixture.commit(&fixture.mailbox(patch).unwrap()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "[PATCH 1/1] keys: Change 1 =at length= does not apply:\
         \n  a.c: hunk `@@ -5,7 +5,7 @@` (line 19 of the patch) fits nowhere; nearest is line 5, which \
         has 6 of its 7 lines (`-` the hunk expects, `+` the source has):\
         \n        line 5\n        line 6\n        line 7\n      - line eight\n      + line 8\n        line 9\n        line 10\n        line 11"
    );
}

#[test]
fn error_names_the_order_of_unnumbered_mails() {
    const HINT: &str = "the patches have no numbers, so they were applied in the order of their mails: if that is the wrong one, save each \
                        patch in a file and list the files in order in a file `series`";
    let fixture = Fixture::new();
    // Each patch changes what the one before has written.
    let [first, second] = ["-line 8\n+LINE 8\n", "-LINE 8\n+Line 8\n"].map(|change| {
        let subject = change.lines().next().unwrap_or_default();
        let body = body(1).replace("-line 8\n+LINE 8\n", change);
        Sample { subject: format!("[PATCH] keys: {subject}"), body }
    });
    let last_line = |mailbox: &[&Sample]| {
        let mails: String = mailbox.iter().map(|sample| sample.plain()).collect();
        let committed = fixture.commit(&fixture.mailbox(mails).unwrap());
        committed.err().map(|error| error.to_string().lines().last().unwrap().to_owned())
    };
    assert_eq!(last_line(&[&first, &second]), None);
    assert_eq!(last_line(&[&second, &first]).as_deref(), Some(HINT));
    assert_ne!(last_line(&[&second]).as_deref(), Some(HINT));
    fixture.write("files/1.patch", second.plain());
    fixture.write("files/2.patch", first.plain());
    let by_name = fixture.given(&fixture.path().join("files")).unwrap();
    let error = fixture.commit(&by_name).unwrap_err().to_string();
    assert_ne!(error.lines().last(), Some(HINT));
    let numbered = |sample: &Sample, tag: &str| sample.clone().subject(&sample.subject.replace("PATCH", tag));
    let (first, second) = (numbered(&first, "PATCH 2/2"), numbered(&second, "PATCH 1/2"));
    assert_ne!(last_line(&[&first, &second]).as_deref(), Some(HINT));
}

#[test]
fn only_a_whole_applied_series_gets_the_hint() {
    let fixture = Fixture::new();
    let series = fixture.mailbox(series_of(Sample::plain)).unwrap();
    let refusal = |changed: &[usize]| {
        let base = commit_file(fixture.path(), &lines(changed), "base", &[]);
        series.commit(fixture.path(), &base, |_| {}).unwrap_err().to_string()
    };
    let whole = refusal(&[8, 16, 24]);
    let advice = "the source has the whole series already: with `--series none` it is taken as it is";
    assert_eq!(whole.lines().last(), Some(advice), "{whole}");
    let part = refusal(&[8]);
    let advice = "the source has this patch already, but not the whole series: leave the patch out";
    assert_eq!(part.lines().last(), Some(advice), "{part}");
}

#[test]
fn binary_change_beside_a_text_change_is_applied() {
    let fixture = Fixture::new();
    let changed = lines(&[8]);
    let files: [(&str, &[u8]); 3] = [("a.c", changed.as_bytes()), ("b", BINARY), ("c", b"text\n")];
    for files in [&files[..2], &files[..]] {
        let head = commit_files(fixture.path(), files, "keys: Add", &[&fixture.base]);
        let range = format!("{}..{head}", fixture.base);
        let mail = read(git(fixture.path()).args(["format-patch", "--stdout", &range]), b"").unwrap();
        let series = fixture.mailbox(mail + "\n\n").unwrap();
        let top = fixture.commit(&series).unwrap();
        assert_eq!(tree_of(fixture.path(), &top).unwrap(), tree_of(fixture.path(), &head).unwrap());
    }
}
