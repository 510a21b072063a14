//! Permissions of a key, by the names of keyctl(1).

use std::fmt;

use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{self, MapAccess, SeqAccess, Visitor, value::MapAccessDeserializer},
};

/// Permissions of a key, by class of users. A class that is left out has none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "host", derive(schemars::JsonSchema), schemars(deny_unknown_fields))]
pub struct Permissions {
    /// Rights of a possessor of the key.
    #[serde(default, skip_serializing_if = "Rights::is_empty")]
    possessor: Rights,
    /// Rights of the key's owner.
    #[serde(default, skip_serializing_if = "Rights::is_empty")]
    user: Rights,
    /// Rights of the key's group.
    #[serde(default, skip_serializing_if = "Rights::is_empty")]
    group: Rights,
    /// Rights of all others.
    #[serde(default, skip_serializing_if = "Rights::is_empty")]
    other: Rights,
}

impl Permissions {
    /// Returns the mask for KEYCTL_SETPERM.
    pub fn mask(self) -> u32 {
        u32::from_be_bytes([self.possessor.0, self.user.0, self.group.0, self.other.0])
    }

    /// Returns the permissions of a mask. Bits without a name are kept.
    pub fn of(mask: u32) -> Self {
        let [possessor, user, group, other] = mask.to_be_bytes().map(Rights);
        Self { possessor, user, group, other }
    }

    /// The bits of the mask that have no name.
    fn unnamed(self) -> u32 {
        self.mask() & !u32::from_be_bytes([Rights::ALL.0; 4])
    }

    fn classes(self) -> impl Iterator<Item = (&'static str, Rights)> {
        let classes = [
            ("possessor", self.possessor),
            ("user", self.user),
            ("group", self.group),
            ("other", self.other),
        ];
        classes.into_iter().filter(|(_, rights)| !rights.is_empty())
    }

    /// As a scenario writes it.
    fn toml(self) -> String {
        let class = |(name, rights): (&str, Rights)| match rights {
            Rights::ALL => format!("{name} = \"all\""),
            _ => {
                let names: Vec<String> = rights.names().map(|name| format!("\"{name}\"")).collect();
                format!("{name} = [{}]", names.join(", "))
            }
        };
        let classes: Vec<String> = self.classes().map(class).collect();
        if classes.is_empty() { "{}".to_owned() } else { format!("{{ {} }}", classes.join(", ")) }
    }
}

/// As in `possessor all, user view+search`.
impl fmt::Display for Permissions {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let classes: Vec<String> = self.classes().map(|(name, rights)| format!("{name} {rights}")).collect();
        out.write_str(&if classes.is_empty() { "no permissions".to_owned() } else { classes.join(", ") })
    }
}

impl<'de> Deserialize<'de> for Permissions {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(PermissionsVisitor)
    }
}

struct PermissionsVisitor;

impl<'de> Visitor<'de> for PermissionsVisitor {
    type Value = Permissions;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("permissions, as in { possessor = \"all\", user = [\"view\", \"search\"] }")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Permissions, A::Error> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Classes {
            #[serde(default)]
            possessor: Rights,
            #[serde(default)]
            user: Rights,
            #[serde(default)]
            group: Rights,
            #[serde(default)]
            other: Rights,
        }
        let Classes { possessor, user, group, other } =
            Classes::deserialize(MapAccessDeserializer::new(map))?;
        Ok(Permissions { possessor, user, group, other })
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<Permissions, E> {
        Err(by_names(number))
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<Permissions, E> {
        Err(by_names(number))
    }

    fn visit_i128<E: de::Error>(self, number: i128) -> Result<Permissions, E> {
        Err(by_names(number))
    }

    fn visit_u128<E: de::Error>(self, number: u128) -> Result<Permissions, E> {
        Err(by_names(number))
    }
}

/// Says what to write in place of a number.
fn by_names<E: de::Error>(number: impl TryInto<u32> + fmt::Display + Copy) -> E {
    const EXAMPLE: &str = "say perm = { possessor = \"all\", user = [\"view\"] }, or other names";
    let Ok(mask) = number.try_into() else {
        return E::custom(format!("{number} is no permission mask, which has 32 bits: {EXAMPLE}"));
    };
    let permissions = Permissions::of(mask);
    match permissions.unnamed() {
        0 => E::custom(format!("a permission mask is written by names: say perm = {}", permissions.toml())),
        unnamed => E::custom(format!(
            "a permission mask is written by names, and the bits {unnamed:#x} have none: {EXAMPLE}"
        )),
    }
}

/// Rights of one class of users.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Rights(u8);

impl Rights {
    const ALL: Self = Self(0x3f);

    const NAMES: [(&'static str, u8); 6] = [
        ("view", 0x01),
        ("read", 0x02),
        ("write", 0x04),
        ("search", 0x08),
        ("link", 0x10),
        ("setattr", 0x20),
    ];

    fn is_empty(&self) -> bool {
        self.0 == 0
    }

    fn names(self) -> impl Iterator<Item = &'static str> {
        Self::NAMES.iter().filter(move |(_, bit)| self.0 & bit != 0).map(|(name, _)| *name)
    }
}

impl fmt::Display for Rights {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if *self == Self::ALL {
            return out.write_str("all");
        }
        let unnamed = self.0 & !Self::ALL.0;
        let unnamed = (unnamed != 0).then(|| format!("{unnamed:#04x}"));
        let names: Vec<String> = self.names().map(str::to_owned).chain(unnamed).collect();
        out.write_str(&names.join("+"))
    }
}

impl Serialize for Rights {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match *self {
            Self::ALL => serializer.serialize_str("all"),
            _ => serializer.collect_seq(self.names()),
        }
    }
}

impl<'de> Deserialize<'de> for Rights {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(RightsVisitor)
    }
}

struct RightsVisitor;

impl<'de> Visitor<'de> for RightsVisitor {
    type Value = Rights;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("\"all\", or a list of view, read, write, search, link and setattr")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Rights, E> {
        if text == "all" { Ok(Rights::ALL) } else { Err(E::invalid_value(de::Unexpected::Str(text), &self)) }
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut names: A) -> Result<Rights, A::Error> {
        let mut rights = Rights::default();
        while let Some(Right(bit)) = names.next_element()? {
            rights.0 |= bit;
        }
        Ok(rights)
    }
}

/// One right, by its name.
struct Right(u8);

impl<'de> Deserialize<'de> for Right {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let known = Rights::NAMES.iter().find(|(name, _)| *name == text);
        known.map(|(_, bit)| Self(*bit)).ok_or_else(|| {
            let known: Vec<String> = Rights::NAMES.iter().map(|(name, _)| format!("`{name}`")).collect();
            de::Error::custom(format!("unknown right `{text}`, expected one of {}", known.join(", ")))
        })
    }
}

#[cfg(feature = "host")]
impl schemars::JsonSchema for Rights {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Rights".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        let names: Vec<&str> = Self::NAMES.iter().map(|(name, _)| *name).collect();
        schemars::json_schema!({
            "description": "Rights of a class of users.",
            "anyOf": [
                { "const": "all", "description": "All rights." },
                { "type": "array", "items": { "type": "string", "enum": names }, "description": "Some of `view`, `read`, `write`, `search`, `link` and `setattr`." },
            ],
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Permissions {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn names_stand_for_the_bits_of_keyctl_setperm() {
        let text = r#"{"possessor":"all","user":["view","search","link"],"other":["setattr"]}"#;
        assert_eq!(read(text).mask(), 0x3f19_0020);
        assert_eq!(serde_json::to_string(&read(text)).unwrap(), text);
        assert_eq!(read("{}").mask(), 0);
        assert_eq!(read(r#"{"group":["read","write"]}"#).mask(), 0x0600);
    }

    #[test]
    fn every_mask_is_shown_without_loss() {
        let shown = |mask| Permissions::of(mask).to_string();
        assert_eq!(shown(0x3f01_0000), "possessor all, user view");
        assert_eq!(shown(0x003f_000a), "user all, other read+search");
        assert_eq!(shown(0), "no permissions");
        assert_eq!(shown(0x8100_0040), "possessor view+0x80, other 0x40");
        assert_eq!(Permissions::of(0x8100_0040).mask(), 0x8100_0040);
    }
}
