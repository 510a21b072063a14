use super::*;
use crate::{NoProgress, format_patch::format_patch};

/// Two kernels with a series each, in a git repository.
struct Bench {
    directory: tempfile::TempDir,
    kernels: [KernelSpec; 2],
}

const NAMES: [&str; 2] = ["2", "1"];

/// Beginning of `a.c`. Only git's attributes tell that the function is not `error`.
const TOP: &str = "int f(void)\nerror:\n 1\n 2\n 3\n";

/// Rest of `a.c` for each kernel, before the series.
const SOURCES: [&str; 2] = ["new\none\ntwo\nthree\nfour\n", "old\n\none\ntwo\nthree\nfour\n"];

impl Bench {
    /// Both series change `two` and then add a file. Kernel 1 changes `two` in its own manner.
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let spec = |name: &str| {
            let at = directory.path().display();
            let text = format!(
                "name = '{name}'\nseries = '{at}/series/{name}'\norigins = [{{ tarball = '{at}/{name}.tar' }}]"
            );
            toml::from_str(&text).unwrap()
        };
        let bench = Self { kernels: NAMES.map(spec), directory };
        for (name, source) in NAMES.into_iter().zip(SOURCES) {
            bench.write(&format!("sources/{name}/a.c"), &format!("{TOP}{source}"));
            bench.write(&format!("sources/{name}/.gitattributes"), "*.c diff=cpp\n");
            bench.write(&format!("sources/{name}/Makefile"), name);
            bench.write(&format!("sources/{name}/Kconfig"), "");
            bench.run("tar", &["-cf", &format!("{name}.tar"), "-C", "sources", name]);
            bench.write(&format!("series/{name}/0000-cover-letter.patch"), "Subject: cover\n");
        }
        bench.run("git", &["init", "-q"]);
        bench.commit_series(
            "2",
            &[("Change", "a.c", "new\none\nTWO\nthree\nfour\n"), ("Add", "b.c", "foo\n")],
        );
        let own = "old\n\none\nTWO /* own */\nthree\nfour\n";
        bench.commit_series("1", &[("Change", "a.c", own), ("Add", "b.c", "foo\n")]);
        bench
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn run(&self, program: &str, arguments: &[&str]) -> String {
        let mut command = std::process::Command::new(program);
        command.args(
            ["-c", "user.name=Z", "-c", "user.email=z@example.org"].iter().filter(|_| program == "git"),
        );
        command.env("GIT_AUTHOR_DATE", "@0 +0000").env("GIT_COMMITTER_DATE", "@0 +0000");
        read(command.args(arguments).current_dir(self.directory.path()), b"").unwrap()
    }

    /// Writes and commits the series of a kernel: titles, with the file that each patch changes and
    /// its text.
    fn commit_series(&self, name: &str, changes: &[(&str, &str, &str)]) {
        let tree = format!("trees/{name}");
        remove(&self.path(&tree)).unwrap();
        self.write(&format!("{tree}/x"), "");
        let git = |arguments: &[&str]| self.run("git", &[&["-C", &tree], arguments].concat());
        self.run("cp", &["-rT", &format!("sources/{name}"), &tree]);
        git(&["init", "-q"]);
        git(&["add", "."]);
        git(&["commit", "-qm", "base"]);
        let base = git(&["rev-parse", "HEAD"]);
        for (title, file, text) in changes {
            let top = if *file == "a.c" { TOP } else { "" };
            self.write(&format!("{tree}/{file}"), &format!("{top}{text}"));
            git(&["add", "."]);
            git(&["commit", "-qm", &format!("{title}\n\nBecause.")]);
        }
        for stale in patches(&self.path(&format!("series/{name}"))).unwrap() {
            fs::remove_file(self.path(&format!("series/{name}/{stale}"))).unwrap();
        }
        format_patch(&self.path(&tree), &format!("{base}..HEAD"), &self.path(&format!("series/{name}")))
            .unwrap();
        self.run("git", &["add", "series"]);
        self.run("git", &["commit", "-qm", "x", "--allow-empty"]);
    }

    fn backport(&self, start: Start) -> Result<Backported> {
        let [from, to] = &self.kernels;
        backport(&Backport { from, to }, start, &self.path("cache"), &NoProgress)
    }

    fn done(&self, start: Start) -> Exported {
        match self.backport(start).unwrap() {
            Backported::Done(exported) => exported,
            Backported::Stopped(conflict) => panic!("{conflict:?}"),
        }
    }

    fn series(&self) -> Vec<(String, String)> {
        let directory = self.path("series/1");
        let names = patches(&directory).unwrap();
        let read = |name: String| {
            let text = fs::read_to_string(directory.join(&name)).unwrap();
            (name, text)
        };
        names.into_iter().map(read).collect()
    }
}

#[test]
fn a_change_of_the_primary_series_is_applied_and_all_else_stays_byte_for_byte() {
    let bench = Bench::new();
    let before = bench.series();
    assert_eq!(bench.done(Start::New).written, Vec::<String>::new());
    assert_eq!(bench.series(), before);

    // A patch is changed, and one is new.
    bench.commit_series(
        "2",
        &[
            ("Change", "a.c", "new\none\nTWO\nthree\nfour\n"),
            ("Add", "b.c", "foo\nbar\n"),
            ("Last", "a.c", "new\none\nTWO\nthree\nFOUR\n"),
        ],
    );
    let exported = bench.done(Start::New);
    assert_eq!(exported.written, ["0002-Add.patch", "0003-Last.patch"]);
    let after = bench.series();
    assert_eq!(after[0], before[0]);
    assert!(after[1].1.contains("+foo\n+bar\n"), "{}", after[1].1);
    assert!(after[2].1.contains(" TWO /* own */\n three\n-four\n+FOUR\n"), "{}", after[2].1);
    assert!(bench.path("series/1/0000-cover-letter.patch").is_file());
    assert_eq!(bench.done(Start::New).written, Vec::<String>::new());
}

#[test]
fn notes_of_a_patch_stay() {
    let bench = Bench::new();
    let file = bench.path("series/1/0001-Change.patch");
    let text = fs::read_to_string(&file).unwrap().replace("---\n a.c", "---\nDiffers from 2: so.\n\n a.c");
    fs::write(&file, &text).unwrap();
    bench.done(Start::New);
    assert_eq!(fs::read_to_string(&file).unwrap(), text);
}

#[test]
fn a_conflict_stops_until_it_is_resolved_and_nothing_is_written_before() {
    let bench = Bench::new();
    bench.done(Start::New);
    let before = bench.series();
    bench
        .commit_series("2", &[("Change", "a.c", "new\none\n2\nthree\nfour\n"), ("Add", "b.c", "foo\nbar\n")]);
    let Backported::Stopped(conflict) = bench.backport(Start::New).unwrap() else { panic!("no conflict") };
    assert_eq!((conflict.patch.as_str(), &*conflict.files), ("0001-Change.patch", &["a.c".to_owned()][..]));
    assert_eq!(bench.series(), before);
    let refusal = |start| bench.backport(start).unwrap_err().to_string();
    assert!(refusal(Start::New).ends_with("a backport is under way: --continue or --abort it"));
    assert!(refusal(Start::Resolved).ends_with("resolve these files, then `git add -u`:\na.c"));

    let resolved = format!("{TOP}old\n\none\n2 /* own */\nthree\nfour\n");
    fs::write(conflict.tree.join("a.c"), resolved).unwrap();
    read(git(&conflict.tree).args(["add", "a.c"]), b"").unwrap();
    assert_eq!(bench.done(Start::Resolved).written, ["0001-Change.patch", "0002-Add.patch"]);
    let after = bench.series();
    assert!(after[0].1.contains("-two\n+2 /* own */\n") && after[1].1.contains("+bar\n"), "{after:?}");
}

#[test]
fn a_difference_stays_if_the_patches_before_it_were_changed_where_it_is() {
    let bench = Bench::new();
    bench.done(Start::New);
    bench.commit_series(
        "2",
        &[
            ("First", "a.c", "new\none\n2\nthree\nfour\n"),
            ("Change", "a.c", "new\none\nTWO\nthree\nFOUR\n"),
            ("Add", "b.c", "foo\n"),
        ],
    );
    bench.done(Start::New);
    let change = &bench.series()[1].1;
    for line in ["-2\n", "+TWO /* own */\n", "+FOUR\n"] {
        assert!(change.contains(line), "{change}");
    }
}

#[test]
fn a_backport_that_is_given_up_leaves_the_series_and_can_begin_again() {
    let bench = Bench::new();
    bench.done(Start::New);
    let before = bench.series();
    bench.commit_series("2", &[("Change", "a.c", "new\none\n2\nthree\nfour\n"), ("Add", "b.c", "foo\n")]);
    bench.backport(Start::New).unwrap();
    let abort = || abort(&bench.kernels[1], &bench.path("cache"), &NoProgress);
    abort().unwrap();
    assert_eq!(bench.series(), before);
    assert!(abort().unwrap_err().to_string().ends_with("no backport is under way"));
    assert!(matches!(bench.backport(Start::New).unwrap(), Backported::Stopped(_)));
}

#[test]
fn a_patch_that_the_primary_series_drops_goes_and_one_of_its_own_stays() {
    let bench = Bench::new();
    bench.commit_series(
        "1",
        &[
            ("Change", "a.c", "old\n\none\nTWO\nthree\nfour\n"),
            ("Own", "c.c", "own\n"),
            ("Add", "b.c", "foo\n"),
        ],
    );
    bench.done(Start::New);
    bench.commit_series("2", &[("Change", "a.c", "new\none\nTWO\nthree\nfour\n")]);
    let exported = bench.done(Start::New);
    assert_eq!(exported.removed, ["0003-Add.patch"]);
    let names: Vec<_> = bench.series().into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["0001-Change.patch", "0002-Own.patch"]);
}
