//! A kernel source in, a bootable image out.
//!
//! ```text
//! kernels.toml ─> Origin ─> Tree ─> (series applied) ─> Config ─> Image
//! ```
//!
//! [`image()`] does the whole line and runs nothing at all when the image is already in the cache. Everything in the
//! cache can be deleted at any moment; what an interrupted run left half done is done again by the next one.

#[cfg(test)]
mod bench;
mod build;
mod check;
mod clone;
mod command;
mod config;
mod diagnostics;
mod diff;
mod disk;
mod edit;
mod error;
mod export;
mod format_patch;
mod image;
mod inputs;
mod kernels;
mod lock;
mod misfit;
mod own;
mod progress;
mod requirements;
mod selftests;
mod series;
mod sources;
mod tree;
mod warnings;

pub use crate::{
    build::{SOURCE, unbuildable},
    check::{Aspect, Check, Outcome, Report, Row, check},
    config::{Arch, Fragment, Profile},
    edit::{Edit, Edited, edit},
    error::Error,
    export::{Exported, export},
    image::{Image, Request, cached, image},
    inputs::Inputs,
    kernels::{Kernels, Named},
    misfit::{Instead, Line, Misfit},
    own::{OwnFile, own_files},
    progress::{Phase, Progress, Silent},
    requirements::{Requirement, missing, requirements},
    selftests::selftests,
    series::{ListedProblem, Patch, PatchProblem, Series, SeriesProblem},
    sources::Origin,
    tree::{Tree, fetch_tree, tree, whereabouts},
};

/// What every fallible function of this crate returns.
pub type Result<T, E = Error> = std::result::Result<T, E>;
