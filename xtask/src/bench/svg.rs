//! Bar chart of figures in SVG, without scripts or external resources.

use std::fmt::Write;

use crate::bench::{Figure, Unit};

const WIDTH: f64 = 900.0;
const MARGIN: f64 = 20.0;
/// Left and right ends of the area for bars.
const BARS: (f64, f64) = (330.0, 740.0);
const BAR: f64 = 16.0;
const ROW: f64 = 24.0;
const HEADING: f64 = 44.0;

const STYLE: &str = "text{font:13px system-ui,sans-serif;fill:#24292f}.h{font-weight:600;font-size:15px}\
.n{fill:#57606a}.b{fill:#0969da}.w{stroke:#57606a;stroke-width:1.5;fill:none}rect.p{fill:#fff}\
@media(prefers-color-scheme:dark){text{fill:#e6edf3}.n{fill:#9198a1}.b{fill:#388bfd}.w{stroke:#9198a1}rect.p{fill:#0d1117}}";

/// A group of bars with a common heading and a scale for each unit.
#[derive(Debug)]
pub struct Group<'a> {
    pub title: &'a str,
    pub figures: &'a [Figure],
}

pub fn svg(groups: &[Group<'_>]) -> String {
    let mut body = String::new();
    let mut y = MARGIN;
    for group in groups.iter().filter(|group| !group.figures.is_empty()) {
        y = draw_group(&mut body, group, y);
    }
    let height = y + MARGIN;
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" width=\"{WIDTH}\" \
         height=\"{height}\" role=\"img\">\n<title>Benchmarks of keyagents</title>\n<style>{STYLE}</style>\n\
         <rect class=\"p\" width=\"{WIDTH}\" height=\"{height}\"/>\n{body}\
         <text class=\"n\" x=\"{MARGIN}\" y=\"{y}\">Bars: medians. Lines: up to the 99th percentile, cut at the edge.</text>\n\
         </svg>\n"
    )
}

/// Draws a group from `y` on; returns its lower end.
fn draw_group(body: &mut String, group: &Group<'_>, mut y: f64) -> f64 {
    let _ =
        writeln!(body, "<text class=\"h\" x=\"{MARGIN}\" y=\"{}\">{}</text>", y + 22.0, escaped(group.title));
    y += HEADING;
    for figure in group.figures {
        draw_bar(body, figure, scale(group.figures, figure.unit), y);
        y += ROW;
    }
    y + MARGIN
}

/// Returns the points for one unit: the longest bar leaves some room for the lines.
fn scale(figures: &[Figure], unit: Unit) -> f64 {
    let longest = figures.iter().filter(|it| it.unit == unit).map(|it| it.median).fold(0.0, f64::max);
    if longest > 0.0 { (BARS.1 - BARS.0) * 0.8 / longest } else { 0.0 }
}

fn draw_bar(body: &mut String, figure: &Figure, scale: f64, y: f64) {
    let (left, right) = BARS;
    let (end, middle) = (left + figure.median * scale, y + BAR / 2.0);
    let p99 = (left + figure.p99 * scale).min(right);
    let baseline = y + BAR - 3.5;
    let (case, unit) = (escaped(&figure.case), figure.unit);
    let value = format!("{} {}", unit.show(figure.median), unit.name());
    let _ = writeln!(body, "<text x=\"{}\" y=\"{baseline}\" text-anchor=\"end\">{case}</text>", left - 8.0);
    let length = (end - left).max(1.0);
    let _ = writeln!(
        body,
        "<rect class=\"b\" x=\"{left}\" y=\"{y}\" width=\"{length:.1}\" height=\"{BAR}\" rx=\"2\"/>"
    );
    let _ =
        writeln!(body, "<path class=\"w\" d=\"M{end:.1} {middle}H{p99:.1}M{p99:.1} {}v8\"/>", middle - 4.0);
    let _ = writeln!(body, "<text class=\"n\" x=\"{}\" y=\"{baseline}\">{value}</text>", right + 10.0);
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figure(case: &str, samples: &[f64]) -> Figure {
        Figure::of("b", case, Unit::Seconds, samples).unwrap()
    }

    #[test]
    fn bar_length_is_proportional_to_the_median() {
        let figures = [figure("long", &[8.0]), figure("half", &[4.0])];
        let picture = svg(&[Group { title: "T", figures: &figures }]);
        let widths: Vec<f64> = picture
            .lines()
            .filter(|line| line.starts_with("<rect class=\"b\""))
            .filter_map(|line| line.split("width=\"").nth(1)?.split('"').next()?.parse().ok())
            .collect();
        assert_eq!(widths, [328.0, 164.0]);
    }

    #[test]
    fn names_are_escaped_and_outliers_are_clipped() {
        let figures = [figure("<a & \"b\">", &[1.0, 1.0, 900.0])];
        let picture = svg(&[Group { title: "1 < 2", figures: &figures }]);
        assert!(
            picture.contains("&lt;a &amp; &quot;b&quot;&gt;") && picture.contains("1 &lt; 2"),
            "{picture}"
        );
        assert!(picture.contains(&format!("H{:.1}", BARS.1)), "{picture}");
    }
}
