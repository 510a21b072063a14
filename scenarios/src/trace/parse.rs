//! Parser of traces: the lines of a snapshot.

/// A line of a trace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Line {
    /// The initial state of a process, or an upcall that belongs to no step. It has no lane in a
    /// diagram.
    Heading,
    /// A step.
    Step { number: usize, actor: String, text: String, result: Option<String> },
    /// An operation outside of steps: in set-up or in a reaction to an upcall.
    Action { actor: String, text: String },
    /// Exit of a process.
    End { actor: String, text: String },
    /// Result of several workers of a step.
    WorkerResults(String),
    /// Number of repetitions of the lines that follow.
    Repeated(String),
    /// A tracepoint's record or any other line.
    Remark(String),
}

/// Parses a trace with these processes.
pub(crate) fn lines(trace: &str, actors: &[&str]) -> Vec<Line> {
    trace.trim_end().lines().map(|line| read(line, actors)).collect()
}

fn read(line: &str, actors: &[&str]) -> Line {
    let text = line.trim_start();
    let inner = line.starts_with("      ");
    if !inner
        && let Some((number, told)) = text.split_once(".  ")
        && let Ok(number) = number.parse()
        && let Some((actor, rest)) = of_actor(told, actors)
    {
        let (text, result) =
            rest.split_once(" → ").map_or((rest, None), |(text, result)| (text, Some(result)));
        let (text, result) = (text.to_owned(), result.map(str::to_owned));
        return Line::Step { number, actor: actor.to_owned(), text, result };
    }
    match of_actor(text, actors) {
        // `box is a requester, holding agent`.
        Some((_, rest)) if !inner && ["is a ", "is an "].iter().any(|it| rest.starts_with(it)) => {
            Line::Heading
        }
        Some((actor, rest)) if !inner => Line::End { actor: actor.to_owned(), text: rest.to_owned() },
        Some((actor, rest)) => Line::Action { actor: actor.to_owned(), text: rest.to_owned() },
        None if !inner => Line::Heading,
        None if text.ends_with(" times:") => Line::Repeated(text.to_owned()),
        None if text.contains(" × → ") => Line::WorkerResults(text.replace(" × → ", " × ")),
        None => Line::Remark(text.to_owned()),
    }
}

/// Splits `box reads k` into `box` and `reads k`.
fn of_actor<'l>(text: &'l str, actors: &[&str]) -> Option<(&'l str, &'l str)> {
    text.split_once(' ').filter(|(actor, _)| actors.contains(actor))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_told_apart() {
        let trace = "agent is a keyagent\n      agent registers for \"user\", into @s → agent\n\
                     \x20 1.  box requests user \"k\", 2 times at once → key-1\n      agent receives an upcall for key-1 from box, uid 0\n\
                     \x20     2 × → key-1\n      dispatch key=k\n  2.  agent has ended\nagent is killed by SIGKILL";
        let act = |actor: &str, text: &str| Line::Action { actor: actor.to_owned(), text: text.to_owned() };
        let step = |number, actor: &str, text: &str, result: Option<&str>| Line::Step {
            number,
            actor: actor.to_owned(),
            text: text.to_owned(),
            result: result.map(str::to_owned),
        };
        assert_eq!(
            lines(trace, &["agent", "box"]),
            [
                Line::Heading,
                act("agent", "registers for \"user\", into @s → agent"),
                step(1, "box", "requests user \"k\", 2 times at once", Some("key-1")),
                act("agent", "receives an upcall for key-1 from box, uid 0"),
                Line::WorkerResults("2 × key-1".to_owned()),
                Line::Remark("dispatch key=k".to_owned()),
                step(2, "agent", "has ended", None),
                Line::End { actor: "agent".to_owned(), text: "is killed by SIGKILL".to_owned() },
            ]
        );
    }
}
