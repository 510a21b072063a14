//! apt without root: by the machine's own configuration, or with sources and lists of its own for
//! one suite of Debian's archive.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use crate::{
    Error, Result,
    subprocess::{output, read},
};

/// Places of the public keys of Debian's archive, from the package `debian-archive-keyring`.
const KEYRINGS: [&str; 2] =
    ["/usr/share/keyrings/debian-archive-keyring.gpg", "/usr/share/keyrings/debian-archive-keyring.pgp"];

/// Address of the archive for machines whose sources have none, such as Ubuntu's. The signature
/// tells whether it is Debian's.
const EVERYWHERE: &str = "http://deb.debian.org/debian";

/// Time for which the lists of a suite are not updated again: the commands before a first fetch ask
/// for them several times.
const LATELY: Duration = Duration::from_secs(60 * 60);

/// Settings for a suite of its own. The machine's remain in force, such as a proxy, except those
/// that weaken the check of signatures or run programs on the machine's behalf.
const SETTINGS: &str = r#"
#clear APT::Update::Pre-Invoke;
#clear APT::Update::Post-Invoke;
#clear APT::Update::Post-Invoke-Success;
APT::Get::AllowUnauthenticated "false";
APT::Update::Error-Mode "any";
Acquire::Retries "1";
Acquire::http::ConnectionTimeout "10";
Acquire::https::ConnectionTimeout "10";
Acquire::AllowInsecureRepositories "false";
Acquire::AllowWeakRepositories "false";
Acquire::AllowDowngradeToInsecureRepositories "false";
Dir::Etc::SourceParts "/dev/null";
Dir::Etc::Preferences "/dev/null";
Dir::Etc::PreferencesParts "/dev/null";
"#;

/// apt with one of these configurations.
pub(super) struct Apt {
    /// The file with the settings of a suite; `None` for the machine's own configuration.
    config: Option<PathBuf>,
}

/// A suite of an archive, and the keys that its signature is checked with.
pub(super) struct Suite<'a> {
    pub(super) name: &'a str,
    pub(super) mirror: String,
    pub(super) keyring: PathBuf,
}

impl<'a> Suite<'a> {
    /// Returns that suite of Debian's archive at the machine's mirror, or the reason that there is
    /// none.
    pub(super) fn of_debian(name: &'a str) -> Result<Self, String> {
        let keyring = KEYRINGS
            .iter()
            .map(Path::new)
            .find(|keyring| keyring.is_file())
            .ok_or_else(|| format!("{} is missing: install debian-archive-keyring", KEYRINGS[0]))?;
        let mirror = mirror().unwrap_or_else(|| EVERYWHERE.to_owned());
        Ok(Self { name, mirror, keyring: keyring.to_owned() })
    }

    /// Returns the sentence for apt's error messages.
    fn refusal(&self, said: &str) -> String {
        let Self { name, mirror, keyring } = self;
        let has = |words: &[&str]| words.iter().any(|words| said.contains(words));
        if has(&["GPG error", "OpenPGP signature", "is not signed", "verification failed"]) {
            return format!("the signature of {name} at {mirror} is not one of {}", keyring.display());
        }
        if has(&["does not have a Release file", "no longer has a Release file"]) {
            return format!("{mirror} has no suite {name}, or none any more");
        }
        let first = said.lines().find_map(|line| line.strip_prefix("E: ")).unwrap_or("apt-get update failed");
        format!("can't read {name} at {mirror}: {first}")
    }
}

impl Apt {
    /// apt as the machine configures it.
    pub(super) fn of_machine() -> Self {
        Self { config: None }
    }

    /// apt with that suite alone. All its files are in the directory.
    pub(super) fn for_suite(suite: &Suite<'_>, directory: &Path) -> Result<Self> {
        let path = |name: &str| directory.join(name);
        for made in ["lists/partial", "cache/archives/partial"] {
            fs::create_dir_all(path(made)).map_err(Error::io("creating", path(made)))?;
        }
        let Suite { name, mirror, keyring } = suite;
        let options = format!("signed-by={} arch=amd64 lang=none target=Packages", keyring.display());
        let config = format!(
            "Dir::Etc::SourceList \"{}\";\nDir::State::Lists \"{}\";\nDir::Cache \"{}\";\n{SETTINGS}",
            path("sources.list").display(),
            path("lists").display(),
            path("cache").display()
        );
        let files =
            [("sources.list", format!("deb [{options}] {mirror} {name} main\n")), ("apt.conf", config)];
        for (file, text) in files {
            fs::write(path(file), text).map_err(Error::io("writing", path(file)))?;
        }
        Ok(Self { config: Some(path("apt.conf")) })
    }

    /// Returns `apt-get` or `apt-cache` with this configuration.
    pub(super) fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.env("LC_ALL", "C");
        command.args(self.config.iter().flat_map(|file| [Path::new("-c"), file]));
        // As root apt would drop its privileges, and then could not write into the cache.
        command.args(["-o", "APT::Sandbox::User="]);
        command
    }

    /// Returns true if the lists were updated within [`LATELY`].
    pub(super) fn has_lists_of_lately(&self) -> bool {
        let updated = self.stamp().and_then(|stamp| fs::metadata(stamp).ok()?.modified().ok());
        updated.and_then(|time| time.elapsed().ok()).is_some_and(|age| age < LATELY)
    }

    /// Returns the file that the last successful update has written.
    fn stamp(&self) -> Option<PathBuf> {
        Some(self.config.as_ref()?.with_file_name("updated"))
    }

    /// Updates the lists of a suite. Returns the reason why they can't be had, in one sentence.
    pub(super) fn update(&self, suite: &Suite<'_>) -> Result<(), String> {
        let mut command = self.command("apt-get");
        let updated = output(command.args(["update", "-q"]), b"").map_err(|error| error.to_string())?;
        if updated.status.success() {
            // Without the stamp the next command updates the lists again.
            let _ = self.stamp().map(|stamp| fs::write(stamp, ""));
            return Ok(());
        }
        let said = String::from_utf8_lossy(&updated.stderr).into_owned();
        Err(suite.refusal(&said))
    }
}

/// Returns the address of Debian's archive in the machine's sources.
fn mirror() -> Option<String> {
    let ask = |arguments: &[&str]| read(Command::new("apt-get").args(arguments), b"").unwrap_or_default();
    let targets =
        ask(&["indextargets", "--format", "$(ORIGIN) $(LABEL) $(REPO_URI)", "Created-By: Packages"]);
    // A machine without lists, such as a new container, knows no archive's name.
    of_debian(&targets).or_else(|| named_debian(&ask(&["update", "--print-uris"])))
}

/// Returns the first address with Debian's origin and label; those of its security archive differ.
fn of_debian(targets: &str) -> Option<String> {
    targets.lines().find_map(|line| line.strip_prefix("Debian Debian ")).map(trimmed)
}

/// Returns the first address of a release that ends like those of Debian's mirrors. The signature
/// tells whether it is one.
fn named_debian(uris: &str) -> Option<String> {
    let mut archives =
        uris.lines().filter_map(|line| Some(line.strip_prefix('\'')?.split_once("/dists/")?.0));
    archives.find(|archive| archive.ends_with("/debian")).map(trimmed)
}

fn trimmed(address: &str) -> String {
    address.trim().trim_end_matches('/').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mirror_is_the_one_of_debians_own_archive() {
        let targets = "Google x https://apt.example.org/\nDebian Debian-Security http://m.example.org/debian-security/\n\
                       Debian Debian http://m.example.org/debian/\n";
        assert_eq!(of_debian(targets).as_deref(), Some("http://m.example.org/debian"));
        assert_eq!(of_debian("Ubuntu Ubuntu http://archive.ubuntu.com/ubuntu/\n"), None);
        let uris = "'http://m.example.org/debian-security/dists/x/InRelease' x 0\n\
                    'http://m.example.org/debian/dists/bookworm/InRelease' x 0\n";
        assert_eq!(named_debian(uris).as_deref(), Some("http://m.example.org/debian"));
    }
}
