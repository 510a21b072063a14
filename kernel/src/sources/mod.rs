//! Sources of kernels, and the retrieval of their archives.

mod apt;
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

pub use self::debian::DebianPackage;
pub(crate) use self::unpack::{BASE, import};
use crate::{Error, Progress, Result, Series};

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Origin {
    /// A source package of Debian's.
    Debian(DebianPackage),
    /// An archive on the network.
    Download {
        url: String,
        /// The SHA-256 of its bytes, in lower-case hexadecimal.
        sha256: String,
    },
    /// An archive of the user's own: a tarball (plain, gzip, xz) or a Debian source package.
    Tarball(PathBuf),
    /// A directory of the user's own. It is copied and never written to.
    Directory(PathBuf),
    /// A commit of a git repository of the user's own, regardless of its work tree. It is copied
    /// and never written to.
    Commit { repository: PathBuf, commit: String },
}

impl Origin {
    /// Returns the origin for a file or a directory of the user's own.
    pub fn at(path: &Path) -> Result<Self> {
        Self::below(&Series::default(), path)
    }

    /// Like [`Origin::at`], for a source below a series. If the series is commits of a repository
    /// in that directory, the source is their base, since the directory may have the commits
    /// checked out.
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

    /// Returns the identity of its content, or `None` if it is not known without fetching.
    pub(crate) fn identity(&self, cache: &Path) -> Result<Option<String>> {
        match self {
            Self::Debian(package) => package.last_seen(cache),
            Self::Download { sha256, .. } => Ok(Some(format!("sha256 {sha256}"))),
            Self::Tarball(path) => Ok(Some(format!("sha256 {}", hash(path)?))),
            Self::Directory(_) => Ok(None),
            Self::Commit { repository, commit } => copy::identity_of(repository, commit).map(Some),
        }
    }

    /// Checks whether this machine can fetch the archive, as far as that is known without its
    /// download.
    pub(crate) fn check(&self, cache: &Path, progress: &dyn Progress) -> Result<()> {
        match self {
            Self::Debian(package) => package.check(&downloads(cache)?, progress),
            _ => Ok(()),
        }
    }

    /// Returns the archive, which is fetched into `downloads` if need be.
    pub(crate) fn fetch(&self, cache: &Path, progress: &dyn Progress) -> Result<Archive> {
        let downloads = downloads(cache)?;
        match self {
            Self::Debian(package) => package.fetch(cache, &downloads, progress),
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

/// Returns the directory for archives, created if need be.
fn downloads(cache: &Path) -> Result<PathBuf> {
    let downloads = cache.join("downloads");
    fs::create_dir_all(&downloads).map_err(Error::io("creating", &downloads))?;
    Ok(downloads)
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

#[derive(Debug)]
pub(crate) struct Archive {
    pub(crate) path: PathBuf,
    /// A description of its contents, which ends in a version or a hash.
    pub(crate) identity: String,
    fetched: bool,
}

impl Archive {
    /// Frees the disk space of a fetched archive; a user's own stays.
    pub(crate) fn discard(&self) {
        if self.fetched {
            // A failure costs disk space only; the next fetch overwrites the file.
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

/// Returns the directory for the tree of a source with that identity.
pub(crate) fn place(cache: &Path, name: &str, identity: &str) -> PathBuf {
    let hash = hex(&Sha256::digest(identity));
    cache.join("trees").join(format!("{name}-{}", &hash[..10]))
}

/// Returns bytes as lower-case hexadecimal digits.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
