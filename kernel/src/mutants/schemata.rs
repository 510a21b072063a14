//! Source of a file with all of its mutants, each behind `mutant(number)`.
//!
//! Mutants nest: the original of one contains the others. The changed text contains none, since one
//! mutant at most is chosen. Each line of the file stays one line.

use super::{Change, Mutant};

/// A mutated file.
pub(super) struct Mutated {
    pub(super) text: String,
    /// The places of the mutants, the outer ones first.
    sites: Vec<Site>,
}

/// The place of a mutant in the mutated text, in bytes.
#[derive(Debug)]
struct Site {
    mutant: u32,
    start: usize,
    end: usize,
}

/// Lines before the file's own first line. The compiler counts from there.
const HEAD: &str = "extern _Bool mutant(unsigned int number);\n#line 1\n";

/// Edits of one range of the file, all of which are around the same text.
struct Group<'m> {
    start: usize,
    end: usize,
    edits: Vec<(u32, &'m Change)>,
}

/// Returns the file with these mutants, which are all its own.
pub(super) fn mutated<'m>(text: &str, mutants: impl Iterator<Item = &'m Mutant>) -> Mutated {
    let mut groups: Vec<Group<'m>> = Vec::new();
    for mutant in mutants {
        for edit in &mutant.edits {
            let (start, end) = (edit.start, edit.end);
            match groups.iter_mut().find(|group| (group.start, group.end) == (start, end)) {
                Some(group) => group.edits.push((mutant.id, &edit.change)),
                None => groups.push(Group { start, end, edits: vec![(mutant.id, &edit.change)] }),
            }
        }
    }
    groups.sort_by_key(|group| (group.start, usize::MAX - group.end));
    let mut writer = Writer { text, groups: &groups, out: HEAD.to_owned(), sites: Vec::new() };
    writer.write(0, text.len(), 0);
    Mutated { text: writer.out, sites: writer.sites }
}

struct Writer<'a, 'm> {
    text: &'a str,
    groups: &'a [Group<'m>],
    out: String,
    sites: Vec<Site>,
}

impl Writer<'_, '_> {
    /// Writes a range of the file with the groups from `next` on that lie in it. Returns the first
    /// group that does not.
    fn write(&mut self, start: usize, end: usize, mut next: usize) -> usize {
        let groups = self.groups;
        let mut at = start;
        while let Some(group) = groups.get(next).filter(|group| group.start < end && group.end <= end) {
            self.out.push_str(&self.text[at..group.start]);
            let first = self.sites.len();
            let begin = self.out.len();
            self.sites.extend(group.edits.iter().map(|(mutant, _)| Site {
                mutant: *mutant,
                start: begin,
                end: begin,
            }));
            let after = self.open(group);
            next = self.write(group.start, group.end, next + 1);
            self.out.push_str(after);
            at = group.end;
            let end = self.out.len();
            self.sites[first..first + group.edits.len()].iter_mut().for_each(|site| site.end = end);
        }
        self.out.push_str(&self.text[at..end]);
        next
    }

    /// Writes what comes before the original. Returns what comes after it.
    fn open(&mut self, group: &Group<'_>) -> &'static str {
        let of = |wanted: fn(&Change) -> bool| group.edits.iter().filter(move |(_, change)| wanted(change));
        let mut after = "";
        for (number, change) in of(|change| matches!(change, Change::Return(_))) {
            let Change::Return(value) = change else { continue };
            self.out.push_str(&format!(
                " if (mutant({number})) return{}{value}; ",
                if value.is_empty() { "" } else { " " }
            ));
        }
        let deleted: Vec<String> = of(|change| matches!(change, Change::Delete | Change::Guard))
            .map(|(number, _)| format!("mutant({number})"))
            .collect();
        if !deleted.is_empty() {
            let is_simple = of(|change| *change == Change::Delete).next().is_some();
            let brace = if is_simple { "{ " } else { "" };
            self.out.push_str(&format!("{brace}if (!({})) ", deleted.join(" || ")));
            after = if is_simple { " }" } else { "" };
        }
        let conditions = group.edits.iter().filter_map(|(number, change)| match change {
            Change::Condition(changed) => Some((*number, changed)),
            _ => None,
        });
        let has_condition = self.choose(conditions, "!!(");
        let replacements = group.edits.iter().filter_map(|(number, change)| match change {
            Change::Replace(changed) => Some((*number, changed)),
            _ => None,
        });
        let has_replacement = self.choose(replacements, "(");
        match (has_condition, has_replacement) {
            (false, false) => after,
            (true, true) => "))))",
            _ => "))",
        }
    }

    /// Writes `(mutant(3) ? (CHANGED) : mutant(4) ? (CHANGED) : ` and the beginning of the original.
    /// Returns false if there is no change.
    fn choose<'c>(&mut self, changes: impl Iterator<Item = (u32, &'c String)>, begin: &str) -> bool {
        let choices: Vec<String> =
            changes.map(|(number, changed)| format!("mutant({number}) ? ({changed}) : ")).collect();
        if !choices.is_empty() {
            self.out.push_str(&format!("({}{begin}", choices.concat()));
        }
        !choices.is_empty()
    }
}

impl Mutated {
    /// Returns the mutants that the compiler complains of at that place, counted from 1, with tabs
    /// to every eighth column as the compiler counts them: the innermost ones there, or those of the
    /// whole line.
    pub(super) fn mutants_at(&self, line: usize, column: usize) -> Vec<u32> {
        let first =
            self.text.lines().take(line - 1 + HEAD.lines().count()).map(|line| line.len() + 1).sum::<usize>();
        let Some(text) = self.text.get(first..).and_then(|rest| rest.lines().next()) else {
            return Vec::new();
        };
        let at = first + offset(text, column);
        let innermost = self.sites.iter().filter(|site| (site.start..site.end).contains(&at));
        if let Some(best) = innermost.min_by_key(|site| site.end - site.start) {
            let same = self.sites.iter().filter(|site| (site.start, site.end) == (best.start, best.end));
            return same.map(|site| site.mutant).collect();
        }
        let touches = |site: &&Site| site.start < first + text.len() && first <= site.end;
        self.sites.iter().filter(touches).map(|site| site.mutant).collect()
    }
}

/// Returns the byte of a column.
fn offset(line: &str, column: usize) -> usize {
    let mut width = 0;
    for (index, byte) in line.bytes().enumerate() {
        width = if byte == b'\t' { (width / 8 + 1) * 8 } else { width + 1 };
        if width >= column {
            return index;
        }
    }
    line.len()
}
