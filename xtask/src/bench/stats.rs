//! Statistics of samples.

use serde::Serialize;

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Figure {
    /// Name of the benchmark, as on the command line.
    pub bench: &'static str,
    pub case: String,
    pub unit: Unit,
    pub median: f64,
    /// 99th percentile of the samples; with few samples, the largest.
    pub p99: f64,
    pub runs: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum Unit {
    #[serde(rename = "s")]
    Seconds,
    #[serde(rename = "µs")]
    Microseconds,
    /// Instructions executed by the guest's processor.
    #[serde(rename = "instructions")]
    Instructions,
    /// Memory.
    #[serde(rename = "KiB")]
    Kibibytes,
}

impl Unit {
    pub fn name(self) -> &'static str {
        match self {
            Self::Seconds => "s",
            Self::Microseconds => "µs",
            Self::Instructions => "instructions",
            Self::Kibibytes => "KiB",
        }
    }

    /// Formats a number of this unit with its significant digits.
    pub fn show(self, number: f64) -> String {
        match (self, number) {
            (Self::Instructions | Self::Kibibytes, _) => format!("{number:.0}"),
            (_, ..10.0) => format!("{number:.2}"),
            (_, ..1000.0) => format!("{number:.1}"),
            _ => format!("{number:.0}"),
        }
    }
}

impl Figure {
    /// Computes the statistics; `None` without samples.
    pub fn of(bench: &'static str, case: impl Into<String>, unit: Unit, samples: &[f64]) -> Option<Self> {
        let mut samples = samples.to_vec();
        samples.sort_unstable_by(f64::total_cmp);
        let (median, p99) = (median_of_sorted(&samples)?, percentile_of_sorted(&samples, 99)?);
        Some(Self { bench, case: case.into(), unit, median, p99, runs: samples.len() })
    }
}

/// Returns the median; `None` without samples.
pub fn median(samples: &[f64]) -> Option<f64> {
    let mut samples = samples.to_vec();
    samples.sort_unstable_by(f64::total_cmp);
    median_of_sorted(&samples)
}

fn median_of_sorted(samples: &[f64]) -> Option<f64> {
    let upper = *samples.get(samples.len() / 2)?;
    let lower = *samples.get(samples.len().checked_sub(1)? / 2)?;
    Some(lower.midpoint(upper))
}

/// Returns the smallest sample that at least `percent` % of the samples do not exceed.
fn percentile_of_sorted(samples: &[f64], percent: usize) -> Option<f64> {
    let rank = (samples.len() * percent).div_ceil(100);
    samples.get(rank.checked_sub(1)?).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figure(samples: &[f64]) -> Option<(f64, f64, usize)> {
        let figure = Figure::of("b", "c", Unit::Seconds, samples)?;
        Some((figure.median, figure.p99, figure.runs))
    }

    #[test]
    fn median_of_even_count_is_the_midpoint() {
        assert_eq!(figure(&[9.0, 1.0, 2.0]), Some((2.0, 9.0, 3)));
        assert_eq!(figure(&[4.0, 1.0, 9.0, 2.0]), Some((3.0, 9.0, 4)));
        assert_eq!(figure(&[]), None);
    }

    #[test]
    fn one_percent_of_samples_is_above_the_99th_percentile() {
        let hundred: Vec<f64> = (1..=100).map(f64::from).collect();
        assert_eq!(figure(&hundred), Some((50.5, 99.0, 100)));
        let two_hundred: Vec<f64> = (1..=200).rev().map(f64::from).collect();
        assert_eq!(figure(&two_hundred), Some((100.5, 198.0, 200)));
    }

    #[test]
    fn json_has_exactly_the_six_documented_keys() {
        let figure = Figure::of("boot", "tcg", Unit::Microseconds, &[1.5]);
        let json = serde_json::to_string(&figure).unwrap();
        assert_eq!(json, r#"{"bench":"boot","case":"tcg","unit":"µs","median":1.5,"p99":1.5,"runs":1}"#);
    }
}
