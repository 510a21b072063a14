//! Table of figures for the terminal.

use console::{measure_text_width, style};

use super::{Figure, Results};

pub fn table(title: &str, results: &Results) -> String {
    let width = results.figures.iter().map(|figure| measure_text_width(&figure.case)).max().unwrap_or(0);
    let mut lines = vec![format!("\n  {}", style(title).bold())];
    if !results.figures.is_empty() {
        let head = format!("    {:width$}  {:>12}  {:>12}  {:>6}", "", "median", "p99", "runs");
        lines.push(style(head).dim().to_string());
    }
    lines.extend(results.figures.iter().map(|figure| row(figure, width)));
    lines.extend(results.remarks.iter().map(|remark| format!("    {remark}")));
    lines.join("\n")
}

fn row(figure: &Figure, width: usize) -> String {
    let Figure { case, unit, .. } = figure;
    let padding = " ".repeat(width.saturating_sub(measure_text_width(case)));
    let median = unit.show(figure.median);
    let p99 = unit.show(figure.p99);
    format!("    {case}{padding}  {median:>12}  {p99:>12}  {:>6}  {}", figure.runs, unit.name())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::Unit;

    #[test]
    fn columns_are_aligned() {
        let figure = |case: &str, sample| Figure::of("b", case, Unit::Microseconds, &[sample]).unwrap();
        let figures = vec![figure("größer", 1234.5), figure("x", 0.25)];
        let text = table("T", &Results { figures, remarks: vec!["and so on".to_owned()] });
        let text = console::strip_ansi_codes(&text);
        let lines: Vec<&str> = text.lines().skip(3).collect();
        assert_eq!(
            lines,
            [
                "    größer          1234          1234       1  µs",
                "    x               0.25          0.25       1  µs",
                "    and so on",
            ]
        );
    }
}
