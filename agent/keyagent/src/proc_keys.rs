//! The number of pending requests, from /proc/keys.

use std::fs;

use keyring::KeySerial;

/// The number of requests that are pending with an agent, as far as the calling thread may see it.
pub(crate) fn pending(key: KeySerial) -> Option<u32> {
    // Descriptions of other users' keys have any bytes.
    let keys = fs::read("/proc/keys").ok()?;
    keys.split(|byte| *byte == b'\n').find_map(|line| parse(line, key))
}

/// Parses the line of a keyagent key: `2f3c41d0 I--Q--- … keyagent  user: pid:412 sig:35 pending:3 alive`.
/// `None` for the line of another key.
fn parse(line: &[u8], key: KeySerial) -> Option<u32> {
    let line = std::str::from_utf8(line).ok()?;
    let serial = i32::from_str_radix(line.split_whitespace().next()?, 16).ok()?;
    // The type that is served may contain blanks, but comes before.
    let pending = || line.rsplit(' ').find_map(|word| word.strip_prefix("pending:"))?.parse().ok();
    if serial == key.get() { pending() } else { None }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const LINE: &str = "0000001f I--Q---     2 perm 1b250000     0     0 keyagent  a pending:9 b: pid:4 sig:35 pending:3 alive";

    #[test]
    fn pending_requests_of_the_right_key_are_found() {
        assert_eq!(parse(LINE.as_bytes(), KeySerial::new(31).unwrap()), Some(3));
        assert_eq!(parse(LINE.as_bytes(), KeySerial::new(30).unwrap()), None);
    }

    proptest! {
        #[test]
        fn any_line_is_parsed(line: Vec<u8>) {
            let _ = parse(&line, KeySerial::new(1).unwrap());
        }
    }
}
