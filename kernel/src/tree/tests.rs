use std::{collections::BTreeMap, os::unix::fs::MetadataExt, sync::Mutex};

use rstest::rstest;

use super::*;
use crate::{NoProgress, testutil::Fixture};

/// Returns a tarball whose files are in one directory, as kernel.org's are.
fn tarball(files: &[(&str, &str)]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for (name, contents) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(contents.len() as u64);
        header.set_mode(0o644);
        builder.append_data(&mut header, format!("linux-1/{name}"), contents.as_bytes()).unwrap();
    }
    builder.into_inner().unwrap()
}

const FILES: &[(&str, &str)] =
    &[("Makefile", "VERSION = 1\n"), ("Kconfig", "\n"), ("a.c", "one\ntwo\nthree\n")];

impl Fixture {
    fn tree(&self, source: &str, series: Series) -> Result<Tree> {
        tree(&self.request(source, series)?, &self.path("cache"), &NoProgress)
    }

    /// Returns a series of one patch that changes the second line of a.c to that word.
    fn series(&self, word: &str) -> Series {
        self.write_patch(1, "a.c", &format!("@@ -1,3 +1,3 @@\n one\n-two\n+{word}\n three"));
        self.patches().unwrap()
    }
}

fn second_line(tree: &Tree) -> String {
    fs::read_to_string(tree.path.join("a.c")).unwrap().lines().nth(1).unwrap().to_owned()
}

/// Returns modification times by file name.
fn times(directory: &Path) -> BTreeMap<String, (i64, i64)> {
    let files = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap());
    files
        .filter(|file| file.file_name() != ".git")
        .map(|file| (file.file_name().into_string().unwrap(), file.metadata().unwrap()))
        .map(|(name, data)| (name, (data.mtime(), data.mtime_nsec())))
        .collect()
}

#[test]
fn other_version_of_the_series_rewrites_only_differing_files() {
    let fixture = Fixture::new();
    fixture.write("linux.tar", tarball(FILES));
    let first = fixture.tree("linux.tar", fixture.series("TWO")).unwrap();
    assert_eq!(second_line(&first), "TWO");
    assert_ne!(first.base, first.head);
    let (path, before) = (first.path.clone(), times(&first.path));
    drop(first);

    let second = fixture.tree("linux.tar", fixture.series("2")).unwrap();
    assert_eq!((second.path.as_path(), second_line(&second).as_str()), (path.as_path(), "2"));
    let after = times(&path);
    assert_eq!(before["Makefile"], after["Makefile"]);
    assert_ne!(before["a.c"], after["a.c"]);
}

#[derive(Default)]
struct Phases(Mutex<Vec<Phase>>);

impl Progress for Phases {
    fn started(&self, phase: &Phase, _: Option<u64>) {
        self.0.lock().unwrap().push(phase.clone());
    }
    fn done(&self, _: u64) {}
    fn finished(&self) {}
    fn note(&self, _: &str) {}
}

#[test]
fn series_is_applied_once_per_source() {
    let fixture = Fixture::new();
    fixture.write("linux.tar", tarball(FILES));
    let again = |word: &str| {
        let (phases, request) =
            (Phases::default(), fixture.request("linux.tar", fixture.series(word)).unwrap());
        let head = tree(&request, &fixture.path("cache"), &phases).unwrap().head;
        (head, phases.0.into_inner().unwrap().contains(&Phase::Series))
    };
    let (first, second, third) = (again("TWO"), again("2"), again("TWO"));
    assert_eq!([first.1, second.1, third.1], [true, true, false]);
    assert_ne!(first.0, second.0);
    assert_eq!(first.0, third.0);
}

#[test]
fn empty_series_checks_out_the_pristine_source() {
    let fixture = Fixture::new();
    let mut xz = liblzma::write::XzEncoder::new(Vec::new(), 1);
    io::Write::write_all(&mut xz, &tarball(FILES)).unwrap();
    fixture.write("linux.tar.xz", xz.finish().unwrap());
    let tree = fixture.tree("linux.tar.xz", Series::default()).unwrap();
    assert_eq!(tree.base, tree.head);
    assert_eq!(second_line(&tree), "two");
}

#[test]
fn interrupted_unpacking_is_repeated() {
    let fixture = Fixture::new();
    fixture.write("linux.tar", tarball(FILES));
    let path = fixture.tree("linux.tar", Series::default()).unwrap().path.clone();
    let partial = path.with_file_name(format!("{}.partial", path.file_name().unwrap().to_str().unwrap()));
    fs::rename(&path, &partial).unwrap();
    fs::remove_dir_all(partial.join(".git/objects")).unwrap();
    assert_eq!(second_line(&fixture.tree("linux.tar", Series::default()).unwrap()), "two");
    assert!(!partial.exists());
}

#[test]
fn interrupted_checkout_is_repeated() {
    let fixture = Fixture::new();
    fixture.write("linux.tar", tarball(FILES));
    let path = fixture.tree("linux.tar", Series::default()).unwrap().path.clone();
    fs::write(path.join(".git/unfinished-checkout"), "").unwrap();
    fs::write(path.join(".git/index.lock"), "").unwrap();
    fs::write(path.join("a.c"), "half").unwrap();
    fs::write(path.join("stray.c"), "").unwrap();
    fs::remove_file(path.join("Makefile")).unwrap();
    let tree = fixture.tree("linux.tar", fixture.series("TWO")).unwrap();
    assert_eq!(second_line(&tree), "TWO");
    assert!(path.join("Makefile").exists() && !path.join("stray.c").exists());
}

#[test]
fn directory_has_the_same_lock_for_every_kernel() {
    let mut fixture = Fixture::with_source(FILES);
    for kernel in ["7.3", "6.12"] {
        fixture.kernel.name = kernel.into();
        fixture.tree("source", Series::default()).unwrap();
    }
    let locks: Vec<_> =
        fs::read_dir(fixture.path("cache/locks")).unwrap().map(|lock| lock.unwrap().file_name()).collect();
    assert_eq!(locks, ["directory"]);
}

#[test]
fn edited_tree_is_not_overwritten() {
    let fixture = Fixture::new();
    fixture.write("linux.tar", tarball(FILES));
    let path = fixture.tree("linux.tar", Series::default()).unwrap().path.clone();
    fs::write(path.join("a.c"), "an hour's work\n").unwrap();
    let error = fixture.tree("linux.tar", fixture.series("TWO")).unwrap_err();
    assert!(matches!(&error, Error::EditedTree { files, .. } if files == " M a.c"), "{error}");
    assert_eq!(fs::read_to_string(path.join("a.c")).unwrap(), "an hour's work\n");
}

#[test]
fn truncated_archive_is_an_error_and_leaves_no_tree() {
    let fixture = Fixture::new();
    let whole = tarball(FILES);
    fixture.write("linux.tar", &whole[..700]);
    let error = fixture.tree("linux.tar", Series::default()).unwrap_err();
    assert!(error.to_string().contains("truncated"), "{error}");
    fixture.write("linux.tar", &whole);
    assert_eq!(second_line(&fixture.tree("linux.tar", Series::default()).unwrap()), "two");
}

#[test]
fn archive_without_a_kernel_is_refused() {
    let fixture = Fixture::new();
    fixture.write("other.tar", tarball(&[("README", "hello\n")]));
    let error = fixture.tree("other.tar", Series::default()).unwrap_err();
    assert!(
        error.to_string().ends_with("is not a kernel source: there is no Makefile at its top"),
        "{error}"
    );
}

#[test]
fn source_directory_is_followed_and_never_written_to() {
    let fixture = Fixture::with_source(FILES);
    fixture.write("source/.gitignore", "*.o\n");
    fixture.write("source/a.o", "object");
    let before = times(&fixture.path("source"));

    let tree = fixture.tree("source", fixture.series("TWO")).unwrap();
    assert_eq!(second_line(&tree), "TWO");
    assert!(!tree.path.join("a.o").exists());
    assert_eq!(times(&fixture.path("source")), before);
    let (path, identity) = (tree.path.clone(), tree.identity.clone());
    drop(tree);

    fixture.write("source/a.c", "one\ntwo\nthree\nfour\n");
    let tree = fixture.tree("source", Series::default()).unwrap();
    assert_eq!(fs::read_to_string(path.join("a.c")).unwrap().lines().count(), 4);
    assert_ne!(tree.identity, identity);
}

/// An excerpt of Debian's.
const IGNORES_EVERYTHING: &str = "*.o\n/*\n!/debian/\n";

#[test]
fn tracked_files_are_copied_even_if_ignored() {
    let fixture = Fixture::with_source(FILES);
    fixture.write("source/.gitignore", IGNORES_EVERYTHING);
    let error = fixture.tree("source", Series::default()).unwrap_err();
    assert!(error.to_string().contains("its .gitignore names its own Makefile"), "{error}");

    let source = fixture.path("source");
    read(git(&source).args(["init", "-q"]), b"").unwrap();
    read(git(&source).args(["add", "--force", "--all", "."]), b"").unwrap();
    fixture.write("source/a.o", "object");
    let tree = fixture.tree("source", fixture.series("TWO")).unwrap();
    assert_eq!(second_line(&tree), "TWO");
    assert!(!tree.path.join("a.o").exists());
    let path = tree.path.clone();
    drop(tree);

    fs::remove_file(source.join("a.c")).unwrap();
    fixture.tree("source", Series::applied()).unwrap();
    assert!(!path.join("a.c").exists());
}

fn commit(directory: &Path) -> String {
    read(git(directory).args(["init", "-q", "--initial-branch=topic"]), b"").unwrap();
    read(git(directory).args(["add", "--all", "."]), b"").unwrap();
    let author = ["-c", "user.name=x", "-c", "user.email=x@example.org"];
    read(git(directory).args(author).args(["commit", "-qm", "Change"]), b"").unwrap();
    read(git(directory).args(["rev-parse", "HEAD"]), b"").unwrap()
}

impl Fixture {
    /// Returns the tree for a series of these commits in the repository `source`.
    fn range(&self, range: &str) -> Result<Tree> {
        let series = Series::given(range, &self.path("source"))?;
        let origin = Some(Origin::below(&series, &self.path("source"))?);
        let request = BuildRequest { origin, ..self.request("source", series)? };
        tree(&request, &self.path("cache"), &NoProgress)
    }
}

#[test]
fn range_of_the_source_is_applied_to_its_begin() {
    let fixture = Fixture::with_source(FILES);
    let source = fixture.path("source");
    let old = commit(&source);
    fixture.write("source/a.c", "one\nTWO\nthree\n");
    fixture.write("source/b.c", "new\n");
    let new = commit(&source);
    fixture.write("source/a.c", "edited, and not committed\n");
    let before = times(&source);

    let tree = fixture.range(&format!("{old}..topic")).unwrap();
    assert_eq!(second_line(&tree), "TWO");
    let base = read(git(&tree.path).args(["show", &format!("{}:a.c", tree.base)]), b"").unwrap();
    assert_eq!(base, "one\ntwo\nthree");
    drop(tree);

    // Files of the new base are added, and those that it lacks are removed.
    fs::remove_file(source.join("b.c")).unwrap();
    fixture.write("source/a.c", "one\nThree\n");
    commit(&source);
    let tree = fixture.range(&format!("{new}..")).unwrap();
    assert_eq!(second_line(&tree), "Three");
    assert!(!tree.path.join("b.c").exists());
    let base = read(git(&tree.path).args(["show", &format!("{}:b.c", tree.base)]), b"").unwrap();
    assert_eq!(base, "new");
    let (path, identity) = (tree.path.clone(), tree.identity.clone());
    drop(tree);

    read(git(&source).args(["checkout", "-q", &new]), b"").unwrap();
    let tree = fixture.tree("source", Series::default()).unwrap();
    assert_eq!((&tree.path, &tree.identity), (&path, &identity));
    drop(tree);
    assert_eq!(times(&source)["Makefile"], before["Makefile"]);
}

#[test]
fn range_begins_at_the_merge_base() {
    let fixture = Fixture::with_source(FILES);
    let source = fixture.path("source");
    let fork = commit(&source);
    read(git(&source).args(["branch", "main"]), b"").unwrap();
    fixture.write("source/a.c", "one\nTWO\nthree\n");
    commit(&source);
    read(git(&source).args(["checkout", "-q", "main"]), b"").unwrap();
    fixture.write("source/a.c", "another\n");
    commit(&source);
    let series = Series::given("main..topic", &source).unwrap();
    assert_eq!(series.begins_with(), Some(fork.as_str()));
    assert_eq!(second_line(&fixture.range("main..topic").unwrap()), "TWO");
    assert_eq!(fs::read_to_string(source.join("a.c")).unwrap(), "another\n");
}

#[test]
fn range_without_a_kernel_at_its_begin_is_refused() {
    let fixture = Fixture::with_source(&[("README", "hello\n")]);
    let source = fixture.path("source");
    let first = commit(&source);
    FILES.iter().for_each(|(name, contents)| _ = fixture.write(format!("source/{name}"), contents));
    commit(&source);
    let error = fixture.range(&format!("{first}..")).unwrap_err().to_string();
    assert!(error.ends_with(&format!(
        "there is no Makefile at the top of its commit {first}, where the series begins"
    )));
    read(git(&source).args(["checkout", "-q", "--orphan", "other"]), b"").unwrap();
    commit(&source);
    let error = fixture.range("topic..other").unwrap_err().to_string();
    assert!(error.contains("its two ends have no commit in common"), "{error}");
}

#[rstest]
#[case::some("*.o\n")]
#[case::everything(IGNORES_EVERYTHING)]
fn unreadable_repository_is_refused_as_a_source(#[case] ignores: &str) {
    let fixture = Fixture::with_source(FILES);
    fixture.write("source/.gitignore", ignores);
    fixture.write("source/.git", "gitdir: /nowhere\n");
    let error = fixture.tree("source", Series::default()).unwrap_err().to_string();
    assert!(
        error.contains("can't list the files of its repository (not a git repository: /nowhere)"),
        "{error}"
    );
}

#[test]
fn git_progress_line_is_parsed() {
    assert_eq!(updated("Updating files:  12% (10080/84000)"), Some((10080, 84000)));
    assert_eq!(updated("HEAD is now at 1234567 Change"), None);
}
