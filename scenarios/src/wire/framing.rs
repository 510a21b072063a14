//! Framing of the host's messages: a long one is sent as several lines.

/// Prefix of a part that is not the last.
pub const PART: char = '+';

/// Prefix of the last part.
pub const LAST_PART: char = '=';

/// Longest line of the host in bytes. A terminal's input buffer has 4096. When it is full,
/// User-Mode Linux's serial lines stop reading, in some cases for good.
pub const LONGEST_LINE: usize = 2048;

/// Splits a long message into lines. After each line but the last the host waits for an
/// acknowledgement.
pub fn split(message: &str) -> Vec<String> {
    if message.len() <= LONGEST_LINE {
        return vec![message.to_owned()];
    }
    let mut rest = message;
    let mut lines = Vec::new();
    while rest.len() >= LONGEST_LINE {
        // A character has at most four bytes.
        let end = (LONGEST_LINE - 4..LONGEST_LINE).rev().find(|end| rest.is_char_boundary(*end));
        let (part, left) = rest.split_at(end.unwrap_or_default());
        lines.push(format!("{PART}{part}"));
        rest = left;
    }
    lines.push(format!("{LAST_PART}{rest}"));
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_message_comes_in_lines_that_make_it_up_again() {
        assert_eq!(split("short"), ["short"]);
        let long = "aé".repeat(LONGEST_LINE);
        let lines = split(&long);
        assert!(lines.iter().all(|line| line.len() <= LONGEST_LINE));
        assert_eq!(lines.iter().map(|line| &line[1..]).collect::<String>(), long);
        let firsts: String = lines.iter().filter_map(|line| line.chars().next()).collect();
        assert_eq!(firsts, "+++=");
    }
}
