//! Lookup of an operation's group by the operation's name.

use std::{fmt, sync::OnceLock};

use serde::{
    Deserialize, Deserializer,
    de::{self, EnumAccess, IntoDeserializer, Visitor, value::EnumAccessDeserializer},
    forward_to_deserialize_any,
};

use super::{
    AuthorityOp, ControlOp, FaultInjectionOp, InspectOp, KeyOp, KeyringOp, NamespaceOp, Op, ProcessOp,
    SignalOp, SuspendOp, SystemOp, ThreadOp, UpcallOp,
};

/// Defines the groups with the names and the readers of their operations.
macro_rules! groups {
    ($($group:ident($ops:ident)),* $(,)?) => {
        /// A group of operations.
        #[derive(Clone, Copy)]
        enum Group { $($group),* }

        /// Every operation's name with its group.
        fn operations() -> Vec<(&'static str, Group)> {
            let mut all = Vec::new();
            $(all.extend(names_of::<$ops>().iter().map(|name| (*name, Group::$group)));)*
            all
        }

        impl Group {
            fn read<'de, A: EnumAccess<'de>>(self, operation: A) -> Result<Op, A::Error> {
                let operation = EnumAccessDeserializer::new(operation);
                match self {
                    $(Self::$group => $ops::deserialize(operation).map(Op::$group)),*
                }
            }
        }

        #[cfg(feature = "host")]
        impl schemars::JsonSchema for Op {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                "Operation".into()
            }

            fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
                let groups = [$($ops::json_schema(generator)),*];
                crate::schema::one_of_these(&groups, "An operation and its arguments: `OPERATION = { … }`.")
            }
        }

        $(impl From<$ops> for Op {
            fn from(op: $ops) -> Self {
                Self::$group(op)
            }
        })*
    };
}

groups! {
    Keyring(KeyringOp),
    Key(KeyOp),
    Authority(AuthorityOp),
    Upcall(UpcallOp),
    Signal(SignalOp),
    Process(ProcessOp),
    Namespace(NamespaceOp),
    System(SystemOp),
    Inspect(InspectOp),
    Suspend(SuspendOp),
    FaultInjection(FaultInjectionOp),
    Thread(ThreadOp),
    Control(ControlOp),
}

impl<'de> Deserialize<'de> for Op {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_enum("Op", names(), OpVisitor)
    }
}

/// The names of all operations.
fn names() -> &'static [&'static str] {
    static NAMES: OnceLock<Vec<&'static str>> = OnceLock::new();
    NAMES.get_or_init(|| operations().into_iter().map(|(name, _)| name).collect())
}

struct OpVisitor;

impl<'de> Visitor<'de> for OpVisitor {
    type Value = Op;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("an operation")
    }

    fn visit_enum<A: EnumAccess<'de>>(self, access: A) -> Result<Op, A::Error> {
        let (tag, content): (Tag, _) = access.variant()?;
        tag.group.read(Tagged { tag, content })
    }
}

/// An operation's name.
struct Tag {
    name: &'static str,
    group: Group,
}

impl<'de> Deserialize<'de> for Tag {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_identifier(TagVisitor)
    }
}

struct TagVisitor;

impl Visitor<'_> for TagVisitor {
    type Value = Tag;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("the name of an operation")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Tag, E> {
        let found = operations().into_iter().find(|(name, _)| *name == text);
        let (name, group) = found.ok_or_else(|| E::unknown_variant(text, names()))?;
        Ok(Tag { name, group })
    }
}

/// An operation whose tag has been read.
struct Tagged<V> {
    tag: Tag,
    content: V,
}

impl<'de, V: de::VariantAccess<'de>> EnumAccess<'de> for Tagged<V> {
    type Error = V::Error;
    type Variant = V;

    fn variant_seed<S: de::DeserializeSeed<'de>>(self, seed: S) -> Result<(S::Value, V), V::Error> {
        Ok((seed.deserialize(self.tag.name.into_deserializer())?, self.content))
    }
}

/// Returns the names of a group's operations in serde.
fn names_of<'de, T: Deserialize<'de>>() -> &'static [&'static str] {
    T::deserialize(AskForNames).err().map_or(&[], |Names(names)| names)
}

/// Deserializer that reads nothing and returns the names of the variants as an error.
struct AskForNames;

impl<'de> Deserializer<'de> for AskForNames {
    type Error = Names;

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Names> {
        Err(Names(&[]))
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        names: &'static [&'static str],
        _: V,
    ) -> Result<V::Value, Names> {
        Err(Names(names))
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 u8 u16 u32 u64 f32 f64 char str string bytes byte_buf option unit unit_struct
        newtype_struct seq tuple tuple_struct map struct identifier ignored_any
    }
}

/// Names that [`AskForNames`] returns.
#[derive(Debug)]
struct Names(&'static [&'static str]);

impl fmt::Display for Names {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0.join(", "))
    }
}

impl std::error::Error for Names {}

impl de::Error for Names {
    fn custom<T: fmt::Display>(_: T) -> Self {
        Self(&[])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_operation_reads_as_it_was_written_whatever_its_group() {
        for text in
            [r#"{"clear":{"key":"@s"}}"#, r#"{"exit":{"code":3}}"#, r#"{"await":{"job":"j","within_ms":5}}"#]
        {
            let op: Op = serde_json::from_str(text).unwrap();
            assert_eq!(serde_json::to_string(&op).unwrap(), text);
        }
    }

    #[test]
    fn no_two_operations_have_one_name() {
        let mut names = names().to_vec();
        assert!(names.len() > 40, "{names:?}");
        names.sort_unstable();
        let all = names.len();
        names.dedup();
        assert_eq!(names.len(), all);
    }
}
