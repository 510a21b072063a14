//! Check of a series, patch by patch, with the tools of its maintainers.

mod compile;
mod scripts;
mod worktree;

use std::{ops::RangeInclusive, path::Path};

use self::{compile::Compiler, worktree::Worktree};
use crate::{
    Error, KernelSpec, Origin, Patch, Phase, Progress, Result, Series, Subsystem, diagnostics::Known,
    image::require_tools,
};

#[derive(Clone, Debug)]
pub struct Check<'a> {
    pub kernel: &'a KernelSpec,
    /// A source of the user's own in place of the named kernel's.
    pub origin: Option<Origin>,
    pub series: Series,
    /// The subsystem that is compiled, too.
    pub subsystem: Option<Subsystem>,
    /// Range of patches to check, counted from 1. The patches before them are applied and count as
    /// the base.
    pub patches: RangeInclusive<usize>,
    /// Number of parallel compilers.
    pub jobs: usize,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// One row for each checked patch. A patch that does not apply is the last one.
    pub rows: Vec<Row>,
    /// Build of the whole kernel with clang, after the last patch.
    pub clang: Outcome,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// Its number in the series, counted from 1.
    pub number: usize,
    /// Its file's name.
    pub patch: String,
    /// Outcome of each check. A patch that does not apply has only that one.
    pub outcomes: Vec<(CheckKind, Outcome)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CheckKind {
    /// It applies on top of the patches before it.
    Applies,
    /// With every option that the series adds on, it compiles without new warnings at W=1.
    On,
    /// The same with all of them off.
    Off,
    /// sparse has no new complaints.
    Sparse,
    /// `checkpatch.pl --strict` has no complaints.
    Style,
    /// `kernel-doc` has no new complaints.
    Docs,
}

impl CheckKind {
    pub const ALL: [Self; 6] = [Self::Applies, Self::On, Self::Off, Self::Sparse, Self::Style, Self::Docs];
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    Clean,
    Failed(Vec<String>),
    /// It was not done, for this reason.
    Skipped(String),
}

impl Report {
    pub fn failed(&self) -> bool {
        let outcomes = self.rows.iter().flat_map(|row| &row.outcomes).map(|(_, outcome)| outcome);
        outcomes.chain([&self.clang]).any(|outcome| matches!(outcome, Outcome::Failed(_)))
    }
}

impl Outcome {
    fn of(complaints: Vec<String>) -> Self {
        if complaints.is_empty() { Self::Clean } else { Self::Failed(complaints) }
    }
}

/// Checks a series. Reports each patch's row to `on_row` as soon as it is complete.
pub fn check(
    check: &Check<'_>,
    cache: &Path,
    progress: &dyn Progress,
    mut on_row: impl FnMut(&Row),
) -> Result<Report> {
    require_tools()?;
    let patches = check.series.patches();
    let (first, last) = (*check.patches.start(), *check.patches.end());
    if first == 0 || first > last || last > patches.len() {
        return Err(Error::NoSuchPatches { kernel: check.kernel.name.clone(), count: patches.len() });
    }
    let worktree = Worktree::open(check, cache, progress)?;
    let (commits, obstacle) = worktree.commits(&patches[..last])?;
    let applied = commits.len() - 1;

    let mut rows = Vec::new();
    if first <= applied {
        let mut inspection = Inspection::begin(&worktree, &commits[first - 1..], progress)?;
        for (index, patch) in patches.iter().enumerate().take(applied).skip(first - 1) {
            let what = format!("{} {}/{last} {}", check.kernel.name, index + 1, patch.name);
            progress.started(&Phase::Check { what }, None);
            let outcomes = inspection.patch(index + 1, patch, &commits[index], &commits[index + 1])?;
            progress.finished();
            let row = Row { number: index + 1, patch: patch.name.clone(), outcomes };
            on_row(&row);
            rows.push(row);
        }
    }
    let clang = match obstacle {
        Some(reason) => {
            let complaints = reason.to_string().lines().map(str::to_owned).collect();
            let outcomes = vec![(CheckKind::Applies, Outcome::Failed(complaints))];
            let row = Row { number: applied + 1, patch: patches[applied].name.clone(), outcomes };
            on_row(&row);
            rows.push(row);
            Outcome::Skipped("not all patches apply".into())
        }
        None if !compile::has_clang() => Outcome::Skipped("no clang".into()),
        None => {
            progress.started(&Phase::Check { what: format!("{} with clang", check.kernel.name) }, None);
            let outcome = compile::with_clang(&worktree)?;
            progress.finished();
            outcome
        }
    };
    Ok(Report { rows, clang })
}

/// A series under inspection. Each complaint is attributed to the patch with which it appears.
struct Inspection<'a> {
    worktree: &'a Worktree<'a>,
    on: Compiler<'a>,
    off: Compiler<'a>,
    docs: Known,
}

impl<'a> Inspection<'a> {
    /// Records the complaints about the base, in all files that the patches touch.
    fn begin(worktree: &'a Worktree<'a>, commits: &[String], progress: &dyn Progress) -> Result<Self> {
        let (Some(base), Some(last)) = (commits.first(), commits.last()) else {
            return Err(Error::NoSuchPatches { kernel: worktree.kernel().to_owned(), count: 0 });
        };
        let touched = worktree.touched(base, last)?;
        worktree.check_out(base)?;
        progress.started(
            &Phase::Check { what: format!("{}: what the base complains about", worktree.kernel()) },
            None,
        );
        let on = Compiler::begin(worktree, Switch::On, &touched)?;
        let off = Compiler::begin(worktree, Switch::Off, &touched)?;
        let mut docs = Known::default();
        docs.new_ones(scripts::kernel_doc(worktree, &touched)?);
        progress.finished();
        Ok(Self { worktree, on, off, docs })
    }

    fn patch(
        &mut self,
        number: usize,
        patch: &Patch,
        before: &str,
        commit: &str,
    ) -> Result<Vec<(CheckKind, Outcome)>> {
        let touched = self.worktree.touched(before, commit)?;
        self.worktree.check_out(commit)?;
        let on = self.on.compile()?;
        let off = self.off.compile()?;
        let style = scripts::checkpatch(self.worktree, number, patch)?;
        let docs = self.docs.new_ones(scripts::kernel_doc(self.worktree, &touched)?);
        let sparse = match on.sparse {
            Some(complaints) => Outcome::of(complaints),
            None => Outcome::Skipped("no sparse".into()),
        };
        Ok(vec![
            (CheckKind::Applies, Outcome::Clean),
            (CheckKind::On, Outcome::of(on.compiler)),
            (CheckKind::Off, Outcome::of(off.compiler)),
            (CheckKind::Sparse, sparse),
            (CheckKind::Style, Outcome::of(style)),
            (CheckKind::Docs, Outcome::of(docs)),
        ])
    }
}

/// Setting of the options that the series adds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Switch {
    On,
    Off,
}

#[cfg(test)]
mod tests;
