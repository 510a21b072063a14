//! Parser of what KEYCTL_DESCRIBE returns.

use super::{KeySerial, Permissions};

/// Type of authorization keys.
const AUTHKEY: &str = ".request_key_auth";

/// A key as KEYCTL_DESCRIBE describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Description {
    /// Name of the key's type, as in `user`: at most 31 bytes.
    pub kind: String,
    /// The owner, in the caller's user namespace; the overflow uid if it has none there.
    pub uid: u32,
    /// The group, in the caller's user namespace. A key without a group has -1, as `u32::MAX`.
    pub gid: u32,
    /// Who may do what with the key.
    pub permissions: Permissions,
    /// The description proper: at most 4,095 bytes, none of them NUL, in no particular encoding.
    pub description: Vec<u8>,
}

impl Description {
    /// Parses `type;uid;gid;perm;description`, with or without a closing NUL. `None` if it is something else.
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let bytes = bytes.strip_suffix(b"\0").unwrap_or(bytes);
        let mut fields = bytes.splitn(5, |byte| *byte == b';');
        let mut text = || std::str::from_utf8(fields.next()?).ok();
        let (kind, uid, gid, mask) = (text()?, text()?, text()?, text()?);
        let description = fields.next()?;
        if kind.is_empty() || description.contains(&0) {
            return None;
        }
        Some(Self {
            kind: kind.to_owned(),
            uid: id(uid)?,
            gid: id(gid)?,
            permissions: Permissions::from_mask(u32::from_str_radix(mask, 16).ok()?),
            description: description.to_vec(),
        })
    }

    /// The key that an authorization key is for. `None` if this describes a key of another type.
    pub fn target(&self) -> Option<KeySerial> {
        if self.kind == AUTHKEY { target_of_authkey(&self.description) } else { None }
    }
}

/// Parses the description of an authorization key: the serial number of the key under construction, in
/// hexadecimal digits.
pub fn target_of_authkey(description: &[u8]) -> Option<KeySerial> {
    let digits = std::str::from_utf8(description).ok()?;
    i32::from_str_radix(digits, 16).ok().and_then(KeySerial::new)
}

/// The kernel prints an id as a signed number.
fn id(digits: &str) -> Option<u32> {
    match digits.parse::<i64>().ok()? {
        negative @ i64::MIN..0 => i32::try_from(negative).ok().map(i32::cast_unsigned),
        id => id.try_into().ok(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn description_may_contain_semicolons_and_foreign_bytes() {
        let parsed = Description::parse(b"user;0;-1;3f010000;a;\xff\0").unwrap();
        assert_eq!((parsed.uid, parsed.gid), (0, u32::MAX));
        assert_eq!(parsed.permissions.to_mask(), 0x3f01_0000);
        assert_eq!(parsed.description, b"a;\xff");
    }

    #[test]
    fn authkey_names_its_target_in_hexadecimal() {
        let described = |text: &str| Description::parse(text.as_bytes()).unwrap().target();
        assert_eq!(described(".request_key_auth;0;0;0b010000;1f"), KeySerial::new(31));
        assert_eq!(described("user;0;0;0b010000;1f"), None);
        assert_eq!(described(".request_key_auth;0;0;0b010000;0"), None);
    }

    proptest! {
        #[test]
        fn any_bytes_are_parsed_or_refused(bytes: Vec<u8>) {
            let _ = Description::parse(&bytes);
            let _ = target_of_authkey(&bytes);
        }

        #[test]
        fn fields_are_found_again(kind in "[!-:<-~]{1,31}", uid: i32, gid: i32, mask: u32, text in "[^\0]{0,64}") {
            let line = format!("{kind};{uid};{gid};{mask:08x};{text}\0");
            let parsed = Description::parse(line.as_bytes()).unwrap();
            prop_assert_eq!(parsed.kind, kind);
            prop_assert_eq!((parsed.uid, parsed.gid), (uid.cast_unsigned(), gid.cast_unsigned()));
            prop_assert_eq!(parsed.permissions.to_mask(), mask);
            prop_assert_eq!(parsed.description, text.into_bytes());
        }
    }
}
