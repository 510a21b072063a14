//! Standalone mode: runs a recorded plan without a host, and judges the result in the guest.

use std::path::{Path, PathBuf};
use std::process::Command;

use nix::sys::termios::tcdrain;

use crate::channel::{self, Channel, ChannelError};
use crate::sys::{kmsg, procfs};

const PARAMETER: &str = "keyagents.standalone=";

/// File for the messages that a host would receive.
const ANSWERS: &str = "/run/answers.jsonl";

/// Directory of the initramfs with the recorded messages, the scenario and the judge.
pub(super) struct Standalone {
    folder: PathBuf,
}

impl Standalone {
    /// The directory that the kernel command line names.
    pub(super) fn from_command_line() -> Option<Self> {
        procfs::kernel_parameter(PARAMETER).ok().flatten().map(|folder| Self { folder })
    }

    /// A channel that reads and writes files.
    pub(super) fn channel(&self) -> Result<Channel, ChannelError> {
        Channel::from_files(&self.folder.join("messages.jsonl"), Path::new(ANSWERS))
    }

    /// Runs the judge, whose verdict goes to the channel's device.
    pub(super) fn judge(&self) {
        if let Err(why) = self.run_judge() {
            kmsg::log(kmsg::Level::Error, &format!("no verdict: {why}"));
        }
    }

    fn run_judge(&self) -> Result<(), Box<dyn std::error::Error>> {
        let device = channel::device()?;
        let mut judge = Command::new(self.folder.join("judge"));
        judge.arg(self.folder.join("scenario.toml")).arg(self.folder.join("messages.jsonl")).arg(ANSWERS);
        judge.env_clear().stdout(device.try_clone()?).status()?;
        // Only a serial line buffers output.
        let _ = tcdrain(&device);
        Ok(())
    }
}
