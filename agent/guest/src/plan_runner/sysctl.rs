//! Sets values under /proc/sys for the duration of a plan.

use std::fs;
use std::path::{Path, PathBuf};

use crate::sys::kmsg;

/// The previous values, which are restored on drop.
#[derive(Default)]
pub(super) struct Restore(Vec<(PathBuf, String)>);

/// Sets values. On failure the values already set are restored.
pub(super) fn set<'a>(values: impl IntoIterator<Item = (&'a String, &'a String)>) -> Result<Restore, String> {
    let mut restore = Restore::default();
    for (name, value) in values {
        let path = Path::new("/proc/sys").join(name);
        let failed = |why: std::io::Error| format!("sysctl {name} = {value}: {why}");
        let old = fs::read_to_string(&path).map_err(failed)?;
        fs::write(&path, value).map_err(failed)?;
        restore.0.push((path, old));
    }
    Ok(restore)
}

impl Drop for Restore {
    fn drop(&mut self) {
        for (path, old) in self.0.iter().rev() {
            if let Err(why) = fs::write(path, old.trim_end()) {
                let text = format!("can't restore {}: {why}", path.display());
                kmsg::log(kmsg::Level::Warning, &text);
            }
        }
    }
}
