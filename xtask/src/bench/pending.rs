//! Queue of one keyagent with up to ten thousand pending requests.

use anyhow::Result;
use scenarios::wire::bench::Measurement;

use super::{Results, Setup, figures, measure_in_guest, shuffled};
use crate::runner::environment::Extras;

const COUNTS: [u32; 5] = [1, 10, 100, 1000, 10_000];

/// Memory for ten thousand processes. The guest takes only the pages that it touches.
const MEMORY_MIB: u32 = 3072;

pub fn measure(setup: &Setup<'_>) -> Result<Results> {
    let mut environment = setup.testbed.qemu_environment(&Extras::default(), "bench", setup.terminal)?;
    environment.boot.memory_mib = MEMORY_MIB;
    let counts = shuffled((0..setup.rounds).flat_map(|round| COUNTS.map(|count| (round, count))));
    let counts = counts.into_iter().map(|(_, count)| count).collect();
    let vm = environment.kind().to_string();
    let work = setup.terminal.work(&format!("Measuring pending requests on {vm}"));
    let series = measure_in_guest(&environment, &Measurement::Pending { counts })?;
    work.done();
    let remark = "All requests were answered, and /proc/key-users was unchanged after each run.";
    Ok(Results { figures: figures("pending", &vm, series), remarks: vec![remark.to_owned()] })
}
