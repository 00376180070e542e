//! A parsed source in which each key still knows where it stands: YAML and JSON both become a [`Node`].
//!
//! A plain `serde_yaml::Value` would keep the last of two equal keys and forget lines and columns.

use std::cell::Cell;
use std::fmt;
use std::path::Path;
use std::sync::Arc;

use serde::de::{self, DeserializeSeed, MapAccess, SeqAccess, Unexpected, Visitor};

use super::origin::Origin;

/// One value of a source.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Node {
    Null,
    Bool(bool),
    Unsigned(u64),
    Signed(i64),
    Float(f64),
    Text(String),
    List(Vec<Node>),
    Map(Vec<Entry>),
}

/// One key of a mapping. A source may hold the same key twice; whoever reads the mapping decides.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Entry {
    pub(super) key: String,
    pub(super) value: Node,
    pub(super) origin: Origin,
}

impl Node {
    /// Reads YAML. The error text names line and column.
    pub(super) fn from_yaml(text: &str, place: &Place<'_>) -> Result<Node, String> {
        let deserializer = serde_yaml::Deserializer::from_str(text);
        NodeSeed { text, place }.deserialize(deserializer).map_err(|error| error.to_string())
    }

    /// Reads JSON. The error text names line and column.
    pub(super) fn from_json(text: &str, place: &Place<'_>) -> Result<Node, String> {
        let mut deserializer = serde_json::Deserializer::from_str(text);
        let node = NodeSeed { text, place }.deserialize(&mut deserializer).map_err(|error| error.to_string())?;
        deserializer.end().map_err(|error| error.to_string())?;
        Ok(node)
    }

    /// The value as serde names it in "found …".
    pub(super) fn unexpected(&self) -> Unexpected<'_> {
        match self {
            Node::Null => Unexpected::Unit,
            Node::Bool(value) => Unexpected::Bool(*value),
            Node::Unsigned(value) => Unexpected::Unsigned(*value),
            Node::Signed(value) => Unexpected::Signed(*value),
            Node::Float(value) => Unexpected::Float(*value),
            Node::Text(value) => Unexpected::Str(value),
            Node::List(_) => Unexpected::Seq,
            Node::Map(_) => Unexpected::Map,
        }
    }
}

/// What turns the position of a key into its origin.
pub(super) enum Place<'f> {
    /// A file: keys are found by line and column.
    File {
        file: &'f Arc<Path>,
        /// Byte offset, line and column of the key found last. Keys come in order, so each search goes on from
        /// there and a whole file costs one pass.
        last: Cell<(usize, usize, usize)>,
    },
    /// Any other source has one origin for all its keys.
    Fixed(Origin),
}

impl<'f> Place<'f> {
    pub(super) fn file(file: &'f Arc<Path>) -> Self {
        Place::File { file, last: Cell::new((0, 1, 1)) }
    }

    /// The origin of a key at a byte offset of the text; `None` if the parser does not tell (a key with escapes),
    /// then that of the key before it.
    fn origin(&self, text: &str, offset: Option<usize>) -> Origin {
        match self {
            Place::Fixed(origin) => origin.clone(),
            Place::File { file, last } => {
                let (mut from, mut line, mut column) = last.get();
                let offset = offset.unwrap_or(from);
                if offset < from {
                    (from, line, column) = (0, 1, 1);
                }
                for character in text.get(from..offset).unwrap_or_default().chars() {
                    if character == '\n' {
                        (line, column) = (line + 1, 1);
                    } else {
                        column += 1;
                    }
                }
                last.set((offset, line, column));
                Origin::File { file: Arc::clone(file), line, column }
            }
        }
    }
}

#[derive(Clone, Copy)]
struct NodeSeed<'a, 'de> {
    text: &'de str,
    place: &'a Place<'a>,
}

impl<'de> DeserializeSeed<'de> for NodeSeed<'_, 'de> {
    type Value = Node;

    fn deserialize<D: de::Deserializer<'de>>(self, deserializer: D) -> Result<Node, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for NodeSeed<'_, 'de> {
    type Value = Node;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a plain value, a list or keys")
    }

    fn visit_unit<E>(self) -> Result<Node, E> {
        Ok(Node::Null)
    }

    /// What the YAML parser says of a file without any value.
    fn visit_none<E>(self) -> Result<Node, E> {
        Ok(Node::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Node, E> {
        Ok(Node::Bool(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Node, E> {
        Ok(Node::Unsigned(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Node, E> {
        Ok(Node::Signed(value))
    }

    fn visit_u128<E>(self, value: u128) -> Result<Node, E> {
        Ok(Node::Float(value as f64))
    }

    fn visit_i128<E>(self, value: i128) -> Result<Node, E> {
        Ok(Node::Float(value as f64))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Node, E> {
        Ok(Node::Float(value))
    }

    fn visit_str<E>(self, value: &str) -> Result<Node, E> {
        Ok(Node::Text(value.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Node, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element_seed(self)? {
            list.push(item);
        }
        Ok(Node::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Node, A::Error> {
        let mut map = Vec::new();
        while let Some((key, offset)) = entries.next_key_seed(KeySeed { text: self.text })? {
            let origin = self.place.origin(self.text, offset);
            map.push(Entry { key, value: entries.next_value_seed(self)?, origin });
        }
        Ok(Node::Map(map))
    }
}

/// Reads a key and, where the parser lends it out of the text, its byte offset there.
struct KeySeed<'de> {
    text: &'de str,
}

impl<'de> DeserializeSeed<'de> for KeySeed<'de> {
    type Value = (String, Option<usize>);

    fn deserialize<D: de::Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'de> Visitor<'de> for KeySeed<'de> {
    type Value = (String, Option<usize>);

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the name of a key")
    }

    fn visit_borrowed_str<E>(self, key: &'de str) -> Result<Self::Value, E> {
        let offset = key.as_ptr().addr().checked_sub(self.text.as_ptr().addr());
        Ok((key.to_owned(), offset.filter(|offset| *offset <= self.text.len())))
    }

    fn visit_str<E>(self, key: &str) -> Result<Self::Value, E> {
        Ok((key.to_owned(), None))
    }
}
