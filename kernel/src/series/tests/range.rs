//! Ranges of commits.

use super::*;

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

/// Bytes that git treats as binary.

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
fn a_merge_in_a_range_is_left_out_and_said() {
    let bench = Bench::new();
    let side = |changed| commit_file(bench.path(), &lines(&[changed]), "side", &[&bench.base]);
    let merge = commit_file(bench.path(), &lines(&[8, 24]), "Merge", &[&side(8), &side(24)]);
    let series = Series::given(&format!("{}..{merge}", bench.base), bench.path()).unwrap();
    assert_eq!(series.patches().len(), 2);
    assert_eq!(series.left_out(), Some(format!("merge commit `{} Merge`", &merge[..7])));
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
    // The commit is there, but not its history.
    read(git(&clone).args(["fetch", "-q", "--depth=1", "origin", &bench.base]), b"").unwrap();
    let why = Series::given(&format!("{}..main", bench.base), &clone).unwrap_err().to_string();
    assert!(why.contains("is a shallow clone, and the history between its two ends is not in it"), "{why}");
}
