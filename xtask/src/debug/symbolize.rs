//! Where in the source the functions of an oops are.

use std::collections::HashMap;
use std::path::Path;
use std::sync::OnceLock;

use addr2line::Loader;
use anyhow::{Context, Result, anyhow};
use object::{Object, ObjectSymbol, SymbolKind};
use regex::Regex;
use scenarios::verdict::Verdict;

/// A kernel's functions, by name, and their lines.
pub struct Symbols {
    /// Address and size of each function of that name: static ones of several files may share it.
    functions: HashMap<String, Vec<(u64, u64)>>,
    loader: Loader,
}

/// What stands between a line and where its function is.
pub const PLACE: &str = "  ← ";

impl Symbols {
    /// Reads those of a vmlinux. This takes a second.
    ///
    /// # Errors
    /// It is not there, or is none.
    pub fn read(vmlinux: &Path) -> Result<Self> {
        let what = || format!("can't read the symbols of {}", vmlinux.display());
        let data = std::fs::read(vmlinux).with_context(what)?;
        let file = object::File::parse(&*data).with_context(what)?;
        let mut functions: HashMap<String, Vec<(u64, u64)>> = HashMap::new();
        for symbol in file.symbols().filter(|symbol| symbol.kind() == SymbolKind::Text) {
            let name = symbol.name().with_context(what)?;
            functions.entry(name.to_owned()).or_default().push((symbol.address(), symbol.size()));
        }
        let loader = Loader::new(vmlinux).map_err(|error| anyhow!("{error}")).with_context(what)?;
        Ok(Self { functions, loader })
    }

    /// The same lines, each with where its function is at that point, as in `key_put+0x12/0x90  ← security/keys/key.c:712`.
    pub fn annotate(&self, text: &str) -> String {
        let lines = text.lines().map(|line| match self.place(line) {
            Some(place) if !line.contains(&place) => format!("{line}{PLACE}{place}"),
            _ => line.to_owned(),
        });
        lines.collect::<Vec<_>>().join("\n")
    }

    /// Where the function that a line names is at that point.
    fn place(&self, line: &str) -> Option<String> {
        let (name, offset, size) = mentioned(line)?;
        let place = self.functions.get(name)?;
        let (address, known) = match place.as_slice() {
            [one] => *one,
            several => *several.iter().find(|(_, known)| *known == size)?,
        };
        // A kernel that was built otherwise has other functions.
        if known < offset {
            return None;
        }
        // What stands on the stack is where a call returns to: the call is before it.
        let is_fault = line.contains("RIP:") || offset == 0;
        self.frames(address + offset - u64::from(!is_fault))
    }

    /// File and line, and what that is inlined into.
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

/// The verdict with the functions of its oops located in the source, if that is one.
pub fn located(verdict: Verdict, vmlinux: &Path) -> Verdict {
    match verdict {
        Verdict::Crashed(said) => Verdict::Crashed(located_in(said, vmlinux)),
        Verdict::Hung(said) => Verdict::Hung(located_in(said, vmlinux)),
        other => other,
    }
}

fn located_in(said: String, vmlinux: &Path) -> String {
    if !has_functions(&said) {
        return said;
    }
    // Without symbols the report is still a report.
    Symbols::read(vmlinux).map_or_else(
        |why| format!("{}\n  (functions without file and line: {why:#})", said.trim_end()),
        |symbols| symbols.annotate(&said),
    )
}

/// Whether a text names functions of the kernel at all.
fn has_functions(text: &str) -> bool {
    text.lines().any(|line| mentioned(line).is_some())
}

/// The function of `key_put+0x12/0x90`, the offset in it, and its size. One of a module (`… [ceph]`) is none of the kernel's.
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

    use super::*;

    const SOURCE: &str =
        "int inner(int x)\n{\n\treturn x * 3;\n}\n\nint outer(int x)\n{\n\tx += inner(x);\n\treturn x;\n}\n";

    /// A library in place of a kernel.
    fn library(test: &str) -> std::path::PathBuf {
        let directory = std::env::temp_dir().join(format!("symbols-{}-{test}", std::process::id()));
        std::fs::create_dir_all(&directory).unwrap();
        std::fs::write(directory.join("part.c"), SOURCE).unwrap();
        let map = format!("-ffile-prefix-map={}={}/security", directory.display(), kernel::SOURCE);
        let options =
            ["-g", "-O0", "-shared", "-nostdlib", "-fcf-protection=none", "-o", "vmlinux", "part.c", &map];
        let done = Command::new("cc").args(options).current_dir(&directory).status().unwrap();
        assert!(done.success());
        directory.join("vmlinux")
    }

    #[test]
    fn functions_get_the_file_and_line_of_the_call() {
        let vmlinux = library("place");
        let symbols = Symbols::read(&vmlinux).unwrap();
        let size = |name: &str| symbols.functions[name][0].1;
        let (outer, inner) = (size("outer"), size("inner"));
        let text = format!(
            "[    1.0] Oops: 0002 [#1] SMP\n[    1.0] RIP: 0010:inner+0x0/{inner:#x}\n[    1.0]  ? outer+{:#x}/{outer:#x}\n\
             [    1.0]  outer+0x1/0x9999 [module]\n[    1.0]  stranger+0x1/0x2\n[    1.0]  inner+0x999/0x9999",
            outer - 2
        );
        let annotated = symbols.annotate(&text);
        let lines: Vec<&str> = annotated.lines().collect();
        assert_eq!(lines[0], "[    1.0] Oops: 0002 [#1] SMP");
        assert!(lines[1].ends_with("  ← security/part.c:2"), "{annotated}");
        assert!(lines[2].ends_with("  ← security/part.c:9"), "{annotated}");
        assert!(lines[3..].iter().all(|line| !line.contains('←')), "{annotated}");
        std::fs::remove_dir_all(vmlinux.parent().unwrap()).unwrap();
    }

    #[test]
    fn a_file_that_is_no_kernel_is_an_error_with_its_name() {
        let error = Symbols::read(Path::new("/dev/null")).err().unwrap();
        assert_eq!(error.to_string(), "can't read the symbols of /dev/null");
    }
}
