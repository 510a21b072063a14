//! Subsystems of the kernel that call the keyrings, and have patches and options of their own.

use std::{fmt, str::FromStr};

use serde::Deserialize;

/// A subsystem that only some images have. Its name stands for three things: its series in
/// `kernels.toml`, its fragment in `config`, and the feature that guests with it announce.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Subsystem {
    /// NFSv4, client and server.
    Nfs,
}

impl Subsystem {
    pub const ALL: [Self; 1] = [Self::Nfs];

    pub fn name(self) -> &'static str {
        match self {
            Self::Nfs => "nfs",
        }
    }

    /// Returns the subsystem among these features, if there is one.
    pub fn among(features: &[String]) -> Option<Self> {
        Self::ALL.into_iter().find(|subsystem| features.iter().any(|feature| feature == subsystem.name()))
    }
}

impl fmt::Display for Subsystem {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.name())
    }
}

impl FromStr for Subsystem {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        let known = || Self::ALL.map(Self::name).join(", ");
        let found = Self::ALL.into_iter().find(|subsystem| subsystem.name() == name);
        found.ok_or_else(|| format!("there is no subsystem named `{name}`; there are {}", known()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Fragment;

    #[test]
    fn each_subsystem_has_a_fragment_and_is_found_by_its_name() {
        for subsystem in Subsystem::ALL {
            assert!(Fragment::named(subsystem.name()).is_ok());
            assert_eq!(subsystem.name().parse(), Ok(subsystem));
            assert_eq!(Subsystem::among(&["shell".into(), subsystem.name().into()]), Some(subsystem));
        }
        assert_eq!(Subsystem::among(&["shell".into()]), None);
        assert_eq!(
            "nfs3".parse::<Subsystem>(),
            Err("there is no subsystem named `nfs3`; there are nfs".to_owned())
        );
    }
}
