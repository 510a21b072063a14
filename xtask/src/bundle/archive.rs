//! Reproducible archive of a bundle's files: the same files give the same bytes.

use std::io;

use super::Files;

/// Compression level: good compression within seconds, even for a kernel with symbols.
const LEVEL: i32 = 10;

/// Returns the archive, which unpacks into the folder `name`.
pub fn pack(files: &Files, name: &str) -> io::Result<Vec<u8>> {
    let packer = zstd::Encoder::new(Vec::new(), LEVEL)?;
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
    archive.into_inner()?.finish()
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
        let packed = pack(&files, "b").unwrap();
        assert_eq!(packed, pack(&files, "b").unwrap());

        let mut archive = tar::Archive::new(zstd::Decoder::new(packed.as_slice()).unwrap());
        let entries = archive.entries().unwrap().map(|entry| {
            let entry = entry.unwrap();
            let path = entry.path().unwrap().display().to_string();
            (path, entry.header().mode().unwrap(), entry.header().mtime().unwrap())
        });
        let expected = [("b/run.sh".to_owned(), 0o755, 0), ("b/series/1.patch".to_owned(), 0o644, 0)];
        assert_eq!(entries.collect::<Vec<_>>(), expected);
    }
}
