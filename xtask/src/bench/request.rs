//! Time of a request that is answered: by a keyagent, by `/sbin/request-key`, and the lower bound.

use anyhow::Result;
use scenarios::wire::bench::{Measurement, Upcall};

use super::{Results, Setup, figures, measure_in_guest, minimal_programs};
use crate::artifacts::guest_file::Program;
use crate::artifacts::libraries;
use crate::host::packages::install_command;
use crate::host::{cache, program, workspace};
use crate::runner::environment::Extras;

/// Samples of each case in one round.
const SAMPLES: u32 = 60;

/// Paths in the guest of the programs in the place of `/sbin/request-key`.
const MINIMAL: &str = "/sbin/request-key.minimal";
pub(super) const KEYUTILS: &str = "/sbin/request-key.keyutils";

/// Rule for keyutils' program, from the example in its manual page.
const RULE: &str = "create user bench:* * /bin/keyctl instantiate %k %c %S\n";

pub fn measure(setup: &Setup<'_>) -> Result<Results> {
    let mut results = Results::default();
    let minimal = minimal_programs::request_key()?;
    let mut extras =
        Extras { programs: vec![Program { path: MINIMAL.into(), file: minimal }], ..Extras::default() };
    let mut upcalls = vec![upcall("minimal static /sbin/request-key", MINIMAL)];
    match keyutils()? {
        Some(files) => {
            extras.programs.extend(files);
            upcalls.push(upcall("keyutils' /sbin/request-key with a rule", KEYUTILS));
        }
        None => results.remarks.push(without_keyutils()),
    }
    let environment = setup.testbed.qemu_environment(&extras, "bench", setup.terminal)?;
    let vm = environment.kind().to_string();
    let work = setup.terminal.work(&format!("Measuring requests on {vm}"));
    let series =
        measure_in_guest(&environment, &Measurement::Request { rounds: SAMPLES * setup.rounds, upcalls })?;
    work.done();
    results.figures = figures("request", &vm, series);
    compare(&mut results, &vm);
    Ok(results)
}

fn upcall(case: &str, program: &str) -> Upcall {
    Upcall { case: case.to_owned(), program: program.to_owned() }
}

/// Returns keyutils' programs with their libraries and the rule; `None` if the host has no
/// keyutils.
pub(super) fn keyutils() -> Result<Option<Vec<Program>>> {
    let (Some(request_key), Some(keyctl)) = (program::find("request-key"), program::find("keyctl")) else {
        return Ok(None);
    };
    let mut files = libraries::with_libraries(&request_key, KEYUTILS)?;
    files.extend(libraries::with_libraries(&keyctl, "/bin/keyctl")?);
    files.push(rules()?);
    Ok(Some(files))
}

/// Returns the file with the rule.
pub(super) fn rules() -> Result<Program> {
    let file = workspace::target().join("keyagents/request-key.conf");
    cache::write_whole(&file, RULE.as_bytes())?;
    Ok(Program { path: "/etc/request-key.conf".into(), file })
}

/// Returns the remark for a host without keyutils.
pub(super) fn without_keyutils() -> String {
    format!("keyutils' request-key is left out: this host has none ({})", install_command(&["keyutils"]))
}

fn compare(results: &mut Results, vm: &str) {
    let agent = format!("{vm}: keyagent");
    let others = results.figures.iter().map(|figure| figure.case.clone()).filter(|case| *case != agent);
    let remarks: Vec<String> = others
        .filter_map(|case| {
            let ratio = results.ratio(&case, &agent)?;
            Some(if ratio < 1.0 {
                format!("{agent} takes {:.2} times as long as {case}", 1.0 / ratio)
            } else {
                format!("{agent} is {ratio:.1} times faster than {case}")
            })
        })
        .collect();
    results.remarks.extend(remarks);
}
