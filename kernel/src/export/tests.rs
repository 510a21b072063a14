use super::*;
use crate::{Series, series::Stack};

/// A series as `format` writes it.
const PATCHES: [(&str, &str); 2] = [
    (
        "0001-keys-Say-hello-at-quite-some-length-because-a-subjec.patch",
        "From 0000000000000000000000000000000000000000 Mon Sep 17 00:00:00 2001\n\
         From: =?UTF-8?q?Zo=C3=AB?= <zoe@example.org>\nDate: Fri, 1 Jul 2022 10:00:00 +0200\n\
         Subject: [PATCH] keys: Say hello at quite some length because a subject can be\n folded\n\n\
         Because.\n\n  Indented.\n\nSigned-off-by: Zoe <zoe@example.org>\n---\n a.c | 2 +-\n \
         1 file changed, 1 insertion(+), 1 deletion(-)\n\n\
         diff --git a/a.c b/a.c\nindex 4cb29ea38f70..ddc897f039f5 100644\n--- a/a.c\n+++ b/a.c\n\
         @@ -1,3 +1,3 @@\n one\n-two\n+TWO\n three\n",
    ),
    (
        "0002-keys-Add-a-file.patch",
        "From 0000000000000000000000000000000000000000 Mon Sep 17 00:00:00 2001\n\
         From: Zoe <zoe@example.org>\nDate: Sat, 2 Jul 2022 10:00:00 +0200\n\
         Subject: [PATCH] keys: Add a file\n\nWhy.\n---\n b.c | 1 +\n 1 file changed, 1 insertion(+)\n \
         create mode 100644 b.c\n\n\
         diff --git a/b.c b/b.c\nnew file mode 100644\nindex 000000000000..257cc5642cb1\n--- /dev/null\n+++ b/b.c\n\
         @@ -0,0 +1 @@\n+foo\n",
    ),
];

/// A work tree as `edit` makes it, and the directory with the series.
struct Fixture {
    directory: tempfile::TempDir,
    base: String,
}

impl Fixture {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let fixture = Self { directory, base: String::new() };
        fs::create_dir_all(fixture.series()).unwrap();
        for (name, mail) in PATCHES {
            fs::write(fixture.series().join(name), mail).unwrap();
        }
        fs::create_dir_all(fixture.tree()).unwrap();
        fixture.git(&["init", "-q", "--initial-branch=keyagents"]);
        fixture.git(&["config", "user.name", "Zoe"]);
        fixture.git(&["config", "user.email", "zoe@example.org"]);
        fs::write(fixture.tree().join("a.c"), "one\ntwo\nthree\n").unwrap();
        fixture.git(&["add", "a.c"]);
        fixture.git(&["commit", "-qm", "base"]);
        let base = fixture.git(&["rev-parse", "HEAD"]);
        let tree = fixture.tree();
        let mut stack = Stack::on(&tree, &base).unwrap();
        let mut head = base.clone();
        for patch in Series::read(&fixture.series()).unwrap().patches() {
            head = stack.push(patch).unwrap().to_owned();
        }
        fixture.git(&["reset", "-q", "--hard", &head]);
        Self { base, ..fixture }
    }

    fn tree(&self) -> PathBuf {
        self.directory.path().join("tree")
    }

    fn series(&self) -> PathBuf {
        self.directory.path().join("series")
    }

    fn git(&self, arguments: &[&str]) -> String {
        read(git(&self.tree()).args(arguments), b"").unwrap()
    }

    fn export(&self) -> Exported {
        replace(&self.tree(), &self.base, &self.series()).unwrap()
    }

    /// Returns the reason why the commits are not a series.
    fn refusal(&self) -> String {
        match require_series(&self.tree(), &self.base) {
            Err(Error::WorkTree { reason, .. }) => reason,
            Err(error) => panic!("{error}"),
            Ok(()) => "none".into(),
        }
    }
}

#[test]
fn unchanged_series_is_exported_byte_for_byte() {
    let fixture = Fixture::new();
    assert_eq!(fixture.refusal(), "none");
    for (name, _) in PATCHES {
        fs::remove_file(fixture.series().join(name)).unwrap();
    }
    assert_eq!(fixture.export().written.len(), 2);
    for (name, mail) in PATCHES {
        assert_eq!(fs::read_to_string(fixture.series().join(name)).unwrap(), mail);
    }
    assert_eq!(restyled(&fixture.tree(), &fixture.base, &fixture.series()).unwrap(), Vec::<String>::new());
    assert_eq!(fixture.export().written, Vec::<String>::new());
}

#[test]
fn export_removes_dropped_patches_and_keeps_the_cover_letter() {
    let fixture = Fixture::new();
    fs::write(fixture.series().join("0000-cover-letter.patch"), "words").unwrap();
    fixture.git(&["reset", "-q", "--hard", "HEAD^"]);
    fixture.git(&["commit", "-q", "--amend", "-m", "keys: Say hi"]);
    let exported = fixture.export();
    assert_eq!(exported.written, ["0001-keys-Say-hi.patch"]);
    assert_eq!(exported.removed, PATCHES.map(|(name, _)| name.to_owned()));
    let mut left: Vec<_> =
        fs::read_dir(fixture.series()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    left.sort();
    assert_eq!(left, ["0000-cover-letter.patch", "0001-keys-Say-hi.patch"]);
}

#[test]
fn invalid_series_is_refused_with_the_reason() {
    let fixture = Fixture::new();
    fs::write(fixture.tree().join("new.c"), "").unwrap();
    assert_eq!(fixture.refusal(), "there are changes that are not committed:\n?? new.c");
    fs::remove_file(fixture.tree().join("new.c")).unwrap();

    fixture.git(&["commit", "-q", "--allow-empty", "-m", "nothing"]);
    assert!(fixture.refusal().starts_with("this commit changes nothing: "), "{}", fixture.refusal());
    fixture.git(&["commit", "-q", "--amend", "--allow-empty", "-m", "fixup! keys: Add a file"]);
    assert!(fixture.refusal().contains("--autosquash"), "{}", fixture.refusal());
    fixture.git(&["reset", "-q", "--hard", "HEAD^"]);

    fixture.git(&["checkout", "-q", "-b", "side", "HEAD^"]);
    fs::write(fixture.tree().join("c.c"), "c\n").unwrap();
    fixture.git(&["add", "c.c"]);
    fixture.git(&["commit", "-qm", "side"]);
    fixture.git(&["checkout", "-q", "keyagents"]);
    fixture.git(&["merge", "-q", "--no-edit", "side"]);
    assert!(fixture.refusal().starts_with("a series has no merge commits"), "{}", fixture.refusal());

    fixture.git(&["checkout", "-q", "--orphan", "lost"]);
    fixture.git(&["commit", "-qm", "lost"]);
    assert!(fixture.refusal().starts_with("HEAD is not based on "), "{}", fixture.refusal());

    fixture.git(&["reset", "-q", "--hard", &fixture.base]);
    assert!(fixture.refusal().starts_with("there are no commits on top of "), "{}", fixture.refusal());
}

#[test]
fn tree_without_a_mark_is_refused() {
    let fixture = Fixture::new();
    let error = export(&fixture.tree(), None).unwrap_err();
    assert!(error.to_string().ends_with("it was not made by `kernel edit`"), "{error}");

    fixture.git(&["config", KERNEL_OF, "7.3"]);
    fixture.git(&["config", BASE_OF, &fixture.base]);
    let error = export(&fixture.tree(), Some("6.12")).unwrap_err();
    assert!(error.to_string().ends_with("it has the series for 7.3, not for 6.12"), "{error}");
}

#[test]
fn text_behind_the_dashes_stays_when_the_commit_changes() {
    let fixture = Fixture::new();
    let file = fixture.series().join(PATCHES[1].0);
    let text = fs::read_to_string(&file).unwrap().replace("---\n b.c", "---\nDiffers from 7.3: so.\n\n b.c");
    fs::write(&file, &text).unwrap();
    assert_eq!(restyled(&fixture.tree(), &fixture.base, &fixture.series()).unwrap(), Vec::<String>::new());
    assert_eq!(fixture.export().written, Vec::<String>::new());
    fs::write(fixture.tree().join("b.c"), "bar\n").unwrap();
    fixture.git(&["commit", "-qa", "--amend", "--no-edit"]);
    assert_eq!(fixture.export().written, [PATCHES[1].0]);
    let after = fs::read_to_string(&file).unwrap();
    assert!(
        after.contains("---\nDiffers from 7.3: so.\n\n b.c | 1 +\n") && after.contains("+bar\n"),
        "{after}"
    );
}

#[test]
fn work_tree_of_a_subsystem_is_exported_into_the_directory_of_its_series() {
    let fixture = Fixture::new();
    let kernel = Kernels::load().unwrap().get("7.3").unwrap();
    assert_eq!(series_of(&fixture.tree(), kernel).unwrap(), kernel.series_directory());
    fixture.git(&["config", SUBSYSTEM_OF, "nfs"]);
    assert!(series_of(&fixture.tree(), kernel).unwrap().ends_with("patches/7.3-nfs"));
    fixture.git(&["config", SUBSYSTEM_OF, "nfs3"]);
    let error = series_of(&fixture.tree(), kernel).unwrap_err();
    assert!(error.to_string().ends_with("there is no subsystem named `nfs3`; there are nfs"), "{error}");
}
