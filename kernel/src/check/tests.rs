use std::{
    fs::{self, Permissions},
    os::unix::fs::PermissionsExt,
};

use super::*;
use crate::{
    NoProgress,
    testutil::{Bench, lacks_make},
};

/// Makefile of a fake kernel. Its compiler is grep: it complains about every line with `WARN` and
/// fails on `BREAK`.
const MAKEFILE: &str = "\
allnoconfig:
\t@cp $(KCONFIG_ALLCONFIG) $(O)/.config
security/keys/: FORCE
\t@mkdir -p $(O)/$@; for file in $@*.c; do $(MAKE) -s $${file%.c}.o O=$(O) C=$(C) CHECK=\"$(CHECK)\" || exit 1; done
%.o: %.c
\t@mkdir -p $(O)/$(@D); echo '  CC      $@'
\t@grep -n WARN $< | sed 's|^\\([0-9]*\\):\\(.*\\)|'$(CURDIR)/$<':\\1:1: warning: \\2|'
\t@! grep -q BREAK $<
\t@touch $(O)/$@
FORCE:
";
const CHECKPATCH: &str =
    "while (<>) { print \"$ARGV:$.: WARNING:UGLY: ugly\\n\" and $bad = 1 if /UGLY/ } exit $bad;\n";
const KERNEL_DOC: &str = "#!/bin/sh\nshift; grep -Hn UNDOCUMENTED \"$@\" | \
                          sed 's/:\\([0-9]*\\):.*/:\\1: warning: not described/' >&2\n";

const FILES: &[(&str, &str)] = &[
    ("Makefile", MAKEFILE),
    ("Kconfig", "\n"),
    ("scripts/checkpatch.pl", CHECKPATCH),
    ("scripts/kernel-doc", KERNEL_DOC),
    ("security/keys/Kconfig", "config KEYS\n"),
    ("security/keys/a.c", "one\nWARN old\n"),
    ("fs/exec.c", "one\nWARN old\n"),
];

fn bench() -> Bench {
    let bench = Bench::with_source(FILES);
    fs::set_permissions(bench.path("source/scripts/kernel-doc"), Permissions::from_mode(0o755)).unwrap();
    bench
}

impl Bench {
    /// Returns a patch that puts a line at the top of a file.
    fn patch(&self, number: usize, file: &str, first: &str, line: &str) {
        self.write_patch(number, file, &format!("@@ -1 +1,2 @@\n+{line}\n {first}"));
    }

    fn check(&self, patches: RangeInclusive<usize>) -> Result<Report> {
        let check = Check {
            kernel: &self.kernel,
            origin: Some(Origin::at(&self.path("source"))?),
            series: self.patches()?,
            patches,
            jobs: 1,
        };
        let mut told = Vec::new();
        let tell = |row: &Row| told.push(row.clone());
        let report = super::check(&check, &self.path("cache"), &NoProgress, tell)?;
        assert_eq!(told, report.rows);
        Ok(report)
    }
}

/// Returns the complaints of each patch by check. sparse is left out, since the machine may not
/// have it.
fn complaints(report: &Report) -> Vec<(usize, CheckKind, String)> {
    let mut all = Vec::new();
    for row in &report.rows {
        for (aspect, outcome) in row.outcomes.iter().filter(|(aspect, _)| *aspect != CheckKind::Sparse) {
            if let Outcome::Failed(lines) = outcome {
                all.extend(lines.iter().map(|line| (row.number, *aspect, line.clone())));
            }
        }
    }
    all
}

#[test]
fn each_complaint_is_laid_to_the_patch_that_brings_it() {
    if lacks_make() {
        return;
    }
    let bench = bench();
    bench.patch(1, "security/keys/a.c", "one", "WARN new");
    bench.patch(2, "fs/exec.c", "one", "UNDOCUMENTED");
    bench.patch(3, "fs/exec.c", "UNDOCUMENTED", "UGLY");
    let report = bench.check(1..=3).unwrap();
    let found = complaints(&report);
    let expected = [
        (1, CheckKind::On, "security/keys/a.c:1:1: warning: WARN new"),
        (1, CheckKind::Off, "security/keys/a.c:1:1: warning: WARN new"),
        (2, CheckKind::Docs, "fs/exec.c:1: warning: not described"),
        (3, CheckKind::Style, "0003-x.patch:12: WARNING:UGLY: ugly"),
    ];
    assert_eq!(found, expected.map(|(number, aspect, line)| (number, aspect, line.to_owned())));
    assert!(report.failed());

    assert_eq!(bench.check(2..=2).unwrap().rows.len(), 1);
}

#[test]
fn a_patch_that_does_not_compile_does_not_stop_the_next_one() {
    if lacks_make() {
        return;
    }
    let bench = bench();
    bench.patch(1, "fs/exec.c", "one", "BREAK");
    bench.patch(2, "security/keys/a.c", "one", "fine");
    let report = bench.check(1..=2).unwrap();
    let found = complaints(&report);
    assert!(found[0].2.starts_with("it does not compile; the whole log: "), "{found:?}");
    assert_eq!(report.rows[1].outcomes[4], (CheckKind::Style, Outcome::Clean));
}

#[test]
fn a_patch_that_does_not_apply_is_the_last_one() {
    if lacks_make() {
        return;
    }
    let bench = bench();
    bench.patch(1, "fs/exec.c", "one", "fine");
    bench.patch(2, "fs/exec.c", "elsewhere", "x");
    bench.patch(3, "fs/exec.c", "one", "x");
    let report = bench.check(1..=3).unwrap();
    assert_eq!(report.rows.len(), 2);
    let found = complaints(&report);
    assert_eq!((found[0].0, found[0].1), (2, CheckKind::Applies));
    assert_eq!(report.clang, Outcome::Skipped("not all patches apply".into()));
}

#[test]
fn patches_that_there_are_not_are_refused() {
    if lacks_make() {
        return;
    }
    let bench = bench();
    bench.patch(1, "fs/exec.c", "one", "fine");
    let error = bench.check(1..=2).unwrap_err();
    assert!(error.to_string().ends_with("has 1 patches: there are none with those numbers"), "{error}");
}
