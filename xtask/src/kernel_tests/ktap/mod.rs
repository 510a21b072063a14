//! Strict parser of KTAP, the format of the kernel's test results: missing results are errors.

use std::fmt;

/// Results of a test, as far as it has reported.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Results {
    pub cases: Vec<Case>,
    /// Error that makes the cases unreliable.
    pub problem: Option<Problem>,
}

/// A test without subtests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Case {
    /// Names of the enclosing tests and of the case, separated by slashes.
    pub name: String,
    pub outcome: Outcome,
    /// Output since the previous case, without comment marks.
    pub notes: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// `ok`, or an expected failure.
    Passed,
    /// `not ok`.
    Failed,
    /// Not run, for this reason.
    Skipped(String),
}

/// Error that makes results incomplete.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Problem {
    /// There is no KTAP.
    Missing,
    /// No test was planned, for this reason.
    Empty(String),
    Truncated {
        /// The enclosing tests; empty for the outermost ones.
        within: String,
        planned: Option<usize>,
        ran: usize,
        /// Output after the last case.
        notes: Vec<String>,
    },
    /// A line that is invalid at its position.
    Malformed { line: String, why: String },
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing => f.write_str("no test results were printed"),
            Self::Empty(why) => write!(f, "no test was run: {why}"),
            Self::Truncated { within, planned, ran, notes } => {
                let of = planned.map_or("an unknown number of".to_owned(), |planned| planned.to_string());
                let within = if within.is_empty() { "" } else { &format!(" of {within}") };
                write!(f, "only {ran} of {of} tests{within} completed")?;
                notes.iter().try_for_each(|note| write!(f, "\n{note}"))
            }
            Self::Malformed { line, why } => write!(f, "the results are malformed: {why}: `{}`", line.trim()),
        }
    }
}

/// Parses the results in some output. Lines that are not KTAP become notes of the next case.
pub fn read<'a>(lines: impl IntoIterator<Item = &'a str>) -> Results {
    let mut reader = Reader::default();
    for line in lines {
        if let Err(why) = reader.line(line) {
            let problem = Problem::Malformed { line: line.to_owned(), why };
            return Results { cases: reader.into_cases(), problem: Some(problem) };
        }
    }
    let problem = reader.problem();
    Results { cases: reader.into_cases(), problem }
}

/// A line of KTAP, without its indentation.
enum Line<'a> {
    /// `KTAP version 1`, `TAP version 13`.
    Version,
    /// `# Subtest: NAME`.
    Subtest(&'a str),
    /// `1..N`, with an optional `# SKIP WHY`.
    Plan(usize, Option<&'a str>),
    /// `ok 3 NAME # DIRECTIVE WORDS`.
    Result {
        ok: bool,
        number: usize,
        name: &'a str,
        skipped: Option<&'a str>,
    },
    /// `# NAME: pass:1 fail:0 skip:0 total:1`.
    Totals {
        name: &'a str,
        total: usize,
    },
    Note(&'a str),
}

impl<'a> Line<'a> {
    fn read(text: &'a str) -> Self {
        Self::known(text).unwrap_or_else(|| Self::Note(text.strip_prefix('#').unwrap_or(text).trim_start()))
    }

    fn known(text: &'a str) -> Option<Self> {
        if text.starts_with("KTAP version ") || text.starts_with("TAP version ") {
            return Some(Self::Version);
        }
        if let Some(comment) = text.strip_prefix("# ") {
            return comment.strip_prefix("Subtest: ").map(Self::Subtest).or_else(|| Self::totals(comment));
        }
        if let Some(plan) = text.strip_prefix("1..") {
            let (count, why) = plan.split_once(" # SKIP").unwrap_or((plan, ""));
            return Some(Self::Plan(count.parse().ok()?, Some(why.trim()).filter(|why| !why.is_empty())));
        }
        let (ok, rest) = match text.strip_prefix("not ok ") {
            Some(rest) => (false, rest),
            None => (true, text.strip_prefix("ok ")?),
        };
        let (number, rest) = rest.split_once(' ').unwrap_or((rest, ""));
        let nameless = rest.strip_prefix("# ").map(|directive| ("", directive));
        let (name, directive) = nameless.or_else(|| rest.split_once(" # ")).unwrap_or((rest, ""));
        let skipped = directive.strip_prefix("SKIP").map(str::trim);
        let name = name.strip_prefix("- ").unwrap_or(name).trim();
        Some(Self::Result { ok, number: number.parse().ok()?, name, skipped })
    }

    fn totals(comment: &'a str) -> Option<Self> {
        let (name, counts) = comment.split_once(": pass:")?;
        let total = counts.split(' ').find_map(|count| count.strip_prefix("total:"))?;
        Some(Self::Totals { name, total: total.trim().parse().ok()? })
    }
}

/// Tests at one level of nesting.
#[derive(Default)]
struct Group {
    level: usize,
    name: String,
    planned: Option<usize>,
    /// Reason of an empty plan.
    empty: Option<String>,
    /// Number of tests by the totals.
    total: Option<usize>,
    ran: usize,
    cases: Vec<Case>,
    notes: Vec<String>,
}

impl Group {
    /// Checks that all planned tests have run. Parameterized tests have totals in place of a plan.
    fn is_whole(&self) -> bool {
        self.planned.or(self.total) == Some(self.ran)
    }

    fn has_failed(&self) -> bool {
        self.cases.iter().any(|case| case.outcome == Outcome::Failed)
    }
}

/// Number of columns for a level of nesting.
const INDENT: usize = 4;

/// The open groups, from the outermost one. Each is one level below the previous one.
#[derive(Default)]
struct Reader {
    groups: Vec<Group>,
}

impl Reader {
    fn line(&mut self, line: &str) -> Result<(), String> {
        let text = line.trim_start_matches(' ');
        let level = (line.len() - text.len()) / INDENT;
        match Line::read(text.trim_end()) {
            Line::Version => self.begin(level),
            Line::Subtest(name) => {
                if self.groups.last().is_none_or(|group| group.level < level) {
                    self.begin(level)?;
                }
                self.at(level)?.name = name.to_owned();
                Ok(())
            }
            // Without a version line, these are other output.
            _ if self.groups.is_empty() => Ok(()),
            Line::Plan(planned, empty) => {
                let group = self.at(level)?;
                if group.planned.is_some() {
                    return Err("a second plan".into());
                }
                group.planned = Some(planned);
                group.empty = empty.map(str::to_owned);
                Ok(())
            }
            Line::Result { ok, number, name, skipped } => {
                let outcome = match (ok, skipped) {
                    (_, Some(why)) => Outcome::Skipped(why.to_owned()),
                    (true, None) => Outcome::Passed,
                    (false, None) => Outcome::Failed,
                };
                self.result(level, number, name, outcome)
            }
            Line::Totals { name, total } => {
                let group = self.groups.last_mut();
                if let Some(group) = group.filter(|group| group.level == level + 1 && group.name == name) {
                    group.total = Some(total);
                }
                Ok(())
            }
            Line::Note(note) => {
                self.groups.last_mut().into_iter().for_each(|group| group.notes.push(note.to_owned()));
                Ok(())
            }
        }
    }

    fn begin(&mut self, level: usize) -> Result<(), String> {
        if level != self.groups.len() {
            return Err(format!(
                "tests begin at level {level} of nesting, where {} was due",
                self.groups.len()
            ));
        }
        self.groups.push(Group { level, ..Group::default() });
        Ok(())
    }

    /// Returns the innermost group, which must be at this level.
    fn at(&mut self, level: usize) -> Result<&mut Group, String> {
        let innermost = self.groups.len().saturating_sub(1);
        self.groups
            .last_mut()
            .filter(|group| group.level == level)
            .ok_or_else(|| format!("it is at level {level} of nesting, where {innermost} was due"))
    }

    fn result(&mut self, level: usize, number: usize, name: &str, outcome: Outcome) -> Result<(), String> {
        let is_inner = |group: &Group| group.level == level + 1;
        if let Some(broken) = self.groups.last().filter(|group| is_inner(group) && !group.is_whole()) {
            return Err(match broken.planned.or(broken.total) {
                Some(planned) => format!("{planned} tests were announced within it, and {} ran", broken.ran),
                None => "the tests within it have neither plan nor totals".into(),
            });
        }
        let inner = self.groups.pop_if(|group| is_inner(group));
        let group = self.at(level)?;
        group.ran += 1;
        if number != group.ran || group.planned.is_some_and(|planned| number > planned) {
            let planned = group.planned.map(|planned| format!(" of {planned}")).unwrap_or_default();
            return Err(format!("test {}{planned} was due", group.ran));
        }
        let mut notes = std::mem::take(&mut group.notes);
        let name = &if name.is_empty() { announced(&notes, number) } else { name.to_owned() };
        match inner {
            None => group.cases.push(Case { name: name.to_owned(), outcome, notes }),
            Some(inner) => {
                notes.extend(inner.notes.iter().cloned());
                let failed_by_itself = outcome == Outcome::Failed && !inner.has_failed();
                group.cases.extend(inner.cases.into_iter().map(|case| within(name, case)));
                if failed_by_itself {
                    group.cases.push(Case { name: name.to_owned(), outcome, notes });
                }
            }
        }
        Ok(())
    }

    fn problem(&self) -> Option<Problem> {
        let Some(group) = self.groups.last() else { return Some(Problem::Missing) };
        let is_whole = self.groups.len() == 1 && group.is_whole();
        if is_whole && group.ran == 0 {
            return Some(Problem::Empty(group.empty.clone().unwrap_or("none was planned".into())));
        }
        let names: Vec<&str> = self.groups.iter().map(|group| group.name.as_str()).collect();
        let names: Vec<&str> = names.into_iter().filter(|name| !name.is_empty()).collect();
        (!is_whole).then(|| Problem::Truncated {
            within: names.join("/"),
            planned: group.planned,
            ran: group.ran,
            notes: group.notes.clone(),
        })
    }

    /// Returns all cases so far, with those of open groups.
    fn into_cases(self) -> Vec<Case> {
        let join = |inner: Vec<Case>, group: Group| {
            let inner = inner.into_iter();
            group.cases.into_iter().chain(inner).map(|case| within(&group.name, case)).collect()
        };
        self.groups.into_iter().rev().fold(Vec::new(), join)
    }
}

/// Returns the name of a result without one: some selftests leave it out for skipped tests,
/// but announce each test.
fn announced(notes: &[String], number: usize) -> String {
    let begun = |note: &String| Some(note.strip_prefix("RUN ")?.trim_end_matches("...").trim().to_owned());
    notes.iter().rev().find_map(begun).unwrap_or_else(|| format!("test {number}"))
}

/// Prefixes the case with the name of the enclosing test.
fn within(outer: &str, case: Case) -> Case {
    if outer.is_empty() { case } else { Case { name: format!("{outer}/{}", case.name), ..case } }
}

#[cfg(test)]
mod tests;
