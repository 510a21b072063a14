//! Parser of `[variables]` and `[matrix]`: the cases of a file.
//!
//! A list makes a case of each of its values. A table makes a case of each of its entries, with the
//! entry's key as its name. An entry that is itself a table gives several variables a value at
//! once. Several lists and tables make a case of every combination.

use std::{collections::BTreeMap, ops::Range};

use schemars::JsonSchema;
use toml::{
    Spanned,
    de::{DeArray, DeTable, DeValue},
};

use super::{
    deserialize::{self, Key, Value},
    placeholder,
};
use crate::diagnostics::Problem;

/// Values that stand wherever `{NAME}` is written.
#[derive(JsonSchema)]
#[schemars(rename = "Variables", extend("propertyNames" = { "pattern": NAME }))]
#[expect(dead_code, reason = "it is read in parts, and stands here to be described")]
pub(super) struct VariablesSpec(BTreeMap<String, serde_json::Value>);

/// Values by which cases differ: each combination of them is a scenario of its own.
#[derive(JsonSchema)]
#[schemars(rename = "Matrix", extend("minProperties" = 1, "propertyNames" = { "pattern": NAME }))]
#[expect(dead_code, reason = "it is read in parts, and stands here to be described")]
pub(super) struct MatrixSpec(BTreeMap<String, AxisSpec>);

/// A list of values, or a table of named cases; each may give several variables a value.
#[derive(JsonSchema)]
#[schemars(inline, extend("type" = ["array", "object"], "minItems" = 1, "minProperties" = 1))]
struct AxisSpec;

/// Pattern of variable names.
const NAME: &str = "^[A-Za-z][A-Za-z0-9_]*$";

/// Maximum number of cases of a file. All of them are in memory before the first one runs.
const MAX_CASES: usize = 1000;

/// The values of variables, as cases.
pub(super) struct Cases<'t> {
    /// At least one, even if there are errors.
    pub(super) cases: Vec<Case<'t>>,
    /// Every variable, with the place of its declaration.
    pub(super) variables: Vec<Variable>,
}

/// A variable that has to be used.
pub(super) struct Variable {
    pub(super) name: String,
    pub(super) place: Range<usize>,
    /// The name of a table's entries: the case shows it, and the file need not use it.
    pub(super) is_label: bool,
}

/// One case: the values of all variables.
#[derive(Clone)]
pub(super) struct Case<'t> {
    /// As in `end=kill,waiters=64`. None: there is no matrix.
    pub(super) label: Option<String>,
    pub(super) values: BTreeMap<String, Value<'t>>,
}

/// The alternatives of a variable of the matrix.
type Axis<'t> = Vec<Alternative<'t>>;

/// One of the values that an axis runs through.
#[derive(Clone)]
struct Alternative<'t> {
    label: String,
    values: Vec<(Key<'t>, Value<'t>)>,
}

/// Takes `[variables]` and `[matrix]` out of a file.
pub(super) fn take<'t>(document: &mut DeTable<'t>, problems: &mut Vec<Problem>) -> Cases<'t> {
    let mut reading = Reading { variables: Vec::new(), problems };
    let constants = reading.constants(deserialize::take(document, "variables"));
    let matrix = deserialize::take(document, "matrix");
    let has_matrix = matrix.is_some();
    let axes = reading.axes(matrix);
    let mut cases = vec![Case { label: has_matrix.then(String::new), values: BTreeMap::new() }];
    for (key, value) in constants {
        cases[0].values.insert(key.get_ref().to_string(), value);
    }
    for axis in axes {
        cases = cases.iter().flat_map(|case| axis.iter().map(|it| case.with(it))).collect();
    }
    Cases { cases, variables: reading.variables }
}

impl<'t> Case<'t> {
    fn with(&self, alternative: &Alternative<'t>) -> Self {
        let mut case = self.clone();
        let label = case.label.get_or_insert_default();
        let comma = if label.is_empty() { "" } else { "," };
        label.push_str(&format!("{comma}{}", alternative.label));
        for (key, value) in &alternative.values {
            case.values.insert(key.get_ref().to_string(), value.clone());
        }
        case
    }
}

struct Reading<'p> {
    variables: Vec<Variable>,
    problems: &'p mut Vec<Problem>,
}

impl Reading<'_> {
    fn refuse(&mut self, place: Range<usize>, message: impl Into<String>, help: &str) {
        self.problems.push(Problem::new(place, message).with_help(help));
    }

    fn declare(&mut self, name: &Key<'_>, is_label: bool) {
        let text = name.get_ref();
        if placeholder::RUN_TIME.contains(&text.as_ref()) {
            let help = "it stands for what is known only when the scenario runs: choose another name";
            self.refuse(name.span(), format!("`{text}` can't be a variable"), help);
        } else if !placeholder::is_name(text) {
            let help = "use letters, digits and `_`, and begin with a letter";
            self.refuse(name.span(), format!("`{text}` can't name a variable"), help);
        } else if self.variables.iter().any(|variable| variable.name == *text) {
            self.refuse(name.span(), format!("there already is a variable `{text}`"), "choose another name");
        }
        self.variables.push(Variable { name: text.to_string(), place: name.span(), is_label });
    }

    /// Checks a value, which must not refer to another variable.
    fn value(&mut self, value: &Value<'_>) {
        let mut names = Vec::new();
        placeholder::each(value, &mut |name, place| names.push((name.to_owned(), place)));
        for (name, place) in names {
            self.refuse(
                place,
                format!("a variable's value can't name another: `{{{name}}}`"),
                "spell it out",
            );
        }
    }

    fn constants<'t>(&mut self, table: Option<(Key<'t>, Value<'t>)>) -> Vec<(Key<'t>, Value<'t>)> {
        let entries = self.entries(table, "say NAME = VALUE under [variables]");
        for (name, value) in &entries {
            self.declare(name, false);
            self.value(value);
        }
        entries
    }

    fn axes<'t>(&mut self, table: Option<(Key<'t>, Value<'t>)>) -> Vec<Axis<'t>> {
        const HELP: &str = "say NAME = [VALUE, …] under [matrix]";
        let Some(place) = table.as_ref().map(|(key, _)| key.span()) else { return Vec::new() };
        let entries = self.entries(table, HELP);
        if entries.is_empty() {
            self.refuse(place.clone(), "the matrix is empty", HELP);
        }
        let axes = entries.into_iter().filter_map(|(name, value)| self.axis(name, value)).collect();
        self.limited(place, axes)
    }

    /// Refuses axes that make too many cases, before any case is made.
    fn limited<'t>(&mut self, place: Range<usize>, axes: Vec<Axis<'t>>) -> Vec<Axis<'t>> {
        let many = axes.iter().try_fold(1_usize, |many, axis| many.checked_mul(axis.len()));
        if many.is_some_and(|many| many <= MAX_CASES) {
            return axes;
        }
        let many = many.map_or("more cases than can be counted".to_owned(), |many| format!("{many} cases"));
        let help = "leave values out, or give several variables their values together: NAME.CASE = { OTHER = VALUE, … }";
        self.refuse(place, format!("the matrix has {many}, and at most {MAX_CASES} are allowed"), help);
        Vec::new()
    }

    fn entries<'t>(&mut self, table: Option<(Key<'t>, Value<'t>)>, help: &str) -> Vec<(Key<'t>, Value<'t>)> {
        let Some((name, value)) = table else { return Vec::new() };
        let span = value.span();
        match value.into_inner() {
            DeValue::Table(table) => table.into_iter().collect(),
            _ => {
                self.refuse(span, format!("`{}` is not a table", name.get_ref()), help);
                Vec::new()
            }
        }
    }

    fn axis<'t>(&mut self, name: Key<'t>, value: Value<'t>) -> Option<Axis<'t>> {
        let span = value.span();
        let (alternatives, names) = match value.into_inner() {
            DeValue::Array(items) => {
                self.declare(&name, false);
                self.of_list(&name, items)
            }
            DeValue::Table(rows) => {
                self.declare(&name, !rows.values().any(|row| !row.get_ref().is_table()));
                self.of_table(&name, rows)
            }
            _ => {
                let help = "a single value is for [variables]; a list of them, or NAME.CASE = VALUE, is for [matrix]";
                self.refuse(span, format!("`{}` has one value in all cases", name.get_ref()), help);
                return None;
            }
        };
        self.distinct(&name, &names);
        if names.is_empty() {
            self.refuse(
                span,
                format!("`{}` has no values: there would be no case", name.get_ref()),
                "add some",
            );
        }
        (!alternatives.is_empty()).then_some(alternatives)
    }

    fn of_list<'t>(&mut self, name: &Key<'t>, items: DeArray<'t>) -> (Axis<'t>, Vec<Spanned<String>>) {
        let mut names = Vec::new();
        let mut alternatives = Vec::new();
        for item in items {
            self.value(&item);
            match label(item.get_ref()) {
                Some(text) => {
                    let label = format!("{}={text}", name.get_ref());
                    names.push(Spanned::new(item.span(), text));
                    alternatives.push(Alternative { label, values: vec![(name.clone(), item)] });
                }
                None => {
                    let message = "this can't stand in the name of a case";
                    names.push(Spanned::new(item.span(), format!("{:?}", item.span())));
                    self.refuse(item.span(), message, &format!("name it: {}.CASE = …", name.get_ref()));
                }
            }
        }
        (alternatives, names)
    }

    fn of_table<'t>(&mut self, name: &Key<'t>, rows: DeTable<'t>) -> (Axis<'t>, Vec<Spanned<String>>) {
        let mut names = Vec::new();
        let mut alternatives: Vec<Alternative<'t>> = Vec::new();
        let mut first: Option<Vec<Key<'t>>> = None;
        for (case, row) in rows {
            self.value(&row);
            if !is_label(case.get_ref()) {
                let help = "use letters, digits, `_`, `-`, `.` and `+`";
                self.refuse(case.span(), format!("`{}` can't name a case", case.get_ref()), help);
            }
            names.push(Spanned::new(case.span(), case.get_ref().to_string()));
            let label = format!("{}={}", name.get_ref(), case.get_ref());
            let span = row.span();
            let values = match row.into_inner() {
                DeValue::Table(row) => {
                    let keys: Vec<Key<'t>> = row.keys().cloned().collect();
                    match &first {
                        None => keys.iter().for_each(|key| self.declare(key, false)),
                        Some(first) => self.same_variables(&case, first, &keys),
                    }
                    first.get_or_insert(keys);
                    let itself = DeValue::String(case.get_ref().clone());
                    std::iter::once((name.clone(), Spanned::new(case.span(), itself))).chain(row).collect()
                }
                value => vec![(name.clone(), Spanned::new(span, value))],
            };
            alternatives.push(Alternative { label, values });
        }
        (alternatives, names)
    }

    /// Checks that every case gives a value to the same variables.
    fn same_variables(&mut self, case: &Key<'_>, first: &[Key<'_>], found: &[Key<'_>]) {
        for key in found.iter().filter(|key| !first.contains(key)) {
            let message = format!("the first case has no `{}`", key.get_ref());
            let known = first.iter().map(|key| key.get_ref().as_ref());
            self.problems.push(Problem::new(key.span(), message).with_names(key.get_ref(), known));
        }
        for key in first.iter().filter(|key| !found.contains(key)) {
            let message = format!("`{}` lacks `{}`", case.get_ref(), key.get_ref());
            self.refuse(case.span(), message, "every case gives a value to the same variables");
        }
    }

    fn distinct(&mut self, name: &Key<'_>, labels: &[Spanned<String>]) {
        for (index, label) in labels.iter().enumerate() {
            if labels[..index].iter().any(|other| other.get_ref() == label.get_ref()) {
                let message = format!("there already is a case {}={}", name.get_ref(), label.get_ref());
                self.refuse(label.span(), message, "leave one of them out");
            }
        }
    }
}

/// Returns a value's text in a case's label, or `None` if it has none.
fn label(value: &DeValue<'_>) -> Option<String> {
    placeholder::text(value).filter(|text| is_label(text))
}

fn is_label(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || "_-.+@:".contains(c))
}
