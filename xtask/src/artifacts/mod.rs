//! What a guest is booted from: a kernel's image, and an initramfs with programs.

pub mod image;
pub mod initramfs;
pub mod program_closure;
pub mod userland;
