//! What a plan's programs print.

use std::collections::HashMap;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;

use scenarios::plan::{Plan, Role};
use scenarios::wire::Printed;

use crate::process::MAX_PRINTED;

/// Path of an output while it is opened. Unlike a pipe, a file takes whatever a program prints, though
/// nobody reads it.
const PATH: &str = "/run/output";

/// The most bytes of an output that are sent to the host.
const MAX_SENT: u64 = 16 << 10;

/// The number of bytes that are searched at once.
const PIECE: usize = 64 << 10;

/// Opens a file for the output of each program.
pub(super) fn open(plan: &Plan) -> io::Result<HashMap<String, File>> {
    let programs = plan.processes.iter().filter(|process| matches!(process.role, Role::Program(_)));
    let output = || -> io::Result<File> {
        let file = OpenOptions::new().read(true).append(true).create(true).open(PATH)?;
        fs::remove_file(PATH)?;
        Ok(file)
    };
    programs.map(|process| Ok((process.name.clone(), output()?))).collect()
}

/// Returns true if a text is in an output after `from`, which is moved to where it can still begin.
pub(super) fn has(output: &File, text: &[u8], from: &mut u64) -> io::Result<bool> {
    // A program may truncate its output.
    if output.metadata()?.len() < *from {
        *from = 0;
    }
    let mut piece = vec![0; PIECE.max(2 * text.len())];
    while *from < MAX_PRINTED {
        let read = output.read_at(&mut piece, *from)?;
        let bytes = piece.get(..read).unwrap_or_default();
        if text.is_empty() || bytes.windows(text.len()).any(|it| it == text) {
            return Ok(true);
        }
        let Some(begun) = read.checked_sub(text.len()) else { break };
        *from += begun as u64 + 1;
    }
    Ok(false)
}

/// The ends of the outputs that are not empty, in the plan's order.
pub(super) fn printed(plan: &Plan, outputs: &HashMap<String, File>) -> Vec<Printed> {
    let text = |output: &File| {
        let bytes = end_of(output).ok().filter(|bytes| !bytes.is_empty())?;
        Some(String::from_utf8_lossy(&bytes).into_owned())
    };
    let of = |process: &String| {
        Some(Printed { process: process.clone(), text: outputs.get(process).and_then(text)? })
    };
    plan.processes.iter().filter_map(|process| of(&process.name)).collect()
}

/// The last lines, as far as they are sent.
fn end_of(output: &File) -> io::Result<Vec<u8>> {
    let length = output.metadata()?.len();
    let start = length.saturating_sub(MAX_SENT);
    let mut end = vec![0; (length - start) as usize];
    output.read_exact_at(&mut end, start)?;
    if start > 0
        && let Some(newline) = end.iter().position(|byte| *byte == b'\n')
    {
        end.drain(..=newline);
    }
    Ok(end)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use nix::sys::memfd::{MFdFlags, memfd_create};

    use super::*;

    fn output(text: &str) -> File {
        let mut file = File::from(memfd_create("output", MFdFlags::empty()).unwrap());
        file.write_all(text.as_bytes()).unwrap();
        file
    }

    #[test]
    fn long_output_is_cut_at_a_line() {
        assert_eq!(end_of(&output("one\ntwo\n")).unwrap(), b"one\ntwo\n");
        let long = output(&format!("{}\nlast\n", "x".repeat(MAX_SENT as usize)));
        assert_eq!(end_of(&long).unwrap(), b"last\n");
    }

    #[test]
    fn huge_output_is_read_in_pieces() {
        let huge = output("first");
        huge.set_len(4 << 40).unwrap();
        assert_eq!(end_of(&huge).unwrap().len() as u64, MAX_SENT);
        let mut from = MAX_PRINTED - 1;
        assert!(!has(&huge, b"serving", &mut from).unwrap());
    }

    #[test]
    fn text_is_found_though_it_comes_in_parts_and_only_new_bytes_are_read() {
        let mut file = output(&format!("{}serv", "x".repeat(PIECE)));
        let mut from = 0;
        assert!(!has(&file, b"serving", &mut from).unwrap());
        assert_eq!(from, PIECE as u64 + 4 - 6);
        file.write_all(b"ing").unwrap();
        assert!(has(&file, b"serving", &mut from).unwrap());
        // Still found when it is looked for again.
        assert!(has(&file, b"serving", &mut from).unwrap());
    }

    #[test]
    fn text_is_found_after_a_truncation() {
        let file = output("something else");
        let mut from = 0;
        assert!(!has(&file, b"up", &mut from).unwrap());
        file.set_len(0).unwrap();
        file.write_all_at(b"up", 0).unwrap();
        assert!(has(&file, b"up", &mut from).unwrap());
    }
}
