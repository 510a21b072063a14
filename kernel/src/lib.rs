//! Build of a bootable image from a kernel source.
//!
//! ```text
//! kernels.toml ─> Origin ─> Tree ─> (series applied) ─> Config ─> Image
//! ```
//!
//! [`image()`] carries out all of these steps, and none of them when the image is already in the cache.
//! The cache can be deleted at any moment. A run repeats the steps that an earlier one left incomplete.

mod backport;
mod build;
mod build_request;
mod changed_lines;
mod check;
mod config;
mod diagnostics;
mod diff_parser;
mod edit;
mod error;
mod export;
mod fingerprint;
mod format_patch;
mod fs;
mod git_objects;
mod image;
mod kernels;
mod lock;
mod mutants;
mod packages;
mod plural;
mod programs;
mod progress;
mod rejects;
mod requirements;
mod selftests;
mod series;
mod series_comparison;
mod source_clone;
mod sources;
mod subprocess;
mod subsystem;
#[cfg(test)]
mod testutil;
mod tree;
mod warnings;

pub use crate::{
    backport::{Backport, Backported, Conflict, Start, abort, backport},
    build::{SOURCE, unbuildable},
    build_request::BuildRequest,
    changed_lines::{ChangedFile, changed_files, lines_since, touched_lines},
    check::{Check, CheckKind, Outcome, Report, Row, check},
    config::{Arch, Fragment, Profile},
    edit::{Edit, Edited, edit},
    error::Error,
    export::{Exported, export},
    fingerprint::Inputs,
    image::{Image, cached, image},
    kernels::{Available, KernelSpec, Kernels},
    lock::{Lock, LockMode, lock_holders},
    mutants::{Mutant, MutantSet, SourceFile, mutants},
    packages::{Manager, install_command},
    plural::counted,
    programs::{has_program, is_executable, places_in_path},
    progress::{NoProgress, Phase, Progress},
    rejects::{RejectReason, RejectedHunk},
    requirements::{REQUIREMENTS, Requirement, missing},
    selftests::selftests,
    series::{ListedProblem, Patch, PatchProblem, Series, SeriesProblem},
    series_comparison::{Difference, UnlikeLine, differences, explanation},
    sources::{DebianPackage, Origin, hex},
    subprocess::{command_line, git, quoted},
    subsystem::Subsystem,
    tree::{Tree, fetch_tree, tree, whereabouts},
};

pub type Result<T, E = Error> = std::result::Result<T, E>;
