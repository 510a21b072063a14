//! Permissions of keys.

use std::fmt;

bitflags::bitflags! {
    /// What one class of processes may do with a key; see keyrings(7).
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
    pub struct Rights: u8 {
        /// Describe the key.
        const VIEW = 0x01;
        /// Read the payload, or list a keyring.
        const READ = 0x02;
        /// Update the payload, revoke the key, or change the links of a keyring.
        const WRITE = 0x04;
        /// Find the key, or search a keyring.
        const SEARCH = 0x08;
        /// Link the key into a keyring.
        const LINK = 0x10;
        /// Change owner, group, permissions and timeout.
        const SETATTR = 0x20;
    }
}

/// Permissions of a key (`key_perm_t`).
///
/// A process that possesses the key has the union of `possessor` and of the first class that it belongs to:
/// `user`, `group`, `other`. [`keyctl_setperm(3)`](https://man7.org/linux/man-pages/man3/keyctl_setperm.3.html)
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Permissions {
    /// Processes from whose keyrings the key is reached with Search permission.
    pub possessor: Rights,
    /// Processes whose file system uid owns the key.
    pub user: Rights,
    /// Processes in the key's group.
    pub group: Rights,
    /// All others.
    pub other: Rights,
}

impl Permissions {
    /// The kernel's mask: possessor in the highest byte, then user, group and others.
    pub const fn from_mask(mask: u32) -> Self {
        let [possessor, user, group, other] = mask.to_be_bytes();
        Self {
            possessor: Rights::from_bits_retain(possessor),
            user: Rights::from_bits_retain(user),
            group: Rights::from_bits_retain(group),
            other: Rights::from_bits_retain(other),
        }
    }

    /// The kernel's mask.
    pub const fn to_mask(self) -> u32 {
        u32::from_be_bytes([self.possessor.bits(), self.user.bits(), self.group.bits(), self.other.bits()])
    }
}

/// Eight hexadecimal digits, as in /proc/keys.
impl fmt::Display for Permissions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08x}", self.to_mask())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn highest_byte_is_the_possessors() {
        let permissions = Permissions { possessor: Rights::all(), user: Rights::VIEW, ..Default::default() };
        assert_eq!(permissions.to_string(), "3f010000");
    }

    proptest! {
        #[test]
        fn every_mask_is_kept(mask: u32) {
            prop_assert_eq!(Permissions::from_mask(mask).to_mask(), mask);
        }
    }
}
