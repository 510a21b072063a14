//! Collects the coverage counters of all guests during a run.

use std::collections::BTreeMap;

use scenarios::scenario::Scenario;
use scenarios::wire::Counters;

use crate::runner::executor::Event;

/// Counters of the guests that have ended.
#[derive(Default)]
pub struct Collector {
    pub guests: Vec<(usize, Vec<Counters>)>,
    /// Scenarios that each worker's current guest has run.
    running: BTreeMap<usize, Vec<usize>>,
    /// Losses of counters: the last scenario, the cause, and the number of scenarios in the guest.
    lost: Vec<(usize, &'static str, usize)>,
}

impl Collector {
    pub fn on_event(&mut self, event: &Event) {
        match event {
            Event::Judged { worker, job, verdict, lost, .. } => {
                let run = self.running.entry(*worker).or_default();
                run.push(job.scenario);
                if *lost {
                    self.lost.push((job.scenario, verdict.word(), run.len()));
                    run.clear();
                }
            }
            Event::ShutDown { worker, environment, shutdown, .. } => {
                let run = self.running.remove(worker).unwrap_or_default();
                match run.last() {
                    None => {}
                    Some(last) if shutdown.counters.is_empty() => {
                        self.lost.push((*last, "it sent none", run.len()));
                    }
                    Some(_) => self.guests.push((*environment, shutdown.counters.clone())),
                }
            }
            Event::Ready { .. } | Event::Lost { .. } | Event::Started { .. } => {}
        }
    }

    /// Returns a sentence for each guest whose counters are missing.
    pub fn losses(&self, scenarios: &[Scenario]) -> Vec<String> {
        let sentence = |(scenario, word, count): &(usize, &'static str, usize)| {
            let name = &scenarios[*scenario].name;
            let of = if *count == 1 { "of it are".to_owned() } else { format!("of {count} scenarios are") };
            format!("counters {of} missing, those of the guest that last ran {name}: {word}")
        };
        self.lost.iter().map(sentence).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use scenarios::verdict::Verdict;
    use scenarios::wire::program::Bytes;

    use super::*;
    use crate::runner::fixtures;
    use crate::runner::scheduler::Job;
    use crate::runner::worker::ShutdownReport;

    fn judged(scenario: usize, verdict: Verdict) -> Event {
        let lost = verdict != Verdict::Passed;
        let job = Job { column: 0, scenario, environments: vec![0], needs: Vec::new(), seconds: 0.0 };
        let took = Duration::ZERO;
        Event::Judged { worker: 7, environment: 0, job, attempt: 1, verdict, took, retried: false, lost }
    }

    fn left(counters: Vec<Counters>) -> Event {
        let shutdown = ShutdownReport { verdict: None, counters };
        Event::ShutDown { worker: 7, environment: 0, shutdown, took: Duration::ZERO }
    }

    #[test]
    fn lost_counters_are_reported_and_later_ones_count() {
        let scenarios = ["f/a", "f/b", "f/c"].map(fixtures::scenario);
        let mut collector = Collector::default();
        let counted = Counters { file: "a.gcda".into(), content: Bytes(vec![1]), left: 0 };
        let events = [
            judged(0, Verdict::Passed),
            judged(1, Verdict::Crashed("Oops".into())),
            judged(2, Verdict::Passed),
            left(vec![counted.clone()]),
            left(Vec::new()),
        ];
        events.iter().for_each(|event| collector.on_event(event));
        assert_eq!(collector.guests, [(0, vec![counted])]);
        let losses = collector.losses(&scenarios);
        assert_eq!(
            losses,
            ["counters of 2 scenarios are missing, those of the guest that last ran f/b: crashed"]
        );
    }
}
