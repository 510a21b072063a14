//! Source diff of a mutant, for readers.

use similar::TextDiff;

use super::{Change, Mutant, MutantSet};

/// Lines around a change in a diff.
const CONTEXT: usize = 3;

impl MutantSet {
    /// Returns the unified diff that makes the mutant.
    pub fn diff(&self, mutant: &Mutant) -> String {
        let Some(before) = self.text(&mutant.file) else { return String::new() };
        let after = mutant.applied(before);
        let diff = TextDiff::from_lines(before, after.as_str());
        diff.unified_diff()
            .context_radius(CONTEXT)
            .header(&format!("a/{}", mutant.file), &format!("b/{}", mutant.file))
            .to_string()
    }
}

impl Mutant {
    /// Returns the file with this mutant alone, and no selector.
    pub(super) fn applied(&self, text: &str) -> String {
        let mut edits: Vec<_> = self.edits.iter().collect();
        edits.sort_by_key(|edit| edit.start);
        let (mut after, mut at) = (String::new(), 0);
        for edit in edits {
            after.push_str(text.get(at..edit.start).unwrap_or_default());
            match &edit.change {
                Change::Replace(changed) | Change::Condition(changed) => after.push_str(changed),
                Change::Delete => after.push(';'),
                Change::Guard => {
                    after.push_str("if (0) ");
                    after.push_str(text.get(edit.start..edit.end).unwrap_or_default());
                }
                Change::Return(value) => after.push_str(format!("\n\treturn {value}").trim_end()),
            }
            if let Change::Return(_) = edit.change {
                after.push(';');
            }
            at = edit.end;
        }
        after.push_str(text.get(at..).unwrap_or_default());
        after
    }
}
