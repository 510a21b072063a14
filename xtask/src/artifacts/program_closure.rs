//! Closure of a host program for the guest: its interpreter, its libraries, and the files that the
//! user adds.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, FileType};
use std::io::Read;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::{Component, Path, PathBuf};

use anyhow::{Context, Result, anyhow, bail};
use goblin::elf::Elf;
use goblin::elf::header::{EM_386, EM_X86_64, machine_to_str};
use kernel::is_executable;

use crate::artifacts::guest_file::{Link, Program};
use crate::artifacts::libraries::with_libraries;
use crate::artifacts::shebang::{Shebang, carriage_return};
use crate::host::process::quoted;
use crate::host::program::{in_path, library_path, search_directories};

/// The loader's cache, which it reads first when it searches for a library.
const LOADER_CACHE: &str = "/etc/ld.so.cache";

/// Maximum depth of scripts interpreted by scripts, as in the kernel (`fs/exec.c`).
const MAX_DEPTH: usize = 5;

/// Files to copy into the guest. Links of the host are links in the guest, so that every path leads
/// to the same file.
#[derive(Debug, Default)]
pub struct ProgramClosure {
    files: BTreeMap<String, PathBuf>,
    directories: BTreeSet<String>,
    links: BTreeMap<String, String>,
    /// Links in packed directories, and the directories that they lead to.
    directory_links: Vec<(PathBuf, PathBuf)>,
    /// Remarks on entries that were left out.
    left: Vec<String>,
    pub is_32bit: bool,
}

impl ProgramClosure {
    /// Packs a program by path or by name in `PATH`. Returns its path in the guest, which is the
    /// same as on the host.
    pub fn pack_program(&mut self, program: &str) -> Result<String> {
        let found = if program.contains('/') { program.into() } else { in_path(program)? };
        let path = absolute(&found)?;
        let metadata = fs::metadata(&path).with_context(|| format!("can't run {program}"))?;
        if metadata.is_dir() {
            bail!("can't run {program}: it is a directory");
        }
        if metadata.permissions().mode() & 0o111 == 0 {
            bail!("can't run {program}: it is not executable (chmod +x {})", quoted(program));
        }
        self.pack_executable(&path, MAX_DEPTH)?;
        key(&path)
    }

    /// Packs a file, or everything below a directory, under the same path.
    pub fn pack(&mut self, path: &Path) -> Result<()> {
        let path = absolute(path)?;
        let include = || format!("can't include {}", path.display());
        let real = self.resolve(&path).with_context(include)?;
        let metadata = fs::metadata(&real).with_context(include)?;
        match special_kind(metadata.file_type()) {
            Some(kind) => bail!("{}: it is {kind}", include()),
            None => self.pack_entry(&real).with_context(include),
        }
    }

    pub fn programs(&self) -> Vec<Program> {
        let files = self.files.iter();
        files.map(|(path, file)| Program { path: self.resolved(path), file: file.clone() }).collect()
    }

    pub fn links(&self) -> Vec<Link> {
        let links = self.links.iter().map(|(path, target)| (self.resolved(path), target));
        let kept = links.filter(|(path, target)| path != *target);
        kept.map(|(path, target)| Link { path, target: target.clone() }).collect()
    }

    pub fn directories(&self) -> Vec<String> {
        self.directories.iter().map(|path| self.resolved(path)).collect()
    }

    pub fn remarks(&self) -> Vec<String> {
        let comes = |place: &Path| self.directories.contains(&*place.to_string_lossy());
        let lost = self.directory_links.iter().filter(|(_, place)| !comes(place));
        let lost = lost.map(|(link, place)| {
            format!(
                "{} leads to {}, which the guest does not have: --include {}",
                link.display(),
                place.display(),
                quoted(place)
            )
        });
        self.left.iter().cloned().chain(lost).collect()
    }

    /// Checks whether a packed file is below a directory, or below the target of a link.
    pub fn has_below(&self, directory: &Path) -> bool {
        let real = directory.canonicalize().unwrap_or_else(|_| directory.to_owned());
        let mut files = self.files.keys().map(Path::new);
        files.any(|file| file.starts_with(directory) || file.starts_with(&real))
    }

    /// Returns the total size of the files in bytes.
    pub fn size(&self) -> u64 {
        self.files.values().filter_map(|file| fs::metadata(file).ok()).map(|it| it.len()).sum()
    }

    /// Resolves a path, and packs the link if it is one.
    fn resolve(&mut self, path: &Path) -> Result<PathBuf> {
        let real = path.canonicalize()?;
        // Directories at the root are the guest's own, even if /bin is a link to usr/bin on the
        // host.
        let is_guests = path.parent() == Some(Path::new("/")) && real.is_dir();
        if real != path && !is_guests {
            self.links.entry(key(path)?).or_insert(key(&real)?);
        }
        Ok(real)
    }

    /// Resolves links in the parent directories of a path. A link at its end is kept.
    fn resolved(&self, path: &str) -> String {
        const MAX_LINKS: usize = 40;
        let mut path = PathBuf::from(path);
        for _ in 0..MAX_LINKS {
            let above = path.ancestors().skip(1);
            let link = above.filter_map(|above| Some((above, self.links.get(above.to_str()?)?))).last();
            let Some((link, target)) = link else { break };
            let rest = path.strip_prefix(link).unwrap_or(&path);
            let next = link.parent().unwrap_or(link).join(target).join(rest);
            path = lexical(&next);
        }
        path.to_string_lossy().into_owned()
    }

    fn pack_file(&mut self, path: &Path) -> Result<()> {
        let file = fs::File::open(path).and_then(|file| file.metadata());
        let file = file.with_context(|| format!("can't read {}", path.display()))?;
        if file.permissions().mode() & 0o6000 != 0 {
            let name = path.display();
            self.left.push(format!("{name} is set-user-ID or set-group-ID, which it is not in the guest"));
        }
        self.files.insert(key(path)?, path.to_owned());
        Ok(())
    }

    /// Packs the entry at a path without links.
    fn pack_entry(&mut self, path: &Path) -> Result<()> {
        let metadata =
            fs::symlink_metadata(path).with_context(|| format!("can't examine {}", path.display()))?;
        let kind = metadata.file_type();
        if let Some(kind) = special_kind(kind) {
            self.left.push(format!("{} is left out: it is {kind}", path.display()));
            return Ok(());
        }
        match kind {
            kind if kind.is_symlink() => self.pack_link(path),
            kind if kind.is_dir() => self.pack_directory(path),
            _ => self.pack_data(path, metadata.permissions().mode() & 0o111 != 0),
        }
    }

    fn pack_directory(&mut self, directory: &Path) -> Result<()> {
        let unread = || format!("can't read {}", directory.display());
        self.directories.insert(key(directory)?);
        for entry in fs::read_dir(directory).with_context(unread)? {
            self.pack_entry(&entry.with_context(unread)?.path())?;
        }
        Ok(())
    }

    /// Packs a link as it is, and its target. A dangling link is dangling in the guest, too.
    fn pack_link(&mut self, path: &Path) -> Result<()> {
        let target = fs::read_link(path).with_context(|| format!("can't read {}", path.display()))?;
        self.links.insert(key(path)?, key(&target)?);
        let Ok(real) = path.canonicalize() else { return Ok(()) };
        self.resolve(&absolute(&path.parent().unwrap_or(path).join(&target))?)?;
        if real.is_dir() {
            self.directory_links.push((path.to_owned(), real));
        } else if !self.files.contains_key(&key(&real)?) {
            self.pack_entry(&real)?;
        }
        Ok(())
    }

    /// Packs a file; if it is a program that runs here, packs its interpreter and libraries as
    /// well.
    fn pack_data(&mut self, path: &Path, is_executable: bool) -> Result<()> {
        self.pack_file(path)?;
        let runs = match begins_with(path)?.as_slice() {
            b"\x7fELF" => check(&fs::read(path)?, path).is_ok(),
            [b'#', b'!', ..] => is_executable,
            _ => false,
        };
        if runs && let Err(error) = self.pack_executable(path, MAX_DEPTH) {
            self.left.push(format!("{error:#}"));
        }
        Ok(())
    }

    fn pack_executable(&mut self, path: &Path, depth: usize) -> Result<()> {
        let unread = || format!("can't read {}", path.display());
        let file = self.resolve(path).with_context(unread)?;
        let bytes = fs::read(&file).with_context(unread)?;
        if bytes.starts_with(b"#!") {
            self.pack_file(&file)?;
            return self
                .pack_interpreter(&bytes, depth)
                .with_context(|| format!("can't run {}", path.display()));
        }
        self.is_32bit |= check(&bytes, path)?;
        let packed = with_libraries(&file, &key(&file)?)?;
        if packed.len() > 1 && Path::new(LOADER_CACHE).exists() {
            self.files.insert(LOADER_CACHE.to_owned(), LOADER_CACHE.into());
        }
        for program in packed {
            self.pack_library_paths(&program.file)?;
            self.files.insert(program.path, program.file);
        }
        Ok(())
    }

    /// Packs links that lead to the directories where the loader searches for libraries.
    fn pack_library_paths(&mut self, file: &Path) -> Result<()> {
        let listed = library_path().into_iter().map(|(_, place)| place);
        for place in search_directories(file).into_iter().chain(listed).filter(|place| place.is_dir()) {
            // A directory before a `..` must exist.
            for before in place.ancestors().filter(|it| it.ends_with("..")).filter_map(Path::parent) {
                let real = self.resolve(&absolute(before)?)?;
                self.directories.insert(key(&real)?);
            }
            self.resolve(&absolute(&place)?)?;
        }
        Ok(())
    }

    /// Packs the interpreter of a script, and the program that `env` starts.
    fn pack_interpreter(&mut self, script: &[u8], depth: usize) -> Result<()> {
        let shebang = Shebang::of(script)?;
        if depth == 0 {
            bail!("scripts interpret scripts too deeply");
        }
        let interpreter = &shebang.interpreter;
        self.pack_interpreter_program(Path::new(interpreter), depth)?;
        let Some(name) = shebang.env_program()? else { return Ok(()) };
        if name.ends_with('\r') {
            bail!(carriage_return(&name));
        }
        let found = if name.contains('/') { Ok(name.clone().into()) } else { in_path(&name) };
        let found = found.with_context(|| match name.contains(char::is_whitespace) {
            true => format!("{interpreter} looks for a program `{name}`, and with -S for its first word"),
            false => format!("{interpreter} looks for {name}"),
        })?;
        self.pack_interpreter_program(&found, depth)
    }

    fn pack_interpreter_program(&mut self, program: &Path, depth: usize) -> Result<()> {
        let path = absolute(program)?;
        if path.exists() && !is_executable(&path) {
            bail!("its interpreter {} is not executable", program.display());
        }
        self.pack_executable(&path, depth - 1)
            .with_context(|| format!("its interpreter is {}", program.display()))
    }
}

/// Returns the kind of a special file, which can't be packed.
fn special_kind(kind: FileType) -> Option<&'static str> {
    match kind {
        kind if kind.is_socket() => Some("a socket"),
        kind if kind.is_fifo() => Some("a named pipe"),
        kind if kind.is_block_device() || kind.is_char_device() => Some("a device"),
        _ => None,
    }
}

/// Converts a path to UTF-8 for the guest.
fn key(path: &Path) -> Result<String> {
    path.to_str()
        .map(str::to_owned)
        .ok_or_else(|| anyhow!("can't pack {}: its name is no UTF-8", path.display()))
}

fn begins_with(path: &Path) -> Result<Vec<u8>> {
    let mut magic = Vec::new();
    let read = fs::File::open(path).and_then(|file| file.take(4).read_to_end(&mut magic));
    read.with_context(|| format!("can't read {}", path.display()))?;
    Ok(magic)
}

/// Checks that a program runs in guests. Returns true for 32-bit code.
pub fn check(bytes: &[u8], path: &Path) -> Result<bool> {
    let Ok(elf) = Elf::parse(bytes) else {
        bail!("{} is no program: neither ELF nor a script that begins with #!", path.display());
    };
    match elf.header.e_machine {
        EM_X86_64 => Ok(false),
        EM_386 => Ok(true),
        other => {
            let name = machine_to_str(other).trim_start_matches("EM_").to_lowercase();
            bail!("{} is a program for {name}, and guests are x86-64: build it for x86-64", path.display())
        }
    }
}

/// Returns the absolute path without `.` and `..`. Links are kept, except for those before a `..`.
fn absolute(path: &Path) -> Result<PathBuf> {
    let whole = std::path::absolute(path).with_context(|| format!("can't resolve {}", path.display()))?;
    let mut plain = PathBuf::new();
    for part in whole.components() {
        if part == Component::ParentDir && plain.is_symlink() {
            plain = plain.canonicalize().with_context(|| format!("can't follow {}", plain.display()))?;
        }
        plain.push(part);
        plain = lexical(&plain);
    }
    Ok(plain)
}

/// Removes `.` and `..` without access to the file system.
fn lexical(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for part in path.components() {
        match part {
            Component::ParentDir => _ = plain.pop(),
            Component::CurDir => {}
            part => plain.push(part),
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    fn executable(path: &Path, bytes: &[u8]) -> String {
        fs::write(path, bytes).unwrap();
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
        path.to_string_lossy().into_owned()
    }

    #[test]
    fn set_user_id_program_is_remarked() {
        let directory = tempfile::tempdir().unwrap();
        let script = executable(&directory.path().join("a"), b"#!/bin/sh\n");
        fs::set_permissions(&script, fs::Permissions::from_mode(0o4755)).unwrap();
        let mut closure = ProgramClosure::default();
        closure.pack_program(&script).unwrap();
        let remark = format!("{script} is set-user-ID or set-group-ID, which it is not in the guest");
        assert_eq!(closure.remarks(), [remark]);
    }

    #[test]
    fn script_includes_its_interpreter_and_libraries() {
        let directory = tempfile::tempdir().unwrap();
        let folder = directory.path();
        let script = executable(&folder.join("a"), b"#!/usr/bin/env -S sh -e\nexit 3\n");
        let mut closure = ProgramClosure::default();
        assert_eq!(closure.pack_program(&script).unwrap(), script);
        for part in [script.as_str(), "/env", "/sh", "/libc.so.6", "/ld-linux-x86-64.so.2"] {
            let mut paths = closure.files.keys().chain(closure.links.keys());
            assert!(paths.any(|path| path.ends_with(part)), "{part}: {closure:?}");
        }
    }

    #[test]
    fn packed_directory_keeps_links_and_empty_directories_and_reports_omissions() {
        let directory = tempfile::tempdir().unwrap();
        let folder = directory.path();
        let under = |name: &str| folder.join(name);
        let key = |name: &str| under(name).to_string_lossy().into_owned();
        fs::create_dir_all(under("tree/empty")).unwrap();
        fs::write(under("tree/file"), "x").unwrap();
        fs::write(under("other"), "x").unwrap();
        fs::create_dir(under("apart")).unwrap();
        for (link, target) in [
            ("tree/link", "file"),
            ("tree/out", "../other"),
            ("tree/nowhere", "no/such"),
            ("tree/round", "round"),
            ("tree/away", "../apart"),
            ("way", "tree"),
        ] {
            std::os::unix::fs::symlink(target, under(link)).unwrap();
        }
        let _socket = std::os::unix::net::UnixListener::bind(under("tree/socket")).unwrap();
        let mut closure = ProgramClosure::default();
        closure.pack(&under("way")).unwrap();
        assert_eq!(closure.files.keys().collect::<Vec<_>>(), [&key("other"), &key("tree/file")]);
        assert_eq!(closure.directories(), [key("tree"), key("tree/empty")]);
        let links: Vec<_> = closure.links().into_iter().map(|link| (link.path, link.target)).collect();
        let way = key("tree");
        let expected = [
            ("away", "../apart"),
            ("link", "file"),
            ("nowhere", "no/such"),
            ("out", "../other"),
            ("round", "round"),
        ];
        let expected = expected.map(|(link, target)| (key(&format!("tree/{link}")), target.to_owned()));
        assert_eq!(links, expected.into_iter().chain([(key("way"), way)]).collect::<Vec<_>>());
        let remarks = closure.remarks();
        assert!(remarks[0].ends_with("tree/socket is left out: it is a socket"), "{remarks:?}");
        assert!(remarks[1].ends_with(&format!("--include {}", key("apart"))), "{remarks:?}");
        let refused = format!("{:#}", closure.pack(&under("tree/socket")).unwrap_err());
        assert_eq!(refused, format!("can't include {}: it is a socket", key("tree/socket")));
    }

    #[test]
    fn path_below_a_packed_link_is_resolved() {
        let link = |path: &str, target: &str| (path.to_owned(), target.to_owned());
        let closure = ProgramClosure {
            files: BTreeMap::from([("/a/way/lib/x.so".to_owned(), "/x".into())]),
            links: BTreeMap::from([link("/a/way", "b"), link("/a/way/lib", "/c"), link("/a/b/lib", "/c")]),
            ..ProgramClosure::default()
        };
        assert_eq!(closure.programs()[0].path, "/c/x.so");
        let links: Vec<_> = closure.links().into_iter().map(|link| link.path).collect();
        assert_eq!(links, ["/a/b/lib", "/a/way", "/a/b/lib"]);
    }

    /// Creates a program for AArch64.
    fn foreign_program(folder: &Path) -> String {
        let mut bytes = fs::read("/proc/self/exe").unwrap();
        // The low byte of e_machine.
        bytes[18] = 183;
        executable(&folder.join("foreign"), &bytes)
    }

    #[test]
    fn included_program_of_another_architecture_is_a_plain_file() {
        let directory = tempfile::tempdir().unwrap();
        let folder = directory.path();
        foreign_program(folder);
        let mut closure = ProgramClosure::default();
        closure.pack(folder).unwrap();
        assert_eq!((closure.files.len(), closure.remarks().len()), (1, 0), "{closure:?}");
    }

    #[test]
    fn unrunnable_program_is_refused_with_the_reason() {
        let directory = tempfile::tempdir().unwrap();
        let folder = directory.path();
        let foreign = foreign_program(folder);
        let text = executable(&folder.join("text"), b"hello");
        fs::write(folder.join("file"), "").unwrap();
        let script =
            |name: &str, line: &str| executable(&folder.join(name), format!("{line}\nexit\n").as_bytes());
        let error =
            |program: &str| format!("{:#}", ProgramClosure::default().pack_program(program).unwrap_err());
        assert_eq!(
            error(&foreign),
            format!("{foreign} is a program for aarch64, and guests are x86-64: build it for x86-64")
        );
        assert!(error(&text).ends_with("is no program: neither ELF nor a script that begins with #!"));
        assert!(error("./no-such-program").starts_with("can't run ./no-such-program: No such file"));
        assert_eq!(error("no-such-program"), "there is no program `no-such-program` in PATH");
        assert!(error(&folder.join("file").to_string_lossy()).contains("it is not executable"));
        assert!(error(&folder.to_string_lossy()).ends_with("it is a directory"));
        for (line, why) in [
            ("#!/bin/sh\r", "its lines end in CRLF, so that a program `/bin/sh\\r` is looked for (sed"),
            ("#!/usr/bin/env sh\r", "its lines end in CRLF, so that a program `sh\\r` is looked for (sed"),
            (
                "#!/usr/bin/env sh -e",
                "looks for a program `sh -e`, and with -S for its first word: there is no",
            ),
            ("#!/usr/bin/env no-such", "looks for no-such: there is no program `no-such` in PATH"),
            ("#! ", "its first line names no interpreter"),
            ("#!/etc/passwd", "its interpreter /etc/passwd is not executable"),
            ("#!/no/such", "its interpreter is /no/such: can't read /no/such: No such file"),
        ] {
            let script = script("script", line);
            let error = error(&script);
            assert!(error.starts_with(&format!("can't run {script}: ")) && error.contains(why), "{error}");
        }
    }
}
