//! Cost of a process that never registered a keyagent, from its fork to its end: on a stock kernel,
//! and on a patched one without and with a hundred keyagents in other processes.

use anyhow::Result;
use scenarios::wire::bench::Measurement;

use super::stock_comparison::{self, State, Variant};
use super::{Results, Setup, minimal_programs};
use crate::artifacts::guest_file::Program;
use crate::runner::environment::Extras;

/// Samples of each case in one boot, and processes in a sample: so many that one interrupt of the
/// timer more or less makes half a percent.
const SAMPLES: u32 = 3;
const CALLS: u32 = 100;

/// Path in the guest of the executed program, which exits at once without arguments.
const PROGRAM: &str = "/bin/minimal";

/// Other processes, which are there in each state, so that only their registration differs.
const OTHERS: u32 = 100;

pub fn measure(setup: &Setup<'_>) -> Result<Results> {
    let program = Program { path: PROGRAM.into(), file: minimal_programs::request_key()? };
    let extras = Extras { programs: vec![program], ..Extras::default() };
    let state = |name, kernel, registered| State {
        name,
        kernel,
        measurement: Measurement::Process {
            rounds: SAMPLES,
            calls: CALLS,
            program: PROGRAM.into(),
            others: OTHERS,
            registered,
        },
    };
    let states = [
        state("stock kernel", Variant::Stock, false),
        state("on, no agent ever", Variant::On, false),
        state("on, a hundred agents elsewhere", Variant::On, true),
    ];
    stock_comparison::measure("process", &states, &extras, setup)
}
