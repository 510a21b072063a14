//! Work tree with the series as commits for the user.

use std::{
    fs,
    path::{Path, PathBuf},
};

use crate::{
    Error, KernelSpec, Origin, Phase, Progress, Result, Series, Subsystem,
    export::{self, BASE_OF, KERNEL_OF, SUBSYSTEM_OF},
    source_clone::clone,
    subprocess::{git, read},
    tree::{self, Base},
};

const BRANCH: &str = "refs/heads/keyagents";

#[derive(Clone, Debug)]
pub struct Edit<'a> {
    pub kernel: &'a KernelSpec,
    /// The subsystem whose series becomes commits. The kernel's own series is below it then.
    pub subsystem: Option<Subsystem>,
    /// A source of the user's own in place of the named kernel's.
    pub origin: Option<Origin>,
    /// A directory that is empty or does not exist.
    pub directory: PathBuf,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edited {
    /// The commit below the series.
    pub base: String,
    /// Number of patches that became commits.
    pub patches: usize,
    /// The patches whose bytes [`export()`](crate::export()) would change without an edit.
    pub restyled: Vec<String>,
}

/// Makes a git repository in a directory of the user's with the series as commits on the branch
/// `keyagents`.
///
/// It is independent of the cache. [`export()`](crate::export()) writes its commits back as
/// patches.
pub fn edit(edit: &Edit<'_>, cache: &Path, progress: &dyn Progress) -> Result<Edited> {
    let directory = std::path::absolute(&edit.directory).map_err(Error::io("finding", &edit.directory))?;
    require_empty(&directory)?;
    let own = edit.kernel.series()?;
    let (below, series, place) = match edit.subsystem {
        None => (Series::default(), own, edit.kernel.series_directory()),
        Some(subsystem) => {
            let place = edit.kernel.subsystem_directory(subsystem)?;
            (own, Series::read(&place)?, place)
        }
    };
    let source = Base::prepare(edit.kernel, edit.origin.as_ref(), cache, progress)?;
    clone(&source, &directory)?;

    let count = |series: &Series| series.patches().len() as u64;
    progress.started(&Phase::Series, Some(count(&below) + count(&series)));
    let base = below.commit(&directory, &source.commit, |done| progress.done(done as u64))?;
    let head = series.commit(&directory, &base, |done| progress.done(count(&below) + done as u64))?;
    progress.finished();
    tree::check_out(&directory, &head, progress)?;
    read(git(&directory).args(["update-ref", BRANCH, &head]), b"")?;
    read(git(&directory).args(["symbolic-ref", "HEAD", BRANCH]), b"")?;
    read(git(&directory).args(["config", BASE_OF, &base]), b"")?;
    read(git(&directory).args(["config", KERNEL_OF, &edit.kernel.name]), b"")?;
    if let Some(subsystem) = edit.subsystem {
        read(git(&directory).args(["config", SUBSYSTEM_OF, subsystem.name()]), b"")?;
    }

    let restyled = export::restyled(&directory, &base, &place)?;
    Ok(Edited { base, patches: series.patches().len(), restyled })
}

fn require_empty(directory: &Path) -> Result<()> {
    let is_free = match fs::read_dir(directory) {
        Ok(mut entries) => entries.next().is_none(),
        Err(_) => !directory.exists(),
    };
    if is_free {
        return Ok(());
    }
    Err(Error::work_tree(directory, "it is not empty: name a directory that does not exist yet"))
}
