//! A tree as a value of the type that the API has for it, without a copy in between.
//!
//! This serves the types of `k8s-openapi`: structures, lists, maps, options and scalars. An error knows the path of its
//! field; paths are put together only where there is one.

use super::{
    scalar::Scalar,
    tree::{Data, Entry, Node},
};
use crate::field::Step;
use k8s_openapi::serde::{
    de::{
        self, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Unexpected, Visitor,
        value::StrDeserializer,
    },
    forward_to_deserialize_any,
};
use std::{fmt, slice};

/// A value that is not of the type that is wanted.
#[derive(Debug)]
pub(super) struct TypeError {
    /// The steps to the value, from the tree's root.
    pub(super) path: Vec<Step>,
    pub(super) message: String,
}

/// Reads a tree.
pub(super) fn read<T: de::DeserializeOwned>(node: &Node<'_>) -> Result<T, TypeError> {
    T::deserialize(Value(node)).map_err(|mut error| {
        error.path.reverse();
        error
    })
}

/// While it is on its way out, an error has the innermost step first.
fn within(step: impl FnOnce() -> Step) -> impl FnOnce(TypeError) -> TypeError {
    |mut error| {
        error.path.push(step());
        error
    }
}

impl std::error::Error for TypeError {}

impl fmt::Display for TypeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl de::Error for TypeError {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self { path: Vec::new(), message: message.to_string() }
    }

    fn invalid_type(found: Unexpected<'_>, wanted: &dyn de::Expected) -> Self {
        let found = if found == Unexpected::Unit { Unexpected::Other("null") } else { found };
        Self::custom(format_args!("invalid type: {found}, expected {wanted}"))
    }
}

#[derive(Clone, Copy)]
struct Value<'n>(&'n Node<'n>);

impl<'de> Deserializer<'de> for Value<'_> {
    type Error = TypeError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, TypeError> {
        match &self.0.data {
            Data::Scalar(Scalar::Null, _) => visitor.visit_unit(),
            Data::Scalar(Scalar::Bool(value), _) => visitor.visit_bool(*value),
            Data::Scalar(Scalar::Text, text) => visitor.visit_str(text),
            Data::Scalar(Scalar::Number(number), _) => match (number.as_u64(), number.as_i64()) {
                (Some(number), _) => visitor.visit_u64(number),
                (_, Some(number)) => visitor.visit_i64(number),
                _ => visitor.visit_f64(number.as_f64().unwrap_or_default()),
            },
            Data::List(items) => visitor.visit_seq(Items { rest: items.iter(), index: 0 }),
            Data::Map(map) => visitor.visit_map(Fields { rest: map.entries.iter(), value: None }),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, TypeError> {
        if self.0.is_null() { visitor.visit_none() } else { visitor.visit_some(self) }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, TypeError> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, TypeError> {
        visitor.visit_unit()
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf
        unit unit_struct seq tuple tuple_struct map struct enum identifier
    }
}

struct Items<'n> {
    rest: slice::Iter<'n, Node<'n>>,
    index: usize,
}

impl<'de> SeqAccess<'de> for Items<'_> {
    type Error = TypeError;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, TypeError> {
        let Some(item) = self.rest.next() else { return Ok(None) };
        let index = self.index;
        self.index += 1;
        seed.deserialize(Value(item)).map(Some).map_err(within(|| Step::Index(index)))
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.rest.len())
    }
}

struct Fields<'n> {
    rest: slice::Iter<'n, Entry<'n>>,
    /// The entry whose key was read last.
    value: Option<&'n Entry<'n>>,
}

impl<'de> MapAccess<'de> for Fields<'_> {
    type Error = TypeError;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, TypeError> {
        self.value = self.rest.next();
        self.value.map(|entry| seed.deserialize(StrDeserializer::new(&entry.key))).transpose()
    }

    fn next_value_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<T::Value, TypeError> {
        let entry = self.value.take().ok_or_else(|| de::Error::custom("a value without a key"))?;
        let step = || Step::Field(entry.key.to_string().into());
        seed.deserialize(Value(&entry.value)).map_err(within(step))
    }
}
