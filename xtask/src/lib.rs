//! The testbed's command line and its host side.

pub mod cache;
pub mod session;
pub mod vm;
