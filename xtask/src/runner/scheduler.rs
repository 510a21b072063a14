//! Scheduler of scenarios over environments. It runs nothing itself.

/// A scenario to run in a column.
#[derive(Debug, Clone, PartialEq)]
pub struct Job {
    pub column: usize,
    pub scenario: usize,
    /// Numbers of the environments that it may run on, in order of preference.
    pub environments: Vec<usize>,
    pub needs: Vec<String>,
    pub seconds: f64,
}

#[derive(Debug, Clone, PartialEq)]
pub enum Next {
    Run(Job, usize),
    /// Ask again after an environment has been prepared.
    Wait,
    /// No job is left for this worker.
    Done,
}

/// End of the queue that a worker takes jobs from. Long scenarios mostly wait, for deadlines and
/// for the kernel's garbage collection; short ones mostly compute. Workers of both orders together
/// keep the processors busy throughout the run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PickOrder {
    Long,
    Short,
}

/// Preparation state of an environment.
#[derive(Debug, Clone, PartialEq)]
enum State {
    Unprepared,
    Preparing,
    /// Prepared, with these features. `None` if they are unknown; it then counts as having all.
    Ready(Option<Vec<String>>),
    Lost,
}

/// Properties of an environment that the scheduler needs beforehand.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// A guest's start-up time in seconds.
    pub start: f64,
    pub max_workers: usize,
}

#[derive(Debug)]
struct EnvironmentState {
    state: State,
    limits: Limits,
    workers: usize,
}

/// Queue of jobs that have not started, and the state of the environments.
#[derive(Debug)]
pub struct Schedule {
    /// Longest job first.
    waiting: Vec<Job>,
    environments: Vec<EnvironmentState>,
    /// True if each scenario gets a guest of its own, so that one more worker costs nothing.
    fresh: bool,
}

/// Minimum work left for a further worker to start on an environment, as a multiple of the start-up
/// time.
const MIN_WORK_PER_START: f64 = 2.0;

impl Schedule {
    /// Creates a schedule with all jobs waiting. `limits` lists the environments.
    pub fn new(mut jobs: Vec<Job>, limits: &[Limits], fresh: bool) -> Self {
        jobs.sort_by(|a, b| b.seconds.total_cmp(&a.seconds));
        let environment =
            |limits: &Limits| EnvironmentState { state: State::Unprepared, limits: *limits, workers: 0 };
        Self { waiting: jobs, environments: limits.iter().map(environment).collect(), fresh }
    }

    /// Returns the environments that jobs wait for and whose preparation has not started.
    pub fn wanted(&self) -> Vec<usize> {
        let unprepared = |environment: &usize| self.environments[*environment].state == State::Unprepared;
        let mut wanted: Vec<usize> =
            self.waiting.iter().filter_map(|job| self.place(job)).filter(unprepared).collect();
        wanted.sort_unstable();
        wanted.dedup();
        wanted
    }

    pub fn set_preparing(&mut self, environment: usize) {
        self.environments[environment].state = State::Preparing;
    }

    /// Marks an environment as prepared. Without features it counts as having all.
    pub fn ready(&mut self, environment: usize, features: Option<Vec<String>>) {
        self.environments[environment].state = State::Ready(features);
    }

    /// Marks an environment as lost. Returns the jobs that no other environment can take.
    pub fn lost(&mut self, environment: usize) -> Vec<Job> {
        self.environments[environment].state = State::Lost;
        let (left, stranded) =
            std::mem::take(&mut self.waiting).into_iter().partition(|job| self.place(job).is_some());
        self.waiting = left;
        stranded
    }

    pub fn stop(&mut self) {
        self.waiting.clear();
    }

    /// Returns the next instruction for a worker, which uses the environment `at` or none.
    pub fn next(&mut self, at: Option<usize>, order: PickOrder) -> Next {
        if let Some(environment) = at {
            if !self.should_switch(environment)
                && let Some(job) = self.take(environment, order)
            {
                return Next::Run(job, environment);
            }
            self.environments[environment].workers -= 1;
        }
        if let Some(environment) = self.best_to_start() {
            self.environments[environment].workers += 1;
            if let Some(job) = self.take(environment, order) {
                return Next::Run(job, environment);
            }
        }
        if self.waits_for_environment() { Next::Wait } else { Next::Done }
    }

    /// Returns the expected seconds for all waiting jobs; `None` while one waits for an
    /// environment.
    pub fn seconds_left(&self) -> Option<f64> {
        (!self.waits_for_environment()).then(|| self.waiting.iter().map(|job| job.seconds).sum())
    }

    fn waits_for_environment(&self) -> bool {
        self.waiting.iter().filter_map(|job| self.place(job)).any(|environment| !self.is_ready(environment))
    }

    fn is_ready(&self, environment: usize) -> bool {
        matches!(self.environments[environment].state, State::Ready(_))
    }

    fn take(&mut self, environment: usize, order: PickOrder) -> Option<Job> {
        let mut there =
            (0..self.waiting.len()).filter(|job| self.place(&self.waiting[*job]) == Some(environment));
        let index = match order {
            PickOrder::Short if self.environments[environment].workers > 1 => there.next_back(),
            PickOrder::Long | PickOrder::Short => there.next(),
        }?;
        Some(self.waiting.remove(index))
    }

    /// Checks whether an environment with a slower start has work and no worker yet.
    fn should_switch(&self, environment: usize) -> bool {
        self.best_to_start().is_some_and(|other| {
            self.environments[other].workers == 0
                && self.environments[other].limits.start > self.environments[environment].limits.start
        })
    }

    /// Returns the best environment for a further worker to start on. Slow starts come first, since
    /// the others fill the gaps.
    fn best_to_start(&self) -> Option<usize> {
        let worth = |index: &usize| {
            let environment = &self.environments[*index];
            let left: f64 = self
                .waiting
                .iter()
                .filter(|job| self.place(job) == Some(*index))
                .map(|job| job.seconds)
                .sum();
            let share = left / (environment.workers + 1) as f64;
            let first = environment.workers == 0 && left > 0.0;
            self.is_ready(*index)
                && left > 0.0
                && environment.workers < environment.limits.max_workers
                && (first || self.fresh || share >= MIN_WORK_PER_START * environment.limits.start)
        };
        let start = |environment: usize| self.environments[environment].limits.start;
        let all = (0..self.environments.len()).filter(worth);
        all.max_by(|a, b| start(*a).total_cmp(&start(*b)).then(b.cmp(a)))
    }

    /// Returns the first environment of the job that has its features. If none has, returns one
    /// that will report the missing feature.
    fn place(&self, job: &Job) -> Option<usize> {
        let usable = || {
            job.environments
                .iter()
                .copied()
                .filter(|environment| self.environments[*environment].state != State::Lost)
        };
        usable().find(|environment| self.has_features(*environment, job)).or_else(|| usable().next_back())
    }

    fn has_features(&self, environment: usize, job: &Job) -> bool {
        match &self.environments[environment].state {
            State::Ready(Some(features)) => job.needs.iter().all(|need| features.contains(need)),
            State::Lost => false,
            State::Unprepared | State::Preparing | State::Ready(None) => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const UML: usize = 0;
    const TCG: usize = 1;

    fn job(scenario: usize, seconds: f64, needs: &[&str]) -> Job {
        let needs = needs.iter().map(|need| (*need).to_owned()).collect();
        Job { column: 0, scenario, environments: vec![UML, TCG], needs, seconds }
    }

    fn schedule(jobs: Vec<Job>) -> Schedule {
        let limits = |start| Limits { start, max_workers: 2 };
        Schedule::new(jobs, &[limits(0.2), limits(2.0)], false)
    }

    /// Returns the scenario and the environment that a worker is given.
    fn given(next: Next) -> (usize, usize) {
        match next {
            Next::Run(job, environment) => (job.scenario, environment),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn longest_job_runs_first_and_workers_wait_for_preparation() {
        let mut schedule = schedule(vec![job(0, 1.0, &[]), job(1, 9.0, &[])]);
        assert_eq!(schedule.wanted(), [UML]);
        schedule.set_preparing(UML);
        assert_eq!((schedule.wanted(), schedule.next(None, PickOrder::Long)), (vec![], Next::Wait));
        schedule.ready(UML, Some(vec![]));
        assert_eq!(given(schedule.next(None, PickOrder::Long)), (1, UML));
        assert_eq!(given(schedule.next(Some(UML), PickOrder::Long)), (0, UML));
        assert_eq!(schedule.next(Some(UML), PickOrder::Long), Next::Done);
    }

    #[test]
    fn missing_feature_prepares_the_next_environment() {
        let mut schedule = schedule(vec![job(0, 1.0, &[]), job(1, 1.0, &["smp"])]);
        schedule.ready(UML, Some(vec!["net_ns".into()]));
        assert_eq!(schedule.wanted(), [TCG]);
        assert_eq!(given(schedule.next(None, PickOrder::Long)), (0, UML));
        assert_eq!(schedule.next(Some(UML), PickOrder::Long), Next::Wait);
        schedule.ready(TCG, None);
        assert_eq!(given(schedule.next(None, PickOrder::Long)), (1, TCG));
    }

    #[test]
    fn feature_that_no_environment_has_runs_on_the_last() {
        let mut schedule = schedule(vec![job(0, 1.0, &["smp"])]);
        schedule.ready(UML, Some(vec![]));
        schedule.ready(TCG, Some(vec![]));
        assert_eq!(given(schedule.next(None, PickOrder::Long)), (0, TCG));
    }

    #[test]
    fn jobs_of_a_lost_environment_move_to_the_next_or_are_stranded() {
        let mut schedule = schedule(vec![job(0, 1.0, &[])]);
        assert_eq!(schedule.lost(UML), []);
        assert_eq!(schedule.wanted(), [TCG]);
        assert_eq!(schedule.lost(TCG).len(), 1);
        assert_eq!(schedule.next(None, PickOrder::Long), Next::Done);
    }

    #[test]
    fn no_second_worker_starts_for_little_work() {
        let short = |scenario| Job { environments: vec![TCG], ..job(scenario, 1.0, &[]) };
        let mut schedule = schedule(vec![short(0), short(1), short(2)]);
        schedule.ready(TCG, None);
        assert_eq!(given(schedule.next(None, PickOrder::Long)).1, TCG);
        assert_eq!(schedule.next(None, PickOrder::Long), Next::Done);
        assert_eq!(given(schedule.next(Some(TCG), PickOrder::Long)).1, TCG);
    }

    #[test]
    fn environment_gets_at_most_its_maximum_of_workers() {
        let mut schedule = schedule((0..4).map(|scenario| job(scenario, 9.0, &[])).collect());
        schedule.ready(UML, None);
        assert_eq!(
            (given(schedule.next(None, PickOrder::Long)).1, given(schedule.next(None, PickOrder::Long)).1),
            (UML, UML)
        );
        assert_eq!(schedule.next(None, PickOrder::Long), Next::Done);
        assert_eq!(given(schedule.next(Some(UML), PickOrder::Long)).1, UML);
    }

    #[test]
    fn slowest_environment_starts_first() {
        let slow = Job { environments: vec![TCG], ..job(0, 1.0, &[]) };
        let mut schedule = schedule(vec![slow, job(1, 30.0, &[])]);
        schedule.ready(UML, Some(vec![]));
        schedule.ready(TCG, None);
        assert_eq!(given(schedule.next(None, PickOrder::Long)), (0, TCG));
        assert_eq!(given(schedule.next(None, PickOrder::Long)), (1, UML));
    }

    #[test]
    fn worker_switches_to_a_slow_environment_without_workers() {
        let slow = |scenario| Job { environments: vec![TCG], ..job(scenario, 1.0, &[]) };
        let mut schedule =
            schedule(vec![slow(0), slow(1), job(2, 5.0, &[]), job(3, 1.0, &[]), job(4, 1.0, &[])]);
        schedule.ready(UML, Some(vec![]));
        assert_eq!(given(schedule.next(None, PickOrder::Long)), (2, UML));
        assert_eq!(given(schedule.next(Some(UML), PickOrder::Long)), (3, UML));
        schedule.ready(TCG, None);
        assert_eq!(given(schedule.next(Some(UML), PickOrder::Long)), (0, TCG));
    }

    #[test]
    fn workers_of_both_orders_meet_and_a_single_worker_starts_with_the_longest() {
        let mut schedule = schedule((0..4).map(|n| job(n, 9.0 - n as f64, &[])).collect());
        schedule.ready(UML, None);
        assert_eq!(given(schedule.next(None, PickOrder::Short)).0, 0);
        assert_eq!(given(schedule.next(None, PickOrder::Short)).0, 3);
        assert_eq!(given(schedule.next(Some(UML), PickOrder::Long)).0, 1);
        assert_eq!(given(schedule.next(Some(UML), PickOrder::Short)).0, 2);
    }

    #[test]
    fn remaining_time_is_known_when_every_environment_is_ready() {
        let mut schedule = schedule(vec![job(0, 1.5, &[]), job(1, 9.0, &["smp"])]);
        schedule.ready(UML, Some(vec![]));
        assert_eq!(schedule.seconds_left(), None);
        schedule.ready(TCG, None);
        assert_eq!(schedule.seconds_left(), Some(10.5));
    }
}
