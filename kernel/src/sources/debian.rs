//! Source packages through apt, without root: `apt-get download` verifies what it fetches.

use std::{
    fs,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use nix::unistd::Uid;

use super::Archive;
use crate::{
    Error, Phase, Progress, Result,
    command::{Running, read},
    fs::remove,
    programs::has_program,
};

/// Returns the version that was fetched last, so that a newer one in the archive does not change a
/// kernel unasked.
pub(super) fn last_seen(package: &str, cache: &Path) -> Result<Option<String>> {
    let record = record(package, cache);
    match fs::read_to_string(&record) {
        Ok(version) => Ok(Some(version)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Error::io("reading", record)(error)),
    }
}

/// Fetches the newest version in apt's lists.
pub(super) fn fetch(
    package: &str,
    cache: &Path,
    downloads: &Path,
    progress: &dyn Progress,
) -> Result<Archive> {
    if !(has_program("apt-get") && has_program("dpkg-deb")) {
        return Err(failure(package, "this machine has no apt"));
    }
    let first = match Candidate::known(package) {
        Some(candidate) => candidate.bring(cache, downloads, progress),
        None => Err(failure(package, "apt does not know it")),
    };
    match first {
        // apt's lists are missing or outdated: the version that they name is gone.
        Err(error @ (Error::Download { .. } | Error::Command { .. })) => {
            update(package, &error, progress)?;
            let candidate = Candidate::known(package);
            let missing = || failure(package, "this machine's package archives do not have it");
            candidate.ok_or_else(missing)?.bring(cache, downloads, progress)
        }
        other => other,
    }
}

/// Updates apt's lists, which only root can.
fn update(package: &str, why: &Error, progress: &dyn Progress) -> Result<()> {
    if !Uid::effective().is_root() {
        return Err(failure(package, &format!("{why}\n`apt-get update` as root may help")));
    }
    progress.note("apt's lists are missing or old: running `apt-get update`");
    read(Command::new("apt-get").args(["update", "-qq"]), b"").map(drop)
}

fn failure(package: &str, reason: &str) -> Error {
    Error::Download { url: format!("Debian package {package}"), reason: reason.into() }
}

fn record(package: &str, cache: &Path) -> PathBuf {
    cache.join("sources").join(package)
}

/// A package that apt can fetch.
struct Candidate {
    package: String,
    version: String,
    bytes: Option<u64>,
}

impl Candidate {
    fn known(package: &str) -> Option<Self> {
        let shown = read(Command::new("apt-cache").args(["show", "--no-all-versions", package]), b"").ok()?;
        let field = |name: &str| shown.lines().find_map(|line| line.strip_prefix(name)).map(str::to_owned);
        Some(Self {
            package: package.into(),
            version: field("Version: ")?,
            bytes: field("Size: ").and_then(|size| size.parse().ok()),
        })
    }

    /// Fetches the package and records its version.
    fn bring(&self, cache: &Path, downloads: &Path, progress: &dyn Progress) -> Result<Archive> {
        let Self { package, version, .. } = self;
        let path = downloads.join(format!("{package}-{version}.deb"));
        if !path.is_file() {
            self.download(downloads, &path, progress)?;
        }
        let identity = format!("debian {package} {version}");
        let record = record(package, cache);
        fs::create_dir_all(cache.join("sources")).map_err(Error::io("creating", cache.join("sources")))?;
        fs::write(&record, &identity).map_err(Error::io("writing", &record))?;
        Ok(Archive { path, identity, fetched: true })
    }

    fn download(&self, downloads: &Path, to: &Path, progress: &dyn Progress) -> Result<()> {
        let scratch = downloads.join(format!("{}.partial", self.package));
        remove(&scratch)?;
        fs::create_dir_all(&scratch).map_err(Error::io("creating", &scratch))?;
        progress.started(&Phase::Download { file: format!("{} {}", self.package, self.version) }, self.bytes);
        let mut command = Command::new("apt-get");
        command.args(["download", "-qq", "-o", "APT::Status-Fd=1", "-o", "APT::Sandbox::User="]);
        command.arg(format!("{}={}", self.package, self.version)).current_dir(&scratch);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut apt = Running::start(&mut command)?;
        if let (Some(status), Some(bytes)) = (apt.stdout(), self.bytes) {
            let lines = BufReader::new(status).lines().map_while(std::io::Result::ok);
            for percent in lines.filter_map(|line| percent(&line)) {
                progress.done((bytes as f64 * percent / 100.0) as u64);
            }
        }
        apt.succeed()?;

        let files = fs::read_dir(&scratch).map_err(Error::io("reading", &scratch))?;
        let mut files = files.flatten().map(|entry| entry.path());
        let file = files.find(|path| path.extension().is_some_and(|end| end == "deb"));
        let file = file.ok_or_else(|| failure(&self.package, "apt-get download left no file"))?;
        fs::rename(&file, to).map_err(Error::io("renaming", &file))?;
        progress.finished();
        remove(&scratch)
    }
}

/// Parses apt's status line `dlstatus:ITEM:PERCENT:TEXT`.
fn percent(line: &str) -> Option<f64> {
    line.strip_prefix("dlstatus:")?.split(':').nth(1)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_status_line_tells_the_percentage() {
        assert_eq!(percent("dlstatus:1:37.5:Retrieving file 1 of 1"), Some(37.5));
        assert_eq!(percent("pmstatus:dpkg:50:Installing"), None);
    }
}
