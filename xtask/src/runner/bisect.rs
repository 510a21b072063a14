//! Search for the first patch of a series after which a test fails.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

/// Result of testing the series up to some patch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Try {
    Good,
    Bad,
    /// The series can't be tested: it does not build, or lacks a requirement of the test.
    Unknown,
}

/// Next step of a bisection, given the results so far.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Next {
    /// Test the series up to this patch; 0 is the series without any patch.
    Try(usize),
    /// The test fails after one of these patches, and not before them. There is more than one if
    /// only the last can be tested.
    Found(RangeInclusive<usize>),
    /// The test passes with all patches.
    Well,
    /// The test fails after each patch that can be tested; this is the first of those.
    Always(usize),
    /// The series can't be tested with all patches.
    Untestable,
}

/// Bisection of a series of `count` patches, with the results so far.
#[derive(Debug)]
pub struct Bisection {
    count: usize,
    tries: BTreeMap<usize, Try>,
}

impl Bisection {
    pub fn of(count: usize) -> Self {
        Self { count, tries: BTreeMap::new() }
    }

    pub fn note(&mut self, patch: usize, outcome: Try) {
        self.tries.insert(patch, outcome);
    }

    /// Returns the next step. Each test takes a whole build. The last patches are tested first,
    /// since those before them are mostly known to be good.
    pub fn next(&self) -> Next {
        match self.tries.get(&self.count) {
            None => return Next::Try(self.count),
            Some(Try::Good) => return Next::Well,
            Some(Try::Unknown) => return Next::Untestable,
            Some(Try::Bad) => {}
        }
        let good =
            self.tries.iter().rev().find(|(_, outcome)| **outcome == Try::Good).map(|(patch, _)| *patch);
        let is_bad = |(patch, outcome): &(&usize, &Try)| **outcome == Try::Bad && Some(**patch) > good;
        let bad = self.tries.iter().find(is_bad).map_or(self.count, |(patch, _)| *patch);
        match good {
            Some(good) => self.between(good, bad),
            None => self.before(bad),
        }
    }

    /// Steps back from a failing patch, each time twice as far, until the test passes.
    fn before(&self, bad: usize) -> Next {
        let stride = (self.count - bad).max(1);
        let first = bad.saturating_sub(stride);
        // If that patch can't be tested, an earlier one is.
        let back = (0..=first).rev().find(|patch| !self.tries.contains_key(patch));
        match back {
            Some(patch) if bad > 0 => Next::Try(patch),
            _ => Next::Always(bad),
        }
    }

    /// Halves the range that remains.
    fn between(&self, good: usize, bad: usize) -> Next {
        let middle = good + (bad - good) / 2;
        let untried = (good + 1..bad).filter(|patch| !self.tries.contains_key(patch));
        match untried.min_by_key(|patch| patch.abs_diff(middle)) {
            Some(patch) => Next::Try(patch),
            None => Next::Found(good + 1..=bad),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the outcome of the search, and the number of tests that it took.
    fn search(count: usize, world: impl Fn(usize) -> Try) -> (Next, usize) {
        let mut bisection = Bisection::of(count);
        for tries in 0..=count + 1 {
            match bisection.next() {
                Next::Try(patch) => bisection.note(patch, world(patch)),
                end => return (end, tries),
            }
        }
        panic!("it tries without end");
    }

    #[test]
    fn first_bad_patch_is_found_in_logarithmic_tries() {
        for count in 1..40 {
            for culprit in 1..=count {
                let world = |patch| if patch < culprit { Try::Good } else { Try::Bad };
                let (end, tries) = search(count, world);
                assert_eq!(end, Next::Found(culprit..=culprit), "of {count}");
                assert!(tries <= 2 * count.ilog2() as usize + 3, "{tries} tries for {culprit} of {count}");
            }
        }
    }

    #[test]
    fn untestable_patches_are_skipped() {
        let world = |patch| match patch {
            0..5 => Try::Good,
            5..9 => Try::Unknown,
            _ => Try::Bad,
        };
        assert_eq!(search(17, world).0, Next::Found(5..=9));
    }

    #[test]
    fn constant_results_end_the_bisection() {
        assert_eq!(search(9, |_| Try::Bad).0, Next::Always(0));
        assert_eq!(search(9, |patch| if patch < 7 { Try::Unknown } else { Try::Bad }).0, Next::Always(7));
        assert_eq!(search(9, |_| Try::Good), (Next::Well, 1));
        assert_eq!(search(9, |_| Try::Unknown), (Next::Untestable, 1));
    }
}
