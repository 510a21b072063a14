//! Mutants of statements: deletions, early returns, conditions, and locks with their unlocks.

use std::collections::BTreeMap;

use tree_sitter::Node;

use super::functions::{Function, Returns, Walk, is_unmutated};
use super::parse::{for_all, is_macro_loop, named};
use super::{Change, Edit};

/// Functions that take a lock, with those that release it.
const LOCKS: &[(&str, &[&str])] = &[
    ("spin_lock", &["spin_unlock"]),
    ("spin_lock_bh", &["spin_unlock_bh"]),
    ("spin_lock_irq", &["spin_unlock_irq"]),
    ("spin_lock_irqsave", &["spin_unlock_irqrestore"]),
    ("mutex_lock", &["mutex_unlock"]),
    ("rcu_read_lock", &["rcu_read_unlock"]),
    ("read_lock", &["read_unlock"]),
    ("write_lock", &["write_unlock"]),
    ("down_read", &["up_read"]),
    ("down_write", &["up_write"]),
];

/// Returns true for a function that takes or releases a lock.
fn is_of_lock(name: &str) -> bool {
    LOCKS.iter().any(|(lock, unlocks)| *lock == name || unlocks.contains(&name))
}

impl<'a> Walk<'a> {
    /// Makes the function end at its beginning, with each value that is of no use.
    pub(super) fn early_returns(&mut self, function: &Function<'a>) {
        let values: &[&str] = match function.returns {
            Returns::Nothing => &[""],
            Returns::Bool => &["false", "true"],
            Returns::Pointer => &["NULL"],
            Returns::Number => &["0"],
            Returns::Other => &[],
        };
        let brace = function.body.start_byte()..function.body.start_byte() + 1;
        let is_trivial = named(function.body).len() < 2 && function.returns != Returns::Nothing;
        if is_trivial || named(function.body).is_empty() {
            return;
        }
        for value in values {
            let at = brace.end..brace.end;
            let words =
                (format!("{}() {{ … }}", function.name), format!("return {value}").trim_end().to_owned());
            self.add(function, "early-return", brace.clone(), at, Change::Return((*value).to_owned()), words);
        }
    }

    /// Deletes each lock with its unlocks, if they are all in the function.
    pub(super) fn lock_pairs(&mut self, function: &Function<'a>) {
        let mut calls: BTreeMap<(usize, String), (Vec<Node<'a>>, Vec<Node<'a>>)> = BTreeMap::new();
        for_all(function.body, &mut |node| {
            let Some((name, arguments)) = self.simple_call(node) else { return };
            for (family, (lock, unlocks)) in LOCKS.iter().enumerate() {
                let both = calls.entry((family, arguments.clone())).or_default();
                if name == *lock {
                    both.0.push(node);
                } else if unlocks.contains(&name) {
                    both.1.push(node);
                }
            }
        });
        for (locks, unlocks) in calls.into_values() {
            let [lock] = locks.as_slice() else { continue };
            if unlocks.is_empty() {
                continue;
            }
            let edits = std::iter::once(lock).chain(&unlocks);
            let edits = edits.map(|node| Edit {
                start: node.start_byte(),
                end: node.end_byte(),
                change: Change::Delete,
            });
            let words = (self.flat(*lock), "without the lock".to_owned());
            self.add_all(function, "delete-lock", lock.byte_range(), edits.collect(), words);
        }
    }

    pub(super) fn mutate_statement(&mut self, node: Node<'a>, function: &Function<'a>) {
        match node.kind() {
            "expression_statement" | "goto_statement" | "break_statement" | "continue_statement" => {
                self.delete(node, function);
            }
            "if_statement" => {
                if let Some(condition) = node.child_by_field_name("condition") {
                    self.condition(
                        condition,
                        function,
                        &[("negate-condition", ""), ("force-condition", "1"), ("skip-condition", "0")],
                    );
                }
            }
            "while_statement" if is_macro_loop(node, self.parsed.of_node(node)) => {
                self.skip_loop(node, function)
            }
            "while_statement" | "for_statement" | "do_statement" => {
                if let Some(condition) = node.child_by_field_name("condition") {
                    self.condition(condition, function, &[("skip-loop", "0")]);
                }
            }
            "conditional_expression" => self.choice(node, function),
            "return_statement" => self.returned(node, function),
            _ => {}
        }
    }

    /// Deletes a simple statement.
    fn delete(&mut self, node: Node<'a>, function: &Function<'a>) {
        let name = self.simple_call(node).map(|(name, _)| name);
        if name.is_some_and(|name| is_unmutated(name) || is_of_lock(name) || name == "cond_resched") {
            return;
        }
        // With what an `if` does alone, the condition is as good as false.
        if named(node).is_empty() && node.kind() == "expression_statement" || is_alone_in_if(node) {
            return;
        }
        let words = (self.flat(node), String::new());
        self.add(function, "delete-statement", node.byte_range(), node.byte_range(), Change::Delete, words);
    }

    /// Makes the given values of a condition. The empty one negates it.
    fn condition(&mut self, node: Node<'a>, function: &Function<'a>, changes: &[(&str, &str)]) {
        let node = self.inside(node);
        let original = self.flat(node);
        for (operator, value) in changes {
            // That is the whole meaning of `!x`, whose operator is deleted elsewhere.
            if *operator == "negate-condition" && node.kind() == "unary_expression" {
                continue;
            }
            let changed = if value.is_empty() { format!("!({original})") } else { (*value).to_owned() };
            let words = (original.clone(), changed.clone());
            self.add(
                function,
                operator,
                node.byte_range(),
                node.byte_range(),
                Change::Condition(changed),
                words,
            );
        }
    }

    /// Skips a loop of a macro, which has no condition of its own.
    fn skip_loop(&mut self, node: Node<'a>, function: &Function<'a>) {
        if node.parent().is_none_or(|parent| parent.kind() != "compound_statement") {
            return;
        }
        let head = node
            .child_by_field_name("condition")
            .map_or(node.byte_range(), |it| node.start_byte()..it.end_byte());
        let words = (self.parsed.flat(head.clone()), String::new());
        self.add(function, "skip-loop", head, node.byte_range(), Change::Guard, words);
    }

    /// Makes both outcomes of `a ? b : c`, and of `a ?: c`.
    fn choice(&mut self, node: Node<'a>, function: &Function<'a>) {
        let part = |name| node.child_by_field_name(name);
        let (Some(condition), Some(alternative)) = (part("condition"), part("alternative")) else { return };
        if part("consequence").is_some() {
            return self.condition(condition, function, &[("force-condition", "1"), ("skip-condition", "0")]);
        }
        for (operator, kept) in [("force-condition", condition), ("skip-condition", alternative)] {
            let (original, changed) = (self.flat(node), self.flat(kept));
            let change = Change::Replace(changed.clone());
            self.add(function, operator, node.byte_range(), node.byte_range(), change, (original, changed));
        }
    }

    /// Returns another value.
    fn returned(&mut self, node: Node<'a>, function: &Function<'a>) {
        let Some(value) = named(node).first().copied() else { return };
        let original = self.flat(value);
        let is_plain = matches!(
            value.kind(),
            "identifier"
                | "call_expression"
                | "field_expression"
                | "conditional_expression"
                | "binary_expression"
        );
        match function.returns {
            Returns::Bool if is_plain => {
                let value = self.inside(value);
                self.condition(value, function, &[("force-condition", "1"), ("skip-condition", "0")]);
            }
            Returns::Number | Returns::Pointer if is_plain => {
                let changed = if function.returns == Returns::Pointer { "NULL" } else { "0" };
                let change = Change::Replace(changed.to_owned());
                self.add(
                    function,
                    "change-return",
                    value.byte_range(),
                    value.byte_range(),
                    change,
                    (original, changed.to_owned()),
                );
            }
            _ => {}
        }
    }

    /// Returns what is in the parentheses, and in `likely()` and `unlikely()`.
    fn inside(&self, mut node: Node<'a>) -> Node<'a> {
        loop {
            let inner = match node.kind() {
                "parenthesized_expression" => named(node).first().copied(),
                "call_expression" => self.hinted(node),
                _ => None,
            };
            match inner {
                Some(inner) => node = inner,
                None => return node,
            }
        }
    }

    fn hinted(&self, call: Node<'a>) -> Option<Node<'a>> {
        let name = self.parsed.of_node(call.child_by_field_name("function")?);
        let arguments = call.child_by_field_name("arguments")?;
        matches!(name, "likely" | "unlikely").then(|| named(arguments).first().copied()).flatten()
    }

    /// Returns the name and the arguments of a statement that is only a call.
    fn simple_call(&self, node: Node<'a>) -> Option<(&'a str, String)> {
        let call = node.named_child(0).filter(|_| node.kind() == "expression_statement")?;
        let name = call.child_by_field_name("function").filter(|_| call.kind() == "call_expression")?;
        let arguments = call.child_by_field_name("arguments")?;
        Some((self.parsed.of_node(name), self.flat(arguments)))
    }
}

/// Returns true if an `if` without `else` has only this statement.
fn is_alone_in_if(node: Node<'_>) -> bool {
    let Some(mut parent) = node.parent() else { return false };
    if parent.kind() == "compound_statement" && named(parent).len() == 1 {
        let Some(outer) = parent.parent() else { return false };
        parent = outer;
    }
    parent.kind() == "if_statement" && parent.child_by_field_name("alternative").is_none()
}
