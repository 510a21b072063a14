//! The testbed's command line and its host side.

pub mod vm;
