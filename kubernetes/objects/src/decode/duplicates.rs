//! Finding fields that stand twice in one JSON object, which a plain reader would silently merge.

use std::collections::HashSet;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};

use super::path::Path;

/// Fields that appear twice in an object of a JSON text, as the warnings `fieldValidation` asks for.
///
/// Nothing for a text that is no JSON: reading it properly will say so.
pub fn duplicate_fields(json: &[u8]) -> Vec<String> {
    let (mut path, mut found) = (Path::default(), Vec::new());
    let mut reader = serde_json::Deserializer::from_slice(json);
    match (Seek { path: &mut path, found: &mut found }).deserialize(&mut reader) {
        Ok(()) => found.into_iter().map(|path| format!("duplicate field {path:?}")).collect(),
        Err(_) => Vec::new(),
    }
}

/// A reader that keeps nothing but the keys of the objects it is in.
struct Seek<'a> {
    path: &'a mut Path,
    found: &'a mut Vec<String>,
}

impl<'de> DeserializeSeed<'de> for Seek<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, reader: D) -> Result<(), D::Error> {
        reader.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Seek<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E: Error>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        for index in 0.. {
            self.path.index(index);
            let next = items.next_element_seed(Seek { path: self.path, found: self.found })?;
            self.path.pop();
            if next.is_none() {
                break;
            }
        }
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<(), A::Error> {
        let mut seen = HashSet::new();
        while let Some(key) = entries.next_key::<String>()? {
            self.path.key(&key);
            if seen.contains(&key) {
                self.found.push(self.path.to_string());
            }
            entries.next_value_seed(Seek { path: self.path, found: self.found })?;
            self.path.pop();
            seen.insert(key);
        }
        Ok(())
    }
}
