//! Decompresses an initramfs: concatenated cpio archives, each of them plain or compressed.

use std::io::{self, BufRead, Read};

use flate2::bufread::GzDecoder;
use liblzma::bufread::XzDecoder;
use liblzma::stream::Stream;

#[derive(Debug, thiserror::Error)]
pub enum UnpackError {
    #[error("is empty")]
    Empty,
    #[error("is no initramfs: neither a cpio archive nor one packed with gzip, xz, lzma, lz4 or zstd")]
    Unknown,
    #[error("is a cpio archive that kernels don't read: make it with `cpio --format=newc`")]
    OldFormat,
    #[error("is packed with {0}, which this can't unpack: unpack it yourself, and give the plain archive")]
    Unsupported(&'static str),
    #[error("is damaged: {0}")]
    Damaged(#[from] io::Error),
}

/// Formats by their first bytes, as in the kernel's `lib/decompress.c`.
const MAGIC: &[(&[u8], Packing)] = &[
    (b"070701", Packing::Plain),
    (b"070702", Packing::Plain),
    (b"070707", Packing::OldFormat),
    (&[0xc7, 0x71], Packing::OldFormat),
    (&[0x1f, 0x8b], Packing::Gzip),
    (&[0xfd, b'7', b'z', b'X', b'Z', 0], Packing::Xz),
    (&[0x5d, 0, 0], Packing::Lzma),
    (&[0x02, 0x21, 0x4c, 0x18], Packing::Lz4),
    (&[0x28, 0xb5, 0x2f, 0xfd], Packing::Zstd),
    (b"BZh", Packing::Unsupported("bzip2")),
    (&[0x89, b'L', b'Z', b'O'], Packing::Unsupported("LZO")),
];

#[derive(Debug, Clone, Copy)]
enum Packing {
    Plain,
    Gzip,
    Xz,
    Lzma,
    Lz4,
    Zstd,
    OldFormat,
    Unsupported(&'static str),
}

/// Returns the same archives uncompressed, so that any kernel can read them.
pub fn unpack(packed: &[u8]) -> Result<Vec<u8>, UnpackError> {
    let mut plain = Vec::new();
    let mut rest = skip_padding(packed);
    if rest.is_empty() {
        return Err(UnpackError::Empty);
    }
    while !rest.is_empty() {
        let known = MAGIC.iter().find(|(magic, _)| rest.starts_with(magic));
        let packing = known.map(|(_, packing)| *packing).ok_or(UnpackError::Unknown);
        // The kernel, too, ignores trailing data that is no archive.
        let packing = match packing {
            Err(UnpackError::Unknown) if !plain.is_empty() => break,
            known => known?,
        };
        // Headers are aligned to four bytes of their own file.
        plain.resize(plain.len().next_multiple_of(4), 0);
        rest = skip_padding(unpack_one(packing, rest, &mut plain)?);
    }
    Ok(plain)
}

fn skip_padding(bytes: &[u8]) -> &[u8] {
    let padding = bytes.iter().take_while(|byte| **byte == 0).count();
    &bytes[padding..]
}

/// Decompresses the first part; returns the rest.
fn unpack_one<'a>(
    packing: Packing,
    mut rest: &'a [u8],
    plain: &mut Vec<u8>,
) -> Result<&'a [u8], UnpackError> {
    match packing {
        Packing::OldFormat => return Err(UnpackError::OldFormat),
        Packing::Unsupported(name) => return Err(UnpackError::Unsupported(name)),
        Packing::Plain => {
            let length = archive_length(rest)?;
            plain.extend_from_slice(&rest[..length]);
            rest = &rest[length..];
        }
        Packing::Gzip => _ = GzDecoder::new(&mut rest).read_to_end(plain)?,
        Packing::Xz => _ = XzDecoder::new(&mut rest).read_to_end(plain)?,
        Packing::Lzma => {
            let stream = Stream::new_lzma_decoder(u64::MAX).map_err(io::Error::from)?;
            XzDecoder::new_stream(&mut rest, stream).read_to_end(plain)?;
        }
        Packing::Lz4 => unpack_lz4(&mut rest, plain)?,
        Packing::Zstd => {
            let decoder = zstd::stream::read::Decoder::with_buffer(&mut rest)?;
            decoder.single_frame().read_to_end(plain)?;
        }
    }
    Ok(rest)
}

/// Returns the length of the first archive, with its trailer.
fn archive_length(bytes: &[u8]) -> io::Result<usize> {
    let mut rest = bytes;
    loop {
        let reader = cpio::newc::Reader::new(rest)?;
        let last = reader.entry().is_trailer();
        rest = reader.finish()?;
        if last {
            return Ok(bytes.len() - rest.len());
        }
    }
}

/// Decompresses the legacy format of `lz4 -l`: blocks of at most 8 MiB, each preceded by its length.
fn unpack_lz4(rest: &mut &[u8], plain: &mut Vec<u8>) -> io::Result<()> {
    const MAGIC_LENGTH: usize = 4;
    const BLOCK: usize = 8 << 20;
    rest.consume(MAGIC_LENGTH);
    while let Some((length, after)) = rest.split_first_chunk::<4>() {
        let length = u32::from_le_bytes(*length) as usize;
        // Padding, or the next part.
        if length == 0 || length > after.len() {
            break;
        }
        let (block, after) = after.split_at(length);
        let unpacked = lz4_flex::block::decompress(block, BLOCK);
        plain.extend(unpacked.map_err(|why| io::Error::new(io::ErrorKind::InvalidData, why))?);
        *rest = after;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;
    use crate::{Artefacts, Manifest, build};

    fn archive(name: &str) -> Vec<u8> {
        let manifest = format!("'/{name}' = {{ text = '{}', mode = 0o755 }}", "x".repeat(99));
        build(&Manifest::read(&manifest).unwrap(), &Artefacts::new()).unwrap()
    }

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        packer.write_all(bytes).unwrap();
        packer.finish().unwrap()
    }

    fn lz4(bytes: &[u8]) -> Vec<u8> {
        let mut block = vec![0x02, 0x21, 0x4c, 0x18];
        // A block of literals only.
        let extra = bytes.len() - 15;
        let mut data = vec![0xf0];
        data.extend(std::iter::repeat_n(255, extra / 255).chain([(extra % 255) as u8]));
        data.extend_from_slice(bytes);
        block.extend((data.len() as u32).to_le_bytes());
        block.extend(data);
        block
    }

    #[test]
    fn every_compression_round_trips() {
        let plain = archive("init");
        let xz = liblzma::encode_all(plain.as_slice(), 1).unwrap();
        let zstd = zstd::encode_all(plain.as_slice(), 1).unwrap();
        for packed in [plain.clone(), gzip(&plain), xz, zstd, lz4(&plain)] {
            assert_eq!(unpack(&packed).unwrap(), plain, "{:x?}", &packed[..4]);
        }
    }

    #[test]
    fn concatenated_archives_are_all_unpacked() {
        let (one, other) = (archive("early"), archive("init"));
        let mut file = one.clone();
        file.extend([0; 512]);
        file.extend(gzip(&other));
        file.extend([0; 7]);
        assert_eq!(unpack(&file).unwrap(), [one, other].concat());
    }

    #[test]
    fn error_of_a_foreign_file_names_its_format() {
        let error = |bytes: &[u8]| unpack(bytes).unwrap_err().to_string();
        assert_eq!(error(&[0; 4]), "is empty");
        assert!(error(b"#!/bin/sh").starts_with("is no initramfs"));
        assert!(error(b"070707123").contains("--format=newc"));
        assert!(error(b"BZh91AY").contains("packed with bzip2"));
        let whole = archive("init");
        assert!(error(&whole[..whole.len() / 2]).starts_with("is damaged"));
        let packed = gzip(&whole);
        assert!(error(&packed[..packed.len() / 2]).starts_with("is damaged"));
    }
}
