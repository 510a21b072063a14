//! The testbed's command line and its host side.

pub mod bench;
pub mod bisect;
pub mod cache;
pub mod commands;
pub mod display;
pub mod ground;
pub mod guest;
pub mod host;
pub mod host_program;
pub mod image;
pub mod kernel_tests;
pub mod ktap;
pub mod lane;
pub mod matrix;
pub mod outcome;
pub mod pace;
pub mod report;
pub mod run;
pub mod schedule;
pub mod session;
pub mod suite;
pub mod terminal;
pub mod testbed;
pub mod times;
pub mod vm;
pub mod workspace;
