//! The host: its programs, packages and processes, the cache, standard output and the terminal.

pub mod cache;
pub mod completion;
pub mod exemptions;
pub mod interruption;
pub mod mutex;
pub mod output;
pub mod packages;
pub mod process;
pub mod process_group;
pub mod program;
pub mod terminal;
pub mod workspace;
