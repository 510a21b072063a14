//! Fingerprint of the inputs of a build, which gives the reason for a rebuild. `image::Recipe` names the inputs.

use std::{collections::BTreeMap, fs, io, path::Path};

use sha2::{Digest, Sha256};

use crate::sources::hex;

/// Names of inputs, with the hash of each.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Inputs(BTreeMap<String, String>);

/// Number of changes that are named. Others are counted.
const NAMED: usize = 3;

impl Inputs {
    /// Adds an input, whose bytes `digest` puts into the hash.
    pub fn add(&mut self, name: impl Into<String>, digest: impl FnOnce(&mut Sha256)) {
        let mut hash = Sha256::new();
        digest(&mut hash);
        self.0.insert(name.into(), hex(&hash.finalize())[..20].to_owned());
    }

    pub fn read(file: &Path) -> Option<Self> {
        let text = fs::read_to_string(file).ok()?;
        let lines = text.lines().filter_map(|line| line.split_once(' '));
        Some(Self(lines.map(|(hash, name)| (name.to_owned(), hash.to_owned())).collect()))
    }

    pub fn write(&self, file: &Path) -> io::Result<()> {
        let lines: String = self.0.iter().map(|(name, hash)| format!("{hash} {name}\n")).collect();
        fs::write(file, lines)
    }

    pub fn changes_since(&self, before: &Self) -> String {
        let mut changes: Vec<String> = Vec::new();
        for (name, hash) in &self.0 {
            match before.0.get(name) {
                None => changes.push(format!("{name} is new")),
                Some(old) if old != hash => changes.push(format!("{name} has changed")),
                Some(_) => {}
            }
        }
        let gone = before.0.keys().filter(|name| !self.0.contains_key(*name));
        changes.extend(gone.map(|name| format!("{name} was removed")));
        match changes.len() {
            0 => "what it was made into is not in the cache any more".to_owned(),
            1..=NAMED => changes.join(", "),
            count => format!("{}, and {} more", changes[..NAMED].join(", "), count - NAMED),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn inputs(pieces: &[(&str, &str)]) -> Inputs {
        let mut inputs = Inputs::default();
        pieces.iter().for_each(|(name, text)| inputs.add(*name, |hash| hash.update(text)));
        inputs
    }

    #[test]
    fn changed_added_and_removed_inputs_are_named() {
        let before =
            inputs(&[("0001-a.patch", "x"), ("base.config", "y"), ("the compiler or the linker", "z")]);
        let now = inputs(&[("0001-a.patch", "x"), ("base.config", "new"), ("0002-b.patch", "w")]);
        let words = "0002-b.patch is new, base.config has changed, the compiler or the linker was removed";
        assert_eq!(now.changes_since(&before), words);
        assert_eq!(now.changes_since(&now), "what it was made into is not in the cache any more");
        let none = inputs(&[]);
        let four = inputs(&[("a", ""), ("b", ""), ("c", ""), ("d", "")]);
        assert_eq!(four.changes_since(&none), "a is new, b is new, c is new, and 1 more");
    }

    #[test]
    fn written_inputs_are_read_back() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let inputs = inputs(&[("a name with blanks", "x")]);
        inputs.write(file.path()).unwrap();
        assert_eq!(Inputs::read(file.path()), Some(inputs));
    }
}
