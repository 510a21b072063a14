//! Directories and files that a series is read from.

use super::*;

#[test]
fn directory_is_read_in_the_order_of_numbers() {
    let fixture = Fixture::new();
    let unnumbered =
        |number: usize| sample(number).subject(&format!("keys: Change {number} =at length=")).plain();
    let write_all = |directory: &str, names: [&str; 3], mail: &dyn Fn(usize) -> String| {
        let write =
            |(number, name): (usize, &&str)| fixture.write(&format!("{directory}/{name}"), mail(number + 1));
        names.iter().enumerate().for_each(|one| drop(write(one)));
    };
    write_all("natural", ["1.patch", "2.diff", "10.patch"], &unnumbered);
    write_all("named at random", ["c.eml", "a.eml", "b.eml"], &|number| sample(number).base64());
    write_all("crlf", ["1.patch", "2.patch", "3.patch"], &|number| unnumbered(number).replace('\n', "\r\n"));
    write_all("maildir/new", ["9", "8", "7"], &|number| sample(number).plain());
    fs::create_dir(fixture.path().join("maildir/cur")).unwrap();
    fixture.write("one file/all.patch", series_of(Sample::plain));
    for directory in ["natural", "named at random", "crlf", "maildir", "one file"] {
        let series = fixture
            .given(&fixture.path().join(directory))
            .unwrap_or_else(|error| panic!("{directory}: {error}"));
        assert_eq!(fixture.summary(&series), expected(), "{directory}");
    }

    fixture.write("natural/0000-cover-letter.patch", "Subject: [PATCH 0/3] x\n\nwords\n");
    fixture.write("natural/README", "words\n");
    fixture.write("natural/2.diff.orig", unnumbered(2));
    let series = fixture.given(&fixture.path().join("natural")).unwrap();
    let names: Vec<_> = series.patches().iter().map(|patch| patch.name.as_str()).collect();
    assert_eq!(names, ["1.patch", "2.diff", "10.patch"]);
    let left_out = "cover letter `0000-cover-letter.patch`; file with a diff that is not named like a patch: `2.diff.orig`";
    assert_eq!(series.left_out().as_deref(), Some(left_out));
    assert!(Series::read(&fixture.path().join("none")).unwrap().is_empty());

    fs::remove_file(fixture.path().join("named at random/a.eml")).unwrap();
    let error = fixture.given(&fixture.path().join("named at random")).unwrap_err().to_string();
    assert!(error.ends_with(": patch 2 of 3 is missing"), "{error}");
}

#[test]
fn quilt_series_file_is_followed() {
    let fixture = Fixture::new();
    let unified = |number: usize| {
        let diff = body(number);
        let (_, hunks) = diff.split_once("+++ b/a.c\n").unwrap();
        format!(
            "Zo\u{eb} knows\n\nIndex: linux/a.c\n====\n--- linux.orig/a.c\t2024-01-01 00:00:00\n+++ linux/a.c\n{hunks}"
        )
    };
    fixture.write("q/b.patch", unified(1));
    fixture.write("q/sub/a.diff.gz", gzipped(&unified(2)));
    fixture.write("q/c.patch", sample(3).subject("[PATCH 7/9] keys: Three").plain());
    fixture.write("q/unlisted.patch", unified(3));
    fixture.write("q/series", "# mine\nb.patch -p1 # first\n\n sub/a.diff.gz\t-p ab\nc.patch\n");
    for path in ["q", "q/series"] {
        let series = fixture.given(&fixture.path().join(path)).unwrap();
        let summary = fixture.summary(&series);
        assert!(summary.ends_with(lines(&[8, 16, 24]).trim_end()), "{summary}");
        assert!(summary.starts_with("unknown unknown@localhost 1970-01-01T00:00:00"), "{summary}");
        let titles: Vec<_> = series.patches().iter().map(|patch| patch.title.as_str()).collect();
        assert_eq!(titles, ["b", "a", "keys: Three"]);
        let left_out = "file that `series` does not list: `unlisted.patch`";
        assert_eq!(series.left_out().as_deref(), Some(left_out));
    }
    // As in a source with quilt: the patches lie in a directory of their own, and the list may have
    // any name.
    fixture.write("source/patches/a.diff", unified(1));
    let list = fixture.write("source/my-order", "a.diff\n");
    assert_eq!(fixture.given(&list).unwrap().patches()[0].title, "a");
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
        let path = fixture.write("q/series", list);
        let error = fixture.given(&path).unwrap_err().to_string();
        let expected = why.replace("LIST", path.to_str().unwrap());
        assert!(error.ends_with(&format!(": {expected}")), "{error}");
    }
}

#[test]
fn diff_without_header_is_titled_by_its_file_name() {
    let fixture = Fixture::new();
    let body = body(1);
    let series =
        fixture.given(&fixture.write("fix.diff", &body[body.find("diff --git").unwrap()..])).unwrap();
    assert_eq!(series.patches()[0].title, "fix");
    assert_eq!(series.patches()[0].file_name(1), "0001-fix.patch");
    let summary = fixture.summary(&series);
    assert!(summary.ends_with(lines(&[8]).trim_end()), "{summary}");
}

#[test]
fn huge_file_without_a_patch_name_is_not_read_whole() {
    let fixture = Fixture::new();
    fixture.write("d/1.patch", sample(1).plain().replace("1/3", "1/1"));
    fixture.write("d/log", "words\n".repeat(20_000) + &body(2));
    assert_eq!(fixture.given(&fixture.path().join("d")).unwrap().left_out(), None);
}

#[test]
fn missing_file_has_its_own_error() {
    let fixture = Fixture::new();
    let why = |name: &str, repository: &Path| Series::given(name, repository).unwrap_err().to_string();
    let repository = fixture.path();
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
    assert!(why(&format!("{0}..{0}", fixture.base), repository).ends_with(": there is no patch in it"));
    let range = why("nowhere..there", repository);
    let unknown =
        format!("git finds no such commits in {}: bad revision 'nowhere..there'", repository.display());
    assert!(range.ends_with(&unknown), "{range}");
    let unrelated = commit_file(repository, "x\n", "unrelated", &[]);
    assert!(
        why(&format!("{unrelated}..{}", fixture.base), repository)
            .contains(": its two ends have no commit in common in ")
    );
}
