//! Parameters of a build.

use crate::{Arch, Fragment, KernelSpec, Origin, Profile, Series};

#[derive(Clone, Debug)]
pub struct BuildRequest<'a> {
    pub kernel: &'a KernelSpec,
    /// A source of the user's own in place of the named kernel's.
    pub origin: Option<Origin>,
    /// The patches to apply; see [`KernelSpec::series`].
    pub series: Series,
    pub arch: Arch,
    pub profile: Profile,
    /// Further fragments, merged last.
    pub fragments: Vec<Fragment>,
    /// Number of parallel compilers.
    pub jobs: usize,
}

impl BuildRequest<'_> {
    pub(crate) fn origins(&self) -> &[Origin] {
        self.origin.as_ref().map_or(&self.kernel.origins, std::slice::from_ref)
    }
}
