//! Reproducible archive of a bundle's files: the same files give the same bytes.

use std::fs;
use std::io::{self, Write};
use std::path::Path;

use anyhow::{Context, Result};

use super::Files;

/// Compression level: good compression within seconds, even for a kernel with symbols.
const LEVEL: i32 = 10;

/// Writes the archive atomically. `name` is the folder that it unpacks into.
pub fn write(files: &Files, name: &str, path: &Path) -> Result<()> {
    let mut partial = path.as_os_str().to_owned();
    partial.push(".part");
    let packed = pack(files, name, Path::new(&partial)).and_then(|()| fs::rename(&partial, path));
    if packed.is_err() {
        // The file may not exist.
        let _ = fs::remove_file(&partial);
    }
    packed.with_context(|| format!("can't write {}", path.display()))
}

fn pack(files: &Files, name: &str, path: &Path) -> io::Result<()> {
    let packer = zstd::Encoder::new(fs::File::create(path)?, LEVEL)?;
    let mut archive = tar::Builder::new(packer);
    for (file, content) in files {
        let mut header = tar::Header::new_ustar();
        header.set_size(content.bytes.len() as u64);
        header.set_mode(if content.executable { 0o755 } else { 0o644 });
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(0);
        archive.append_data(&mut header, format!("{name}/{file}"), content.bytes.as_slice())?;
    }
    archive.into_inner()?.finish()?.flush()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bundle::File;

    #[test]
    fn archive_is_reproducible_and_unpacks_unchanged() {
        let files = Files::from([
            ("run.sh".to_owned(), File { bytes: b"#!/bin/sh\n".to_vec(), executable: true }),
            ("series/1.patch".to_owned(), File { bytes: b"diff".to_vec(), executable: false }),
        ]);
        let folder = tempfile::tempdir().unwrap();
        let (one, other) = (folder.path().join("one"), folder.path().join("other"));
        write(&files, "b", &one).unwrap();
        write(&files, "b", &other).unwrap();
        let packed = fs::read(&one).unwrap();
        assert_eq!(packed, fs::read(&other).unwrap());

        let mut archive = tar::Archive::new(zstd::Decoder::new(packed.as_slice()).unwrap());
        let entries = archive.entries().unwrap().map(|entry| {
            let entry = entry.unwrap();
            let path = entry.path().unwrap().display().to_string();
            (path, entry.header().mode().unwrap(), entry.header().mtime().unwrap())
        });
        let expected = [("b/run.sh".to_owned(), 0o755, 0), ("b/series/1.patch".to_owned(), 0o644, 0)];
        assert_eq!(entries.collect::<Vec<_>>(), expected);
    }

    #[test]
    fn unwritable_archive_is_named() {
        let error = write(&Files::new(), "b", Path::new("/proc/bundle.tar.zst")).unwrap_err();
        assert!(error.to_string().starts_with("can't write /proc/bundle.tar.zst"));
    }
}
