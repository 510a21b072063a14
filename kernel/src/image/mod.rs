//! Bootable image, cached by a hash of all its inputs.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    sync::OnceLock,
};

use sha2::{Digest, Sha256};

use crate::{
    Arch, BuildRequest, Error, Fragment, Inputs, MutantSet, Profile, Progress, Result, Tree,
    build::{Build, PERTURB, Toolchain},
    changed_lines::{changed_files_between, files_of_series},
    fs::{read_if_present, remove},
    lock::Lock,
    mutants,
    requirements::missing,
    sources::hex,
    subprocess::{read, tool},
    tree::{check_out, tree},
    warnings::Warnings,
};

/// A bootable kernel. All its files lie in the cache, and disappear if the user deletes the cache.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Image {
    /// The bootable file: a bzImage, or the program `linux` for User-Mode Linux.
    pub path: PathBuf,
    /// The file that the testbed's virtual machines start. For a PC it is the kernel's ELF file
    /// without symbols, which QEMU enters by its PVH note, since it would have to emulate the
    /// unpacking of a bzImage. Otherwise, and for [`Profile::Debug`], it is the same as `path`.
    pub entered: PathBuf,
    /// The kernel with its symbols.
    pub vmlinux: PathBuf,
    /// The directory with its modules, stripped.
    pub modules: PathBuf,
    /// The directory with the `.gcno` files of `gcov` for the objects with line counters, as
    /// `security/keys/key.gcno`. Empty except for [`Profile::Coverage`].
    pub notes: PathBuf,
    /// The compiler's warnings in files that the series adds or changes, as
    /// `security/keys/key.c:1:2: warning: …`.
    pub warnings: Vec<String>,
    /// The file with its mutants. It exists only for [`Profile::Mutants`].
    pub(crate) mutants: PathBuf,
    pub config: PathBuf,
    /// Its release, as `uname -r` prints it.
    pub release: String,
    pub arch: Arch,
    /// The hash of all its inputs.
    pub key: String,
}

/// Number of compiler warnings that are shown. The image has them all.
const SHOWN_WARNINGS: usize = 20;

/// Returns the image for that request. A cached one is returned at once; a build takes minutes the
/// first time. In both cases the compiler's warnings in files of the series are reported.
///
/// `cache` is the project's cache directory; it is created when missing.
pub fn image(request: &BuildRequest<'_>, cache: &Path, progress: &dyn Progress) -> Result<Image> {
    let image = cached_or_built(request, cache, progress)?;
    let profile = match request.profile {
        Profile::Plain => String::new(),
        profile => format!(" {}", profile.name()),
    };
    let kernel = format!("kernel {} {}{profile}", request.kernel.name, request.arch.name());
    for warning in image.warnings.iter().take(SHOWN_WARNINGS) {
        progress.note(&format!("{kernel}: {warning}"));
    }
    let more = image.warnings.len().saturating_sub(SHOWN_WARNINGS);
    if more > 0 {
        progress.note(&format!("{kernel}: {more} more warnings of the compiler's in files of the series"));
    }
    Ok(image)
}

fn cached_or_built(request: &BuildRequest<'_>, cache: &Path, progress: &dyn Progress) -> Result<Image> {
    require_tools()?;
    let recipe = Recipe::read(request)?;
    if let Some(image) = recipe.at_hand(request, cache)? {
        return Ok(image);
    }
    fs::create_dir_all(cache).map_err(Error::io("creating", cache))?;
    let cache = &fs::canonicalize(cache).map_err(Error::io("finding", cache))?;
    let tree = tree(request, cache, progress)?;
    if let Some(image) = recipe.cached(&tree.identity, cache)? {
        return Ok(image);
    }
    recipe.build(request, &tree, cache, progress)
}

/// Returns the image for that request if it is in the cache and can be identified without fetching
/// or copying a source.
pub fn cached(request: &BuildRequest<'_>, cache: &Path) -> Result<Option<Image>> {
    require_tools()?;
    Recipe::read(request)?.at_hand(request, cache)
}

/// Returns true if the cache has an image of that source, though perhaps no tree any more.
pub(crate) fn has_image(identity: &str, cache: &Path) -> bool {
    let images = fs::read_dir(cache.join("images")).into_iter().flatten().flatten();
    let source = |image: fs::DirEntry| fs::read_to_string(image.path().join(IDENTITY)).ok();
    images.filter_map(source).any(|source| source == identity)
}

/// Checks that the programs and packages for every build are installed.
pub(crate) fn require_tools() -> Result<()> {
    let missing = missing();
    if missing.is_empty() { Ok(()) } else { Err(Error::MissingTools { missing }) }
}

/// All inputs of an image besides the source.
struct Recipe {
    fragments: Vec<Fragment>,
    /// Those of them that are not the profile's.
    further: Vec<Fragment>,
    arch: Arch,
    profile: Profile,
    hash: Sha256,
    inputs: Inputs,
}

impl Recipe {
    fn read(request: &BuildRequest<'_>) -> Result<Self> {
        let BuildRequest { arch, profile, .. } = *request;
        let mut fragments = profile.fragments(arch, request.series.brings_keyagents())?;
        fragments.extend(request.fragments.iter().cloned());
        // `inputs` tells which part of `hash` has changed: what goes into one goes into both.
        let mut hash = Sha256::new();
        let toolchain = toolchain()?;
        hash.update(format!("{}\n{}\n{toolchain}\n", arch.name(), profile.name()));
        fragments.iter().for_each(|fragment| fragment.digest(&mut hash));
        request.series.digest(&mut hash);
        let mut inputs = Inputs::default();
        inputs.add("the compiler or the linker", |hash| hash.update(toolchain));
        for fragment in &fragments {
            inputs.add(fragment.name(), |hash| fragment.digest(hash));
        }
        if profile == Profile::Mutants {
            mutants::digest(&mut hash);
            inputs.add("the rules for mutants", mutants::digest);
        }
        if profile.has_delays() {
            hash.update(PERTURB);
            inputs.add("the delays", |hash| hash.update(PERTURB));
        }
        for patch in request.series.patches() {
            inputs.add(&patch.name, |hash| patch.digest(hash));
        }
        Ok(Self { fragments, further: request.fragments.clone(), arch, profile, hash, inputs })
    }

    fn key(&self, identity: &str) -> String {
        let hash = self.hash.clone().chain_update(identity).finalize();
        hex(&hash)[..20].to_owned()
    }

    /// Returns the cached image for the first origin that can be identified at once and has an
    /// image.
    fn at_hand(&self, request: &BuildRequest<'_>, cache: &Path) -> Result<Option<Image>> {
        for origin in request.origins() {
            if let Some(identity) = origin.identity(cache)?
                && let Some(image) = self.cached(&identity, cache)?
            {
                return Ok(Some(image));
            }
        }
        Ok(None)
    }

    fn cached(&self, identity: &str, cache: &Path) -> Result<Option<Image>> {
        let key = self.key(identity);
        let directory = cache.join("images").join(&key);
        let release = read_if_present(&directory.join("release"))?;
        Ok(release.map(|release| self.image(&directory, release, key)))
    }

    fn build(
        &self,
        request: &BuildRequest<'_>,
        tree: &Tree,
        cache: &Path,
        progress: &dyn Progress,
    ) -> Result<Image> {
        let files = files_of_series(&tree.path, &request.series)?;
        let name = tree.path.file_name().unwrap_or_default().to_string_lossy();
        let mut directory = format!("{name}-{}-{}", self.arch.name(), self.profile.name());
        // Other options have another directory. Alternating between them in one would rebuild
        // nearly everything each time.
        for fragment in &self.further {
            directory.extend(["-", &fragment.purpose()]);
        }
        let directory = cache.join("builds").join(directory);
        let is_new = !directory.exists();
        let mut inputs = self.inputs.clone();
        inputs.add("the source", |hash| hash.update(&tree.identity));
        let record = directory.join("inputs");
        if let Some(before) = Inputs::read(&record) {
            let what = directory.file_name().unwrap_or_default().to_string_lossy();
            progress.note(&format!("{what} is built again: {}", inputs.changes_since(&before)));
        }
        let checked_out = tree;
        let (tree, identity) = (tree.path.as_path(), tree.identity.as_str());
        let (arch, profile, toolchain, jobs) = (self.arch, self.profile, Toolchain::Gnu, request.jobs);
        let build = Build { tree, directory, arch, profile, toolchain, jobs, is_new };
        build.configure(&self.fragments, progress)?;
        // The warnings of a tree with mutants are about the mutants.
        let files = if self.profile == Profile::Mutants { BTreeSet::new() } else { files };
        let mut warnings = Warnings::of(build.tree, &build.directory, files)?;
        let mutants = match self.profile {
            Profile::Mutants => Some(self.run_with_mutants(&build, checked_out, &mut warnings, progress)?),
            Profile::Plain | Profile::Debug | Profile::Coverage | Profile::Kcsan => {
                build.run(&mut warnings, progress)?;
                None
            }
        };
        inputs.write(&record).map_err(Error::io("writing", &record))?;
        self.keep(&build, &warnings.into_lines(), mutants.as_ref(), identity, cache, progress)
    }

    /// Builds the tree with its mutants, and removes them from it.
    fn run_with_mutants(
        &self,
        build: &Build<'_>,
        tree: &Tree,
        warnings: &mut Warnings,
        progress: &dyn Progress,
    ) -> Result<MutantSet> {
        let set = MutantSet::of(&changed_files_between(&tree.path, &tree.base, &tree.head)?, &self.fragments);
        let built = mutants::build(set, tree, build, progress).and_then(|set| {
            build.run(warnings, progress)?;
            Ok(set)
        });
        check_out(&tree.path, &tree.head, progress)?;
        built
    }

    /// Copies the results from the build's directory, which the next build changes.
    fn keep(
        &self,
        build: &Build<'_>,
        warnings: &[String],
        mutants: Option<&MutantSet>,
        identity: &str,
        cache: &Path,
        progress: &dyn Progress,
    ) -> Result<Image> {
        let _lock = Lock::take(&cache.join("locks/images"), progress)?;
        if let Some(image) = self.cached(identity, cache)? {
            return Ok(image);
        }
        let partial = cache.join("images/partial");
        remove(&partial)?;
        fs::create_dir_all(&partial).map_err(Error::io("creating", &partial))?;

        let release = build.release()?;
        let image = self.image(&partial, release.clone(), self.key(identity));
        let files = [
            (build.product(), &image.path),
            (build.vmlinux(), &image.vmlinux),
            (build.directory.join(".config"), &image.config),
        ];
        for (from, to) in files {
            fs::copy(&from, to).map_err(Error::io("copying", from))?;
        }
        if image.entered != image.path {
            read(tool("strip").arg("-o").args([&image.entered, &image.vmlinux]), b"")?;
        }
        fs::create_dir(&image.modules).map_err(Error::io("creating", &image.modules))?;
        for module in build.modules()? {
            let to = image.modules.join(module.file_name().unwrap_or_default());
            read(tool("strip").args(["--strip-debug", "-o"]).args([&to, &module]), b"")?;
        }
        for path in build.notes()? {
            let (file, to) = (build.directory.join(&path), image.notes.join(path));
            let directory = to.parent().unwrap_or(&image.notes);
            fs::create_dir_all(directory).map_err(Error::io("creating", directory))?;
            fs::copy(&file, &to).map_err(Error::io("copying", file))?;
        }
        if !warnings.is_empty() {
            let file = partial.join(WARNINGS);
            fs::write(&file, warnings.join("\n")).map_err(Error::io("writing", file))?;
        }
        if let Some(mutants) = mutants {
            mutants.write(&image.mutants)?;
        }
        let file = partial.join(IDENTITY);
        fs::write(&file, identity).map_err(Error::io("writing", file))?;
        let file = partial.join("release");
        fs::write(&file, &release).map_err(Error::io("writing", file))?;

        let directory = cache.join("images").join(&image.key);
        remove(&directory)?;
        fs::rename(&partial, &directory).map_err(Error::io("renaming", partial))?;
        Ok(self.image(&directory, release, image.key))
    }

    fn image(&self, directory: &Path, release: String, key: String) -> Image {
        let (program, entered) = match (self.arch, self.profile) {
            (Arch::Um, _) => ("linux", "linux"),
            // KASAN has no shadow yet where a kernel is entered by its PVH note, and some kernels
            // instrument the code that runs there.
            (Arch::X86_64, Profile::Debug) => ("bzImage", "bzImage"),
            (Arch::X86_64, _) => ("bzImage", "vmlinux.stripped"),
        };
        let warnings = fs::read_to_string(directory.join(WARNINGS)).unwrap_or_default();
        Image {
            path: directory.join(program),
            entered: directory.join(entered),
            vmlinux: directory.join("vmlinux"),
            modules: directory.join("modules"),
            notes: directory.join("notes"),
            warnings: warnings.lines().map(str::to_owned).collect(),
            mutants: directory.join("mutants.json"),
            config: directory.join("config"),
            release,
            arch: self.arch,
            key,
        }
    }
}

/// The file of an image with the identity of its source.
const IDENTITY: &str = "source";

/// The file of an image with its warnings. It does not exist if there were none.
const WARNINGS: &str = "warnings";

/// Returns the first lines of the version messages of the compiler and the linker, which are run
/// once.
pub(crate) fn toolchain() -> Result<String> {
    static VERSIONS: OnceLock<String> = OnceLock::new();
    if let Some(versions) = VERSIONS.get() {
        return Ok(versions.clone());
    }
    let mut versions = Vec::new();
    for program in ["gcc", "ld"] {
        let output = read(tool(program).arg("--version"), b"")?;
        versions.push(output.lines().next().unwrap_or_default().to_owned());
    }
    Ok(VERSIONS.get_or_init(|| versions.join("\n")).clone())
}

#[cfg(test)]
mod tests;
