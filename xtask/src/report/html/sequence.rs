//! A sequence diagram that fits any width: a row for each moment, its arrow drawn, its words left to flow.

use askama::Template;
use scenarios::explain::{Kind, Placement, Sequence};

/// Pixels between two lanes, where there are few; all together are never wider than this times `MOST`.
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

/// The name of a lane, and how far from the left it begins; lanes before it are already drawn.
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

/// What is drawn between the lanes, in pixels.
enum Drawn {
    Nothing,
    Dot { at: usize },
    Arrow { from: usize, to: usize, barb: usize },
}

/// The diagram, to be put into a page.
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
            Kind::Action => "deed",
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
    // Writing to a string fails for no reason of its own.
    trace.render().unwrap_or_default()
}

/// What the drawing says to who can't see it.
fn label(sequence: &Sequence, mark: Placement) -> String {
    let name = |lane: usize| sequence.lanes.get(lane).map_or("", String::as_str);
    match mark {
        Placement::Nothing => String::new(),
        Placement::At(lane) => name(lane).to_owned(),
        Placement::Arrow { from, to } => format!("{} to {}", name(from), name(to)),
    }
}
