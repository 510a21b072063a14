//! Cost of a request without an answer: on a stock kernel, and on patched ones with keyagents
//! disabled, enabled and in use.

use anyhow::Result;
use kernel::Fragment;
use scenarios::wire::bench::{Measurement, UnrelatedAgent};

use super::stock_comparison::{self, State, Variant};
use super::{Results, Setup};
use crate::runner::environment::Extras;

/// Samples of each case in one boot, and requests in a sample.
const SAMPLES: u32 = 15;
const CALLS: u32 = 200;

/// States of a kernel in which the request misses.
const STATES: [(&str, Variant, UnrelatedAgent); 5] = [
    ("stock kernel", Variant::Stock, UnrelatedAgent::None),
    ("CONFIG_KEYAGENT off", Variant::Off, UnrelatedAgent::None),
    ("on, no agent ever", Variant::On, UnrelatedAgent::None),
    ("on, an agent elsewhere", Variant::On, UnrelatedAgent::Elsewhere),
    ("on, an agent for another type", Variant::On, UnrelatedAgent::OtherType),
];

pub fn measure(setup: &Setup<'_>) -> Result<Results> {
    let extras = Extras { fragments: vec![Fragment::named("no-upcall")?], ..Extras::default() };
    let states = STATES.map(|(name, kernel, agent)| State {
        name,
        kernel,
        measurement: Measurement::Miss { rounds: SAMPLES, calls: CALLS, agent },
    });
    stock_comparison::measure("miss", &states, &extras, setup)
}
