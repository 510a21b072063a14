//! Parser of docs/contract.md: the text of each rule.

use std::sync::LazyLock;

const CONTRACT: &str = include_str!("../../docs/contract.md");

/// Prefix of paragraphs that the kernel series does not implement yet.
const PLANNED: &str = "> **Planned:**";

#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Section {
    pub title: &'static str,
    /// All of it below the title, as Markdown.
    pub text: &'static str,
}

/// Every rule's section, R1 first.
pub(crate) static SECTIONS: LazyLock<Vec<Section>> = LazyLock::new(|| sections(CONTRACT));

impl Section {
    /// Returns true if the series implements no part of it.
    pub(crate) fn is_planned(&self) -> bool {
        self.text.split("\n\n").all(|paragraph| paragraph.starts_with(PLANNED))
    }
}

/// Returns the sections below headings such as `### R12: TITLE`, in the file's order.
fn sections(contract: &'static str) -> Vec<Section> {
    let after_headings = contract.split("\n### R").skip(1);
    let section = |part: &'static str| {
        let (heading, rest) = part.split_once('\n')?;
        let (_, title) = heading.split_once(": ")?;
        let text = rest.split_once("\n## ").map_or(rest, |(text, _)| text);
        Some(Section { title, text: text.trim() })
    };
    after_headings.filter_map(section).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_are_numbered_without_gaps_and_have_one_line_titles() {
        let headings: Vec<&str> = CONTRACT.lines().filter_map(|line| line.strip_prefix("### ")).collect();
        assert_eq!(headings.len(), 30);
        assert_eq!(SECTIONS.len(), headings.len());
        for (index, (heading, section)) in headings.iter().zip(SECTIONS.iter()).enumerate() {
            assert_eq!(*heading, format!("R{}: {}", index + 1, section.title));
            assert!(heading.len() <= 85 && !section.title.ends_with('.'), "{heading}");
            assert!(!section.text.is_empty(), "{heading} says nothing");
        }
    }

    /// GitHub makes the anchor of a heading of its words, without punctuation.
    #[test]
    fn links_to_rules_lead_to_their_headings() {
        let anchor = |heading: &str| {
            let text = heading.to_lowercase().replace(' ', "-");
            text.replace(|c: char| !c.is_alphanumeric() && c != '-' && c != '_', "")
        };
        let headings: Vec<String> =
            CONTRACT.lines().filter_map(|line| line.strip_prefix("### ")).map(anchor).collect();
        let links = include_str!("../../docs/security.md").lines().filter_map(|line| line.strip_prefix("[R"));
        let links: Vec<&str> = links.filter_map(|line| Some(line.split_once("]: contract.md#")?.1)).collect();
        assert!(links.len() > 10, "{links:?}");
        for link in links {
            assert!(headings.iter().any(|heading| heading == link), "{link}");
        }
    }

    #[test]
    fn every_block_quote_is_marked_as_planned() {
        let paragraphs = SECTIONS.iter().flat_map(|section| section.text.split("\n\n"));
        let is_marked =
            |text: &&str| text.contains("Planned") || text.lines().any(|line| line.starts_with('>'));
        for paragraph in paragraphs.filter(is_marked) {
            assert!(paragraph.starts_with(PLANNED), "{paragraph}");
            assert!(paragraph.lines().all(|line| line.starts_with("> ")), "{paragraph}");
        }
    }

    #[test]
    fn a_section_ends_at_the_next_heading_and_is_planned_if_all_of_it_is() {
        let parsed = sections(
            "# Contract\n\n## One\n\n### R1: First\n\nSays this.\n\n> **Planned:** That.\n\n## Two\n\nIntroduction.\n\n### R2: Second\n\n> **Planned:** More.\n",
        );
        assert_eq!(
            parsed,
            [
                Section { title: "First", text: "Says this.\n\n> **Planned:** That." },
                Section { title: "Second", text: "> **Planned:** More." },
            ]
        );
        assert_eq!(parsed.iter().map(Section::is_planned).collect::<Vec<_>>(), [false, true]);
    }
}
