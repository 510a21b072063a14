//! Reads an archive, and looks up its files as the kernel would.

use std::collections::BTreeMap;
use std::io::{self, Read};

use cpio::newc::Reader;

const TYPE: u32 = 0o170_000;
const REGULAR: u32 = 0o100_000;
const SYMLINK: u32 = 0o120_000;

/// The files of an uncompressed archive, by path without the leading slash.
#[derive(Debug, Default)]
pub struct Contents {
    files: BTreeMap<String, File>,
}

#[derive(Debug)]
struct File {
    mode: u32,
    /// Device and inode, which hard links share. Only the last one has the content.
    identity: (u32, u32, u32),
    bytes: Vec<u8>,
}

/// A reason why a kernel can't start with an archive.
#[derive(Debug, thiserror::Error)]
pub enum ContentsError {
    #[error("is damaged: {0}")]
    Damaged(#[from] io::Error),
    #[error("has no {path}, which the kernel starts; it has {has}", has = listed(.has))]
    Missing {
        path: String,
        /// The files and directories at the top.
        has: Vec<String>,
    },
    #[error("has a {path} that leads to {target}, which is not in it")]
    Dangling { path: String, target: String },
    #[error("has a {0} that can't be executed: it must be a file of mode 755")]
    NotExecutable(String),
}

fn listed(names: &[String]) -> String {
    if names.is_empty() { "nothing".to_owned() } else { names.join(" ") }
}

impl Contents {
    /// Reads an uncompressed archive, or several concatenated ones.
    pub fn read(mut rest: &[u8]) -> Result<Self, ContentsError> {
        let mut contents = Self::default();
        while rest.iter().any(|byte| *byte != 0) {
            let mut reader = Reader::new(rest)?;
            let mut bytes = Vec::new();
            reader.read_to_end(&mut bytes)?;
            let entry = reader.entry();
            if !entry.is_trailer() {
                let identity = (entry.dev_major(), entry.dev_minor(), entry.ino());
                contents.insert(entry.name(), File { mode: entry.mode(), identity, bytes });
                rest = reader.finish()?;
                continue;
            }
            rest = reader.finish()?;
            rest = &rest[rest.iter().take_while(|byte| **byte == 0).count()..];
        }
        Ok(contents)
    }

    fn insert(&mut self, name: &str, file: File) {
        let name = name.trim_start_matches("./").trim_matches('/');
        if !matches!(name, "" | ".") {
            self.files.insert(name.to_owned(), file);
        }
    }

    /// Returns the content of the executable at an absolute path, with symbolic links resolved.
    pub fn executable(&self, path: &str) -> Result<&[u8], ContentsError> {
        let name = path.trim_start_matches('/');
        if !self.files.contains_key(name) {
            return Err(ContentsError::Missing { path: path.to_owned(), has: self.top() });
        }
        let file = self.resolve(name).map_err(|target| ContentsError::Dangling {
            path: path.to_owned(),
            target: format!("/{target}"),
        })?;
        if file.mode & TYPE != REGULAR || file.mode & 0o111 == 0 {
            return Err(ContentsError::NotExecutable(path.to_owned()));
        }
        let linked = || self.files.values().find(|it| it.identity == file.identity && !it.bytes.is_empty());
        Ok(if file.bytes.is_empty() { linked().map_or(&[], |it| &it.bytes) } else { &file.bytes })
    }

    /// Resolves symbolic links, including those of directories. The error is the path that does not exist.
    fn resolve(&self, name: &str) -> Result<&File, String> {
        const LONGEST_CHAIN: usize = 40;
        let mut path = name.to_owned();
        for _ in 0..LONGEST_CHAIN {
            match self.first_link(&path) {
                Some(next) => path = next,
                None => return self.files.get(&path).ok_or(path),
            }
        }
        Err(path)
    }

    /// Returns the path with its first symbolic link replaced by its target; `None` if it has none.
    fn first_link(&self, path: &str) -> Option<String> {
        let ends = path.match_indices('/').map(|(end, _)| end).chain([path.len()]);
        for end in ends {
            let Some(link) = self.files.get(&path[..end]).filter(|it| it.mode & TYPE == SYMLINK) else {
                continue;
            };
            let target = String::from_utf8_lossy(&link.bytes);
            let directory = path[..end].rsplit_once('/').map_or("", |(directory, _)| directory);
            let base = if target.starts_with('/') { "" } else { directory };
            return Some(normal(&format!("{base}/{target}{}", &path[end..])));
        }
        None
    }

    fn top(&self) -> Vec<String> {
        const ENOUGH: usize = 12;
        let tops = self.files.keys().map(|name| name.split('/').next().unwrap_or_default());
        let mut tops: Vec<String> = tops.map(|name| format!("/{name}")).collect();
        tops.dedup();
        if tops.len() > ENOUGH {
            tops.truncate(ENOUGH);
            tops.push("…".to_owned());
        }
        tops
    }
}

/// Returns a path without `.`, `..` and empty components.
fn normal(path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => _ = parts.pop(),
            part => parts.push(part),
        }
    }
    parts.join("/")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Artefacts, Manifest, build};

    fn contents(manifest: &str) -> Contents {
        let manifest = Manifest::read(manifest).unwrap();
        Contents::read(&build(&manifest, &Artefacts::new()).unwrap()).unwrap()
    }

    #[test]
    fn init_is_found_through_links() {
        let systemd = contents(
            r#"
            "/usr" = { mode = 0o755 }
            "/usr/sbin" = { mode = 0o755 }
            "/usr/sbin/real" = { text = "elf", mode = 0o755 }
            "/sbin" = { target = "usr/sbin" }
            "/usr/sbin/other" = { target = "../sbin/real" }
            "/init" = { target = "/sbin/other" }
        "#,
        );
        assert_eq!(systemd.executable("/init").unwrap(), b"elf");
    }

    #[test]
    fn archive_without_a_runnable_init_is_refused() {
        let said = |manifest: &str| contents(manifest).executable("/init").unwrap_err().to_string();
        let file = "'/linuxrc' = { text = '', mode = 0o755 }";
        assert_eq!(said(file), "has no /init, which the kernel starts; it has /linuxrc");
        assert_eq!(
            said("'/init' = { target = 'bin/x' }"),
            "has a /init that leads to /bin/x, which is not in it"
        );
        assert!(said("'/init' = { text = '', mode = 0o644 }").contains("can't be executed"));
        assert!(said("'/init' = { mode = 0o755 }").contains("can't be executed"));
        // A link to itself does not loop.
        assert!(said("'/init' = { target = 'init' }").contains("leads to /init"));
    }
}
