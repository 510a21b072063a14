use std::{fs, path::PathBuf};

use super::*;
use crate::{Kernels, Silent};

/// Stands in for a kernel. Its compiler is grep: it complains about every line that has `WARN` in it and breaks on `BREAK`.
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

struct Bench {
    directory: tempfile::TempDir,
    kernel: Named,
}

impl Bench {
    fn new() -> Self {
        let kernel = Kernels::load().unwrap().get_or_default(None).unwrap().clone();
        let bench = Self { directory: tempfile::tempdir().unwrap(), kernel };
        for (name, contents) in [
            ("Makefile", MAKEFILE),
            ("Kconfig", "\n"),
            ("scripts/checkpatch.pl", CHECKPATCH),
            ("scripts/kernel-doc", KERNEL_DOC),
            ("security/keys/Kconfig", "config KEYS\n"),
            ("security/keys/a.c", "one\nWARN old\n"),
            ("fs/exec.c", "one\nWARN old\n"),
        ] {
            let path = bench.source().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, contents).unwrap();
        }
        std::process::Command::new("chmod")
            .arg("+x")
            .arg(bench.source().join("scripts/kernel-doc"))
            .status()
            .unwrap();
        bench
    }

    fn source(&self) -> PathBuf {
        self.directory.path().join("source")
    }

    /// A patch that puts a line at the top of a file.
    fn patch(&self, number: usize, file: &str, first: &str, line: &str) {
        let mail = format!(
            "From: Z <z@example.org>\nDate: Fri, 1 Jul 2022 10:00:00 +0200\nSubject: [PATCH] Change\n\nWhy.\n---\n\
             diff --git a/{file} b/{file}\n--- a/{file}\n+++ b/{file}\n@@ -1 +1,2 @@\n+{line}\n {first}\n-- \n2\n"
        );
        let series = self.directory.path().join("series");
        fs::create_dir_all(&series).unwrap();
        fs::write(series.join(format!("{number:04}-x.patch")), mail).unwrap();
    }

    fn check(&self, patches: RangeInclusive<usize>) -> Result<Report> {
        let check = Check {
            kernel: &self.kernel,
            origin: Some(Origin::at(&self.source())?),
            series: Series::read(&self.directory.path().join("series"))?,
            patches,
            jobs: 1,
        };
        let mut told = Vec::new();
        let tell = |row: &Row| told.push(row.clone());
        let report = super::check(&check, &self.directory.path().join("cache"), &Silent, tell)?;
        assert_eq!(told, report.rows);
        Ok(report)
    }
}

/// The complaints of each patch, with the aspect; sparse is not asked, since the machine may not have it.
fn complaints(report: &Report) -> Vec<(usize, Aspect, String)> {
    let mut all = Vec::new();
    for row in &report.rows {
        for (aspect, outcome) in row.outcomes.iter().filter(|(aspect, _)| *aspect != Aspect::Sparse) {
            if let Outcome::Failed(lines) = outcome {
                all.extend(lines.iter().map(|line| (row.number, *aspect, line.clone())));
            }
        }
    }
    all
}

#[test]
fn each_complaint_is_laid_to_the_patch_that_brings_it() {
    let bench = Bench::new();
    bench.patch(1, "security/keys/a.c", "one", "WARN new");
    bench.patch(2, "fs/exec.c", "one", "UNDOCUMENTED");
    bench.patch(3, "fs/exec.c", "UNDOCUMENTED", "UGLY");
    let report = bench.check(1..=3).unwrap();
    let found = complaints(&report);
    let expected = [
        (1, Aspect::On, "security/keys/a.c:1:1: warning: WARN new"),
        (1, Aspect::Off, "security/keys/a.c:1:1: warning: WARN new"),
        (2, Aspect::Docs, "fs/exec.c:1: warning: not described"),
        (3, Aspect::Style, "0003-x.patch:11: WARNING:UGLY: ugly"),
    ];
    assert_eq!(found, expected.map(|(number, aspect, line)| (number, aspect, line.to_owned())));
    assert!(report.failed());

    assert_eq!(bench.check(2..=2).unwrap().rows.len(), 1);
}

#[test]
fn a_patch_that_does_not_compile_does_not_stop_the_next_one() {
    let bench = Bench::new();
    bench.patch(1, "fs/exec.c", "one", "BREAK");
    bench.patch(2, "security/keys/a.c", "one", "fine");
    let report = bench.check(1..=2).unwrap();
    let found = complaints(&report);
    assert!(found[0].2.starts_with("it does not compile; the whole log: "), "{found:?}");
    assert_eq!(report.rows[1].outcomes[4], (Aspect::Style, Outcome::Clean));
}

#[test]
fn a_patch_that_does_not_apply_is_the_last_one() {
    let bench = Bench::new();
    bench.patch(1, "fs/exec.c", "one", "fine");
    bench.patch(2, "fs/exec.c", "elsewhere", "x");
    bench.patch(3, "fs/exec.c", "one", "x");
    let report = bench.check(1..=3).unwrap();
    assert_eq!(report.rows.len(), 2);
    let found = complaints(&report);
    assert_eq!((found[0].0, found[0].1), (2, Aspect::Applies));
    assert_eq!(report.clang, Outcome::Skipped("not all patches apply".into()));
}

#[test]
fn patches_that_there_are_not_are_refused() {
    let bench = Bench::new();
    bench.patch(1, "fs/exec.c", "one", "fine");
    let error = bench.check(1..=2).unwrap_err();
    assert!(error.to_string().ends_with("has 1 patches: there are none with those numbers"), "{error}");
}
