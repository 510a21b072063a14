//! Sequence diagram for any width: a row for each event, with a drawn arrow and flowing text.

use askama::Template;
use scenarios::explain::{Kind, Placement, Sequence};

/// Pixels between two lanes of a few; the total width is at most `MOST` times this.
const LANE: usize = 28;
const MOST: usize = 6;

#[derive(Template)]
#[template(path = "trace.html")]
struct TraceView<'a> {
    lane_width: usize,
    width: usize,
    heads: Vec<Head<'a>>,
    moments: Vec<Moment<'a>>,
}

/// Name of a lane, its distance from the left, and the number of lanes before it.
struct Head<'a> {
    name: &'a str,
    left: usize,
    before: usize,
}

struct Moment<'a> {
    number: Option<usize>,
    drawn: Drawn,
    label: String,
    text: &'a str,
    answer: Option<&'a str>,
    class: &'static str,
}

/// Drawing between the lanes, in pixels.
enum Drawn {
    Nothing,
    Dot { at: usize },
    Arrow { from: usize, to: usize, barb: usize },
}

pub(super) fn html(sequence: &Sequence) -> String {
    let count = sequence.lanes.len();
    let lane_width = (LANE * MOST / count).clamp(10, LANE);
    let middle = |lane: usize| lane * lane_width + lane_width / 2;
    let heads = sequence.lanes.iter().enumerate();
    let moments = sequence.messages.iter().map(|moment| Moment {
        number: moment.number,
        drawn: match moment.placement {
            Placement::Nothing => Drawn::Nothing,
            Placement::At(lane) => Drawn::Dot { at: middle(lane) },
            Placement::Arrow { from, to } => {
                let (from, to) = (middle(from), middle(to));
                Drawn::Arrow { from, to, barb: if from < to { to - 6 } else { to + 6 } }
            }
        },
        label: label(sequence, moment.placement),
        text: &moment.text,
        answer: moment.answer.as_deref(),
        class: match moment.kind {
            Kind::Action => "action",
            Kind::Result => "answer",
            Kind::Remark => "remark",
        },
    });
    let trace = TraceView {
        lane_width,
        width: count * lane_width,
        heads: heads
            .map(|(lane, name)| Head { name, left: middle(lane), before: lane * lane_width })
            .collect(),
        moments: moments.collect(),
    };
    // Formatting into a string does not fail by itself.
    trace.render().unwrap_or_default()
}

/// Text alternative of the drawing.
fn label(sequence: &Sequence, mark: Placement) -> String {
    let name = |lane: usize| sequence.lanes.get(lane).map_or("", String::as_str);
    match mark {
        Placement::Nothing => String::new(),
        Placement::At(lane) => name(lane).to_owned(),
        Placement::Arrow { from, to } => format!("{} to {}", name(from), name(to)),
    }
}
