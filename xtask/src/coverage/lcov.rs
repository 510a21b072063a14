//! Tracefile for `lcov` and `genhtml`: the reachable lines of the series in each file.

use std::fmt::Write;

use super::{Coverage, File, Line, State};

/// Returns the tracefile. Paths are those in the kernel's tree.
pub fn text(coverage: &Coverage) -> String {
    let mut text = String::new();
    for file in &coverage.files {
        // Formatting into a string does not fail by itself.
        let _ = write(&mut text, file);
    }
    text
}

fn write(text: &mut String, file: &File) -> std::fmt::Result {
    writeln!(text, "TN:\nSF:{}", file.path)?;
    for function in &file.functions {
        writeln!(text, "FN:{},{}\nFNDA:{},{}", function.first, function.name, function.count, function.name)?;
    }
    let reached = file.functions.iter().filter(|function| function.count > 0).count();
    writeln!(text, "FNF:{}\nFNH:{reached}", file.functions.len())?;
    let reachable: Vec<(usize, u64, &Line)> = file.lines.iter().filter_map(reachable).collect();
    for (number, count, line) in &reachable {
        for (branch, taken) in line.branches.iter().enumerate() {
            let taken = if *count == 0 { "-".to_owned() } else { taken.to_string() };
            writeln!(text, "BRDA:{number},0,{branch},{taken}")?;
        }
    }
    let branches = file.share_of_branches();
    writeln!(text, "BRF:{}\nBRH:{}", branches.of, branches.reached)?;
    for (number, count, _) in &reachable {
        writeln!(text, "DA:{number},{count}")?;
    }
    let lines = file.share_of_lines();
    writeln!(text, "LF:{}\nLH:{}\nend_of_record", lines.of, lines.reached)
}

fn reachable<'l>((number, line): (&usize, &'l Line)) -> Option<(usize, u64, &'l Line)> {
    match line.state {
        State::Reached(count) => Some((*number, count, line)),
        State::Missed => Some((*number, 0, line)),
        State::Unreachable(_) => None,
    }
}
