//! Code that the configuration leaves out: the wrong branches of `#ifdef CONFIG_…`.

use std::ops::Range;

use tree_sitter::Node;

use super::parse::{Parsed, for_all};
use crate::config::Fragment;

/// Returns the ranges that are not compiled, as far as the requested options tell.
pub(super) fn left_out(parsed: &Parsed<'_>, fragments: &[Fragment]) -> Vec<Range<usize>> {
    let mut ranges = Vec::new();
    for_all(parsed.root(), &mut |node| {
        if let Some(is_set) = condition(parsed, node, fragments) {
            let alternative = node.child_by_field_name("alternative");
            let (start, end) = (node.start_byte(), node.end_byte());
            match (is_set, alternative) {
                (true, Some(other)) => ranges.push(other.byte_range()),
                (true, None) => {}
                (false, Some(other)) => ranges.push(start..other.start_byte()),
                (false, None) => ranges.push(start..end),
            }
        }
    });
    ranges
}

/// Returns true if the first branch of the directive is compiled; `None` if that is unknown.
fn condition(parsed: &Parsed<'_>, node: Node<'_>, fragments: &[Fragment]) -> Option<bool> {
    if node.kind() != "preproc_ifdef" {
        return None;
    }
    let is_negated = parsed.of_node(node).starts_with("#ifndef");
    let option = parsed.of_node(node.child_by_field_name("name")?);
    let value = fragments.iter().rev().find_map(|fragment| fragment.value(option))?;
    Some((value == "y") != is_negated)
}
