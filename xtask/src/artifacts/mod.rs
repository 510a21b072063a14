//! Boot artifacts of a guest: a kernel image, and an initramfs with programs.

pub mod guest_file;
pub mod image;
pub mod initramfs;
pub mod kernel_choice;
pub mod libraries;
pub mod program_closure;
mod shebang;
pub mod userland;
