//! Import of an archive's files as one commit of a new git repository, streamed without a copy on
//! disk.

use std::{
    fs::File,
    io::{self, BufReader, BufWriter, Read, Seek, Write},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use super::Archive;
use crate::{
    Error, Phase, Progress, Result,
    git_objects::has,
    subprocess::{Running, git, read},
};

/// The branch that holds the pristine source.
pub(crate) const BASE: &str = "refs/heads/base";

/// Makes a repository in that directory whose branch [`BASE`] has the archive's files.
pub(crate) fn import(archive: &Archive, repository: &Path, progress: &dyn Progress) -> Result<()> {
    read(git(Path::new("/")).args(["init", "-q", "--initial-branch=tree"]).arg(repository), b"")?;
    let mut command = git(repository);
    command.args(["fast-import", "--quiet", "--done", "--depth=0"]);
    command.stdin(Stdio::piped()).stderr(Stdio::piped());
    let mut importer = Running::start(&mut command)?;
    let streamed = importer.child.stdin.take().map_or(Ok(()), |stdin| {
        let mut out = BufWriter::with_capacity(1 << 20, stdin);
        begin(&mut out, &archive.identity)
            .and_then(|()| stream(archive, &mut out, progress))
            .and_then(|()| out.write_all(b"done\n"))
            .and_then(|()| out.flush())
    });
    match streamed {
        Ok(()) => importer.succeed(),
        // The importer's error comes first: it is the reason for the broken pipe.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => importer.succeed(),
        Err(why) => Err(Error::Archive { path: archive.path.clone(), why }),
    }?;
    for name in ["Makefile", "Kconfig"] {
        if !has(repository, &format!("{BASE}:{name}"))? {
            let reason = format!("there is no {name} at its top");
            return Err(Error::NotASource { path: archive.path.clone(), reason });
        }
    }
    progress.finished();
    Ok(())
}

/// Opens the archive by its first bytes and sends its files to `git fast-import`.
fn stream(archive: &Archive, out: &mut impl Write, progress: &dyn Progress) -> io::Result<()> {
    let mut file = File::open(&archive.path)?;
    let mut magic = Vec::new();
    (&file).take(8).read_to_end(&mut magic)?;
    file.rewind()?;
    let name = archive.path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    if magic == b"!<arch>\n" {
        return stream_package(&archive.path, name, out, progress);
    }
    progress.started(&Phase::Unpack { file: name }, Some(file.metadata()?.len()));
    let counted = BufReader::with_capacity(1 << 18, Counted::new(file, progress));
    match magic.as_slice() {
        [0xfd, b'7', b'z', ..] => stream_tar(liblzma::read::XzDecoder::new_multi_decoder(counted), out),
        [0x1f, 0x8b, ..] => stream_tar(flate2::read::MultiGzDecoder::new(counted), out),
        _ => stream_tar(counted, out),
    }
}

/// A Debian package `linux-source-*` has the source's tarball as a file inside.
fn stream_package(
    package: &Path,
    name: String,
    out: &mut impl Write,
    progress: &dyn Progress,
) -> io::Result<()> {
    let mut command = Command::new("dpkg-deb");
    command
        .arg("--fsys-tarfile")
        .arg(package)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    let mut unpacker = Running::start(&mut command).map_err(io::Error::other)?;
    let stdout = unpacker.child.stdout.take().ok_or_else(|| io::Error::other("dpkg-deb has no output"))?;
    let mut files = tar::Archive::new(BufReader::with_capacity(1 << 18, stdout));
    for entry in files.entries()? {
        let entry = entry?;
        let is_source = entry.path()?.to_string_lossy().ends_with(".tar.xz");
        if is_source {
            progress.started(&Phase::Unpack { file: name }, Some(entry.size()));
            let counted = BufReader::with_capacity(1 << 18, Counted::new(entry, progress));
            return stream_tar(liblzma::read::XzDecoder::new_multi_decoder(counted), out);
        }
    }
    Err(io::Error::new(io::ErrorKind::InvalidData, "no tarball inside"))
}

/// Writes the commit's header, which the files follow. Its date is fixed, so that the same source
/// makes the same commit.
fn begin(out: &mut impl Write, identity: &str) -> io::Result<()> {
    let message = format!("Pristine source ({identity})\n");
    write!(out, "commit {BASE}\ncommitter keyagents <keyagents@localhost> 0 +0000\n")?;
    write!(out, "data {}\n{message}\n", message.len())
}

/// Sends every file of a tarball, without the common top directory.
fn stream_tar(tarball: impl Read, out: &mut impl Write) -> io::Result<()> {
    let mut tarball = tar::Archive::new(tarball);
    for entry in tarball.entries()? {
        let mut entry = entry?;
        let path: PathBuf = entry.path()?.components().skip(1).collect();
        let path = quoted(&path.to_string_lossy());
        match entry.header().entry_type() {
            tar::EntryType::Regular | tar::EntryType::Continuous => {
                let mode = if entry.header().mode()? & 0o100 != 0 { "100755" } else { "100644" };
                writeln!(out, "M {mode} inline {path}\ndata {}", entry.size())?;
                io::copy(&mut entry, out)?;
                out.write_all(b"\n")?;
            }
            tar::EntryType::Symlink => {
                let target = entry.link_name_bytes().unwrap_or_default();
                writeln!(out, "M 120000 inline {path}\ndata {}", target.len())?;
                out.write_all(&target)?;
                out.write_all(b"\n")?;
            }
            tar::EntryType::Directory | tar::EntryType::XGlobalHeader => {}
            kind => {
                let what = format!("{path} is of a kind that a kernel source does not have ({kind:?})");
                return Err(io::Error::new(io::ErrorKind::InvalidData, what));
            }
        }
    }
    Ok(())
}

/// Returns a path in the syntax of `git fast-import`.
fn quoted(path: &str) -> String {
    if path.contains(['"', '\n', '\\']) {
        format!("\"{}\"", path.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n"))
    } else {
        path.to_owned()
    }
}

/// Reports the number of bytes read.
struct Counted<'a, R> {
    inner: R,
    done: u64,
    progress: &'a dyn Progress,
}

impl<'a, R> Counted<'a, R> {
    fn new(inner: R, progress: &'a dyn Progress) -> Self {
        Self { inner, done: 0, progress }
    }
}

impl<R: Read> Read for Counted<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.done += read as u64;
        self.progress.done(self.done);
        Ok(read)
    }
}
