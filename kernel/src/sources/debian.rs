//! Source packages of Debian through apt, without root. apt verifies what it fetches.

use std::{
    fmt, fs,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::Stdio,
};

use nix::unistd::Uid;
use serde::Deserialize;

use super::{
    Archive,
    apt::{Apt, Suite},
};
use crate::{
    Error, Phase, Progress, Result,
    fs::{read_if_present, remove},
    programs::has_program,
    subprocess::{Running, read},
};

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DebianPackage {
    pub package: String,
    /// A suite of Debian's archive that has it, whatever the machine's own sources are. `None`: it
    /// comes from the machine's own sources.
    pub suite: Option<String>,
}

impl fmt::Display for DebianPackage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.package)?;
        self.suite.iter().try_for_each(|suite| write!(f, " from {suite}"))
    }
}

impl DebianPackage {
    /// Returns the version that was fetched last, so that a newer one in the archive does not
    /// change a kernel unasked.
    pub(super) fn last_seen(&self, cache: &Path) -> Result<Option<String>> {
        read_if_present(&self.record(cache))
    }

    fn record(&self, cache: &Path) -> PathBuf {
        cache.join("sources").join(self.file_name())
    }

    /// Name of files about the package. Another suite has other versions of it.
    fn file_name(&self) -> String {
        self.to_string().replace([' ', '/'], "-")
    }

    /// Fetches the newest version.
    pub(super) fn fetch(&self, cache: &Path, downloads: &Path, progress: &dyn Progress) -> Result<Archive> {
        self.require_apt()?;
        let bring = |candidate: Candidate| candidate.bring(&self.record(cache), downloads, progress);
        // The lists may be missing or outdated: the version that they name is gone.
        let is_stale = |error: &Error| matches!(error, Error::Download { .. } | Error::Command { .. });
        match &self.suite {
            Some(suite) => match self.in_suite(suite, downloads, progress, Lists::OfLately).and_then(bring) {
                Err(error) if is_stale(&error) => {
                    self.in_suite(suite, downloads, progress, Lists::New).and_then(bring)
                }
                other => other,
            },
            None => match self.in_sources_of_machine("apt does not know it").and_then(bring) {
                Err(error) if is_stale(&error) => {
                    self.update_lists_of_machine(&error, progress)?;
                    let missing = "this machine's package archives do not have it";
                    self.in_sources_of_machine(missing).and_then(bring)
                }
                other => other,
            },
        }
    }

    /// Checks whether the archive has the package, as far as that is known without a download of
    /// the package.
    pub(super) fn check(&self, downloads: &Path, progress: &dyn Progress) -> Result<()> {
        self.require_apt()?;
        match &self.suite {
            Some(suite) => self.in_suite(suite, downloads, progress, Lists::OfLately).map(drop),
            None => Ok(()),
        }
    }

    fn require_apt(&self) -> Result<()> {
        match has_program("apt-get") && has_program("dpkg-deb") {
            true => Ok(()),
            false => Err(self.failure("this machine has no apt")),
        }
    }

    /// Returns the newest version in the suite.
    fn in_suite(
        &self,
        suite: &str,
        downloads: &Path,
        progress: &dyn Progress,
        lists: Lists,
    ) -> Result<Candidate> {
        let suite = Suite::of_debian(suite).map_err(|reason| self.failure(&reason))?;
        self.candidate(&suite, &downloads.join(format!("apt-{}", self.file_name())), progress, lists)
    }

    fn candidate(
        &self,
        suite: &Suite<'_>,
        directory: &Path,
        progress: &dyn Progress,
        lists: Lists,
    ) -> Result<Candidate> {
        let apt = Apt::for_suite(suite, directory)?;
        if lists == Lists::New || !apt.has_lists_of_lately() {
            progress.note(&format!("looking for {self} at {}", suite.mirror));
            apt.update(suite).map_err(|reason| self.failure(&reason))?;
        }
        let missing = || format!("{} at {} has no such package, or none any more", suite.name, suite.mirror);
        Candidate::known(&self.package, apt).ok_or_else(|| self.failure(&missing()))
    }

    fn in_sources_of_machine(&self, missing: &str) -> Result<Candidate> {
        Candidate::known(&self.package, Apt::of_machine()).ok_or_else(|| self.failure(missing))
    }

    /// Updates apt's lists, which only root can.
    fn update_lists_of_machine(&self, why: &Error, progress: &dyn Progress) -> Result<()> {
        if !Uid::effective().is_root() {
            return Err(self.failure(&format!("{why}\n`apt-get update` as root may help")));
        }
        progress.note("apt's lists are missing or old: running `apt-get update`");
        read(Apt::of_machine().command("apt-get").args(["update", "-qq"]), b"").map(drop)
    }

    fn failure(&self, reason: &str) -> Error {
        Error::Download { url: format!("Debian package {self}"), reason: reason.into() }
    }
}

/// Age of a suite's lists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Lists {
    /// Updated by a command shortly before, or else now.
    OfLately,
    /// Updated now.
    New,
}

/// A package that apt can fetch.
struct Candidate {
    package: String,
    version: String,
    bytes: Option<u64>,
    apt: Apt,
}

impl Candidate {
    fn known(package: &str, apt: Apt) -> Option<Self> {
        let mut show = apt.command("apt-cache");
        let shown = read(show.args(["show", "--no-all-versions", package]), b"").ok()?;
        let field = |name: &str| shown.lines().find_map(|line| line.strip_prefix(name)).map(str::to_owned);
        Some(Self {
            package: package.into(),
            version: field("Version: ")?,
            bytes: field("Size: ").and_then(|size| size.parse().ok()),
            apt,
        })
    }

    /// Fetches the package and records its version.
    fn bring(&self, record: &Path, downloads: &Path, progress: &dyn Progress) -> Result<Archive> {
        let Self { package, version, .. } = self;
        let path = downloads.join(format!("{package}-{version}.deb"));
        if !path.is_file() {
            self.download(downloads, &path, progress)?;
        }
        let identity = format!("debian {package} {version}");
        let directory = record.parent().unwrap_or(record);
        fs::create_dir_all(directory).map_err(Error::io("creating", directory))?;
        fs::write(record, &identity).map_err(Error::io("writing", record))?;
        Ok(Archive { path, identity, fetched: true })
    }

    fn download(&self, downloads: &Path, to: &Path, progress: &dyn Progress) -> Result<()> {
        let scratch = downloads.join(format!("{}.partial", self.package));
        remove(&scratch)?;
        fs::create_dir_all(&scratch).map_err(Error::io("creating", &scratch))?;
        progress.started(&Phase::Download { file: format!("{} {}", self.package, self.version) }, self.bytes);
        let mut command = self.apt.command("apt-get");
        command.args(["download", "-qq", "-o", "APT::Status-Fd=1"]);
        command.arg(format!("{}={}", self.package, self.version)).current_dir(&scratch);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut apt = Running::start(&mut command)?;
        if let (Some(status), Some(bytes)) = (apt.child.stdout.take(), self.bytes) {
            let lines = BufReader::new(status).lines().map_while(std::io::Result::ok);
            for percent in lines.filter_map(|line| percent(&line)) {
                progress.done((bytes as f64 * percent / 100.0) as u64);
            }
        }
        apt.succeed()?;

        let files = fs::read_dir(&scratch).map_err(Error::io("reading", &scratch))?;
        let mut files = files.flatten().map(|entry| entry.path());
        let file = files.find(|path| path.extension().is_some_and(|end| end == "deb"));
        let file = file.ok_or_else(|| Error::Download {
            url: format!("Debian package {}", self.package),
            reason: "apt-get download left no file".into(),
        })?;
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
    use std::{fs::DirBuilder, os::unix::fs::DirBuilderExt, process::Command};

    use sha2::{Digest, Sha256};

    use super::*;
    use crate::{NoProgress, hex, testutil::lacks_gpg};

    #[test]
    fn status_line_has_the_percentage() {
        assert_eq!(percent("dlstatus:1:37.5:Retrieving file 1 of 1"), Some(37.5));
        assert_eq!(percent("pmstatus:dpkg:50:Installing"), None);
    }

    /// An archive of packages in a directory, signed with a key of its own.
    struct Bench(tempfile::TempDir);

    impl Bench {
        /// Returns `None`, with a note, if this machine lacks a program that makes or reads one.
        fn new() -> Option<Self> {
            if let Some(program) = ["apt-get", "dpkg-deb"].into_iter().find(|program| !has_program(program)) {
                eprintln!("skipped: this machine has no {program}");
                return None;
            }
            if lacks_gpg() {
                return None;
            }
            let bench = Self(tempfile::tempdir().unwrap());
            let dist = "dists/suite/main/binary-amd64";
            fs::create_dir_all(bench.path(&format!("archive/{dist}"))).unwrap();
            fs::create_dir_all(bench.path("package/DEBIAN")).unwrap();
            let control = "Package: linux-source-0\nVersion: 0.1-1\nArchitecture: all\nMaintainer: Z <z@example.org>\n\
                           Description: a source\n";
            fs::write(bench.path("package/DEBIAN/control"), control).unwrap();
            bench.run("dpkg-deb", &["--build", "package", "archive/p.deb"]);
            let package = fs::read(bench.path("archive/p.deb")).unwrap();
            let sum = |bytes: &[u8]| hex(&Sha256::digest(bytes));
            let packages =
                format!("{control}Filename: p.deb\nSize: {}\nSHA256: {}\n\n", package.len(), sum(&package));
            fs::write(bench.path(&format!("archive/{dist}/Packages")), &packages).unwrap();
            let release = format!(
                "Suite: suite\nCodename: suite\nDate: Fri, 01 Jul 2022 10:00:00 UTC\nArchitectures: amd64 all\nComponents: main\n\
                 SHA256:\n {} {} main/binary-amd64/Packages\n",
                sum(packages.as_bytes()),
                packages.len()
            );
            fs::write(bench.path("archive/dists/suite/Release"), release).unwrap();
            for key in ["own", "other"] {
                let home = format!("--homedir={}", bench.path(key).display());
                DirBuilder::new().mode(0o700).create(bench.path(key)).unwrap();
                let gpg = [&*home, "--batch", "--yes", "--pinentry-mode=loopback", "--passphrase="];
                let run = |more: &[&str]| bench.run("gpg", &[&gpg, more].concat());
                run(&["--quick-generate-key", "Z <z@example.org>", "ed25519", "sign"]);
                run(&["--output", &format!("{key}.gpg"), "--export"]);
                if key == "own" {
                    run(&[
                        "--output=archive/dists/suite/InRelease",
                        "--clearsign",
                        "archive/dists/suite/Release",
                    ]);
                }
            }
            Some(bench)
        }

        fn path(&self, name: &str) -> PathBuf {
            self.0.path().join(name)
        }

        fn run(&self, program: &str, arguments: &[&str]) {
            read(Command::new(program).args(arguments).current_dir(self.0.path()), b"").unwrap();
        }

        /// Looks for a package in a suite of the archive, with the keys of that name.
        fn look_for(&self, package: &str, suite: &str, keys: &str) -> Result<Candidate> {
            let mirror = format!("file:{}", self.path("archive").display());
            let suite = Suite { name: suite, mirror, keyring: self.path(&format!("{keys}.gpg")) };
            let wanted = DebianPackage { package: package.into(), suite: Some(suite.name.into()) };
            let directory = self.path(&format!("apt-{package}-{}-{keys}", suite.name));
            wanted.candidate(&suite, &directory, &NoProgress, Lists::OfLately)
        }

        fn refusal(&self, package: &str, suite: &str, keys: &str) -> String {
            let refused = self.look_for(package, suite, keys).err().unwrap().to_string();
            refused.replace(&*self.0.path().to_string_lossy(), "")
        }
    }

    impl Drop for Bench {
        fn drop(&mut self) {
            for key in ["own", "other"] {
                let home = format!("--homedir={}", self.path(key).display());
                let _ = Command::new("gpgconf").args([&*home, "--kill", "all"]).output();
            }
        }
    }

    #[test]
    fn a_package_comes_from_a_suite_of_its_own_and_its_version_is_recorded() {
        let Some(bench) = Bench::new() else { return };
        let (cache, downloads) = (bench.path("cache"), bench.path("downloads"));
        let candidate = bench.look_for("linux-source-0", "suite", "own").unwrap();
        let from =
            |suite: &str| DebianPackage { package: "linux-source-0".into(), suite: Some(suite.into()) };
        let archive = candidate.bring(&from("suite").record(&cache), &downloads, &NoProgress).unwrap();
        assert_eq!(archive.identity, "debian linux-source-0 0.1-1");
        assert_eq!(fs::read(&archive.path).unwrap(), fs::read(bench.path("archive/p.deb")).unwrap());
        assert_eq!(from("suite").last_seen(&cache).unwrap(), Some(archive.identity));
        assert_eq!(from("another").last_seen(&cache).unwrap(), None);
    }

    #[test]
    fn a_suite_that_is_signed_with_another_key_is_refused() {
        let Some(bench) = Bench::new() else { return };
        let said = bench.refusal("linux-source-0", "suite", "other");
        assert!(
            said.contains(": the signature of suite at file:/archive is not one of /other.gpg"),
            "{said}"
        );
    }

    #[test]
    fn a_package_that_was_changed_since_it_was_signed_is_refused() {
        let Some(bench) = Bench::new() else { return };
        let candidate = bench.look_for("linux-source-0", "suite", "own").unwrap();
        let mut bytes = fs::read(bench.path("archive/p.deb")).unwrap();
        *bytes.last_mut().unwrap() ^= 1;
        fs::write(bench.path("archive/p.deb"), bytes).unwrap();
        assert!(candidate.bring(&bench.path("record"), &bench.path("downloads"), &NoProgress).is_err());
    }

    #[test]
    fn a_suite_or_a_package_that_is_gone_is_named() {
        let Some(bench) = Bench::new() else { return };
        let said = bench.refusal("linux-source-0", "gone", "own");
        assert!(said.contains(": file:/archive has no suite gone, or none any more;"), "{said}");
        let said = bench.refusal("linux-source-9", "suite", "own");
        assert!(said.contains(": suite at file:/archive has no such package, or none any more;"), "{said}");
    }
}
