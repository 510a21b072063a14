//! `cargo xtask boot`: another initramfs on the patched kernel.

use std::fmt::Display;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail};
use clap::Args;
use console::style;
use rootfs::Contents;

use crate::args::one_guest::GuestOptions;
use crate::artifacts::{initramfs, program_closure};
use crate::host::terminal::Terminal;
use crate::host::{cache, output};
use crate::runner::environment::{Environment, Extras};
use crate::session::FailureKind;
use crate::session::raw_terminal::{self, RawTerminal};
use crate::vm::{BootConfig, Ending, GuestOutput, KernelReport, Kind, Machine, MachineEvent, OutputObserver};

const EXAMPLES: &str = "Examples:
  cargo xtask boot --initramfs rootfs.cpio.gz                      with its console on this terminal
  cargo xtask boot --initramfs /boot/initrd.img --append 'debug'   with further kernel parameters";

/// Time limit for the end of a guest whose console is closed.
const SETTLE: Duration = Duration::from_secs(5);

/// Initramfs, kernel parameters and guest.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct Options {
    /// A cpio archive (newc), uncompressed or compressed with gzip, xz, lzma, lz4 or zstd; the kernel starts its /init
    #[arg(long, value_name = "FILE")]
    initramfs: PathBuf,

    /// Additional parameters for the kernel's command line
    #[arg(long, value_name = "PARAMETERS", allow_hyphen_values = true)]
    append: Option<String>,

    #[command(flatten)]
    guest: GuestOptions,
}

pub fn run(options: &Options, terminal: &Terminal) -> Result<ExitCode> {
    let archive = read(&options.initramfs)?;
    options.guest.ensure_host(terminal)?;
    let cache = cache::directory()?;
    let kinds = options.guest.kinds(&cache, terminal)?;
    let environment = options.guest.environment(&kinds, &Extras::default(), "boot", terminal)?;
    let parameters = options.append.iter().flat_map(|all| all.split_whitespace()).map(str::to_owned);
    let boot = BootConfig {
        initramfs: initramfs::keep(&archive, &cache)?,
        parameters: parameters.collect(),
        memory_mib: environment.boot.memory_mib + u32::try_from(archive.len() >> 19).unwrap_or(u32::MAX / 2),
        ..environment.boot.clone()
    };
    let (ending, report) = if RawTerminal::is_tty() {
        let about = format!("{} · {}", environment.describe(), raw_terminal::ESCAPE_HINT);
        terminal.say(&format!("{} {}", style("keyagents").bold(), style(about).dim()));
        attach_terminal(&environment, boot)?
    } else {
        print_console(&environment, boot)?
    };
    conclude(ending, report.as_ref(), terminal)
}

/// Reads and unpacks the archive, and checks that a guest can start its /init.
fn read(file: &Path) -> Result<Vec<u8>> {
    let packed = fs::read(file).with_context(|| format!("can't read the initramfs {}", file.display()))?;
    let unbootable = |why: &dyn Display| anyhow!("{} can't be booted: it {why}", file.display());
    let archive = rootfs::unpack(&packed).map_err(|why| unbootable(&why))?;
    let contents = Contents::read(&archive).map_err(|why| unbootable(&why))?;
    let init = contents.executable("/init").map_err(|why| unbootable(&why))?;
    if let Some(line) = init.strip_prefix(b"#!") {
        let line = String::from_utf8_lossy(line.split(|byte| *byte == b'\n').next().unwrap_or_default());
        let interpreter = line.split_whitespace().next().unwrap_or_default();
        let why = |why| unbootable(&format!("{why} to interpret /init"));
        contents.executable(interpreter).map_err(why)?;
    } else {
        program_closure::check(init, Path::new("/init"))
            .with_context(|| format!("{} can't be booted", file.display()))?;
    }
    Ok(archive)
}

/// Attaches a raw-mode terminal to the guest's console.
fn attach_terminal(
    environment: &Environment,
    boot: BootConfig,
) -> Result<(Option<Ending>, Option<KernelReport>)> {
    let raw_terminal = RawTerminal::enable()?;
    raw_terminal.show_output();
    let boot = BootConfig {
        interactive: true,
        observer: with_carriage_returns(raw_terminal.observer(), environment.kind()),
        ..boot
    };
    let mut machine = environment.start_machine(&boot)?;
    raw_terminal.forward_input(machine.console_writer()?);
    Ok(watch(&mut machine, || raw_terminal.is_escaped()))
}

/// Console without a terminal: its output is standard output, and it gets no input, which would arrive before it is read.
fn print_console(
    environment: &Environment,
    boot: BootConfig,
) -> Result<(Option<Ending>, Option<KernelReport>)> {
    let observer = OutputObserver::new(|output| {
        if let GuestOutput::Console(bytes) = output {
            output::write_stdout(bytes);
        }
    });
    let mut machine = environment.start_machine(&BootConfig { observer, ..boot })?;
    Ok(watch(&mut machine, || false))
}

/// Adds carriage returns to User-Mode Linux's kernel lines, which end as in files; a raw-mode terminal needs them.
fn with_carriage_returns(observer: OutputObserver, kind: Kind) -> OutputObserver {
    if kind != Kind::Uml {
        return observer;
    }
    OutputObserver::new(move |output| match output {
        GuestOutput::Console(bytes) => {
            let mut lines = Vec::with_capacity(bytes.len() + 8);
            let mut before = 0;
            for byte in bytes {
                if *byte == b'\n' && before != b'\r' {
                    lines.push(b'\r');
                }
                lines.push(*byte);
                before = *byte;
            }
            observer.observe(GuestOutput::Console(&lines));
        }
        other => observer.observe(other),
    })
}

/// Waits for the guest's end, or for the user's escape sequence (`None`). Reports the first fault that the kernel reported.
fn watch(machine: &mut Machine, left: impl Fn() -> bool) -> (Option<Ending>, Option<KernelReport>) {
    const POLL_INTERVAL: Duration = Duration::from_millis(200);
    let mut report = None;
    loop {
        match machine.next(Instant::now() + POLL_INTERVAL) {
            Some(MachineEvent::KernelReport(output)) => _ = report.get_or_insert(output),
            Some(MachineEvent::Gone) => return (Some(machine.end_within(SETTLE)), report),
            Some(MachineEvent::Message(_)) | None => {}
        }
        if left() {
            machine.stop();
            return (None, report);
        }
    }
}

fn conclude(ending: Option<Ending>, report: Option<&KernelReport>, terminal: &Terminal) -> Result<ExitCode> {
    const INTERRUPTED: u8 = 130;
    if let Some(report) = report {
        if report.kind.failure() == FailureKind::Broken {
            bail!("{report}");
        }
        terminal.note(&format!("the guest's kernel reported: {report}"));
        return Ok(ExitCode::from(1));
    }
    match ending {
        None => Ok(ExitCode::from(INTERRUPTED)),
        Some(Ending::PoweredOff) => Ok(ExitCode::SUCCESS),
        Some(Ending::Stopped) => bail!("the guest closed its console and did not end"),
        Some(Ending::Failed(status)) => bail!("the virtual machine failed: {status}"),
    }
}
