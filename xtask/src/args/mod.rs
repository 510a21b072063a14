//! Options that several commands share.

pub mod matrix;
pub mod one_guest;
pub mod report;

use std::str::FromStr;

pub fn at_least_one<N: FromStr>(text: &str) -> Result<N, String> {
    text.parse().map_err(|_| "a whole number is expected, 1 or more".to_owned())
}
