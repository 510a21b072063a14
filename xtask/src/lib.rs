//! The testbed's command line and its host side.
//!
//! Each folder imports from those above it only, in this order.

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
pub mod report;
pub mod runner;
pub mod session;
pub mod vm;
