//! Where a kernel's source comes from, and how an archive of it gets here.

pub(crate) mod copy;
mod debian;
mod download;
mod unpack;

use std::{
    fs::{self, File},
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
};

use serde::Deserialize;
use sha2::{Digest, Sha256};

pub(crate) use self::unpack::{BASE, import};
use crate::{Error, Progress, Result, Series};

/// Where a kernel's source may come from.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Origin {
    /// The Debian package of that name, as apt has it.
    Debian(String),
    /// An archive on the network.
    Download {
        /// Its address.
        url: String,
        /// The SHA-256 of its bytes, in lower-case hexadecimal.
        sha256: String,
    },
    /// An archive of the user's own: a tarball (plain, gzip, xz) or a Debian source package.
    Tarball(PathBuf),
    /// A directory of the user's own. It is copied and never written to.
    Directory(PathBuf),
    /// A commit of a git repository of the user's own, whatever its work tree has. It is copied and never written to.
    Commit {
        /// The directory of the repository.
        repository: PathBuf,
        /// The commit's name.
        commit: String,
    },
}

impl Origin {
    /// A file or a directory of the user's own.
    ///
    /// # Errors
    /// There is none, or the directory is no kernel source.
    pub fn at(path: &Path) -> Result<Self> {
        Self::below(&Series::default(), path)
    }

    /// The same. If the series is commits of a repository in that directory, the source is what they begin with: the directory may
    /// well have them checked out.
    ///
    /// # Errors
    /// There is no such file or directory, or it is no kernel source.
    pub fn below(series: &Series, path: &Path) -> Result<Self> {
        let path = fs::canonicalize(path).map_err(Error::io("looking for the kernel source", path))?;
        Ok(match series.begins_with() {
            _ if !path.is_dir() => Self::Tarball(path),
            Some(commit) => {
                copy::check_commit(&path, commit)?;
                Self::Commit { repository: path, commit: commit.to_owned() }
            }
            None => {
                copy::check_directory(&path)?;
                Self::Directory(path)
            }
        })
    }

    /// The identity of what it yields, if that can be told without fetching anything.
    pub(crate) fn identity(&self, cache: &Path) -> Result<Option<String>> {
        match self {
            Self::Debian(package) => debian::last_seen(package, cache),
            Self::Download { sha256, .. } => Ok(Some(format!("sha256 {sha256}"))),
            Self::Tarball(path) => Ok(Some(format!("sha256 {}", hash(path)?))),
            Self::Directory(_) => Ok(None),
            Self::Commit { repository, commit } => copy::identity_of(repository, commit).map(Some),
        }
    }

    /// Brings the archive here, into `downloads` if it has to be fetched.
    pub(crate) fn fetch(&self, cache: &Path, progress: &dyn Progress) -> Result<Archive> {
        let downloads = cache.join("downloads");
        fs::create_dir_all(&downloads).map_err(Error::io("creating", &downloads))?;
        match self {
            Self::Debian(package) => debian::fetch(package, cache, &downloads, progress),
            Self::Download { url, sha256 } => download::fetch(url, sha256, &downloads, progress),
            Self::Tarball(path) | Self::Directory(path) | Self::Commit { repository: path, .. } => {
                Ok(Archive {
                    path: path.clone(),
                    identity: format!("sha256 {}", hash(path)?),
                    fetched: false,
                })
            }
        }
    }
}

impl std::fmt::Display for Origin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Debian(package) => write!(f, "Debian package {package}"),
            Self::Download { url, .. } => f.write_str(url),
            Self::Tarball(path) | Self::Directory(path) => write!(f, "{}", path.display()),
            Self::Commit { repository, commit } => write!(f, "{} at {commit}", repository.display()),
        }
    }
}

/// An archive on this machine.
#[derive(Debug)]
pub(crate) struct Archive {
    pub(crate) path: PathBuf,
    /// What its contents are, in words that end in a version or a hash.
    pub(crate) identity: String,
    fetched: bool,
}

impl Archive {
    /// Frees the disk space of a fetched archive; a user's own stays.
    pub(crate) fn discard(&self) {
        if self.fetched {
            // What is left is only space; the next fetch overwrites it.
            let _ = fs::remove_file(&self.path);
        }
    }
}

fn hash(path: &Path) -> Result<String> {
    let file = File::open(path).map_err(Error::io("opening", path))?;
    let mut file = BufReader::with_capacity(1 << 18, file);
    let mut hash = Sha256::new();
    loop {
        let bytes = file.fill_buf().map_err(Error::io("reading", path))?;
        if bytes.is_empty() {
            return Ok(hex(&hash.finalize()));
        }
        hash.update(bytes);
        let read = bytes.len();
        file.consume(read);
    }
}

/// Where a source of that identity has its tree.
pub(crate) fn place(cache: &Path, name: &str, identity: &str) -> PathBuf {
    let hash = hex(&Sha256::digest(identity));
    cache.join("trees").join(format!("{name}-{}", &hash[..10]))
}

/// Lower-case hexadecimal.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
