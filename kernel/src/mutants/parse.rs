//! Syntax tree of a C file of the kernel, with its macros.
//!
//! The grammar is that of plain C. Before the final parse, each macro that it can't read is replaced
//! by plain C of the same length. All offsets therefore hold in the file itself, and all text is
//! taken from there.

use std::ops::Range;

use tree_sitter::{Node, Parser, Tree};

/// A parsed file.
pub(super) struct Parsed<'t> {
    text: &'t str,
    tree: Tree,
    comments: Vec<Range<usize>>,
}

/// Number of parses, each of which sees more of the macros' bodies.
const PASSES: usize = 3;

impl<'t> Parsed<'t> {
    /// Parses a file. `None` if the parser gives up, which it does only on a limit.
    pub(super) fn of(text: &'t str) -> Option<Self> {
        let mut parser = Parser::new();
        parser.set_language(&tree_sitter_c::LANGUAGE.into()).ok()?;
        let mut plain = text.as_bytes().to_vec();
        let mut tree = parser.parse(&plain, None)?;
        for _ in 0..PASSES {
            let before = plain.clone();
            for_all(tree.root_node(), &mut |node| replace_macro(node, text, &mut plain));
            if plain == before {
                break;
            }
            tree = parser.parse(&plain, None)?;
        }
        let mut comments = Vec::new();
        for_all(tree.root_node(), &mut |node| {
            if node.kind() == "comment" {
                comments.push(node.byte_range());
            }
        });
        Some(Self { text, tree, comments })
    }

    pub(super) fn root(&self) -> Node<'_> {
        self.tree.root_node()
    }

    /// Returns the file's own text there.
    pub(super) fn text(&self, range: Range<usize>) -> &'t str {
        self.text.get(range).unwrap_or_default()
    }

    pub(super) fn of_node(&self, node: Node<'_>) -> &'t str {
        self.text(node.byte_range())
    }

    /// Returns the text there on one line, without comments.
    pub(super) fn flat(&self, range: Range<usize>) -> String {
        let mut text = String::new();
        let mut from = range.start;
        for comment in self.comments.iter().filter(|it| range.start <= it.start && it.end <= range.end) {
            text.push_str(self.text(from..comment.start));
            from = comment.end;
        }
        text.push_str(self.text(from..range.end));
        text.split_whitespace().collect::<Vec<_>>().join(" ")
    }
}

/// Returns a node's children.
pub(super) fn children(node: Node<'_>) -> Vec<Node<'_>> {
    let mut cursor = node.walk();
    node.children(&mut cursor).collect()
}

/// Returns a node's children that are more than punctuation.
pub(super) fn named(node: Node<'_>) -> Vec<Node<'_>> {
    let mut cursor = node.walk();
    node.named_children(&mut cursor).filter(|child| child.kind() != "comment").collect()
}

pub(super) fn for_all<'a>(node: Node<'a>, act: &mut dyn FnMut(Node<'a>)) {
    act(node);
    for child in children(node) {
        for_all(child, act);
    }
}

/// Returns true if a loop is one of the kernel's macros.
pub(super) fn is_macro_loop(node: Node<'_>, text: &str) -> bool {
    node.kind() == "while_statement" && !text.starts_with("while")
}

fn replace_macro(node: Node<'_>, text: &str, plain: &mut [u8]) {
    match node.kind() {
        "expression_statement" => {
            let Some(call) = node.named_child(0).filter(|child| child.kind() == "call_expression") else {
                return;
            };
            let Some(name) = call.child_by_field_name("function") else { return };
            let word = text.get(name.byte_range()).unwrap_or_default();
            if word.starts_with("SYSCALL_DEFINE") || word.starts_with("COMPAT_SYSCALL_DEFINE") {
                // The name stays where it is.
                let range = call.byte_range();
                let arguments = text.get(name.end_byte() + 1..range.end).unwrap_or_default();
                let system_call = arguments.split([',', ')']).next().unwrap_or_default();
                let gap = " ".repeat((name.end_byte() + 1).saturating_sub(range.start + "int".len()));
                put(plain, range, &format!("int{gap}{system_call}()"));
            }
        }
        // A loop of a macro, and no function that calls another one for each element.
        "call_expression" => {
            let Some(name) = node.child_by_field_name("function") else { return };
            let is_loop = text.get(name.byte_range()).unwrap_or_default().contains("for_each");
            let rest = text.get(node.end_byte()..).unwrap_or_default().trim_start();
            if is_loop && !rest.starts_with([';', ',', ')']) {
                put(plain, name.byte_range(), "while");
            }
        }
        // Types as arguments: `list_entry(link, struct key, link)`.
        "argument_list" => {
            let range = node.byte_range();
            let arguments = text.get(range.clone()).unwrap_or_default();
            for (at, word) in arguments.match_indices("struct ") {
                put(plain, range.start + at..range.start + at + word.len(), "");
            }
        }
        // Attributes: `__user`, `__init`.
        "ERROR" => {
            let word = text.get(node.byte_range()).unwrap_or_default();
            if word.starts_with("__") && word.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
            {
                put(plain, node.byte_range(), "");
            }
        }
        _ => {}
    }
}

/// Replaces the text there by another one that is at most as long. Line breaks stay.
fn put(plain: &mut [u8], range: Range<usize>, new: &str) {
    let Some(place) = plain.get_mut(range) else { return };
    let first_line = place.iter().position(|byte| *byte == b'\n').unwrap_or(place.len());
    if new.len() > first_line {
        return;
    }
    place.iter_mut().filter(|byte| **byte != b'\n').for_each(|byte| *byte = b' ');
    place[..new.len()].copy_from_slice(new.as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kinds(text: &str) -> (Vec<&'static str>, usize) {
        let parsed = Parsed::of(text).unwrap();
        let mut found = (Vec::new(), 0);
        for_all(parsed.root(), &mut |node| {
            found.0.push(node.kind());
            found.1 += usize::from(node.is_error() || node.is_missing());
        });
        found
    }

    #[test]
    fn macros_of_the_kernel_are_parsed() {
        let text = "SYSCALL_DEFINE2(add_key, const char __user *, _type,\n\t\tint, x)\n{\n\
                    \tlist_for_each_entry(key, &list, link)\n\t\tif (key)\n\t\t\tuse(key);\n\
                    \tbus_for_each(x, f);\n\tlist_for_each(a, b)\n\t\ttotal += a;\n\
                    \tkey = list_entry(x, struct key, link);\n\treturn 0;\n}\n\
                    static int __init start(void)\n{\n\treturn 0;\n}\n";
        let (kinds, errors) = kinds(text);
        assert_eq!(errors, 0, "{kinds:?}");
        assert_eq!(kinds.iter().filter(|kind| **kind == "function_definition").count(), 2);
        assert_eq!(kinds.iter().filter(|kind| **kind == "while_statement").count(), 2);
    }

    #[test]
    fn flat_text_has_no_comments_and_no_line_breaks() {
        let text = "int x = a + /* why */\n\t\tb; // c\n";
        assert_eq!(Parsed::of(text).unwrap().flat(0..text.len()), "int x = a + b;");
    }
}
