//! A guest that has nobody to talk to: what a host would say lies in the initramfs, and what comes of it is judged here.

use std::path::{Path, PathBuf};
use std::process::Command;

use nix::sys::termios::tcdrain;

use crate::channel::{self, Channel, ChannelError};
use crate::sys::kmsg;

/// The kernel parameter that names the folder.
const PARAMETER: &str = "keyagents.play=";

/// Where PID 1 writes what it would tell a host.
const ANSWERS: &str = "/run/heard.jsonl";

/// What is to be carried out, and who judges it: a folder of the initramfs.
pub(super) struct Standalone {
    folder: PathBuf,
}

impl Standalone {
    /// What the kernel command line asks for.
    pub(super) fn from_command_line() -> Option<Self> {
        let command_line = std::fs::read_to_string("/proc/cmdline").unwrap_or_default();
        channel::named_in(&command_line, PARAMETER).map(|folder| Self { folder })
    }

    /// A channel to nobody.
    pub(super) fn channel(&self) -> Result<Channel, ChannelError> {
        Channel::from_files(&self.folder.join("said.jsonl"), Path::new(ANSWERS))
    }

    /// Has what came of it judged, and the verdict written where a host would listen.
    pub(super) fn judge(&self) {
        if let Err(why) = self.run_judge() {
            kmsg::log(kmsg::Level::Error, &format!("no verdict: {why}"));
        }
    }

    fn run_judge(&self) -> Result<(), Box<dyn std::error::Error>> {
        let device = channel::device()?;
        let mut judge = Command::new(self.folder.join("judge"));
        judge.arg(self.folder.join("scenario.toml")).arg(self.folder.join("said.jsonl")).arg(ANSWERS);
        judge.env_clear().stdout(device.try_clone()?).status()?;
        // Only a serial line has anything to drain.
        let _ = tcdrain(&device);
        Ok(())
    }
}
