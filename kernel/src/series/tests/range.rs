//! Ranges of commits.

use super::*;

#[test]
fn range_is_independent_of_ref_names_and_configuration() {
    let fixture = Fixture::new();
    let path = fixture.path();
    let series = fixture.mailbox(series_of(Sample::base64)).unwrap();
    let patches_upon = |base: &str| {
        let head = series.commit(path, base, |_| {}).unwrap();
        Series::given(&format!("{base}..{head}"), path).unwrap().patches().to_vec()
    };
    let patches = patches_upon(&fixture.base);
    assert_eq!(patches[0].name, "0001-keys-Change-1-at-length.patch");
    assert_eq!(patches[0].title, "keys: Change 1 =at length=");
    let settings = [
        ("core.abbrev", "40"),
        ("diff.noprefix", "true"),
        ("format.filenameMaxLength", "12"),
        ("format.from", "true"),
        ("format.headers", "To: y@example.org"),
        ("format.signOff", "true"),
        ("format.signature", "me"),
        ("format.suffix", ".txt"),
    ];
    for (key, value) in settings.into_iter().chain([("user.name", "y"), ("user.email", "y@example.org")]) {
        read(git(path).args(["config", key, value]), b"").unwrap();
    }
    let other = commit_file(path, &lines(&[]), "another base", &[]);
    assert_eq!(patches_upon(&other), patches);
}

#[test]
fn applied_range_has_the_files_of_its_end() {
    let fixture = Fixture::new();
    let path = fixture.path();
    let diff = "diff --git a/a.c b/a.c\n--- a/a.c\n+++ b/a.c\n@@ -1,2 +1,2 @@\n-line 1\n+LINE 1\n line 2\n";
    let from = "From 0123456789012345678901234567890123456789 Mon Sep 17 00:00:00 2001";
    let message = format!("keys: One\n\nFrom: not a header\n\n{diff}\n{from}\nSubject: x\n\n---\n{diff}");
    let changed = lines(&[8]);
    let one = commit_file(path, &changed, &message, &[&fixture.base]);
    let files: [(&str, &[u8]); 4] =
        [("a.c", changed.as_bytes()), ("b.c", b"x\r\ny\r\n"), ("c", BINARY), ("d.c", b"\r\r\n \n\n")];
    let two = commit_files(path, &files, "[keys] Two", &[&one]);
    let series = Series::given(&format!("{}..{two}", fixture.base), path).unwrap();
    let titles: Vec<_> = series.patches().iter().map(|patch| patch.title.as_str()).collect();
    assert_eq!(titles, ["keys: One", "[keys] Two"]);
    let top = fixture.commit(&series).unwrap();
    assert_eq!(tree_of(path, &top).unwrap(), tree_of(path, &two).unwrap());
    let messages = read(git(path).args(["log", "-1", "--format=%B", &format!("{top}^")]), b"").unwrap();
    assert_eq!(messages.trim_end(), message.trim_end());
}

#[test]
fn range_equals_the_files_of_format_patch() {
    let fixture = Fixture::new();
    let head = fixture.commit(&fixture.mailbox(series_of(Sample::plain)).unwrap());
    let long = format!("keys: {}", "Many words of a title ".repeat(6));
    let files: [(&str, &[u8]); 2] = [("b.c", b"x\n"), ("c", BINARY)];
    let head = commit_files(fixture.path(), &files, &format!("{long}\n\nBody.\n\n\n"), &[&head.unwrap()]);
    let range = format!("{}..{head}", fixture.base);
    let directory = fixture.path().join("written");
    crate::format_patch::format_patch(fixture.path(), &range, &directory).unwrap();
    let written = Series::read(&directory).unwrap();
    assert_eq!(Series::given(&range, fixture.path()).unwrap().patches(), written.patches());
    assert_eq!(written.patches().len(), 4);
}

#[test]
fn merge_with_own_changes_is_refused() {
    let fixture = Fixture::new();
    let side = |changed| commit_file(fixture.path(), &lines(&[changed]), "side", &[&fixture.base]);
    let merge = commit_file(fixture.path(), &lines(&[8, 16, 24]), "Merge", &[&side(8), &side(24)]);
    let error = Series::given(&format!("{}..{merge}", fixture.base), fixture.path()).unwrap_err().to_string();
    let why = ": its commits don't add up to its end: a merge has changes of its own, or sides that conflict; give a range without merges";
    assert!(error.ends_with(why), "{error}");
}

#[test]
fn merge_in_a_range_is_left_out_with_a_note() {
    let fixture = Fixture::new();
    let side = |changed| commit_file(fixture.path(), &lines(&[changed]), "side", &[&fixture.base]);
    let merge = commit_file(fixture.path(), &lines(&[8, 24]), "Merge", &[&side(8), &side(24)]);
    let series = Series::given(&format!("{}..{merge}", fixture.base), fixture.path()).unwrap();
    assert_eq!(series.patches().len(), 2);
    assert_eq!(series.left_out(), Some(format!("merge commit `{} Merge`", &merge[..7])));
}

#[test]
fn shallow_clone_is_named_in_the_error() {
    let fixture = Fixture::new();
    let next = commit_file(fixture.path(), &lines(&[8]), "next", &[&fixture.base]);
    read(git(fixture.path()).args(["update-ref", "refs/heads/main", &next]), b"").unwrap();
    let clone = fixture.path().join("clone");
    let url = format!("file://{}", fixture.path().display());
    read(git(fixture.path()).args(["clone", "-q", "--depth=1", "--branch=main", &url]).arg(&clone), b"")
        .unwrap();
    let why = Series::given(&format!("{}..main", fixture.base), &clone).unwrap_err().to_string();
    let hint =
        format!("it is a shallow clone: fetch the rest with `git -C {} fetch --unshallow`", clone.display());
    assert!(why.ends_with(&hint), "{why}");
    // The commit is there, but not its history.
    read(git(&clone).args(["fetch", "-q", "--depth=1", "origin", &fixture.base]), b"").unwrap();
    let why = Series::given(&format!("{}..main", fixture.base), &clone).unwrap_err().to_string();
    assert!(why.contains("is a shallow clone, and the history between its two ends is not in it"), "{why}");
}
