//! The testbed's command line and its host side.
//!
//! A folder imports from itself and from those before it in this list, which a test holds:
//! `host`, `artifacts`, `vm`, `args`, `session`, `debug`, `runner`, `report`, `kernel_tests`, `bench`, `bundle`, `coverage`, `mutants`,
//! `doctor`,
//! `commands`.

pub mod args;
pub mod artifacts;
pub mod bench;
pub mod bundle;
pub mod commands;
pub mod coverage;
pub mod debug;
pub mod doctor;
pub mod host;
pub mod kernel_tests;
pub mod mutants;
pub mod report;
pub mod runner;
pub mod session;
pub mod vm;
