use std::{
    fs::{self, Permissions},
    os::unix::fs::PermissionsExt,
};

use super::*;
use crate::{NoProgress, testutil::Fixture};

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

fn fixture() -> Option<Fixture> {
    let fixture = Fixture::to_make(FILES)?;
    fs::set_permissions(fixture.path("source/scripts/kernel-doc"), Permissions::from_mode(0o755)).unwrap();
    Some(fixture)
}

impl Fixture {
    fn patch(&self, number: usize, file: &str, first: &str, line: &str) {
        self.write_patch(number, file, &format!("@@ -1 +1,2 @@\n+{line}\n {first}"));
    }

    fn check(&self, patches: RangeInclusive<usize>) -> Result<Report> {
        let check = Check {
            kernel: &self.kernel,
            origin: Some(Origin::at(&self.path("source"))?),
            series: self.patches()?,
            subsystem: None,
            patches,
            jobs: 1,
        };
        let mut rows = Vec::new();
        let on_row = |row: &Row| rows.push(row.clone());
        let report = super::check(&check, &self.path("cache"), &NoProgress, on_row)?;
        assert_eq!(rows, report.rows);
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
fn diagnostic_is_attributed_to_its_patch() {
    let Some(fixture) = fixture() else { return };
    fixture.patch(1, "security/keys/a.c", "one", "WARN new");
    fixture.patch(2, "fs/exec.c", "one", "UNDOCUMENTED");
    fixture.patch(3, "fs/exec.c", "UNDOCUMENTED", "UGLY");
    let report = fixture.check(1..=3).unwrap();
    let found = complaints(&report);
    let expected = [
        (1, CheckKind::On, "security/keys/a.c:1:1: warning: WARN new"),
        (1, CheckKind::Off, "security/keys/a.c:1:1: warning: WARN new"),
        (2, CheckKind::Docs, "fs/exec.c:1: warning: not described"),
        (3, CheckKind::Style, "0003-x.patch:12: WARNING:UGLY: ugly"),
    ];
    assert_eq!(found, expected.map(|(number, aspect, line)| (number, aspect, line.to_owned())));
    assert!(report.failed());

    assert_eq!(fixture.check(2..=2).unwrap().rows.len(), 1);
}

#[test]
fn check_continues_after_a_patch_that_does_not_compile() {
    let Some(fixture) = fixture() else { return };
    fixture.patch(1, "fs/exec.c", "one", "BREAK");
    fixture.patch(2, "security/keys/a.c", "one", "fine");
    let report = fixture.check(1..=2).unwrap();
    let found = complaints(&report);
    assert!(found[0].2.starts_with("it does not compile; the whole log: "), "{found:?}");
    assert_eq!(report.rows[1].outcomes[4], (CheckKind::Style, Outcome::Clean));
}

#[test]
fn check_stops_at_a_patch_that_does_not_apply() {
    let Some(fixture) = fixture() else { return };
    fixture.patch(1, "fs/exec.c", "one", "fine");
    fixture.patch(2, "fs/exec.c", "elsewhere", "x");
    fixture.patch(3, "fs/exec.c", "one", "x");
    let report = fixture.check(1..=3).unwrap();
    assert_eq!(report.rows.len(), 2);
    let found = complaints(&report);
    assert_eq!((found[0].0, found[0].1), (2, CheckKind::Applies));
    assert_eq!(report.clang, Outcome::Skipped("not all patches apply".into()));
}

#[test]
fn unknown_patch_numbers_are_refused() {
    let Some(fixture) = fixture() else { return };
    fixture.patch(1, "fs/exec.c", "one", "fine");
    let error = fixture.check(1..=2).unwrap_err();
    assert!(error.to_string().ends_with("has 1 patches: there are none with those numbers"), "{error}");
}
