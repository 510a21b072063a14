//! The testbed's command line and its host side.

pub mod cache;
pub mod commands;
pub mod guest;
pub mod host;
pub mod image;
pub mod session;
pub mod terminal;
pub mod vm;
pub mod workspace;
