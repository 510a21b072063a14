//! Patterns with a wildcard.

/// Bytes that a field of a question is compared with. The first asterisk stands for any bytes; a further one stands
/// for itself, as for request-key(8). Unlike there, an asterisk in the middle works as request-key.conf(5) has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Pattern {
    Exact(Vec<u8>),
    Wildcard { before: Vec<u8>, after: Vec<u8> },
}

impl Pattern {
    pub(crate) fn new(text: &[u8]) -> Self {
        match text.iter().position(|byte| *byte == b'*') {
            None => Self::Exact(text.to_vec()),
            Some(at) => Self::Wildcard { before: text[..at].to_vec(), after: text[at + 1..].to_vec() },
        }
    }

    /// The number of bytes that the wildcard stands for, 0 without one. `None` if the pattern does not match.
    pub(crate) fn skipped(&self, field: &[u8]) -> Option<usize> {
        match self {
            Self::Exact(text) => (text == field).then_some(0),
            Self::Wildcard { before, after } => {
                let rest = field.strip_prefix(before.as_slice())?;
                rest.strip_suffix(after.as_slice()).map(<[u8]>::len)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn asterisk_may_stand_anywhere_once() {
        let skipped = |pattern: &str, field: &str| Pattern::new(pattern.as_bytes()).skipped(field.as_bytes());
        assert_eq!(skipped("user", "user"), Some(0));
        assert_eq!(skipped("user", "users"), None);
        assert_eq!(skipped("*", ""), Some(0));
        assert_eq!(skipped("debug:*", "debug:1234"), Some(4));
        assert_eq!(skipped("*:1234", "debug:1234"), Some(5));
        assert_eq!(skipped("de*34", "debug:1234"), Some(6));
        assert_eq!(skipped("a*aa", "aa"), None, "what precedes and what follows do not overlap");
        assert_eq!(skipped("a*b*", "axb*"), Some(1));
        assert_eq!(skipped("a*b*", "axbx"), None);
    }

    proptest! {
        #[test]
        fn what_a_wildcard_replaces_is_counted(before in "[^*]{0,4}", middle: Vec<u8>, after in "[^*]{0,4}") {
            let pattern = Pattern::new(format!("{before}*{after}").as_bytes());
            let field = [before.as_bytes(), &middle, after.as_bytes()].concat();
            prop_assert_eq!(pattern.skipped(&field), Some(middle.len()));
        }
    }
}
