//! What a program of the host's takes along to run in a guest: its interpreter, its libraries, and what the user says.

use std::collections::BTreeMap;
use std::fs;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::{Component, Path, PathBuf};

use anyhow::{Context, Result, bail};
use object::{Architecture, BinaryFormat, Object};

use crate::guest::{Link, Program};
use crate::host_program::{find, with_libraries};

/// Where the loader looks first, once it knows a library's path on this host.
const LOADER_CACHE: &str = "/etc/ld.so.cache";

/// Scripts whose interpreters are scripts: the kernel gives up after so many (`fs/exec.c`).
const DEEPEST: usize = 5;

/// Everything that goes into the guest.
#[derive(Debug, Default)]
pub struct Luggage {
    files: BTreeMap<String, PathBuf>,
    links: BTreeMap<String, String>,
    /// Whether some of it is 32-bit code.
    pub narrow: bool,
}

impl Luggage {
    /// Packs a program as it would be started here: a path, or a name that is looked for in `PATH`. Gives its path in the guest,
    /// which is the same as here.
    ///
    /// # Errors
    /// There is no such program, it is for another kind of machine, or this host lacks a library of it.
    pub fn pack_program(&mut self, program: &str) -> Result<String> {
        let path = if program.contains('/') {
            absolute(Path::new(program))?
        } else {
            find(program).with_context(|| format!("there is no program `{program}` in PATH"))?
        };
        let metadata = fs::metadata(&path).with_context(|| format!("can't run {program}"))?;
        if metadata.is_dir() {
            bail!("can't run {program}: it is a directory");
        }
        if metadata.permissions().mode() & 0o111 == 0 {
            bail!("can't run {program}: it is not executable (chmod +x {program})");
        }
        self.pack_executable(&path, DEEPEST)?;
        Ok(path.to_string_lossy().into_owned())
    }

    /// Packs a file, or everything below a directory, under the same path.
    ///
    /// # Errors
    /// There is no such file, or it can't be read.
    pub fn pack(&mut self, path: &Path) -> Result<()> {
        let path = absolute(path)?;
        let missing = || format!("can't include {}", path.display());
        if fs::metadata(&path).with_context(missing)?.is_dir() {
            return self.pack_directory(&path);
        }
        if is_elf(&path)? { self.pack_executable(&path, DEEPEST) } else { self.pack_file(&path) }
    }

    /// As the guest's makers want it.
    pub fn programs(&self) -> Vec<Program> {
        let files = self.files.iter();
        files.map(|(path, file)| Program { path: path.clone(), file: file.clone() }).collect()
    }

    /// Likewise.
    pub fn links(&self) -> Vec<Link> {
        let links = self.links.iter();
        links.map(|(path, target)| Link { path: path.clone(), target: target.clone() }).collect()
    }

    /// Whether something has that path.
    pub fn has(&self, path: &str) -> bool {
        self.files.contains_key(path)
    }

    /// How many bytes it is in all.
    pub fn size(&self) -> u64 {
        self.files.values().filter_map(|file| fs::metadata(file).ok()).map(|it| it.len()).sum()
    }

    fn pack_file(&mut self, path: &Path) -> Result<()> {
        fs::File::open(path).with_context(|| format!("can't include {}", path.display()))?;
        self.files.insert(path.to_string_lossy().into_owned(), path.to_owned());
        Ok(())
    }

    fn pack_directory(&mut self, directory: &Path) -> Result<()> {
        let entries =
            fs::read_dir(directory).with_context(|| format!("can't include {}", directory.display()))?;
        for entry in entries {
            let path = entry.with_context(|| format!("can't include {}", directory.display()))?.path();
            let kind =
                fs::symlink_metadata(&path).with_context(|| format!("can't include {}", path.display()))?;
            if kind.is_symlink() {
                let target =
                    fs::read_link(&path).with_context(|| format!("can't include {}", path.display()))?;
                self.links.insert(path.to_string_lossy().into_owned(), target.to_string_lossy().into_owned());
            } else if kind.is_dir() {
                self.pack_directory(&path)?;
            } else if kind.is_file() {
                if is_elf(&path)? { self.pack_executable(&path, DEEPEST)? } else { self.pack_file(&path)? }
            }
        }
        Ok(())
    }

    fn pack_executable(&mut self, path: &Path, depth: usize) -> Result<()> {
        let bytes = fs::read(path).with_context(|| format!("can't read {}", path.display()))?;
        if let Some(line) = bytes.strip_prefix(b"#!") {
            self.pack_file(path)?;
            return self.pack_interpreter(path, &first_line(line), depth);
        }
        self.narrow |= check(&bytes, path)? == Architecture::I386;
        let packed = with_libraries(path, &path.to_string_lossy())?;
        if packed.len() > 1 && Path::new(LOADER_CACHE).exists() {
            self.files.insert(LOADER_CACHE.to_owned(), LOADER_CACHE.into());
        }
        self.files.extend(packed.into_iter().map(|program| (program.path, program.file)));
        Ok(())
    }

    /// What `#!` names, and what `env` is told to look for.
    fn pack_interpreter(&mut self, script: &Path, line: &str, depth: usize) -> Result<()> {
        let mut words = line.split_whitespace();
        let interpreter = words.next().unwrap_or_default();
        let what = || format!("can't run {}, whose interpreter is `{line}`", script.display());
        if depth == 0 {
            bail!("{}: scripts interpret scripts too deeply", what());
        }
        self.pack_executable(Path::new(interpreter), depth - 1).with_context(what)?;
        if interpreter.ends_with("/env")
            && let Some(name) = words.find(|word| !word.starts_with('-') && !word.contains('='))
        {
            let program = find(name).with_context(|| format!("{}: there is no `{name}` in PATH", what()))?;
            self.pack_executable(&program, depth - 1).with_context(what)?;
        }
        Ok(())
    }
}

fn first_line(bytes: &[u8]) -> String {
    let line = bytes.split(|byte| *byte == b'\n').next().unwrap_or_default();
    String::from_utf8_lossy(line).trim().to_owned()
}

fn is_elf(path: &Path) -> Result<bool> {
    let mut magic = Vec::new();
    let file = fs::File::open(path).with_context(|| format!("can't include {}", path.display()))?;
    file.take(4).read_to_end(&mut magic).with_context(|| format!("can't read {}", path.display()))?;
    Ok(magic == b"\x7fELF")
}

/// Whether the guest's processor runs it, and in which of its modes.
///
/// # Errors
/// It does not.
pub fn check(bytes: &[u8], path: &Path) -> Result<Architecture> {
    let Ok(file) = object::File::parse(bytes) else {
        bail!("{} is no program: neither ELF nor a script that begins with #!", path.display());
    };
    match (file.format(), file.architecture()) {
        (BinaryFormat::Elf, fitting @ (Architecture::X86_64 | Architecture::I386)) => Ok(fitting),
        (BinaryFormat::Elf, other) => {
            let name = format!("{other:?}").to_lowercase();
            bail!("{} is a program for {name}, and guests are x86-64: build it for x86-64", path.display())
        }
        (format, _) => bail!("{} is a program of the kind {format:?}, and guests run Linux", path.display()),
    }
}

/// From the root on, and without `.` and `..`; links stay.
pub fn absolute(path: &Path) -> Result<PathBuf> {
    let whole =
        std::path::absolute(path).with_context(|| format!("can't tell where {} is", path.display()))?;
    let mut plain = PathBuf::new();
    for part in whole.components() {
        match part {
            Component::ParentDir => _ = plain.pop(),
            Component::CurDir => {}
            part => plain.push(part),
        }
    }
    Ok(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(test: &str) -> PathBuf {
        let folder = std::env::temp_dir().join(format!("luggage-{}-{test}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        folder
    }

    fn executable(path: &Path, bytes: &[u8]) -> String {
        fs::write(path, bytes).unwrap();
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
        path.to_string_lossy().into_owned()
    }

    #[test]
    fn a_script_brings_its_interpreter_and_what_that_loads() {
        let folder = folder("script");
        let script = executable(&folder.join("a"), b"#!/usr/bin/env -S sh -e\nexit 3\n");
        let mut luggage = Luggage::default();
        assert_eq!(luggage.pack_program(&script).unwrap(), script);
        for part in [script.as_str(), "/env", "/sh", "/libc.so.6", "/ld-linux-x86-64.so.2"] {
            assert!(luggage.files.keys().any(|path| path.ends_with(part)), "{part}: {luggage:?}");
        }
        fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn a_directory_brings_its_links_as_links() {
        let folder = folder("directory");
        fs::create_dir_all(folder.join("in")).unwrap();
        fs::write(folder.join("in/file"), "x").unwrap();
        std::os::unix::fs::symlink("in/file", folder.join("link")).unwrap();
        let mut luggage = Luggage::default();
        luggage.pack(&folder.join("in/../")).unwrap();
        let under = |name: &str| folder.join(name).to_string_lossy().into_owned();
        assert_eq!(luggage.files.keys().collect::<Vec<_>>(), [&under("in/file")]);
        assert_eq!(luggage.links, BTreeMap::from([(under("link"), "in/file".to_owned())]));
        fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn what_no_guest_can_run_is_refused_in_one_sentence() {
        let folder = folder("refused");
        let mut foreign = fs::read("/proc/self/exe").unwrap();
        // e_machine: AArch64.
        foreign[18] = 183;
        let foreign = executable(&folder.join("foreign"), &foreign);
        let text = executable(&folder.join("text"), b"hello");
        fs::write(folder.join("file"), "").unwrap();
        let said = |program: &str| format!("{:#}", Luggage::default().pack_program(program).unwrap_err());
        assert_eq!(
            said(&foreign),
            format!("{foreign} is a program for aarch64, and guests are x86-64: build it for x86-64")
        );
        assert!(said(&text).ends_with("is no program: neither ELF nor a script that begins with #!"));
        assert!(said("./no-such-program").starts_with("can't run ./no-such-program: No such file"));
        assert_eq!(said("no-such-program"), "there is no program `no-such-program` in PATH");
        assert!(said(&folder.join("file").to_string_lossy()).contains("it is not executable"));
        assert!(said(&folder.to_string_lossy()).ends_with("it is a directory"));
        fs::remove_dir_all(folder).unwrap();
    }
}
