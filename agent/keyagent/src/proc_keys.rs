//! The number of pending requests, from /proc/keys.

use std::fs;

use keyring::KeySerial;

/// The number of requests that are pending with an agent, as far as the calling thread may see it.
pub(crate) fn pending(key: KeySerial) -> Option<u32> {
    fs::read("/proc/keys").ok().and_then(|keys| parse(&keys, key))
}

/// Finds a keyagent key: `2f3c41d0 I--Q--- … keyagent  user: pid:412 sig:35 pending:3 alive`.
///
/// Descriptions of other users' keys have any bytes, line breaks included. So they can contain a line like this one,
/// and nothing tells which of the two is the key's: `None`.
fn parse(keys: &[u8], key: KeySerial) -> Option<u32> {
    let lines = keys.split(|byte| *byte == b'\n').filter_map(|line| std::str::from_utf8(line).ok());
    let mut lines = lines.filter(|line| serial(line) == Some(key.get()));
    let (line, None) = (lines.next()?, lines.next()) else { return None };
    // The type that is served may contain blanks, but comes before.
    line.rsplit(' ').find_map(|word| word.strip_prefix("pending:"))?.parse().ok()
}

fn serial(line: &str) -> Option<i32> {
    i32::from_str_radix(line.split_whitespace().next()?, 16).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const LINE: &str = "0000001f I--Q---     2 perm 1b250000     0     0 keyagent  a pending:9 b: pid:4 sig:35 pending:3 alive";

    fn pending_in(keys: &str, key: i32) -> Option<u32> {
        parse(keys.as_bytes(), KeySerial::new(key).unwrap())
    }

    #[test]
    fn pending_requests_of_the_right_key_are_found() {
        let keys = format!("0000001e I--Q---     1 perm 3f010000     0     0 user      x: 1\n{LINE}\n");
        assert_eq!(pending_in(&keys, 31), Some(3));
        assert_eq!(pending_in(&keys, 30), None);
    }

    #[test]
    fn line_in_a_description_is_not_taken_for_the_keys() {
        let forged = LINE.replace("pending:3", "pending:0");
        assert_eq!(pending_in(&format!("0000001e I--Q--- user x\n{forged}\n: 1\n{LINE}\n"), 31), None);
        assert_eq!(pending_in(&format!("{LINE}\n00000020 I--Q--- user x\n{forged}\n: 1\n"), 31), None);
    }

    proptest! {
        #[test]
        fn any_bytes_are_parsed(keys: Vec<u8>) {
            let _ = parse(&keys, KeySerial::new(1).unwrap());
        }
    }
}
