//! Options that several commands share.

pub mod completion;
pub mod matrix;
pub mod report;
pub mod vm;
