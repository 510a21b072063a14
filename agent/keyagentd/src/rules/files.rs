//! The files of rules, in the order of request-key(8).

use std::fs::{self, DirEntry, File};
use std::io::{self, ErrorKind, Read};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use super::parse::parse;
use super::{Mistake, Rules, Severity};

/// What request-key(8) reads, in this order.
const DEFAULT_PATHS: [&str; 2] = ["/etc/request-key.d", "/etc/request-key.conf"];

/// Reads the rules of files and directories. Of a directory, files called `*.conf` are read, in the order of their
/// names.
///
/// A default path may be missing; `paths` are those that the user has named.
pub(crate) fn load(paths: &[PathBuf]) -> (Rules, Vec<Mistake>) {
    let (mut rules, mut mistakes) = (Vec::new(), Vec::new());
    let named = |path: &Path| paths.iter().any(|named| named == path);
    for path in sources(paths) {
        let files = match files(&path, &mut mistakes) {
            Err(why) if why.kind() == ErrorKind::NotFound && !named(&path) => continue,
            Err(why) => {
                mistakes.push(unreadable(&path, &why));
                continue;
            }
            Ok(files) => files,
        };
        for file in files {
            match read(&file) {
                Err(why) => mistakes.push(unreadable(&file, &why)),
                Ok(text) => {
                    let (mut read, mut wrong) = parse(&file, &text);
                    rules.append(&mut read);
                    mistakes.append(&mut wrong);
                }
            }
        }
    }
    (Rules(rules), mistakes)
}

/// The paths that rules are read from: the default ones if none is named.
pub(crate) fn sources(paths: &[PathBuf]) -> Vec<PathBuf> {
    if paths.is_empty() { DEFAULT_PATHS.map(PathBuf::from).to_vec() } else { paths.to_vec() }
}

fn unreadable(path: &Path, why: &io::Error) -> Mistake {
    Mistake::in_file(path, Severity::Error, format!("can't read the rules: {why}"))
}

/// Reads a file. A pipe, for which this program would have to wait, is refused.
fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut file = File::options().read(true).custom_flags(libc::O_NONBLOCK).open(path)?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::other("it is not a regular file"));
    }
    let mut text = Vec::new();
    file.read_to_end(&mut text)?;
    Ok(text)
}

/// The file itself, or the files of a directory.
fn files(path: &Path, mistakes: &mut Vec<Mistake>) -> io::Result<Vec<PathBuf>> {
    if !fs::metadata(path)?.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let mut files = Vec::new();
    let mut entries = fs::read_dir(path)?.collect::<io::Result<Vec<_>>>()?;
    entries.sort_by_key(DirEntry::file_name);
    for entry in entries {
        let name = entry.file_name();
        if name.as_bytes().starts_with(b".") || !name.as_bytes().ends_with(b".conf") {
            continue;
        }
        if entry.file_type()?.is_file() {
            files.push(entry.path());
        } else {
            let message = "ignored, as by request-key(8): it is not a regular file; copy or name it instead";
            mistakes.push(Mistake::in_file(&entry.path(), Severity::Warning, message));
        }
    }
    Ok(files)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn directory_is_read_in_the_order_of_names() {
        let directory = tempfile::tempdir().unwrap();
        let write = |name: &str, program: &str| {
            fs::write(directory.path().join(name), format!("create user * * {program}\n")).unwrap();
        };
        write("b.conf", "/b");
        write("a.conf", "/a");
        write(".hidden.conf", "/hidden");
        write("a.conf~", "/backup");
        for name in ["d.conf", "c.conf"] {
            symlink("b.conf", directory.path().join(name)).unwrap();
        }
        let (rules, mistakes) = load(&[directory.path().to_owned()]);
        let programs: Vec<_> = rules.iter().map(|rule| rule.action.program.display().to_string()).collect();
        assert_eq!(programs, ["/a", "/b"]);
        let ignored = |mistake: &Mistake, name: &str| {
            mistake.to_string().contains(&format!("{name}: warning: ignored"))
        };
        assert!(
            mistakes.len() == 2 && ignored(&mistakes[0], "c.conf") && ignored(&mistakes[1], "d.conf"),
            "{mistakes:?}"
        );
    }

    #[test]
    fn pipe_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("pipe");
        let (kind, mode) = (rustix::fs::FileType::Fifo, rustix::fs::Mode::RUSR);
        rustix::fs::mknodat(rustix::fs::CWD, &path, kind, mode, 0).unwrap();
        let (_, mistakes) = load(&[path]);
        assert!(mistakes[0].to_string().ends_with("it is not a regular file"), "{mistakes:?}");
    }

    #[test]
    fn named_file_must_exist() {
        let (rules, mistakes) = load(&[PathBuf::from("/nonexistent")]);
        assert!(rules.is_empty());
        assert_eq!(mistakes[0].severity, Severity::Error);
    }
}
