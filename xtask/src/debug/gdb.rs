//! Debugger for a guest's kernel: QEMU's port for gdb, and the command that attaches to it.

use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;

use anyhow::{Context, Result, bail};
use kernel::Arch;

use crate::artifacts::image::{self, KernelOptions};
use crate::debug::symbolize::Symbols;
use crate::host::process::command_line;

/// Returns a free port of this machine: the requested one, or any.
pub fn port(asked: Option<u16>) -> Result<u16> {
    let taken = || match asked {
        Some(port) => {
            format!("port {port} is taken: name another one, or leave --gdb-port out for any that is free")
        }
        None => "can't find a free port for gdb".to_owned(),
    };
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, asked.unwrap_or(0))).with_context(taken)?;
    Ok(listener.local_addr().with_context(taken)?.port())
}

pub fn check_function(vmlinux: &Path, function: &str) -> Result<()> {
    let functions = Symbols::read(vmlinux)?.functions;
    if functions.contains_key(function) {
        return Ok(());
    }
    let slips = |name: &&String| strsim::damerau_levenshtein(function, name);
    let near = functions.keys().filter(|name| slips(name) <= 1.max(function.len() / 4)).min_by_key(slips);
    let hint = near.map_or_else(
        || "it may have been inlined, or left out of this configuration".to_owned(),
        |near| format!("did you mean {near}?"),
    );
    bail!("the kernel has no function {function}; {hint}")
}

/// Returns the command that attaches gdb, with symbols and sources, and continues to the function
/// if given.
pub fn command(
    kernel: &KernelOptions,
    vmlinux: &Path,
    cache: &Path,
    port: u16,
    function: Option<&str>,
) -> Result<String> {
    let mut gdb = std::process::Command::new("gdb");
    gdb.arg("-q").arg(vmlinux);
    if let Some(sources) = image::sources(kernel, Arch::X86_64, cache)? {
        gdb.args(["-ex", &format!("directory {}", sources.display())]);
    }
    gdb.args(["-ex", &format!("target remote 127.0.0.1:{port}")]);
    if let Some(function) = function {
        // A hardware breakpoint, since the kernel is not in memory yet.
        gdb.args(["-ex", &format!("hbreak {function}"), "-ex", "continue"]);
    }
    Ok(command_line(&gdb))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn taken_port_is_refused_and_free_ports_differ() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let taken = listener.local_addr().unwrap().port();
        let error = format!("{:#}", port(Some(taken)).unwrap_err());
        assert!(error.starts_with(&format!("port {taken} is taken")), "{error}");
        assert_ne!(port(None).unwrap(), taken);
    }
}
