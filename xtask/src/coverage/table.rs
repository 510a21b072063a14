//! Coverage table for the terminal.

use console::{Style, measure_text_width, style};

use super::{Coverage, File, Share};

const HEADS: [&str; 5] = ["lines", "", "branches", "functions", "unreachable"];

/// Returns a row for each file, and one for all.
pub fn table(coverage: &Coverage) -> String {
    let mut rows: Vec<(String, [String; 5])> =
        coverage.files.iter().map(|file| (file.path.clone(), cells(&[file]))).collect();
    if rows.len() > 1 {
        rows.push(("all".into(), cells(&coverage.files.iter().collect::<Vec<_>>())));
    }
    let widest = rows.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    let widths: Vec<usize> = HEADS
        .iter()
        .enumerate()
        .map(|(column, head)| {
            rows.iter().map(|(_, cells)| cells[column].len()).chain([head.len()]).max().unwrap_or(0)
        })
        .collect();
    let line = |cells: &[String; 5]| {
        let cells = cells.iter().zip(&widths).map(|(cell, width)| format!("  {cell:>width$}"));
        cells.collect::<String>()
    };
    let head = format!("  {:widest$}{}", "", line(&HEADS.map(str::to_owned)));
    let mut text = style(head.trim_end()).dim().to_string();
    for (name, cells) in &rows {
        let row = format!("  {name:widest$}{}", line(cells));
        let complete = cells[1] == "100%";
        let colour = if complete { Style::new().green() } else { Style::new().yellow() };
        text.push_str(&format!("\n{}", colour.apply_to(row.trim_end())));
    }
    text
}

fn cells(files: &[&File]) -> [String; 5] {
    let all = |of: fn(&File) -> Share| files.iter().map(|file| of(file)).sum::<Share>();
    let (lines, branches, functions) =
        (all(File::share_of_lines), all(File::share_of_branches), all(File::share_of_functions));
    let written = |share: Share| format!("{}/{}", share.reached, share.of);
    let unreachable: usize = files.iter().map(|file| file.unreachable()).sum();
    [
        written(lines),
        format!("{}%", lines.percent()),
        written(branches),
        written(functions),
        if unreachable == 0 { String::new() } else { unreachable.to_string() },
    ]
}

/// Lists the lines that were not reached as `FILE:LINE  SOURCE`, by function.
pub fn missed(coverage: &Coverage) -> String {
    let places: Vec<(String, &str, &str)> = coverage
        .missed()
        .map(|(file, number)| {
            let function = file.function(number).map_or("", |function| function.name.as_str());
            (format!("{}:{number}", file.path), function, file.source(number))
        })
        .collect();
    let widest = places.iter().map(|(place, ..)| measure_text_width(place)).max().unwrap_or(0);
    let mut text = String::new();
    let mut before = None;
    for (place, function, source) in &places {
        let here = (place.split_once(':').map(|(file, _)| file), *function);
        if before != Some(here) && !function.is_empty() {
            text.push_str(&format!("  {}\n", style(format!("{function}()")).dim()));
        }
        before = Some(here);
        text.push_str(&format!("    {place:widest$}  {}\n", style(source).red()));
    }
    text
}
