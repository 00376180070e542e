//! From a [`Node`] to a typed value, with errors that name the key, what was expected and what was found.

use std::fmt::{self, Display};

use serde::de::value::StrDeserializer;
use serde::de::{self, DeserializeSeed, Deserializer, Expected, MapAccess, SeqAccess, Unexpected, Visitor};
use serde::forward_to_deserialize_any;

use super::node::{Entry, Node};
use super::origin::{Origin, clip};

/// A value that does not fit its key.
#[derive(Debug)]
pub(super) struct Mismatch {
    /// Keys and list positions from the outside in; collected from the inside out while the error travels.
    pub(super) path: String,
    /// Of the innermost key.
    pub(super) origin: Origin,
    /// "expected …, found …".
    pub(super) problem: String,
}

impl Mismatch {
    /// The text for a value of the wrong kind.
    pub(super) fn text(expected: &str, found: Unexpected<'_>) -> String {
        format!("expected {expected}, found {}", describe(found))
    }

    fn inside(mut self, key: &str, origin: Option<&Origin>) -> Self {
        self.path = match self.path.as_str() {
            "" => key.to_owned(),
            rest if rest.starts_with('[') => format!("{key}{rest}"),
            rest => format!("{key}.{rest}"),
        };
        if let (Origin::Default, Some(origin)) = (&self.origin, origin) {
            self.origin = origin.clone();
        }
        self
    }
}

impl Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.problem)
    }
}

impl std::error::Error for Mismatch {}

impl de::Error for Mismatch {
    fn custom<T: Display>(message: T) -> Self {
        Mismatch { path: String::new(), origin: Origin::Default, problem: message.to_string() }
    }

    fn invalid_type(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::custom(Mismatch::text(&plain_words(expected), found))
    }

    fn invalid_value(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::invalid_type(found, expected)
    }
}

/// serde's words for a type, in the reader's.
fn plain_words(expected: &dyn Expected) -> String {
    match expected.to_string().as_str() {
        "a boolean" => "true or false".into(),
        "a string" => "text (put it in quotes)".into(),
        "path string" => "a path (put it in quotes)".into(),
        "a sequence" => "a list".into(),
        "u16" => "a whole number from 0 to 65535".into(),
        "u8" => "a whole number from 0 to 255".into(),
        "u32" => "a whole number from 0 to 4294967295".into(),
        "u64" => "a whole number, 0 or more".into(),
        "i64" => "a whole number".into(),
        other if other.starts_with("struct ") => "a group of keys".into(),
        other => other.into(),
    }
}

fn describe(found: Unexpected<'_>) -> String {
    match found {
        Unexpected::Bool(value) => value.to_string(),
        Unexpected::Unsigned(value) => format!("the number {value}"),
        Unexpected::Signed(value) => format!("the number {value}"),
        Unexpected::Float(value) => format!("the number {value}"),
        Unexpected::Str(text) => format!("the text \"{}\"", clip(text)),
        Unexpected::Unit => "nothing".into(),
        Unexpected::Seq => "a list".into(),
        Unexpected::Map => "a group of keys".into(),
        other => other.to_string(),
    }
}

impl<'de> Deserializer<'de> for &'de Node {
    type Error = Mismatch;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mismatch> {
        match self {
            Node::Null => visitor.visit_unit(),
            Node::Bool(value) => visitor.visit_bool(*value),
            Node::Unsigned(value) => visitor.visit_u64(*value),
            Node::Signed(value) => visitor.visit_i64(*value),
            Node::Float(value) => visitor.visit_f64(*value),
            Node::Text(value) => visitor.visit_borrowed_str(value),
            Node::List(items) => visitor.visit_seq(Items { items, next: 0 }),
            Node::Map(entries) => visitor.visit_map(Entries { entries, value: None }),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Mismatch> {
        visitor.visit_newtype_struct(self)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct
        seq tuple tuple_struct map struct enum identifier ignored_any
    }
}

struct Items<'de> {
    items: &'de [Node],
    next: usize,
}

impl<'de> SeqAccess<'de> for Items<'de> {
    type Error = Mismatch;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Mismatch> {
        let Some(item) = self.items.get(self.next) else { return Ok(None) };
        let position = format!("[{}]", self.next);
        self.next += 1;
        seed.deserialize(item).map(Some).map_err(|error| error.inside(&position, None))
    }
}

struct Entries<'de> {
    entries: &'de [Entry],
    /// The entry whose key was read last.
    value: Option<&'de Entry>,
}

impl<'de> MapAccess<'de> for Entries<'de> {
    type Error = Mismatch;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Mismatch> {
        let Some((entry, rest)) = self.entries.split_first() else { return Ok(None) };
        self.entries = rest;
        self.value = Some(entry);
        seed.deserialize(StrDeserializer::new(&entry.key)).map(Some)
    }

    fn next_value_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<T::Value, Mismatch> {
        let Some(entry) = self.value.take() else {
            return Err(de::Error::custom("a value was asked for before its key"));
        };
        seed.deserialize(&entry.value).map_err(|error| error.inside(&entry.key, Some(&entry.origin)))
    }
}
