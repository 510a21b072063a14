//! Folders of xtask/src import downwards only.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

/// Returns the folders in the order of the crate's documentation, the lowest first.
fn layers(documentation: &str) -> Vec<&str> {
    let (_, list) = documentation.split_once("which a test holds:").unwrap_or_default();
    let (list, _) = list.split_once("\n\n").unwrap_or((list, ""));
    list.split('`').skip(1).step_by(2).collect()
}

/// Returns the folders that a line names after `crate::`.
fn imports(line: &str) -> impl Iterator<Item = &str> {
    let end = |path: &str| path.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(path.len());
    line.split("crate::").skip(1).map(move |path| &path[..end(path)])
}

#[test]
fn folders_import_downwards_only() -> Result<()> {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let documentation = fs::read_to_string(source.join("lib.rs"))?;
    let layers = layers(&documentation);
    let height = |name: &str| layers.iter().position(|layer| *layer == name);
    let mut files = 0;
    for entry in walkdir::WalkDir::new(&source).min_depth(2) {
        let path = entry?.into_path();
        if path.extension().is_none_or(|it| it != "rs") {
            continue;
        }
        files += 1;
        let own = path.strip_prefix(&source)?;
        let layer = own.iter().next().and_then(|it| it.to_str()).context("no folder")?;
        let own_height = height(layer).with_context(|| format!("xtask/src/lib.rs does not list {layer}"))?;
        for (index, line) in fs::read_to_string(&path)?.lines().enumerate() {
            for name in imports(line) {
                let height = height(name).with_context(|| format!("{name} in {}", own.display()))?;
                assert!(height <= own_height, "{}:{}: {layer} imports from {name}", own.display(), index + 1);
            }
        }
    }
    assert!(files > 100, "only {files} files were read");
    Ok(())
}
