//! What a plan's programs print.

use std::collections::HashMap;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;

use scenarios::plan::{Plan, Role};
use scenarios::wire::Printed;

/// Path of an output while it is opened. Unlike a pipe, a file takes whatever a program prints, though
/// nobody reads it.
const PATH: &str = "/run/output";

/// The most bytes of an output that are sent to the host.
const MAX_SENT: usize = 16 << 10;

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

/// What has been printed so far.
pub(super) fn read(output: &File) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; output.metadata()?.len() as usize];
    output.read_exact_at(&mut bytes, 0)?;
    Ok(bytes)
}

/// The ends of the outputs that are not empty, in the plan's order.
pub(super) fn printed(plan: &Plan, outputs: &HashMap<String, File>) -> Vec<Printed> {
    let text = |output: &File| {
        let bytes = read(output).ok().filter(|bytes| !bytes.is_empty())?;
        Some(String::from_utf8_lossy(end_of(&bytes)).into_owned())
    };
    let of = |process: &String| {
        Some(Printed { process: process.clone(), text: outputs.get(process).and_then(text)? })
    };
    plan.processes.iter().filter_map(|process| of(&process.name)).collect()
}

/// The last lines, as far as they are sent.
fn end_of(bytes: &[u8]) -> &[u8] {
    let Some(start) = bytes.len().checked_sub(MAX_SENT) else { return bytes };
    let end = &bytes[start..];
    end.iter().position(|byte| *byte == b'\n').map_or(end, |newline| &end[newline + 1..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_output_is_cut_at_a_line() {
        assert_eq!(end_of(b"one\ntwo\n"), b"one\ntwo\n");
        let long = format!("{}\nlast\n", "x".repeat(MAX_SENT));
        assert_eq!(end_of(long.as_bytes()), b"last\n");
    }
}
