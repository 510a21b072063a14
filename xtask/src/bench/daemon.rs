//! Time of a request that keyagentd answers, in each of its ways, against plain agents and
//! `/sbin/request-key`; the daemon's memory; a burst of requests.

use anyhow::Result;
use scenarios::wire::bench::{Burst, Measurement};

use super::{Results, Setup, figures, measure_in_guest, minimal_programs, request};
use crate::artifacts::guest_file::Program;
use crate::artifacts::initramfs;
use crate::host::terminal::Terminal;
use crate::runner::environment::Extras;

/// Samples of each case in one round.
const SAMPLES: u32 = 60;

/// Path in the guest of the program that answers for `--exec`.
const COPY: &str = "/bin/copy";

const BURST: Burst = Burst { requests: 10_000, requesters: 128 };

/// The daemon's path in the guest, and options for all daemons: a burst takes its time on a slow
/// machine, and none of its requests is to reach its deadline.
const DAEMON: [&str; 5] = ["/sbin/keyagentd", "--types", "user", "--timeout", "600"];
const REJECTING: [&str; 2] = ["--keyring", "bench-rejecting"];
const RULES: [&str; 2] = ["--keyring", "bench-rules"];
const EXEC: [&str; 6] = ["--keyring", "bench-exec", "--exec", COPY, "--window", "64"];

/// Cases whose medians are compared: what the first one does, and the case that it is compared with.
const COMPARED: [(&str, &str); 4] = [
    ("keyagentd, no rule matches", "plain agent, rejecting"),
    ("keyagentd --exec", "plain agent"),
    ("keyagentd with a rule", "/sbin/request-key with the same rule"),
    ("/sbin/request-key with the same rule", "plain agent"),
];

pub fn measure(setup: &Setup<'_>) -> Result<Results> {
    let mut results = Results::default();
    let mut extras = Extras { programs: programs(setup.terminal)?, ..Extras::default() };
    let request_key = match request::keyutils()? {
        Some(files) => {
            extras.programs.extend(files);
            Some(request::KEYUTILS.to_owned())
        }
        None => {
            results.remarks.push(request::without_keyutils());
            None
        }
    };
    let environment = setup.testbed.qemu_environment(&extras, "bench", setup.terminal)?;
    let vm = environment.kind().to_string();
    let work = setup.terminal.work(&format!("Measuring keyagentd on {vm}"));
    let command = |options: &[&str]| DAEMON.iter().chain(options).map(|word| (*word).to_owned()).collect();
    let measurement = Measurement::Daemon {
        rounds: SAMPLES * setup.rounds,
        rejecting: command(&REJECTING),
        rules: command(&RULES),
        exec: command(&EXEC),
        request_key,
        burst: BURST,
    };
    let series = measure_in_guest(&environment, &measurement)?;
    work.done();
    results.figures = figures("daemon", &vm, series);
    compare(&mut results, &vm);
    Ok(results)
}

/// Returns the daemon, its rules and its program.
fn programs(terminal: &Terminal) -> Result<Vec<Program>> {
    let daemon = Program { path: DAEMON[0].into(), file: initramfs::program("keyagentd", terminal)? };
    let copy = Program { path: COPY.into(), file: minimal_programs::copy()? };
    Ok(vec![daemon, copy, request::rules()?])
}

fn compare(results: &mut Results, vm: &str) {
    for (case, other) in COMPARED {
        let ratio = results.ratio(&format!("{vm}: {case}"), &format!("{vm}: {other}"));
        results
            .remarks
            .extend(ratio.map(|ratio| format!("{vm}: {case} takes {ratio:.2} times as long as {other}")));
    }
    let Burst { requests, .. } = BURST;
    results
        .remarks
        .push(format!("All {requests} requests of the burst were answered rightly; a lost one is an error."));
    results
        .remarks
        .push("Memory is VmRSS: all resident pages, those of the program's file included.".to_owned());
}
