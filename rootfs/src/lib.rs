//! The guest's root file system: a readable manifest and the host's files in, a byte-reproducible initramfs out.
//!
//! Neither root nor a `cpio` program is needed: device nodes exist only inside the archive. The same manifest
//! and the same artefacts give the same bytes on every machine.

mod archive;
mod contents;
mod manifest;
mod unpack;

pub use archive::{Artefacts, BuildError, Compression, build};
pub use contents::{Contents, ContentsError};
pub use manifest::{DeviceKind, Manifest, ManifestError, Node};
pub use unpack::{UnpackError, unpack};
