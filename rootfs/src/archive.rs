//! Writes a manifest and its artefacts as a newc cpio archive, the kernel's initramfs format.

use std::collections::BTreeMap;
use std::io::{self, Write};

use cpio::newc::{Builder, ModeFileType, trailer};

use crate::manifest::{DeviceKind, Manifest, Node};

/// The files that the host supplies, by their names in the manifest.
pub type Artefacts<'a> = BTreeMap<&'a str, &'a [u8]>;

/// Compression of the archive. zstd needs `CONFIG_RD_ZSTD` in the guest's kernel.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Compression {
    /// Uncompressed, which boots fastest on an emulated processor.
    #[default]
    None,
    Zstd,
}

#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    #[error("{path} comes from {name:?}, which was not supplied")]
    NoArtefact { path: String, name: String },
    #[error("{0} is larger than a cpio archive can hold (4 GiB)")]
    TooLarge(String),
    #[error("the initramfs can't be written: {0}")]
    Io(#[from] io::Error),
}

/// Builds the initramfs. Owner is root, times are the epoch, and inode numbers count the entries.
pub fn build(
    manifest: &Manifest,
    artefacts: &Artefacts<'_>,
    compression: Compression,
) -> Result<Vec<u8>, BuildError> {
    let mut archive = Vec::new();
    for (inode, (path, node)) in (1..).zip(manifest.nodes()) {
        archive = append(archive, inode, path, node, artefacts)?;
    }
    let archive = trailer(archive)?;
    match compression {
        Compression::None => Ok(archive),
        Compression::Zstd => Ok(zstd::encode_all(archive.as_slice(), zstd::DEFAULT_COMPRESSION_LEVEL)?),
    }
}

fn append(
    archive: Vec<u8>,
    inode: u32,
    path: &str,
    node: &Node,
    artefacts: &Artefacts<'_>,
) -> Result<Vec<u8>, BuildError> {
    let (file_type, mode, content) = match node {
        Node::Directory { mode } => (ModeFileType::Directory, *mode, &[][..]),
        Node::Text { text, mode } => (ModeFileType::Regular, *mode, text.as_bytes()),
        Node::Symlink { target } => (ModeFileType::Symlink, 0o777, target.as_bytes()),
        Node::Artefact { name, mode } => {
            let missing = || BuildError::NoArtefact { path: path.into(), name: name.clone() };
            (ModeFileType::Regular, *mode, *artefacts.get(name.as_str()).ok_or_else(missing)?)
        }
        Node::Device { kind: DeviceKind::Char, mode, .. } => (ModeFileType::Char, *mode, &[][..]),
        Node::Device { kind: DeviceKind::Block, mode, .. } => (ModeFileType::Block, *mode, &[][..]),
    };
    let size = u32::try_from(content.len()).map_err(|_| BuildError::TooLarge(path.into()))?;
    // Names are relative to the root of the file system.
    let mut entry =
        Builder::new(path.trim_start_matches('/')).ino(inode).mode(mode).set_mode_file_type(file_type);
    if let Node::Device { major, minor, .. } = node {
        entry = entry.rdev_major(*major).rdev_minor(*minor);
    }
    let mut writer = entry.write(archive, size);
    writer.write_all(content)?;
    Ok(writer.finish()?)
}

#[cfg(test)]
mod tests {
    use cpio::newc::Reader;
    use std::io::Read;

    use super::*;

    const MANIFEST: &str = r#"
        [dirs]
        "/dev" = "0755"
        "/tmp" = "1777"
        [files]
        "/init" = { from = "agent", mode = "0755" }
        "/note" = { text = "hello", mode = "0600" }
        [links]
        "/link" = "/init"
        [devices]
        "/dev/console" = { char = [5, 1], mode = "0600" }
        "/dev/vda" = { block = [254, 0], mode = "0660" }
    "#;

    fn built(compression: Compression) -> Vec<u8> {
        let manifest = Manifest::read(MANIFEST).unwrap();
        build(&manifest, &Artefacts::from([("agent", &b"\x7fELF"[..])]), compression).unwrap()
    }

    /// Name, mode with file type, device number and content.
    type Entry = (String, u32, (u32, u32), Vec<u8>);

    fn parsed(mut archive: &[u8]) -> Vec<Entry> {
        let mut entries = Vec::new();
        loop {
            let mut reader = Reader::new(archive).unwrap();
            if reader.entry().is_trailer() {
                return entries;
            }
            let mut content = Vec::new();
            reader.read_to_end(&mut content).unwrap();
            let entry = reader.entry();
            assert_eq!((entry.mtime(), entry.uid(), entry.gid()), (0, 0, 0));
            let device = (entry.rdev_major(), entry.rdev_minor());
            entries.push((entry.name().to_owned(), entry.mode(), device, content));
            archive = reader.finish().unwrap();
        }
    }

    #[test]
    fn archive_has_the_manifests_entries_in_order() {
        let none = (0, 0);
        let expected = [
            ("dev", 0o040_755, none, &b""[..]),
            ("dev/console", 0o020_600, (5, 1), b""),
            ("dev/vda", 0o060_660, (254, 0), b""),
            ("init", 0o100_755, none, b"\x7fELF"),
            ("link", 0o120_777, none, b"/init"),
            ("note", 0o100_600, none, b"hello"),
            ("tmp", 0o041_777, none, b""),
        ]
        .map(|(name, mode, device, content)| (name.to_owned(), mode, device, content.to_owned()));
        assert_eq!(parsed(&built(Compression::None)), expected);
    }

    #[test]
    fn equal_inputs_give_equal_bytes() {
        assert_eq!(built(Compression::None), built(Compression::None));
        assert_eq!(built(Compression::Zstd), built(Compression::Zstd));
    }

    #[test]
    fn zstd_round_trips() {
        let unpacked = zstd::decode_all(built(Compression::Zstd).as_slice()).unwrap();
        assert_eq!(unpacked, built(Compression::None));
    }

    #[test]
    fn missing_artefact_is_named() {
        let manifest = Manifest::read(MANIFEST).unwrap();
        let error = build(&manifest, &Artefacts::new(), Compression::None).unwrap_err();
        assert_eq!(error.to_string(), "/init comes from \"agent\", which was not supplied");
    }
}
