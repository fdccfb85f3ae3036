//! JSON to typed objects with every unknown field refused and every error at its path.
//! The types of Kubernetes skip fields that they do not know; the list of fields that they hand to the deserializer
//! is what tells them apart here. Decides nothing about values.

use std::cell::RefCell;

use serde::de::{
    DeserializeOwned, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor,
    value::StrDeserializer,
};
use serde::forward_to_deserialize_any;
use serde_json::{Error, Value as Json};

/// Why a document is not of the type.
#[derive(Debug)]
pub(crate) struct Refusal {
    /// Path of the field, `spec.template.spec.containers[0].image`.
    pub(crate) path: String,
    /// What is wrong.
    pub(crate) message: String,
    /// Known fields at the path, where an unknown one was found.
    pub(crate) known: &'static [&'static str],
}

/// Reads a value as a type.
pub(crate) fn from_value<T: DeserializeOwned>(value: &Json) -> Result<T, Refusal> {
    let log = RefCell::new(Log::default());
    let read = T::deserialize(Strict {
        value,
        path: String::new(),
        log: &log,
    });
    let log = log.into_inner();
    if let Some(refusal) = log.unknown {
        return Err(refusal);
    }
    read.map_err(|error| Refusal {
        path: log.failed.unwrap_or_default(),
        message: error.to_string(),
        known: &[],
    })
}

/// The first unknown field and the innermost path of the first error.
#[derive(Default)]
struct Log {
    unknown: Option<Refusal>,
    failed: Option<String>,
}

struct Strict<'a> {
    value: &'a Json,
    path: String,
    log: &'a RefCell<Log>,
}

impl Strict<'_> {
    fn note_unknown(&self, known: &'static [&'static str]) {
        let Json::Object(map) = self.value else {
            return;
        };
        let Some(key) = map.keys().find(|key| !known.contains(&key.as_str())) else {
            return;
        };
        let near = kedactl_config::nearest(key, known.iter().copied());
        let meant = near
            .map(|near| format!(", did you mean `{near}`?"))
            .unwrap_or_default();
        let message = format!("unknown field `{key}`{meant}");
        let refusal = Refusal {
            path: self.path.clone(),
            message,
            known,
        };
        self.log.borrow_mut().unknown.get_or_insert(refusal);
    }

    fn fail(&self, error: Error) -> Error {
        self.log
            .borrow_mut()
            .failed
            .get_or_insert_with(|| self.path.clone());
        error
    }
}

impl<'de> Deserializer<'de> for Strict<'de> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        let (path, log) = (self.path.clone(), self.log);
        match self.value {
            Json::Object(map) => visitor.visit_map(Fields {
                rest: map.iter(),
                next: None,
                path,
                log,
            }),
            Json::Array(items) => visitor.visit_seq(Items {
                rest: items.iter(),
                at: 0,
                path,
                log,
            }),
            scalar => scalar.deserialize_any(visitor),
        }
        .map_err(|error| self.fail(error))
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.note_unknown(fields);
        self.deserialize_any(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        if self.value.is_null() {
            visitor.visit_none()
        } else {
            visitor.visit_some(self)
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Error> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.value
            .deserialize_enum(name, variants, visitor)
            .map_err(|error| self.fail(error))
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit
        unit_struct seq tuple tuple_struct map identifier ignored_any
    }
}

struct Fields<'de> {
    rest: serde_json::map::Iter<'de>,
    next: Option<(&'de str, &'de Json)>,
    path: String,
    log: &'de RefCell<Log>,
}

impl<'de> MapAccess<'de> for Fields<'de> {
    type Error = Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, Error> {
        let Some((key, value)) = self.rest.next() else {
            return Ok(None);
        };
        self.next = Some((key, value));
        seed.deserialize(StrDeserializer::new(key)).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Error> {
        let (key, value) = self.next.take().unwrap_or(("", &Json::Null));
        let dot = if self.path.is_empty() { "" } else { "." };
        let path = format!("{}{dot}{key}", self.path);
        seed.deserialize(Strict {
            value,
            path,
            log: self.log,
        })
    }
}

struct Items<'de> {
    rest: std::slice::Iter<'de, Json>,
    at: usize,
    path: String,
    log: &'de RefCell<Log>,
}

impl<'de> SeqAccess<'de> for Items<'de> {
    type Error = Error;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, Error> {
        let Some(value) = self.rest.next() else {
            return Ok(None);
        };
        let path = format!("{}[{}]", self.path, self.at);
        self.at += 1;
        seed.deserialize(Strict {
            value,
            path,
            log: self.log,
        })
        .map(Some)
    }
}
