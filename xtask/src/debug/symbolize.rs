//! Symbolization of the functions in an oops.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::OnceLock;

use addr2line::Loader;
use anyhow::{Context, Result, anyhow};
use goblin::elf::{Elf, Sym};
use regex::Regex;
use scenarios::verdict::{Cause, Verdict};

/// Functions of a kernel by name, and its line information.
pub struct Symbols {
    /// Address and size of each function with this name: static functions may share one.
    pub(super) functions: BTreeMap<String, Vec<(u64, u64)>>,
    loader: Loader,
}

impl Symbols {
    /// Reads the symbols of a vmlinux, which takes a second.
    pub fn read(vmlinux: &Path) -> Result<Self> {
        let what = || format!("can't read the symbols of {}", vmlinux.display());
        let data = std::fs::read(vmlinux).with_context(what)?;
        let elf = Elf::parse(&data).with_context(what)?;
        let mut functions: BTreeMap<String, Vec<(u64, u64)>> = BTreeMap::new();
        for symbol in elf.syms.iter().filter(Sym::is_function) {
            let name = elf.strtab.get_at(symbol.st_name).with_context(what)?;
            functions.entry(name.to_owned()).or_default().push((symbol.st_value, symbol.st_size));
        }
        let loader = Loader::new(vmlinux).map_err(|error| anyhow!("{error}")).with_context(what)?;
        Ok(Self { functions, loader })
    }

    /// Returns file and line of a code address: `security/keys/key.c:712` for `key_put+0x12/0x90`.
    pub fn place(&self, line: &str) -> Option<String> {
        let (name, offset, size) = mentioned(line)?;
        let place = self.functions.get(name)?;
        let (address, known) = match place.as_slice() {
            [one] => *one,
            several => *several.iter().find(|(_, known)| *known == size)?,
        };
        // A kernel of another build has other functions.
        if known < offset {
            return None;
        }
        // Addresses on the stack are return addresses: the call is before them.
        let is_fault = line.contains("RIP:") || offset == 0;
        self.frames(address + offset - u64::from(!is_fault))
    }

    /// Returns file and line of an address, and of the functions that it is inlined into.
    fn frames(&self, address: u64) -> Option<String> {
        let mut frames = self.loader.find_frames(address).ok()?;
        let mut places = Vec::new();
        while let Ok(Some(frame)) = frames.next() {
            let location = frame.location?;
            let file = location.file?;
            let file =
                file.strip_prefix(kernel::SOURCE).and_then(|inner| inner.strip_prefix('/')).unwrap_or(file);
            places.push(format!("{file}:{}", location.line?));
        }
        if places.is_empty() { None } else { Some(places.join(", inlined into ")) }
    }
}

pub fn located(verdict: Verdict, vmlinux: &Path) -> Verdict {
    match verdict {
        Verdict::Crashed(cause) => Verdict::Crashed(located_in(cause, vmlinux)),
        Verdict::Hung(cause) => Verdict::Hung(located_in(cause, vmlinux)),
        other => other,
    }
}

fn located_in(mut cause: Cause, vmlinux: &Path) -> Cause {
    if cause.console.iter().all(|line| mentioned(&line.text).is_none()) {
        return cause;
    }
    match Symbols::read(vmlinux) {
        Ok(symbols) => {
            for line in &mut cause.console {
                // The first line of a WARNING has the location already.
                line.place = symbols.place(&line.text).filter(|place| !line.text.contains(place));
            }
        }
        // Without symbols, the report is kept as it is.
        Err(why) => cause.unlocated = Some(format!("{why:#}")),
    }
    cause
}

/// Returns function, offset and size of `key_put+0x12/0x90`; `None` for a function of a module
/// (`… [ceph]`).
fn mentioned(line: &str) -> Option<(&str, u64, u64)> {
    static FUNCTION: OnceLock<Option<Regex>> = OnceLock::new();
    let pattern = r"([A-Za-z_][A-Za-z0-9_.]*)\+0x([0-9a-f]+)/0x([0-9a-f]+)( \[)?";
    let found = FUNCTION.get_or_init(|| Regex::new(pattern).ok()).as_ref()?.captures(line)?;
    if found.get(4).is_some() {
        return None;
    }
    let number = |index: usize| u64::from_str_radix(found.get(index)?.as_str(), 16).ok();
    Some((found.get(1)?.as_str(), number(2)?, number(3)?))
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use scenarios::verdict::ConsoleLine;

    use super::*;

    const SOURCE: &str =
        "int inner(int x)\n{\n\treturn x * 3;\n}\n\nint outer(int x)\n{\n\tx += inner(x);\n\treturn x;\n}\n";

    /// Builds a library in the place of a kernel.
    fn library(directory: &Path) -> std::path::PathBuf {
        std::fs::write(directory.join("part.c"), SOURCE).unwrap();
        let map = format!("-ffile-prefix-map={}={}/security", directory.display(), kernel::SOURCE);
        let options =
            ["-g", "-O0", "-shared", "-nostdlib", "-fcf-protection=none", "-o", "vmlinux", "part.c", &map];
        let done = Command::new("cc").args(options).current_dir(directory).status().unwrap();
        assert!(done.success());
        directory.join("vmlinux")
    }

    #[test]
    fn symbolized_functions_have_the_line_of_the_call() {
        let directory = tempfile::tempdir().unwrap();
        let vmlinux = library(directory.path());
        let symbols = Symbols::read(&vmlinux).unwrap();
        let size = |name: &str| symbols.functions[name][0].1;
        let (outer, inner) = (size("outer"), size("inner"));
        let text = format!(
            "[    1.0] Oops: 0002 [#1] SMP\n[    1.0] RIP: 0010:inner+0x0/{inner:#x}\n[    1.0]  ? outer+{:#x}/{outer:#x}\n\
             [    1.0]  outer+0x1/0x9999 [module]\n[    1.0]  stranger+0x1/0x2\n[    1.0]  inner+0x999/0x9999",
            outer - 2
        );
        let console = text.lines().map(ConsoleLine::from).collect();
        let verdict = Verdict::Crashed(Cause { console, .."Oops".into() });
        let Verdict::Crashed(cause) = located(verdict, &vmlinux) else { panic!("the verdict has changed") };
        let places: Vec<_> = cause.console.iter().map(|line| line.place.as_deref()).collect();
        let [inner, outer] = [Some("security/part.c:2"), Some("security/part.c:9")];
        assert_eq!(places, [None, inner, outer, None, None, None]);
    }

    #[test]
    fn file_without_symbols_is_named_in_the_error() {
        let error = Symbols::read(Path::new("/dev/null")).err().unwrap();
        assert_eq!(error.to_string(), "can't read the symbols of /dev/null");
        let console = vec!["key_put+0x1/0x2".into()];
        let verdict = Verdict::Hung(Cause { console, .."hung task".into() });
        let details = located(verdict, Path::new("/dev/null")).details();
        assert!(
            details.contains("  (functions without file and line: can't read the symbols of /dev/null"),
            "{details}"
        );
    }
}
