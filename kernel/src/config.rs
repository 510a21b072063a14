//! Merge of configuration fragments into a `.config`, and its check against them.

use std::{
    borrow::Cow,
    collections::BTreeMap,
    fmt::Write,
    fs,
    path::{Path, PathBuf},
};

use sha2::{Digest, Sha256};

use crate::{Error, Result, error::ConfigMismatch};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arch {
    /// A PC: `bzImage`, for QEMU.
    X86_64,
    /// User-Mode Linux: a program of the host's.
    Um,
}

impl Arch {
    /// Returns the name for `make ARCH=` and the cache's file names.
    pub fn name(self) -> &'static str {
        match self {
            Self::X86_64 => "x86_64",
            Self::Um => "um",
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Profile {
    /// Fast to build and to boot.
    Plain,
    /// Detects errors that plain kernels ignore: lock order, use after free, leaks. Many times
    /// slower.
    Debug,
    /// Counts the executed lines of the series, and can make allocations fail.
    Coverage,
    /// Detects data races in the files of the series.
    Kcsan,
    /// Contains the mutants of the series, one of which a boot parameter chooses.
    Mutants,
}

impl Profile {
    /// Returns true if a boot parameter can delay the locks and wake-ups of the key service.
    pub fn has_delays(self) -> bool {
        matches!(self, Self::Debug | Self::Mutants)
    }

    /// Returns the name for the cache's file names and messages.
    pub fn name(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Debug => "debug",
            Self::Coverage => "coverage",
            Self::Kcsan => "kcsan",
            Self::Mutants => "mutants",
        }
    }

    /// Returns its fragments. Later ones override earlier ones.
    pub(crate) fn fragments(self, arch: Arch, patched: bool) -> Result<Vec<Fragment>> {
        let mut names = vec!["base", arch.name(), "requesters", "symbols"];
        match (self, arch) {
            (Self::Plain, _) => {}
            (Self::Debug, Arch::X86_64) => names.extend(["debug", "kasan"]),
            (Self::Debug, Arch::Um) => names.push("debug"),
            (Self::Coverage, _) => names.push("coverage"),
            (Self::Kcsan, Arch::X86_64) => names.push("kcsan"),
            (Self::Kcsan, Arch::Um) => return Err(Error::NoKcsan),
            (Self::Mutants, _) => names.push("mutants"),
        }
        if patched {
            names.push("keyagent");
        }
        names.into_iter().map(Fragment::named).collect()
    }
}

/// Options that belong together, in a file in the format of `.config`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fragment {
    file: PathBuf,
    requests: Vec<Requested>,
}

/// One line of a fragment. `n` stands for "is not set".
#[derive(Clone, Debug, PartialEq, Eq)]
struct Requested {
    option: String,
    value: String,
    /// True if a kernel without such an option is fine.
    is_optional: bool,
    line: usize,
}

/// Word before an option that not every kernel has.
const OPTIONAL: &str = "optional ";

impl Fragment {
    /// Returns a fragment of this project by its purpose: `kunit`.
    pub fn named(purpose: &str) -> Result<Self> {
        let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("config");
        Self::read(&directory.join(purpose).with_extension("config"))
    }

    /// Reads a fragment. A line that is neither an option nor a comment is
    /// [`Error::FragmentSyntax`].
    pub fn read(file: &Path) -> Result<Self> {
        let text = fs::read_to_string(file).map_err(Error::io("reading", file))?;
        Self::parse(file, &text)
    }

    /// Parses options; `file` names their origin in messages.
    pub(crate) fn parse(file: &Path, text: &str) -> Result<Self> {
        let mut requests = Vec::new();
        for (index, text) in text.lines().enumerate() {
            let line = index + 1;
            let (is_optional, request) = match text.strip_prefix(OPTIONAL) {
                Some(request) => (true, request),
                None => (false, text),
            };
            match assignment(request) {
                Some((option, value)) => {
                    let (option, value) = (option.to_owned(), value.to_owned());
                    requests.push(Requested { option, value, is_optional, line });
                }
                None if text.is_empty() || text.starts_with('#') => {}
                None => {
                    let (file, text) = (file.to_owned(), text.to_owned());
                    return Err(Error::FragmentSyntax { file, line, text });
                }
            }
        }
        Ok(Self { file: file.to_owned(), requests })
    }

    /// Returns its file's name without the extension.
    pub(crate) fn purpose(&self) -> Cow<'_, str> {
        self.file.file_stem().unwrap_or_default().to_string_lossy()
    }

    pub(crate) fn value(&self, option: &str) -> Option<&str> {
        let request = self.requests.iter().rev().find(|request| request.option == option)?;
        Some(&request.value)
    }

    pub(crate) fn name(&self) -> String {
        self.file.file_name().unwrap_or_default().to_string_lossy().into_owned()
    }

    pub(crate) fn digest(&self, hash: &mut Sha256) {
        for Requested { option, value, .. } in &self.requests {
            hash.update(format!("{option}={value}\n"));
        }
    }
}

/// Returns all fragments together, as input for `make allnoconfig`.
pub(crate) fn merged(fragments: &[Fragment]) -> String {
    let mut text = String::new();
    for (option, (_, request)) in last_requests(fragments) {
        let _ = match request.value.as_str() {
            "n" => writeln!(text, "# {option} is not set"),
            value => writeln!(text, "{option}={value}"),
        };
    }
    text
}

/// Checks that a `.config` satisfies the fragments. `exists` returns true if the kernel has an
/// option at all.
pub(crate) fn check(fragments: &[Fragment], config: &str, exists: impl Fn(&str) -> bool) -> Result<()> {
    let config: BTreeMap<&str, &str> = config.lines().filter_map(assignment).collect();
    let dropped: Vec<ConfigMismatch> = last_requests(fragments)
        .into_iter()
        .filter_map(|(option, (file, request))| {
            let found = config.get(option).copied().unwrap_or("n");
            if found == request.value {
                return None;
            }
            let exists = exists(option);
            (exists || !request.is_optional).then(|| ConfigMismatch {
                option: option.to_owned(),
                wanted: request.value.clone(),
                found: found.to_owned(),
                file: file.to_owned(),
                line: request.line,
                hint: match (request.value.as_str(), exists) {
                    (_, false) => "this kernel has no such option",
                    ("n", true) => "something else selects it",
                    (_, true) => "its dependencies are not met",
                },
            })
        })
        .collect();
    if dropped.is_empty() { Ok(()) } else { Err(Error::ConfigMismatch(dropped)) }
}

/// Returns the last request for each option, which is the one that counts.
fn last_requests(fragments: &[Fragment]) -> BTreeMap<&str, (&Path, &Requested)> {
    let all = fragments.iter().flat_map(|fragment| {
        fragment.requests.iter().map(|request| (request.option.as_str(), (fragment.file.as_path(), request)))
    });
    all.collect()
}

/// Parses `CONFIG_A=y` and `# CONFIG_A is not set` into an option and its value.
fn assignment(line: &str) -> Option<(&str, &str)> {
    let unset = line.strip_prefix("# ").and_then(|rest| rest.strip_suffix(" is not set"));
    let (option, value) = unset.map(|option| (option, "n")).or_else(|| line.split_once('='))?;
    let name = option.strip_prefix("CONFIG_")?;
    let is_name = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    (is_name && !value.is_empty()).then_some((option, value))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fragment(name: &str, text: &str) -> Fragment {
        Fragment::parse(Path::new(name), text).unwrap()
    }

    #[test]
    fn later_fragment_overrides_an_earlier_one() {
        let fragments = [
            fragment("a.config", "CONFIG_X=y\nCONFIG_N=8\n"),
            fragment("b.config", "# CONFIG_X is not set\n"),
        ];
        assert_eq!(merged(&fragments), "CONFIG_N=8\n# CONFIG_X is not set\n");
        check(&fragments, "CONFIG_N=8\n", |_| true).unwrap();
    }

    #[test]
    fn dropped_option_names_fragment_and_line() {
        let fragments =
            [fragment("base.config", "# why\nCONFIG_KEYS=y\n\nCONFIG_GONE=y\n# CONFIG_BUG is not set\n")];
        let error =
            check(&fragments, "CONFIG_KEYS=y\nCONFIG_BUG=y\n", |option| option != "CONFIG_GONE").unwrap_err();
        assert_eq!(
            error.to_string(),
            "the kernel's configuration differs from the request:\
             \n  base.config:5: CONFIG_BUG=n was requested, and the final .config has y (something else selects it)\
             \n  base.config:4: CONFIG_GONE=y was requested, and the final .config has n (this kernel has no such option)"
        );
    }

    #[test]
    fn optional_option_may_be_missing_from_the_kernel_but_not_be_dropped() {
        let fragments = [fragment("a.config", "optional CONFIG_NEW=y\nCONFIG_OLD=y\n")];
        assert_eq!(merged(&fragments), "CONFIG_NEW=y\nCONFIG_OLD=y\n");
        check(&fragments, "CONFIG_OLD=y\n", |_| false).unwrap();
        let error = check(&fragments, "CONFIG_OLD=y\n", |_| true).unwrap_err().to_string();
        assert!(error.contains("a.config:1: CONFIG_NEW=y was requested"), "{error}");
    }

    #[test]
    fn invalid_line_of_a_fragment_is_an_error_with_its_place() {
        let error = Fragment::parse(Path::new("x.config"), "CONFIG_A=y\nCONFIG-B=y\n").unwrap_err();
        assert_eq!(error.to_string(), "x.config:2: neither an option nor a comment: `CONFIG-B=y`");
    }

    #[test]
    fn every_profile_has_fragments() {
        for profile in [Profile::Plain, Profile::Debug, Profile::Coverage, Profile::Mutants] {
            for arch in [Arch::X86_64, Arch::Um] {
                assert!(profile.fragments(arch, true).unwrap().len() >= 3);
            }
        }
        assert!(Profile::Kcsan.fragments(Arch::X86_64, true).is_ok());
        assert!(matches!(Profile::Kcsan.fragments(Arch::Um, true), Err(Error::NoKcsan)));
    }
}
