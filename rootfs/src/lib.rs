//! The guest's root file system: builds a reproducible initramfs from a manifest and the host's files.
//!
//! It needs neither root nor a `cpio` program, since device nodes exist only inside the archive. The same
//! manifest and artefacts give the same bytes on every machine.

mod archive;
mod contents;
mod manifest;
mod unpack;

pub use archive::{Artefacts, BuildError, build};
pub use contents::{Contents, ContentsError};
pub use manifest::{Manifest, ManifestError, Node};
pub use unpack::{UnpackError, unpack};
