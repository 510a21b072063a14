//! Frequency of the host's time stamp counter, which an emulated processor's counter shares.

use std::arch::x86_64::_rdtsc;
use std::fs;
use std::sync::OnceLock;
use std::thread;
use std::time::{Duration, Instant};

/// Clock sources that the host's kernel offers. It removes a time stamp counter that is unstable.
const TRUSTED: &str = "/sys/devices/system/clocksource/clocksource0/available_clocksource";

/// Measuring interval. Readings are exact to about 100 ns, which makes the frequency exact to 20
/// ppm.
const INTERVAL: Duration = Duration::from_millis(10);

/// Returns the frequency in kHz; `None` if the host's kernel does not trust the counter. Measured
/// once.
pub(super) fn frequency() -> Option<u64> {
    static FREQUENCY: OnceLock<Option<u64>> = OnceLock::new();
    *FREQUENCY.get_or_init(|| {
        let trusted = fs::read_to_string(TRUSTED).unwrap_or_default();
        trusted.split_whitespace().any(|source| source == "tsc").then(measure)
    })
}

fn measure() -> u64 {
    let (first, begun) = read();
    thread::sleep(INTERVAL);
    let (last, ended) = read();
    let microseconds = ended.duration_since(begun).as_nanos() / 1000;
    (u128::from(last - first) * 1000 / microseconds.max(1)) as u64
}

/// Reads the counter and the time. On a busy host the process may be preempted in between, so the
/// quickest of several readings counts.
fn read() -> (u64, Instant) {
    let readings = (0..8).map(|_| {
        let before = Instant::now();
        // SAFETY: every x86-64 processor has the instruction.
        let counter = unsafe { _rdtsc() };
        (before.elapsed(), counter, before)
    });
    readings
        .min_by_key(|(took, ..)| *took)
        .map_or_else(|| (0, Instant::now()), |(_, counter, time)| (counter, time))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frequency_measurements_agree() {
        // A counter that the kernel doesn't trust may differ between processors.
        let Some(one) = frequency() else { return };
        let other = measure();
        assert!(one > 100_000 && one.abs_diff(other) * 1000 < one, "{one} and {other} kHz");
    }
}
