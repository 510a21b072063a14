//! Errors for former words of the language, each with its replacement.

use toml::de::DeTable;

use super::deserialize;
use crate::diagnostics::Problem;

/// Former words of `[process.NAME]`, each with its replacement and an example of it.
const OF_PROCESS: [(&str, &str, &str); 6] = [
    ("holds", "session_keys", "say session_keys = [\"AGENT\"]"),
    ("answer", "on_upcall", "say on_upcall = { answer = \"PAYLOAD\" }"),
    ("reject", "on_upcall", "say on_upcall = { reject = \"ERRNO\" }"),
    ("negate", "on_upcall", "say on_upcall = { negate = {} }"),
    ("hold", "on_upcall", "say on_upcall = { hold = {} }"),
    (
        "reactions",
        "on_upcall",
        "say on_upcall = [ … ], with { hold = {} }, { answer = \"PAYLOAD\" } or { ops = [ … ] } for each upcall",
    ),
];

/// Takes former words out of a process and reports them.
pub(super) fn refuse(process: &mut DeTable<'_>, problems: &mut Vec<Problem>) {
    for (old, new, help) in OF_PROCESS {
        if let Some((key, _)) = deserialize::take(process, old) {
            problems.push(Problem::new(key.span(), format!("`{old}` is now `{new}`")).with_help(help));
        }
    }
}
