//! Kernel image selected on the command line.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::thread;

use anyhow::{Result, ensure};
use clap::{Args, ValueEnum};
use kernel::{
    Arch, BuildRequest, ChangedFile, Fragment, Image, KernelSpec, MutantSet, Origin, Patch, Series, Subsystem,
};
use scenarios::scenario::Scenario;

use crate::artifacts::kernel_choice;
use crate::host::completion;
use crate::host::terminal::Terminal;

/// Kernel, source, series and profile of an image.
#[derive(Debug, Clone, Default, PartialEq, Eq, Args)]
pub struct KernelOptions {
    /// A kernel of kernel/kernels.toml, such as 6.12 [default: the first that this machine can have]
    #[arg(long, value_name = "NAME", add = completion::kernel())]
    pub kernel: Option<String>,

    /// Another kernel source, a directory or a tarball; it is only read
    #[arg(long, value_name = "DIR|TARBALL")]
    pub kernel_src: Option<PathBuf>,

    /// Patches of the kernel.
    #[command(flatten)]
    pub series: SeriesOption,

    /// A subsystem to build in, with its own patches on top of the kernel's: nfs
    #[arg(long, value_name = "NAME")]
    pub subsystem: Option<Subsystem>,

    /// Number of patches to apply, from the first [default: all].
    #[arg(skip)]
    pub first: Option<usize>,

    /// Profile of the kernel's configuration
    #[arg(long, value_enum, default_value_t)]
    pub profile: Profile,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Args)]
pub struct SeriesOption {
    /// Patches in place of the kernel's own: a mailbox or Maildir, without its covers, replies and older versions; a directory of
    /// .patch, .diff, .eml or .mbox files; quilt's file `series`; commits A..B of the repository of --kernel-src, applied to its A,
    /// or of the current directory's repository; `none` if --kernel-src has keyagents already. Files may be .gz or .xz
    #[arg(long, value_name = "MBOX|DIR|SERIES|A..B|none")]
    series: Option<String>,
}

/// Value of `--series` for a source that has the patches.
const APPLIED: &str = "none";

impl SeriesOption {
    /// The given series, or the kernel's own with that of a subsystem.
    pub fn of(
        &self,
        kernel: &KernelSpec,
        subsystem: Option<Subsystem>,
        kernel_src: Option<&Path>,
    ) -> Result<Series> {
        let series = self.named(kernel, subsystem, kernel_src)?;
        kernel_src.map(|source| Origin::below(&series, source)).transpose()?;
        Ok(series)
    }

    /// Prints a note about the parts of a given series that are not patches.
    pub fn note_left_out(&self, series: &Series, terminal: &Terminal) {
        if let (Some(name), Some(left_out)) = (&self.series, series.left_out()) {
            terminal.note_once(&format!("left out of {name}: {left_out}"));
        }
    }

    /// Returns the given argument; `None` for the kernel's own series.
    pub fn given(&self) -> Option<&str> {
        self.series.as_deref()
    }

    fn named(
        &self,
        kernel: &KernelSpec,
        subsystem: Option<Subsystem>,
        kernel_src: Option<&Path>,
    ) -> Result<Series> {
        let Some(name) = &self.series else { return Ok(kernel.series_with(subsystem)?) };
        if name == APPLIED {
            ensure!(
                kernel_src.is_some(),
                "--series none is for a source that has keyagents already: name it with --kernel-src"
            );
            return Ok(Series::applied());
        }
        let repository = kernel_src.filter(|source| !source.is_file()).unwrap_or(Path::new("."));
        Ok(Series::given(name, repository)?)
    }
}

/// Profile of a kernel's configuration.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum Profile {
    /// Fast to build and to boot
    #[default]
    Plain,
    /// KASAN, lockdep, kmemleak and other checks; many times slower
    Debug,
    /// Counts which lines of the series ran: for `cargo xtask coverage`
    Coverage,
    /// KCSAN in the files of the series, which finds data races; not with User-Mode Linux
    Kcsan,
    /// Contains the mutants of the series, none of them chosen: for `cargo xtask mutants`
    Mutants,
}

/// Machine that a kernel runs on.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum Target {
    /// A PC, real or virtual: a bzImage
    #[default]
    X86_64,
    /// User-Mode Linux: a program
    Um,
}

impl From<Target> for Arch {
    fn from(target: Target) -> Self {
        match target {
            Target::X86_64 => Self::X86_64,
            Target::Um => Self::Um,
        }
    }
}

impl Profile {
    /// Returns the name on the command line.
    pub fn name(self) -> &'static str {
        kernel::Profile::from(self).name()
    }

    /// Returns true if its kernels can delay the key service by a seed.
    pub fn has_delays(self) -> bool {
        kernel::Profile::from(self).has_delays()
    }
}

impl From<Profile> for kernel::Profile {
    fn from(profile: Profile) -> Self {
        match profile {
            Profile::Plain => Self::Plain,
            Profile::Debug => Self::Debug,
            Profile::Coverage => Self::Coverage,
            Profile::Kcsan => Self::Kcsan,
            Profile::Mutants => Self::Mutants,
        }
    }
}

/// Returns the image, cached or built now. The `fragments` follow the profile's options.
pub fn image(
    options: &KernelOptions,
    arch: Arch,
    fragments: &[Fragment],
    cache: &Path,
    terminal: &Terminal,
) -> Result<Image> {
    let mut request = options.noted(arch, terminal)?;
    request.fragments.extend_from_slice(fragments);
    Ok(kernel::image(&request, cache, terminal)?)
}

/// Returns the image if it is cached, as far as possible without fetching or copying a source.
pub fn built(options: &KernelOptions, arch: Arch, cache: &Path) -> Result<Option<Image>> {
    Ok(kernel::cached(&options.request(arch)?, cache)?)
}

/// Returns the directory of the image's sources; `None` if they have been deleted.
pub fn sources(options: &KernelOptions, arch: Arch, cache: &Path) -> Result<Option<PathBuf>> {
    Ok(kernel::whereabouts(&options.request(arch)?, cache)?)
}

/// Fetches the source into the cache and applies the series, unless the image is already built.
pub fn fetch_tree(options: &KernelOptions, arch: Arch, cache: &Path, terminal: &Terminal) -> Result<()> {
    let request = options.noted(arch, terminal)?;
    if kernel::cached(&request, cache)?.is_none() {
        kernel::fetch_tree(&request, cache, terminal)?;
    }
    Ok(())
}

/// Returns the files that the series adds or changes, with its own lines.
pub fn changed_files(options: &KernelOptions, cache: &Path, terminal: &Terminal) -> Result<Vec<ChangedFile>> {
    Ok(kernel::changed_files(&options.noted(Arch::X86_64, terminal)?, cache, terminal)?)
}

/// Returns the mutants of the series, without a build.
pub fn mutants(options: &KernelOptions, arch: Arch, cache: &Path, terminal: &Terminal) -> Result<MutantSet> {
    Ok(kernel::mutants(&options.noted(arch, terminal)?, cache, terminal)?)
}

/// Returns the lines of the kernel's own series that it did not have in a revision of this
/// repository: files with line numbers.
pub fn lines_since(
    options: &KernelOptions,
    revision: &str,
    cache: &Path,
    terminal: &Terminal,
) -> Result<Vec<(String, BTreeSet<usize>)>> {
    let request = options.request(Arch::Um)?;
    let earlier = request.kernel.series_at(revision)?;
    Ok(kernel::lines_since(&request, &earlier, cache, terminal)?)
}

/// Returns the programs of the kernel's selftests in `tools/testing/selftests/COLLECTION`, cached
/// or built now.
pub fn selftests(
    options: &KernelOptions,
    collection: &str,
    cache: &Path,
    terminal: &Terminal,
) -> Result<Vec<PathBuf>> {
    Ok(kernel::selftests(&options.noted(Arch::X86_64, terminal)?, collection, cache, terminal)?)
}

impl KernelOptions {
    pub fn patches(&self) -> Result<Vec<Patch>> {
        Ok(self.request(Arch::X86_64)?.series.patches().to_vec())
    }

    /// Returns true if the subsystem can be built in. A series of the user's own counts as having its
    /// patches. Other profiles than plain and debug are about the lines of the kernel's own series.
    pub fn can_have(&self, subsystem: Subsystem) -> Result<bool> {
        let fits = matches!(self.profile, Profile::Plain | Profile::Debug);
        Ok(fits && (self.series.given().is_some() || self.spec()?.has(subsystem)))
    }

    /// Returns these options with the subsystem that a scenario needs.
    pub fn for_scenario(&self, scenario: &Scenario) -> Self {
        let needed = Subsystem::among(&scenario.requirements());
        Self { subsystem: needed.or(self.subsystem), ..self.clone() }
    }

    /// Returns the same selection as arguments of another command.
    pub fn arguments(&self) -> Vec<OsString> {
        [
            self.kernel.as_ref().map(|name| ("--kernel", OsString::from(name))),
            self.kernel_src.as_ref().map(|path| ("--kernel-src", path.into())),
            self.series.series.as_ref().map(|name| ("--series", name.into())),
            Some(("--profile", self.profile.name().into())),
            self.subsystem.map(|subsystem| ("--subsystem", subsystem.name().into())),
        ]
        .into_iter()
        .flatten()
        .flat_map(|(flag, value)| [flag.into(), value])
        .collect()
    }

    /// Returns the named kernel, or the first that this machine can have.
    pub fn spec(&self) -> Result<&'static KernelSpec> {
        kernel_choice::kernel(self.kernel.as_deref(), self.kernel_src.is_some())
    }

    /// Checks that the source is at hand or can be fetched, before any long work.
    pub fn require_source(&self, cache: &Path, terminal: &Terminal) -> Result<()> {
        if self.kernel_src.is_none() {
            self.spec()?.require_source(cache, terminal)?;
        }
        Ok(())
    }

    /// Describes the origin of the source, and why the kernel is not the first of the list.
    pub fn origin(&self, cache: &Path) -> Result<String> {
        if let Some(source) = &self.kernel_src {
            return Ok(source.display().to_string());
        }
        let origin = self.spec()?.origin(cache)?;
        let passed_over = if self.kernel.is_none() { kernel_choice::passed_over() } else { &[] };
        let reasons = passed_over.iter().map(|reason| format!("; not {reason}"));
        Ok(std::iter::once(origin).chain(reasons).collect())
    }

    pub fn described(&self) -> Result<String> {
        let name = &self.spec()?.name;
        let source = if self.kernel_src.is_some() { ", a source of its own" } else { "" };
        let series = if self.series.series.is_some() { ", a series of its own" } else { "" };
        let subsystem = self.subsystem.map(|it| format!(", with {it}")).unwrap_or_default();
        Ok(format!("{name}{source}{series}{subsystem}"))
    }

    /// Returns the request, after a note about the parts of a given series that are not patches.
    fn noted(&self, arch: Arch, terminal: &Terminal) -> Result<BuildRequest<'static>> {
        let request = self.request(arch)?;
        self.series.note_left_out(&request.series, terminal);
        Ok(request)
    }

    fn request(&self, arch: Arch) -> Result<BuildRequest<'static>> {
        let kernel = self.spec()?;
        let whole = self.series.of(kernel, self.subsystem, self.kernel_src.as_deref())?;
        Ok(BuildRequest {
            kernel,
            origin: self.kernel_src.as_deref().map(|path| Origin::below(&whole, path)).transpose()?,
            series: match self.first {
                Some(count) => whole.first(count),
                None => whole,
            },
            arch,
            profile: self.profile.into(),
            fragments: self.subsystem.map(|it| Fragment::named(it.name())).transpose()?.into_iter().collect(),
            jobs: thread::available_parallelism().map_or(1, NonZero::get),
        })
    }
}
