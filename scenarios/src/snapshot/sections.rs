//! A snapshot of several cases: a story for each, told once where several have the same.
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

/// The stories of a file's cases.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Sections {
    /// Each case with its story, as they stand in the file.
    stories: Vec<(String, String)>,
}

impl Sections {
    /// Reads a snapshot. What stands before the first heading belongs to no case.
    pub(super) fn read(text: &str) -> Self {
        let mut sections = Self::default();
        let mut labels: Vec<String> = Vec::new();
        let mut story: Vec<&str> = Vec::new();
        for line in text.lines() {
            match heading(line) {
                Some(label) => {
                    if !story.is_empty() {
                        sections.close(&mut labels, &mut story);
                    }
                    labels.push(label.to_owned());
                }
                None if labels.is_empty() => {}
                None => story.push(line),
            }
        }
        sections.close(&mut labels, &mut story);
        sections
    }

    fn close(&mut self, labels: &mut Vec<String>, story: &mut Vec<&str>) {
        let text = story.join("\n").trim_end().to_owned();
        self.stories.extend(labels.drain(..).map(|label| (label, text.clone())));
        story.clear();
    }

    /// The story of a case.
    pub(super) fn story(&self, case: &str) -> Option<&str> {
        self.stories.iter().find(|(label, _)| label == case).map(|(_, story)| story.as_str())
    }

    /// The cases that have a story.
    pub(super) fn cases(&self) -> impl Iterator<Item = &str> {
        self.stories.iter().map(|(label, _)| label.as_str())
    }

    /// Gives a case another story, or none.
    pub(super) fn set(&mut self, case: &str, story: Option<&str>) {
        self.stories.retain(|(label, _)| label != case);
        self.stories.extend(story.map(|story| (case.to_owned(), story.trim_end().to_owned())));
    }

    /// The text, with the cases in this order and no others.
    pub(super) fn text(&self, order: &[String]) -> String {
        let mut told: Vec<(Vec<&str>, &str)> = Vec::new();
        for (label, story) in order.iter().filter_map(|label| Some((label, self.story(label)?))) {
            match told.iter_mut().find(|(_, other)| *other == story) {
                Some((labels, _)) => labels.push(label),
                None => told.push((vec![label], story)),
            }
        }
        let sections = told.into_iter().map(|(labels, story)| {
            let headings: String = labels.into_iter().map(|label| format!("[{label}]\n")).collect();
            format!("{headings}{story}\n")
        });
        sections.collect::<Vec<_>>().join("\n")
    }
}

/// The case that a line is the heading of. No line of a story begins with a bracket.
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
        assert_eq!(sections.story("a=2"), Some("x"));
        sections.set("a=2", Some("w"));
        assert_eq!(sections.text(&order(&["a=1", "a=2"])), "[a=1]\nx\n\n[a=2]\nw\n");
        sections.set("a=2", None);
        assert_eq!(sections.cases().collect::<Vec<_>>(), ["a=1", "a=3"]);
    }
}
