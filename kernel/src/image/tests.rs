use std::sync::Mutex;

use super::*;
use crate::{NoProgress, Phase, Series, testutil::Fixture};

/// Makefile of a fake kernel with the required targets, which records each build.
const MAKEFILE: &str = "\
allnoconfig:
\t@grep -v CONFIG_UNIX= $(KCONFIG_ALLCONFIG) > $(O)/.config; cat $(EXTRA) >> $(O)/.config
bzImage:
\t@mkdir -p $(O)/arch/x86/boot $(O)/include/config
\t@echo '  CC      a.o'; echo build >> $(O)/builds
\t@test ! -e broken.c || { echo 'broken.c:1:2: error: expected expression' >&2; false; }
\t@test -e $(O)/a.o || { touch $(O)/a.o; sed 's|^|$(CURDIR)/|' shown >&2 2>/dev/null || true; }
\t@echo image > $(O)/arch/x86/boot/bzImage; cp /bin/true $(O)/vmlinux
\t@echo 1.2.3-keyagents > $(O)/include/config/kernel.release
modules:
\t@: > $(O)/modules.order
EXTRA = extra.config
";

fn fixture() -> Option<Fixture> {
    let kconfig = "config UNIX\n\tbool\n";
    Fixture::to_make(&[("Makefile", MAKEFILE), ("Kconfig", kconfig), ("extra.config", "CONFIG_UNIX=y\n")])
}

impl Fixture {
    fn image(&self) -> Result<Image> {
        image(&self.request("source", Series::default())?, &self.path("cache"), &NoProgress)
    }

    /// Returns the number of times that make ran for the image.
    fn builds(&self) -> usize {
        let builds = fs::read_dir(self.path("cache/builds")).unwrap();
        let directory = builds.map(|entry| entry.unwrap().path()).next().unwrap();
        fs::read_to_string(directory.join("builds")).unwrap().lines().count()
    }
}

#[test]
fn image_is_built_once_for_equal_inputs() {
    let Some(fixture) = fixture() else { return };
    let first = fixture.image().unwrap();
    assert_eq!(fs::read_to_string(&first.path).unwrap(), "image\n");
    assert_eq!(first.release, "1.2.3-keyagents");
    assert_eq!(fixture.image().unwrap(), first);
    assert_eq!(fixture.builds(), 1);

    fixture.write("source/a.c", "");
    let second = fixture.image().unwrap();
    assert_ne!(second.key, first.key);
    assert_eq!(fixture.builds(), 2);
    assert!(first.path.exists());
}

#[test]
fn deleted_image_is_built_again() {
    let Some(fixture) = fixture() else { return };
    let first = fixture.image().unwrap();
    fs::remove_file(first.path.with_file_name("release")).unwrap();
    assert_eq!(fixture.image().unwrap(), first);
    assert_eq!(fixture.builds(), 2);
}

#[test]
fn dropped_option_prevents_the_build() {
    let Some(fixture) = fixture() else { return };
    fixture.write("source/extra.config", "# CONFIG_UNIX is not set\n");
    let error = fixture.image().unwrap_err().to_string();
    assert!(error.contains("base.config:"), "{error}");
    let wanted = "CONFIG_UNIX=y was requested, and the final .config has n (its dependencies are not met)";
    assert!(error.ends_with(wanted), "{error}");
}

#[test]
fn failed_build_shows_the_error_and_the_log() {
    let Some(fixture) = fixture() else { return };
    fixture.write("source/broken.c", "");
    let error = fixture.image().unwrap_err();
    let Error::Build { first, log, .. } = &error else { panic!("{error}") };
    assert_eq!(first[0], "broken.c:1:2: error: expected expression");
    assert!(fs::read_to_string(log).unwrap().contains("  CC      a.o\n"));

    fs::remove_file(fixture.path("source/broken.c")).unwrap();
    fixture.image().unwrap();
}

/// Records notes, and cancels a build on request.
#[derive(Default)]
struct Notes {
    notes: Mutex<Vec<String>>,
    cancels: bool,
}

impl Progress for Notes {
    fn started(&self, _: &Phase, _: Option<u64>) {}
    fn done(&self, _: u64) {}
    fn finished(&self) {}

    fn note(&self, text: &str) {
        self.notes.lock().unwrap().push(text.to_owned());
    }

    fn is_cancelled(&self) -> bool {
        self.cancels
    }
}

#[test]
fn warnings_in_series_files_are_noted_for_built_and_cached_images() {
    let Some(fixture) = fixture() else { return };
    fixture.write("source/a.c", "one\ntwo\n");
    fixture.write_patch(1, "a.c", "@@ -1,2 +1,2 @@\n one\n-two\n+TWO");
    fixture.write(
        "source/shown",
        "a.c:2:1: warning: unused\nb.c:1:1: warning: not the series'\na.c:2:1: note: x\n",
    );
    let noted = || {
        let notes = Notes::default();
        let request = fixture.request("source", fixture.patches().unwrap()).unwrap();
        let image = image(&request, &fixture.path("cache"), &notes).unwrap();
        let notes = notes.notes.into_inner().unwrap();
        (image, notes.into_iter().filter(|note| note.contains("warning")).collect::<Vec<_>>())
    };
    let (built, shown) = noted();
    let name = &fixture.kernel.name;
    assert_eq!(shown, [format!("kernel {name} x86_64: a.c:2:1: warning: unused")]);
    assert_eq!(noted(), (built.clone(), shown.clone()));
    assert_eq!(fixture.builds(), 1);

    // The object with the warning is up to date.
    fixture.write("source/other.c", "");
    let (other, again) = noted();
    assert_eq!((fixture.builds(), again), (2, shown));
    assert_ne!(other.key, built.key);

    fixture.write("source/shown", "");
    assert_eq!(noted().1, Vec::<String>::new());
}

#[test]
fn cancelled_build_is_stopped() {
    let Some(fixture) = fixture() else { return };
    let request = fixture.request("source", Series::default()).unwrap();
    let cancelled = Notes { cancels: true, ..Notes::default() };
    let error = image(&request, &fixture.path("cache"), &cancelled).unwrap_err();
    assert!(matches!(error, Error::Cancelled), "{error}");
    assert!(fixture.image().is_ok());
}

#[test]
fn image_with_mutants_has_those_that_compile_and_leaves_the_tree_as_it_was() {
    let Some(fixture) = fixture() else { return };
    let compile = "%.o: %.c\n\t@mkdir -p $(O)/$(@D); gcc -c -DEIO=5 -o $(O)/$@ $(CURDIR)/$<\n";
    fixture.write("source/Makefile", format!("{MAKEFILE}\n{compile}"));
    fixture.write("source/lib/Makefile", "");
    fixture.write("source/security/keys/Makefile", "");
    fixture.write("source/a.c", "struct id { int n; };\nint g(int);\n");
    let added = "int f(struct id id)\n{\n\tstruct { struct id id; int n; } s = { .id = id, .n = 7 };\n\tg(s.n);\n\treturn 0;\n}\n";
    let hunk: String = added.lines().map(|line| format!("+{line}\n")).collect();
    fixture.write_patch(
        1,
        "a.c",
        &format!("@@ -1,2 +1,8 @@\n struct id {{ int n; }};\n int g(int);\n{}", hunk.trim_end()),
    );
    let series = fixture.patches().unwrap();
    let request = BuildRequest { profile: Profile::Mutants, ..fixture.request("source", series).unwrap() };
    let cache = fixture.path("cache");
    let image = image(&request, &cache, &NoProgress).unwrap();

    let set = image.mutants().unwrap();
    let originals = |compiled: bool| {
        let of = set.mutants.iter().filter(|mutant| set.is_compiled(mutant.id) == compiled);
        of.map(|mutant| (mutant.line, mutant.original.as_str())).collect::<Vec<_>>()
    };
    assert_eq!(originals(false), [(5, "id")]);
    assert!(originals(true).contains(&(6, "g(s.n);")), "{set:?}");
    // Without a build they have the same numbers.
    let listed = mutants(&request, &cache, &NoProgress).unwrap();
    assert_eq!(listed.mutants, set.mutants);
    let tree = crate::whereabouts(&request, &cache).unwrap().unwrap();
    assert_eq!(
        fs::read_to_string(tree.join("a.c")).unwrap(),
        format!("struct id {{ int n; }};\nint g(int);\n{added}")
    );
    assert!(!tree.join("lib/mutants.c").exists());
}
