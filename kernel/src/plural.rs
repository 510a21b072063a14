//! Numbers in sentences.

/// Returns a count with its noun: `1 patch`, `2 patches`.
pub fn counted(count: usize, one: &str, many: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { many })
}
