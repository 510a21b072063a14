//! The manifest: the files of the guest's root file system, parsed from TOML and validated.

use std::collections::BTreeMap;

use serde::Deserialize;

/// The entries of the guest's root file system, by absolute path in the order of the archive.
///
/// Every path is absolute and normalized, and its parent directory has an entry too. The kernel's unpacker
/// (`init/initramfs.c`) silently drops an entry without a parent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manifest {
    nodes: BTreeMap<String, Node>,
}

/// An inode. Modes are permission bits only.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(untagged, deny_unknown_fields)]
pub enum Node {
    Directory {
        mode: u32,
    },
    /// A file that the host supplies.
    Artefact {
        from: String,
        mode: u32,
    },
    /// A file whose content is in the manifest.
    Text {
        text: String,
        mode: u32,
    },
    Symlink {
        target: String,
    },
    CharDevice {
        char: [u32; 2],
        mode: u32,
    },
    BlockDevice {
        block: [u32; 2],
        mode: u32,
    },
}

impl Node {
    pub(crate) fn mode(&self) -> u32 {
        match self {
            Self::Directory { mode } | Self::Artefact { mode, .. } | Self::Text { mode, .. } => *mode,
            Self::CharDevice { mode, .. } | Self::BlockDevice { mode, .. } => *mode,
            Self::Symlink { .. } => 0o777,
        }
    }
}

#[derive(Debug, thiserror::Error)]
pub enum ManifestError {
    #[error("the manifest can't be read: {0}")]
    Syntax(#[from] toml::de::Error),
    #[error("{path}: the mode {mode:#o} has more than permission bits")]
    Mode { path: String, mode: u32 },
    #[error("{0:?} is no path for the guest: write it absolute, without \".\", \"..\" or a trailing slash")]
    Path(String),
    #[error("{0} is listed twice")]
    Twice(String),
    #[error("{path} lies in {parent}, which is not listed as a directory")]
    NoParent { path: String, parent: String },
}

impl Manifest {
    /// Returns the manifest of the testbed's own guest.
    pub fn testbed() -> Result<Self, ManifestError> {
        Self::read(include_str!("../manifest.toml"))
    }

    pub fn read(text: &str) -> Result<Self, ManifestError> {
        let nodes: BTreeMap<String, Node> = toml::from_str(text)?;
        let mut manifest = Self { nodes: BTreeMap::new() };
        nodes.into_iter().try_for_each(|(path, node)| manifest.insert(path, node))?;
        manifest.check_parents()?;
        Ok(manifest)
    }

    fn insert(&mut self, path: String, node: Node) -> Result<(), ManifestError> {
        let normal = path.strip_prefix('/').is_some_and(|rest| {
            rest.split('/').all(|part| !matches!(part, "" | "." | "..") && !part.contains('\0'))
        });
        if !normal {
            return Err(ManifestError::Path(path));
        }
        let mode = node.mode();
        if mode > 0o7777 {
            return Err(ManifestError::Mode { path, mode });
        }
        match self.nodes.insert(path.clone(), node) {
            None => Ok(()),
            Some(_) => Err(ManifestError::Twice(path)),
        }
    }

    /// Adds a file that the host supplies under its own path, and its missing parent directories.
    pub fn insert_deep(&mut self, path: &str, mode: u32) -> Result<(), ManifestError> {
        self.insert_with_parents(path, Node::Artefact { from: path.to_owned(), mode })
    }

    /// Adds an entry and its missing parent directories.
    pub fn insert_with_parents(&mut self, path: &str, node: Node) -> Result<(), ManifestError> {
        for (end, _) in path.match_indices('/').skip(1) {
            let parent = &path[..end];
            if !self.nodes.contains_key(parent) {
                self.insert(parent.to_owned(), Node::Directory { mode: 0o755 })?;
            }
        }
        self.insert(path.to_owned(), node)?;
        self.check_parents()
    }

    pub fn has(&self, path: &str) -> bool {
        self.nodes.contains_key(path)
    }

    pub fn remove(&mut self, path: &str) {
        self.nodes.remove(path);
    }

    /// Returns all entries, directories before their contents.
    pub fn nodes(&self) -> impl Iterator<Item = (&str, &Node)> {
        self.nodes.iter().map(|(path, node)| (path.as_str(), node))
    }

    fn check_parents(&self) -> Result<(), ManifestError> {
        for path in self.nodes.keys() {
            let parent = path.rsplit_once('/').map_or("", |(parent, _)| parent);
            let listed = parent.is_empty() || matches!(self.nodes.get(parent), Some(Node::Directory { .. }));
            if !listed {
                return Err(ManifestError::NoParent { path: path.clone(), parent: parent.into() });
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn testbed_manifest_is_valid() {
        let manifest = Manifest::testbed().unwrap();
        assert!(manifest.nodes().any(|(path, _)| path == "/init"));
    }

    #[test]
    fn entry_without_its_directory_is_refused() {
        let error = Manifest::read("\"/sbin/x\" = { target = \"/init\" }").unwrap_err();
        assert_eq!(error.to_string(), "/sbin/x lies in /sbin, which is not listed as a directory");
    }

    #[test]
    fn file_as_a_parent_is_refused() {
        let text = "'/a' = { text = '', mode = 0o644 }\n'/a/b' = { mode = 0o755 }";
        assert!(matches!(Manifest::read(text), Err(ManifestError::NoParent { .. })));
    }

    #[test]
    fn escaping_paths_and_invalid_modes_are_refused() {
        for path in ["etc", "/etc/", "/../etc", "/a//b", "/"] {
            let text = format!("{path:?} = {{ mode = 0o755 }}");
            assert!(matches!(Manifest::read(&text), Err(ManifestError::Path(_))), "{path}");
        }
        let read = Manifest::read("'/a' = { mode = 0o17777 }");
        assert!(matches!(read, Err(ManifestError::Mode { .. })), "{read:?}");
    }

    #[test]
    fn file_creates_its_parent_directories() {
        let mut manifest = Manifest::testbed().unwrap();
        manifest.insert_deep("/lib/x86_64-linux-gnu/libc.so.6", 0o755).unwrap();
        manifest.insert_deep("/lib/x86_64-linux-gnu/libm.so.6", 0o755).unwrap();
        assert!(
            manifest.nodes().any(|(path, node)| (path, node) == ("/lib", &Node::Directory { mode: 0o755 }))
        );
        // A symbolic link of the manifest is not a directory.
        let within = manifest.insert_deep("/sbin/request-key/x", 0o755);
        assert!(matches!(within, Err(ManifestError::NoParent { .. })), "{within:?}");
    }
}
