//! Writes a manifest and its artefacts as a newc cpio archive, the kernel's initramfs format.

use std::collections::BTreeMap;
use std::io::{self, Write};

use cpio::newc::{Builder, ModeFileType, trailer};

use crate::manifest::{Manifest, Node};

/// The files that the host supplies, by their names in the manifest.
pub type Artefacts<'a> = BTreeMap<&'a str, &'a [u8]>;

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
pub fn build(manifest: &Manifest, artefacts: &Artefacts<'_>) -> Result<Vec<u8>, BuildError> {
    let mut archive = Vec::new();
    for (inode, (path, node)) in (1..).zip(manifest.nodes()) {
        archive = append(archive, inode, path, node, artefacts)?;
    }
    Ok(trailer(archive)?)
}

fn append(
    archive: Vec<u8>,
    inode: u32,
    path: &str,
    node: &Node,
    artefacts: &Artefacts<'_>,
) -> Result<Vec<u8>, BuildError> {
    let (file_type, content) = match node {
        Node::Directory { .. } => (ModeFileType::Directory, &[][..]),
        Node::Text { text, .. } => (ModeFileType::Regular, text.as_bytes()),
        Node::Symlink { target } => (ModeFileType::Symlink, target.as_bytes()),
        Node::Artefact { from, .. } => {
            let missing = || BuildError::NoArtefact { path: path.into(), name: from.clone() };
            (ModeFileType::Regular, *artefacts.get(from.as_str()).ok_or_else(missing)?)
        }
        Node::CharDevice { .. } => (ModeFileType::Char, &[][..]),
        Node::BlockDevice { .. } => (ModeFileType::Block, &[][..]),
    };
    let size = u32::try_from(content.len()).map_err(|_| BuildError::TooLarge(path.into()))?;
    // Names are relative to the root of the file system.
    let mut entry =
        Builder::new(path.trim_start_matches('/')).ino(inode).mode(node.mode()).set_mode_file_type(file_type);
    if let Node::CharDevice { char: [major, minor], .. } | Node::BlockDevice { block: [major, minor], .. } =
        node
    {
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
        "/dev" = { mode = 0o755 }
        "/tmp" = { mode = 0o1777 }
        "/init" = { from = "agent", mode = 0o755 }
        "/note" = { text = "hello", mode = 0o600 }
        "/link" = { target = "/init" }
        "/dev/console" = { char = [5, 1], mode = 0o600 }
        "/dev/vda" = { block = [254, 0], mode = 0o660 }
    "#;

    fn built() -> Vec<u8> {
        let manifest = Manifest::read(MANIFEST).unwrap();
        build(&manifest, &Artefacts::from([("agent", &b"\x7fELF"[..])])).unwrap()
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
        assert_eq!(parsed(&built()), expected);
    }

    #[test]
    fn equal_inputs_give_equal_bytes() {
        assert_eq!(built(), built());
    }

    #[test]
    fn missing_artefact_is_named() {
        let manifest = Manifest::read(MANIFEST).unwrap();
        let error = build(&manifest, &Artefacts::new()).unwrap_err();
        assert_eq!(error.to_string(), "/init comes from \"agent\", which was not supplied");
    }
}
