//! Mutants of expressions: operators, operands, constants and errors.

use tree_sitter::Node;

use super::functions::{Function, Returns, Walk};
use super::parse::named;
use super::{Change, swaps};

impl<'a> Walk<'a> {
    pub(super) fn mutate_expression(&mut self, node: Node<'a>, function: &Function<'a>) {
        if is_place(node) {
            return;
        }
        match node.kind() {
            "binary_expression" => self.binary(node, function),
            "unary_expression" => self.unary(node, function),
            "update_expression" => self.update(node, function),
            "assignment_expression" => self.compound_assignment(node, function),
            "number_literal" => self.number(node, function),
            "true" | "false" => {
                let changed = if node.kind() == "true" { "false" } else { "true" };
                self.replace(node, node, function, "swap-constant", changed);
            }
            "call_expression" => self.call(node, function),
            "field_expression" => self.field(node, function),
            "identifier" => {
                if let Some(changed) = swaps::constant(self.parsed.of_node(node)) {
                    self.replace(node, node, function, "swap-constant", changed);
                }
            }
            "initializer_pair" => {
                let value = node.child_by_field_name("value");
                let is_value =
                    |it: &Node<'_>| it.kind() != "initializer_list" && self.parsed.of_node(*it) != "0";
                if let Some(value) = value.filter(is_value) {
                    self.replace(value, node, function, "clear-initialiser", "0");
                }
            }
            _ => {}
        }
    }

    /// Adds a mutant that replaces an expression; `focus` is what has to be the series' own.
    fn replace(
        &mut self,
        node: Node<'a>,
        focus: Node<'_>,
        function: &Function<'a>,
        operator: &str,
        changed: &str,
    ) {
        let words = (self.flat(node), changed.to_owned());
        let change = Change::Replace(changed.to_owned());
        self.add(function, operator, focus.byte_range(), node.byte_range(), change, words);
    }

    fn binary(&mut self, node: Node<'a>, function: &Function<'a>) {
        let part = |name| node.child_by_field_name(name);
        let (Some(left), Some(sign), Some(right)) = (part("left"), part("operator"), part("right")) else {
            return;
        };
        let (one, other) = (self.flat(left), self.flat(right));
        let sign_text = self.parsed.of_node(sign);
        match sign_text {
            "&&" | "||" => {
                self.replace(node, right, function, "drop-operand", &format!("!!({one})"));
                if !self.is_chain(left, sign_text) {
                    self.replace(node, left, function, "drop-operand", &format!("!!({other})"));
                }
            }
            "|" => {
                self.replace(node, right, function, "drop-flag", &one);
                if !self.is_chain(left, sign_text) {
                    self.replace(node, left, function, "drop-flag", &other);
                }
            }
            "&" => {
                if right.kind() == "unary_expression" {
                    self.replace(node, right, function, "drop-flag", &one);
                }
                self.replace(node, sign, function, "change-operator", &format!("{one} | {other}"));
            }
            _ => {
                let is_condition = node.parent().is_some_and(|parent| {
                    let outer = parent.parent().map_or("", |outer| outer.kind());
                    parent.kind() == "parenthesized_expression" && outer == "if_statement"
                });
                for changed in swaps::operators(sign_text) {
                    // An `if` is negated as a whole.
                    if is_condition && swaps::is_negation(sign_text, changed) {
                        continue;
                    }
                    self.replace(
                        node,
                        sign,
                        function,
                        "change-operator",
                        &format!("{one} {changed} {other}"),
                    );
                }
            }
        }
    }

    fn unary(&mut self, node: Node<'a>, function: &Function<'a>) {
        let part = |name| node.child_by_field_name(name);
        let (Some(sign), Some(operand)) = (part("operator"), part("argument")) else { return };
        let operand_text = self.flat(operand);
        match self.parsed.of_node(sign) {
            "!" => self.replace(node, sign, function, "drop-operator", &format!("!!({operand_text})")),
            "-" if operand_text.starts_with('E') => {
                self.replace(
                    node,
                    node,
                    function,
                    "swap-error",
                    &format!("-{}", swaps::error(&operand_text)),
                );
                self.replace(node, node, function, "drop-error", "0");
            }
            "-" | "~" => self.replace(node, sign, function, "drop-operator", &operand_text),
            _ => {}
        }
    }

    fn update(&mut self, node: Node<'a>, function: &Function<'a>) {
        let text = self.flat(node);
        let changed = if text.contains("++") { text.replace("++", "--") } else { text.replace("--", "++") };
        self.replace(node, node, function, "change-operator", &changed);
    }

    fn compound_assignment(&mut self, node: Node<'a>, function: &Function<'a>) {
        let part = |name| node.child_by_field_name(name);
        let (Some(left), Some(sign), Some(right)) = (part("left"), part("operator"), part("right")) else {
            return;
        };
        let changed = match self.parsed.of_node(sign) {
            "+=" => "-=",
            "-=" => "+=",
            "|=" => "=",
            _ => return,
        };
        let changed = format!("{} {changed} {}", self.flat(left), self.flat(right));
        self.replace(node, sign, function, "change-operator", &changed);
    }

    fn number(&mut self, node: Node<'a>, function: &Function<'a>) {
        let text = self.parsed.of_node(node);
        let is_returned = node.parent().is_some_and(|parent| parent.kind() == "return_statement");
        let changed = match text {
            "0" if is_returned && function.returns == Returns::Number => "-EIO",
            "0" => "1",
            "1" => "0",
            _ if text.starts_with("0x") => return,
            _ => &format!("{text} + 1"),
        };
        self.replace(node, node, function, "change-number", changed);
    }

    fn call(&mut self, node: Node<'a>, function: &Function<'a>) {
        let part = |name| node.child_by_field_name(name);
        let (Some(name), Some(arguments)) = (part("function"), part("arguments")) else { return };
        let (word, list) = (self.parsed.of_node(name), self.flat(arguments));
        if let Some(other) = swaps::function(word) {
            self.replace(node, name, function, "swap-call", &format!("{other}{list}"));
        }
        let arguments = named(arguments);
        let is_value = node.parent().is_some_and(|parent| parent.kind() != "expression_statement");
        if is_value && (word.ends_with("_get") || word.starts_with("get_")) && arguments.len() == 1 {
            let kept = self.flat(arguments[0]);
            self.replace(node, name, function, "drop-reference", &kept);
        }
        for pair in arguments.windows(2) {
            self.swap_arguments(node, word, &arguments, pair, function);
        }
    }

    /// Swaps two variables of the same type that follow each other.
    fn swap_arguments(
        &mut self,
        node: Node<'a>,
        name: &str,
        all: &[Node<'a>],
        pair: &[Node<'a>],
        function: &Function<'a>,
    ) {
        let [one, other] = pair else { return };
        let type_of = |node: &Node<'_>| function.types.get(self.parsed.of_node(*node));
        let is_same = type_of(one).is_some() && type_of(one) == type_of(other);
        if !is_same || self.parsed.of_node(*one) == self.parsed.of_node(*other) || swaps::is_symmetric(name) {
            return;
        }
        let swapped = all.iter().map(|argument| match argument.id() {
            id if id == one.id() => self.flat(*other),
            id if id == other.id() => self.flat(*one),
            _ => self.flat(*argument),
        });
        let changed = format!("{name}({})", swapped.collect::<Vec<_>>().join(", "));
        self.replace(node, *one, function, "swap-arguments", &changed);
    }

    fn field(&mut self, node: Node<'a>, function: &Function<'a>) {
        let Some(field) = node.child_by_field_name("field") else { return };
        let text = self.flat(node);
        let word = self.parsed.of_node(field);
        if let (Some(other), Some(object)) = (swaps::field(word), text.strip_suffix(word)) {
            self.replace(node, field, function, "swap-field", &format!("{object}{other}"));
        }
    }

    /// Returns true for `a && b` as the operand of another `&&`, whose own mutants drop its parts.
    fn is_chain(&self, node: Node<'_>, sign: &str) -> bool {
        let operator = node.child_by_field_name("operator").filter(|_| node.kind() == "binary_expression");
        operator.is_some_and(|operator| self.parsed.of_node(operator) == sign)
    }
}

/// Returns true for what is assigned to, or whose address is taken: `a ? b : c` can't replace it.
fn is_place(node: Node<'_>) -> bool {
    let Some(parent) = node.parent() else { return false };
    let is_field = |name: &str| parent.child_by_field_name(name).is_some_and(|it| it.id() == node.id());
    match parent.kind() {
        "assignment_expression" => is_field("left"),
        "update_expression" | "pointer_expression" => true,
        "field_expression" | "subscript_expression" => is_field("argument") && is_place(parent),
        "parenthesized_expression" => is_place(parent),
        "init_declarator" => is_field("declarator"),
        "call_expression" => is_field("function"),
        "field_designator" | "labeled_statement" | "goto_statement" => true,
        _ => parent.kind().ends_with("declarator") || parent.kind() == "declaration",
    }
}
