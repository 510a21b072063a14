//! Names that a scenario file declares.

use std::collections::BTreeSet;

use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

/// Names that the file declares, including those of faulty declarations. A reference to one of
/// these would be a consequential error.
pub(super) struct Declared {
    pub(super) processes: Vec<String>,
    pub(super) others: BTreeSet<String>,
}

impl Declared {
    pub(super) fn in_document(document: &DeTable<'_>) -> Self {
        let processes: Vec<String> = match document.get("process").map(Spanned::get_ref) {
            Some(DeValue::Table(table)) => table.keys().map(|key| key.get_ref().to_string()).collect(),
            _ => Vec::new(),
        };
        let mut others = processes.iter().cloned().collect();
        document.values().for_each(|value| gather(value.get_ref(), &mut others));
        Self { processes, others }
    }
}

fn gather(value: &DeValue<'_>, names: &mut BTreeSet<String>) {
    match value {
        DeValue::Array(items) => items.iter().for_each(|item| gather(item.get_ref(), names)),
        DeValue::Table(table) => {
            for (key, value) in table {
                match value.get_ref() {
                    DeValue::String(name) if matches!(key.get_ref().as_ref(), "as" | "background") => {
                        names.insert(name.to_string());
                    }
                    inner => gather(inner, names),
                }
            }
        }
        _ => {}
    }
}
