//! Options that several commands share.

pub mod matrix;
pub mod report;
pub mod vm;
