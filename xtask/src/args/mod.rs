//! Options that several commands share.

pub mod matrix;
pub mod report;
pub mod vm;

use std::str::FromStr;

/// Reads a number that is at least one.
///
/// # Errors
/// It is none.
pub fn at_least_one<N: FromStr>(text: &str) -> Result<N, String> {
    text.parse().map_err(|_| "it takes a whole number, 1 or more".to_owned())
}
