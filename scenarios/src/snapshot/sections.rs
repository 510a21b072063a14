//! Snapshot of several cases. Cases with equal traces share a section.
//!
//! ```text
//! [end=exit]
//! [end=kill]
//! agent is a keyagent
//!   1.  box requests …
//!
//! [end=stop]
//! agent is a keyagent
//! …
//! ```

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Sections {
    /// Each case with its trace, in the file's order.
    traces: Vec<(String, String)>,
}

impl Sections {
    /// Reads a snapshot. Text before the first heading belongs to no case.
    pub(super) fn read(text: &str) -> Self {
        let mut sections = Self::default();
        let mut labels: Vec<String> = Vec::new();
        let mut trace: Vec<&str> = Vec::new();
        for line in text.lines() {
            match heading(line) {
                Some(label) => {
                    if !trace.is_empty() {
                        sections.close(&mut labels, &mut trace);
                    }
                    labels.push(label.to_owned());
                }
                None if labels.is_empty() => {}
                None => trace.push(line),
            }
        }
        sections.close(&mut labels, &mut trace);
        sections
    }

    fn close(&mut self, labels: &mut Vec<String>, trace: &mut Vec<&str>) {
        let text = trace.join("\n").trim_end().to_owned();
        self.traces.extend(labels.drain(..).map(|label| (label, text.clone())));
        trace.clear();
    }

    pub(super) fn trace(&self, case: &str) -> Option<&str> {
        self.traces.iter().find(|(label, _)| label == case).map(|(_, trace)| trace.as_str())
    }

    pub(super) fn cases(&self) -> impl Iterator<Item = &str> {
        self.traces.iter().map(|(label, _)| label.as_str())
    }

    pub(super) fn set(&mut self, case: &str, trace: Option<&str>) {
        self.traces.retain(|(label, _)| label != case);
        self.traces.extend(trace.map(|trace| (case.to_owned(), trace.trim_end().to_owned())));
    }

    /// Returns the text, with the cases in this order and no others.
    pub(super) fn text(&self, order: &[String]) -> String {
        let mut groups: Vec<(Vec<&str>, &str)> = Vec::new();
        for (label, trace) in order.iter().filter_map(|label| Some((label, self.trace(label)?))) {
            match groups.iter_mut().find(|(_, other)| *other == trace) {
                Some((labels, _)) => labels.push(label),
                None => groups.push((vec![label], trace)),
            }
        }
        let sections = groups.into_iter().map(|(labels, trace)| {
            let headings: String = labels.into_iter().map(|label| format!("[{label}]\n")).collect();
            format!("{headings}{trace}\n")
        });
        sections.collect::<Vec<_>>().join("\n")
    }
}

/// Returns the case in a heading. No line of a trace begins with a bracket.
fn heading(line: &str) -> Option<&str> {
    line.strip_prefix('[')?.strip_suffix(']')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(labels: &[&str]) -> Vec<String> {
        labels.iter().map(|label| (*label).to_owned()).collect()
    }

    #[test]
    fn a_story_that_several_cases_have_is_told_once() {
        let mut sections = Sections::default();
        sections.set("a=1", Some("x\n  y"));
        sections.set("a=2", Some("z"));
        sections.set("a=3", Some("x\n  y\n"));
        let text = sections.text(&order(&["a=1", "a=2", "a=3"]));
        assert_eq!(text, "[a=1]\n[a=3]\nx\n  y\n\n[a=2]\nz\n");
        assert_eq!(Sections::read(&text).text(&order(&["a=1", "a=2", "a=3"])), text);
    }

    #[test]
    fn a_case_that_is_no_more_is_dropped_and_one_that_changes_leaves_the_others() {
        let mut sections = Sections::read("[a=1]\n[a=2]\nx\n\n[a=3]\ny\n");
        assert_eq!(sections.trace("a=2"), Some("x"));
        sections.set("a=2", Some("w"));
        assert_eq!(sections.text(&order(&["a=1", "a=2"])), "[a=1]\nx\n\n[a=2]\nw\n");
        sections.set("a=2", None);
        assert_eq!(sections.cases().collect::<Vec<_>>(), ["a=1", "a=3"]);
    }
}
