//! Mutants of one file: the walk through its functions.

use std::collections::{BTreeSet, HashMap};
use std::ops::Range;

use tree_sitter::Node;

use super::parse::{Parsed, children, for_all, named};
use super::{Change, Edit, Mutant, blocks};
use crate::{ChangedFile, config::Fragment};

/// Functions and macros whose calls report, trace or check, and change nothing. Neither they nor
/// their arguments are mutated.
const UNMUTATED: &[&str] = &[
    "trace_",
    "pr_",
    "printk",
    "WARN",
    "BUG",
    "BUILD_BUG",
    "lockdep_",
    "might_sleep",
    "mutex_destroy",
    // Their last argument is for lockdep.
    "rcu_dereference_",
    "static_assert",
    "kenter",
    "kleave",
    "kdebug",
    "sizeof",
    "typeof",
    "offsetof",
];

/// Returns true for such a function.
pub(super) fn is_unmutated(name: &str) -> bool {
    UNMUTATED.iter().any(|start| name.starts_with(start))
}

/// Type of a function's value, as far as early returns need it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Returns {
    Nothing,
    Bool,
    Pointer,
    Number,
    /// A structure.
    Other,
}

/// The function that is mutated.
pub(super) struct Function<'a> {
    pub(super) name: String,
    pub(super) returns: Returns,
    pub(super) body: Node<'a>,
    /// Types of its parameters and variables, by their names.
    pub(super) types: HashMap<&'a str, String>,
}

/// The mutants of a file so far.
pub(super) struct Walk<'a> {
    pub(super) parsed: &'a Parsed<'a>,
    path: &'a str,
    own: &'a BTreeSet<usize>,
    left_out: Vec<Range<usize>>,
    found: Vec<Mutant>,
}

/// Returns the mutants of the file's own lines, without numbers.
pub(super) fn mutants(file: &ChangedFile, fragments: &[Fragment]) -> Vec<Mutant> {
    let Some(parsed) = Parsed::of(&file.text) else { return Vec::new() };
    let left_out = blocks::left_out(&parsed, fragments);
    let mut functions = Vec::new();
    for_all(parsed.root(), &mut |node| {
        if node.kind() == "function_definition" {
            functions.push(node);
        }
    });
    let mut walk = Walk { parsed: &parsed, path: &file.path, own: &file.lines, left_out, found: Vec::new() };
    for node in functions {
        if let Some(function) = Function::of(node, &parsed) {
            walk.function(node, &function);
        }
    }
    walk.found
}

impl<'a> Function<'a> {
    fn of(node: Node<'a>, parsed: &'a Parsed<'a>) -> Option<Self> {
        let body = node.child_by_field_name("body")?;
        let declarator = node.child_by_field_name("declarator")?;
        let mut inner = declarator;
        while inner.kind() != "function_declarator" {
            inner = inner.child_by_field_name("declarator")?;
        }
        let name = parsed.of_node(inner.child_by_field_name("declarator")?);
        let type_name = parsed.of_node(node.child_by_field_name("type")?);
        let returns = match type_name {
            _ if declarator.kind() == "pointer_declarator" => Returns::Pointer,
            "void" => Returns::Nothing,
            "bool" => Returns::Bool,
            "int" | "long" | "unsigned int" | "unsigned long" | "size_t" | "ssize_t" | "loff_t" => {
                Returns::Number
            }
            // The macro of a system call.
            "SYS" | "COM" => Returns::Number,
            _ => Returns::Other,
        };
        let mut types = HashMap::new();
        for_all(node, &mut |it| {
            if matches!(it.kind(), "parameter_declaration" | "declaration")
                && let Some(type_node) = it.child_by_field_name("type")
            {
                let type_name = parsed.of_node(type_node);
                for part in children(it).into_iter().filter(|part| part.kind() != type_node.kind()) {
                    let word = parsed.of_node(part);
                    let word = word.split('=').next().unwrap_or(word).trim();
                    let variable = word.trim_start_matches('*').trim();
                    let stars = word.chars().filter(|char| *char == '*').count();
                    if !variable.is_empty()
                        && variable.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
                    {
                        types.insert(variable, format!("{type_name}{}", "*".repeat(stars)));
                    }
                }
            }
        });
        Some(Self { name: name.to_owned(), returns, body, types })
    }
}

impl<'a> Walk<'a> {
    fn function(&mut self, node: Node<'a>, function: &Function<'a>) {
        let range = node.byte_range();
        if self.left_out.iter().any(|left| left.start <= range.start && range.end <= left.end) {
            return;
        }
        let is_new = self.lines(range).all(|line| self.own.contains(&line));
        if is_new {
            self.early_returns(function);
        }
        self.lock_pairs(function);
        self.visit(function.body, function);
    }

    /// Makes the mutants of a node and all below it.
    pub(super) fn visit(&mut self, node: Node<'a>, function: &Function<'a>) {
        if self.is_constant(node) {
            return;
        }
        self.mutate_statement(node, function);
        self.mutate_expression(node, function);
        for child in named(node) {
            self.visit(child, function);
        }
    }

    /// Returns true for code that has to be constant, or is no code.
    fn is_constant(&self, node: Node<'_>) -> bool {
        let kind = node.kind();
        match kind {
            "ERROR"
            | "sizeof_expression"
            | "type_descriptor"
            | "enum_specifier"
            | "struct_specifier"
            | "attribute_specifier"
            | "string_literal"
            | "concatenated_string"
            | "char_literal" => true,
            "declaration" => children(node).iter().any(|child| self.parsed.of_node(*child) == "static"),
            "call_expression" => node
                .child_by_field_name("function")
                .is_some_and(|name| is_unmutated(self.parsed.of_node(name))),
            _ => {
                kind.starts_with("preproc_def")
                    || kind.starts_with("preproc_function")
                    || kind == "preproc_include"
            }
        }
    }

    /// Adds a mutant with one change.
    pub(super) fn add(
        &mut self,
        function: &Function<'_>,
        operator: &str,
        focus: Range<usize>,
        range: Range<usize>,
        change: Change,
        words: (String, String),
    ) {
        self.add_all(
            function,
            operator,
            focus,
            vec![Edit { start: range.start, end: range.end, change }],
            words,
        );
    }

    /// Adds a mutant, if the series has one of the lines in `focus`.
    pub(super) fn add_all(
        &mut self,
        function: &Function<'_>,
        operator: &str,
        focus: Range<usize>,
        edits: Vec<Edit>,
        (original, changed): (String, String),
    ) {
        let is_left_out = |at: usize| self.left_out.iter().any(|range| range.contains(&at));
        if !self.lines(focus.clone()).any(|line| self.own.contains(&line)) || is_left_out(focus.start) {
            return;
        }
        let before = self.parsed.text(0..focus.start);
        let column = before.len() - before.rfind('\n').map_or(0, |at| at + 1) + 1;
        self.found.push(Mutant {
            id: 0,
            file: self.path.to_owned(),
            function: function.name.clone(),
            operator: operator.to_owned(),
            line: self.lines(focus).next().unwrap_or(1),
            column,
            original,
            changed,
            edits,
        });
    }

    pub(super) fn flat(&self, node: Node<'_>) -> String {
        self.parsed.flat(node.byte_range())
    }

    /// Returns the numbers of the lines of a range.
    fn lines(&self, range: Range<usize>) -> impl Iterator<Item = usize> + use<> {
        let number = |at: usize| self.parsed.text(0..at).matches('\n').count() + 1;
        number(range.start)..=number(range.end)
    }
}
