//! Queue of one keyagent with up to ten thousand pending requests.

use anyhow::Result;
use scenarios::wire::bench::Measurement;

use super::{Figure, Results, Setup, Unit, in_guest, shuffle};
use crate::runner::environment::Extras;

const COUNTS: [u32; 5] = [1, 10, 100, 1000, 10_000];

/// Memory for ten thousand processes. The guest takes only the pages that it touches.
const MEMORY_MIB: u32 = 3072;

/// Runs the benchmark.
pub fn measure(setup: &Setup<'_>) -> Result<Results> {
    let mut environment = setup.testbed.qemu_environment(&Extras::default(), "bench", setup.terminal)?;
    environment.boot.memory_mib = MEMORY_MIB;
    let mut counts: Vec<(u32, u32)> =
        (0..setup.rounds).flat_map(|round| COUNTS.map(|count| (round, count))).collect();
    shuffle(&mut counts);
    let counts = counts.into_iter().map(|(_, count)| count).collect();
    let vm = environment.kind().to_string();
    let work = setup.terminal.work(&format!("Measuring pending requests on {vm}"));
    let series = in_guest::measure(&environment, &Measurement::Pending { counts })?;
    work.done();
    let mut results = Results::default();
    for one in series {
        let samples: Vec<f64> = one.samples_ns.iter().map(|ns| *ns as f64 / 1000.0).collect();
        let case = format!("{vm}: {}", one.case);
        results.figures.extend(Figure::of("pending", case, Unit::Microseconds, &samples));
    }
    results
        .remarks
        .push("All requests were answered, and /proc/key-users was unchanged after each run.".into());
    Ok(results)
}
