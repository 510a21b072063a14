//! Reads a guest's counters with `gcov`, a part of the compiler that built the kernel.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use scenarios::wire::Counters;
use walkdir::{DirEntry, WalkDir};

use super::counts::{GcovOutput, Tally};
use crate::host::packages::install_command;
use crate::host::process;

pub fn check() -> Result<()> {
    let version = Command::new("gcov").arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
    version.map(|_| ()).with_context(|| {
        let install = install_command(&["gcc"]);
        format!("can't start gcov, which reads what the kernel counts; it comes with gcc: `{install}`")
    })
}

/// Adds a guest's counters to the tally. `notes` is the directory of the compiler's notes files.
pub fn add(tally: &mut Tally, notes: &Path, counters: &[Counters]) -> Result<()> {
    let scratch = tempfile::tempdir().context("can't create a directory for a guest's counters")?;
    let scratch = scratch.path();
    let known = WalkDir::new(notes).min_depth(1).into_iter().map(|entry| entry.map(DirEntry::into_path));
    let known = known.collect::<Result<Vec<_>, _>>().context("can't list the compiler's notes")?;
    let mut command = Command::new("gcov");
    command.args(["--json-format", "--stdout", "--branch-probabilities"]).current_dir(scratch);
    let mut any = false;
    for (index, counters) in counters.iter().enumerate() {
        let Some(note) = note_of(&counters.file, &known, notes) else { continue };
        let name = format!("{index}.gcda");
        fs::write(scratch.join(&name), &counters.content.0).context("can't write a guest's counters")?;
        symlink(note, scratch.join(&name).with_extension("gcno"))
            .context("can't link to the compiler's notes")?;
        command.arg(name);
        any = true;
    }
    if !any {
        bail!(
            "can't read a guest's counters: its kernel has counted nothing; build it with --profile coverage"
        );
    }
    let output = process::output(&mut command)?;
    let complaints = String::from_utf8_lossy(&output.stderr);
    if !output.status.success() || !complaints.trim().is_empty() {
        bail!("can't read a guest's counters: gcov rejects them: {}", complaints.trim());
    }
    for object in serde_json::Deserializer::from_slice(&output.stdout).into_iter::<GcovOutput>() {
        tally.add(object.context("can't parse the output of gcov")?);
    }
    Ok(())
}

/// Returns an object's notes file: the one that shares the longest path suffix, since the object's
/// path begins with the build directory.
fn note_of<'n>(object: &str, known: &'n [PathBuf], notes: &Path) -> Option<&'n Path> {
    let object = Path::new(object).with_extension("gcno");
    let within = |note: &'n PathBuf| note.strip_prefix(notes).ok().filter(|path| object.ends_with(path));
    let fitting = known.iter().filter_map(|note| Some((within(note)?.components().count(), note.as_path())));
    fitting.max_by_key(|(length, _)| *length).map(|(_, note)| note)
}

#[cfg(test)]
mod tests {
    use std::ffi::OsStr;

    use scenarios::wire::program::Bytes;

    use super::*;
    use crate::coverage::counts::LineTally;

    /// Builds and runs a program. Its notes are in `notes`, as in the cache; returns its counters.
    fn run(build: &Path, source: &str) -> Counters {
        let directory = build.join("notes/deep");
        fs::create_dir_all(&directory).unwrap();
        fs::write(directory.join("a.c"), source).unwrap();
        let run = |program: &OsStr, arguments: &[&str]| {
            let status = Command::new(program).args(arguments).current_dir(&directory).status().unwrap();
            assert!(status.success(), "{program:?}");
        };
        run("gcc".as_ref(), &["-O2", "--coverage", "-c", "a.c"]);
        run("gcc".as_ref(), &["--coverage", "-o", "a", "a.o"]);
        run(directory.join("a").as_os_str(), &[]);
        let file = directory.join("a.gcda");
        Counters { file: file.display().to_string(), content: Bytes(fs::read(&file).unwrap()), left: 0 }
    }

    const SOURCE: &str =
        "int main(int count, char **words)\n{\n\tif (count > 1)\n\t\treturn 1;\n\treturn 0;\n}\n";

    #[test]
    fn counts_of_a_program_are_summed() {
        let build = tempfile::tempdir().unwrap();
        let counters = run(build.path(), SOURCE);
        let mut tally = Tally::default();
        for _ in 0..2 {
            add(&mut tally, &build.path().join("notes"), std::slice::from_ref(&counters)).unwrap();
        }
        let lines = &tally.files["a.c"].lines;
        assert_eq!(lines[&3], LineTally { count: 2, branches: vec![0, 2] });
        assert_eq!(tally.files["a.c"].functions[&(1, "main".into())].count, 2);
    }

    #[test]
    fn counters_of_another_build_are_refused() {
        let (old, new) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let counters = run(old.path(), SOURCE);
        run(new.path(), &SOURCE.replace("return 1", "count = 7"));
        let error = add(&mut Tally::default(), &new.path().join("notes"), &[counters]).unwrap_err();
        assert!(error.to_string().contains("gcov rejects"), "{error}");
    }

    #[test]
    fn counters_of_objects_without_notes_are_refused() {
        let notes = tempfile::tempdir().unwrap();
        let counters = Counters { file: "/build/mm/slab.gcda".into(), content: Bytes(Vec::new()), left: 0 };
        let error = add(&mut Tally::default(), notes.path(), &[counters]).unwrap_err().to_string();
        assert!(error.contains("its kernel has counted nothing"), "{error}");
    }

    #[test]
    fn notes_file_with_the_longest_common_suffix_is_chosen() {
        let notes = Path::new("/n");
        let known = ["/n/kernel/signal.gcno", "/n/arch/x86/kernel/signal.gcno"].map(PathBuf::from);
        let found = |object: &str| note_of(object, &known, notes);
        assert_eq!(found("/build/kernel/signal.gcda"), Some(known[0].as_path()));
        assert_eq!(found("/build/arch/x86/kernel/signal.gcda"), Some(known[1].as_path()));
        assert_eq!(found("/build/mm/slab.gcda"), None);
    }
}
