//! Debugging of a guest: gdb, symbolized addresses, and the timeline of a scenario.

pub mod gdb;
pub mod symbolize;
pub mod timeline;
