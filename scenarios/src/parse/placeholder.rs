//! Substitution of `{NAME}` placeholders by the values of variables.

use std::{borrow::Cow, collections::BTreeMap, ops::Range};

use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use super::deserialize::Value;
use crate::diagnostics::Problem;

/// Placeholders that the guest substitutes at run time.
pub(super) const RUN_TIME: [&str; 7] =
    ["callout", "description", "type", "hostname", "uid", "worker", "round"];

pub(super) fn is_name(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

#[derive(Debug, PartialEq, Eq)]
enum Piece<'s> {
    Text(&'s str),
    /// `{NAME}`.
    Variable(&'s str),
}

/// Splits a text into its parts. `{{NAME}}` is the text `{NAME}`, and `${NAME}` is a shell's.
fn pieces(text: &str) -> Vec<Piece<'_>> {
    let mut pieces = Vec::new();
    let mut plain = 0;
    let mut at = 0;
    while let Some(open) = text[at..].find('{').map(|found| at + found) {
        let close = text[open..].find('}').map(|found| open + found);
        let Some(close) = close else { break };
        let name = &text[open + 1..close];
        at = open + 1;
        if let Some(inner) = name.strip_prefix('{').filter(|inner| is_name(inner)) {
            if text[close + 1..].starts_with('}') {
                pieces.extend([Piece::Text(&text[plain..open]), Piece::Text(&text[open + 1..=close])]);
                (plain, at) = (close + 2, close + 2);
            } else {
                at = close - inner.len() - 1;
            }
        } else if is_name(name) && !text[..open].ends_with('$') {
            pieces.extend([Piece::Text(&text[plain..open]), Piece::Variable(name)]);
            (plain, at) = (close + 1, close + 1);
        }
    }
    pieces.push(Piece::Text(&text[plain..]));
    pieces.retain(|piece| *piece != Piece::Text(""));
    pieces
}

/// Visits every placeholder in a value except those of run time, with the place of its text.
pub(super) fn each(value: &Value<'_>, visit: &mut dyn FnMut(&str, Range<usize>)) {
    match value.get_ref() {
        DeValue::String(text) => {
            for piece in pieces(text) {
                match piece {
                    Piece::Variable(name) if !RUN_TIME.contains(&name) => visit(name, value.span()),
                    _ => {}
                }
            }
        }
        DeValue::Array(items) => items.iter().for_each(|item| each(item, visit)),
        DeValue::Table(table) => table.values().for_each(|value| each(value, visit)),
        _ => {}
    }
}

/// Returns a scalar as it appears in a text.
pub(super) fn text(value: &DeValue<'_>) -> Option<String> {
    match value {
        DeValue::String(text) => Some(text.to_string()),
        DeValue::Integer(number) if number.radix() == 10 => Some(number.as_str().to_owned()),
        DeValue::Integer(number) => {
            i64::from_str_radix(number.as_str(), number.radix()).ok().map(|number| number.to_string())
        }
        DeValue::Float(number) => Some(number.as_str().to_owned()),
        DeValue::Boolean(value) => Some(value.to_string()),
        _ => None,
    }
}

/// A place where a variable is used, with the place of its value.
pub(super) struct Use {
    pub(super) name: String,
    pub(super) place: Range<usize>,
    pub(super) value: Range<usize>,
}

/// Substitution of the values of a case in a file.
pub(super) struct Substitution<'c, 't> {
    values: &'c BTreeMap<String, Value<'t>>,
    pub(super) uses: Vec<Use>,
    pub(super) problems: Vec<Problem>,
}

impl<'c, 't> Substitution<'c, 't> {
    pub(super) fn of(values: &'c BTreeMap<String, Value<'t>>) -> Self {
        Self { values, uses: Vec::new(), problems: Vec::new() }
    }

    pub(super) fn table(&mut self, table: &mut DeTable<'t>) {
        let entries = std::mem::take(table);
        for (key, mut value) in entries {
            let key = match self.resolved(key.get_ref(), &key.span()) {
                Some(DeValue::String(text)) => Spanned::new(key.span(), text),
                _ => key,
            };
            self.value(&mut value);
            table.insert(key, value);
        }
    }

    fn value(&mut self, value: &mut Value<'t>) {
        let span = value.span();
        match value.get_mut() {
            DeValue::String(text) => {
                if let Some(resolved) = self.resolved(text, &span) {
                    *value = Spanned::new(span, resolved);
                }
            }
            DeValue::Array(items) => items.iter_mut().for_each(|item| self.value(item)),
            DeValue::Table(table) => self.table(table),
            _ => {}
        }
    }

    /// Resolves the placeholders of a text. `None` if it has none.
    fn resolved(&mut self, text: &str, place: &Range<usize>) -> Option<DeValue<'t>> {
        let pieces = pieces(text);
        if pieces.is_empty() || pieces == [Piece::Text(text)] {
            return None;
        }
        if let [Piece::Variable(name)] = pieces.as_slice() {
            return self.look_up(name, place).map(Spanned::into_inner);
        }
        let mut resolved = String::new();
        for piece in pieces {
            match piece {
                Piece::Text(text) => resolved.push_str(text),
                Piece::Variable(name) => match self.look_up(name, place) {
                    Some(value) => resolved.push_str(&self.within_text(name, &value, place)),
                    None => resolved.push_str(&format!("{{{name}}}")),
                },
            }
        }
        Some(DeValue::String(Cow::Owned(resolved)))
    }

    /// Returns `None` if the variable is one of run time, or does not exist.
    fn look_up(&mut self, name: &str, place: &Range<usize>) -> Option<Value<'t>> {
        if let Some(value) = self.values.get(name) {
            self.uses.push(Use { name: name.to_owned(), place: place.clone(), value: value.span() });
            return Some(value.clone());
        }
        if !RUN_TIME.contains(&name) {
            let known = self.values.keys().map(String::as_str).chain(RUN_TIME);
            let problem = Problem::new(place.clone(), format!("no variable `{name}`"));
            let mut problem = problem.with_names(name, known);
            if let Some(help) = &mut problem.help {
                help.push_str(&format!(" (the text itself is written `{{{{{name}}}}}`)"));
            }
            self.problems.push(problem);
        }
        None
    }

    fn within_text(&mut self, name: &str, value: &Value<'_>, place: &Range<usize>) -> String {
        text(value.get_ref()).unwrap_or_else(|| {
            let message = format!("`{name}` is no text or number, and can't be part of a text");
            self.problems
                .push(Problem::new(place.clone(), message).with_help(format!("say \"{{{name}}}\" alone")));
            String::new()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn braces_that_hold_no_name_are_text() {
        for text in ["", "{}", "{ a }", "a{b", "}{", "${a}", "{1}", "{{", "{{a}"] {
            let joined = |piece| match piece {
                Piece::Text(text) => text.to_owned(),
                Piece::Variable(name) => format!("<{name}>"),
            };
            let joined: String = pieces(text).into_iter().map(joined).collect();
            assert_eq!(joined, if text == "{{a}" { "{<a>" } else { text });
        }
    }

    #[test]
    fn names_in_braces_are_variables_and_doubled_braces_are_not() {
        use Piece::{Text, Variable};
        assert_eq!(pieces("a{b}{c_1}d"), [Text("a"), Variable("b"), Variable("c_1"), Text("d")]);
        assert_eq!(pieces("x{{a}}y"), [Text("x"), Text("{a}"), Text("y")]);
    }
}
