//! Secrets whose content is made here, once, and never again, or is the user's.
//! Must not replace a value that is there but by one that the user gave to be in its place, and must not let one out but to who asks for it by name.

use std::collections::BTreeMap;
use std::fmt;

use k8s_openapi::ByteString;
use rustix::rand::{GetRandomFlags, getrandom};
use serde_json::{Value as Json, json};

use crate::connect::Cluster;
use crate::error::Error;
use crate::names::{GENERATED_ANNOTATION, MANAGED_BY, MANAGER, STACK_LABEL, Stack};
use crate::object::{ObjectRef, resource_version};

/// One value of a Secret.
#[derive(Clone)]
pub enum Wanted {
    /// Letters and digits from the kernel's random numbers; so many.
    Random(usize),
    /// A value that the user gave.
    Given(String),
    /// A value that the user gave, and that takes the place of another.
    Exactly(String),
}

impl fmt::Debug for Wanted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Random(length) => write!(f, "Random({length})"),
            Self::Given(value) => write!(f, "Given({} B)", value.len()),
            Self::Exactly(value) => write!(f, "Exactly({} B)", value.len()),
        }
    }
}

/// What was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Made {
    /// The Secret is new.
    Created,
    /// Some keys were missing, or had another value than they must have.
    Completed,
    /// Everything was there.
    Unchanged,
}

/// Makes sure that a Secret has every key. What is there stays as it is, but for what is to be [`Wanted::Exactly`] something.
/// The reference belongs into `kept` of [`crate::Run::begin`].
pub async fn ensure_secret(
    cluster: &Cluster,
    stack: &Stack,
    namespace: &str,
    name: &str,
    wanted: &BTreeMap<String, Wanted>,
) -> Result<(ObjectRef, Made), Error> {
    let reference = ObjectRef::new("v1", "Secret", Some(namespace), name);
    // Somebody else may make it at the same moment: what they made is read then.
    for _ in 0..5 {
        let outcome = match cluster.get(&reference).await? {
            None => create(cluster, stack, &reference, wanted).await,
            Some(live) => complete(cluster, &reference, &live, wanted).await,
        };
        match outcome {
            Ok(made) => return Ok((reference, made)),
            Err(Error::Api { source, .. }) if source.is_conflict() => {}
            Err(error) => return Err(error),
        }
    }
    Err(Error::Malformed {
        what: reference.to_string(),
        problem: "somebody else changes it all the time".into(),
    })
}

async fn create(
    cluster: &Cluster,
    stack: &Stack,
    reference: &ObjectRef,
    wanted: &BTreeMap<String, Wanted>,
) -> Result<Made, Error> {
    let body = json!({"apiVersion": "v1", "kind": "Secret", "type": "Opaque",
        "metadata": {"name": reference.name, "namespace": reference.namespace,
            "labels": {MANAGED_BY: MANAGER, STACK_LABEL: stack.name()},
            "annotations": {GENERATED_ANNOTATION: "true"}},
        "data": data(wanted.iter())?});
    cluster.create(reference, &body).await?;
    Ok(Made::Created)
}

async fn complete(
    cluster: &Cluster,
    reference: &ObjectRef,
    live: &Json,
    wanted: &BTreeMap<String, Wanted>,
) -> Result<Made, Error> {
    let missing = wanted.iter().filter(|(key, wanted)| {
        let there = live["data"].get(key.as_str());
        match wanted {
            Wanted::Exactly(value) => there != Some(&json!(ByteString(value.clone().into_bytes()))),
            Wanted::Random(_) | Wanted::Given(_) => there.is_none(),
        }
    });
    let data = data(missing)?;
    if data.as_object().is_none_or(serde_json::Map::is_empty) {
        return Ok(Made::Unchanged);
    }
    let version = resource_version(live);
    let body = json!({"metadata": {"resourceVersion": version}, "data": data});
    cluster.merge(reference, &body).await?;
    Ok(Made::Completed)
}

fn data<'a>(wanted: impl Iterator<Item = (&'a String, &'a Wanted)>) -> Result<Json, Error> {
    let mut data = json!({});
    for (key, value) in wanted {
        let value = match value {
            Wanted::Given(value) | Wanted::Exactly(value) => value.clone(),
            Wanted::Random(length) => random(*length)?,
        };
        data[key] = json!(ByteString(value.into_bytes()));
    }
    Ok(data)
}

/// Letters and digits, each as likely as any other.
fn random(length: usize) -> Result<String, Error> {
    const ALPHABET: &[u8; 62] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    let mut text = String::with_capacity(length);
    let mut bytes = [0_u8; 64];
    while text.len() < length {
        let filled = getrandom(&mut bytes[..], GetRandomFlags::empty()).map_err(|error| {
            Error::Malformed {
                what: "the kernel's random numbers".into(),
                problem: error.to_string(),
            }
        })?;
        // 248 is the largest multiple of 62 in a byte: what lies above would favour the first letters.
        let fair = bytes[..filled].iter().filter(|byte| **byte < 248);
        for byte in fair.take(length - text.len()) {
            text.push(char::from(ALPHABET[usize::from(byte % 62)]));
        }
    }
    Ok(text)
}

/// Values of a Secret by key. `None` where there is no such Secret; what is no text is left out.
pub async fn read_secret(
    cluster: &Cluster,
    namespace: &str,
    name: &str,
) -> Result<Option<BTreeMap<String, String>>, Error> {
    let reference = ObjectRef::new("v1", "Secret", Some(namespace), name);
    let Some(live) = cluster.get(&reference).await? else {
        return Ok(None);
    };
    let data = live.get("data").and_then(Json::as_object);
    let text = |value: &Json| {
        let bytes = serde_json::from_value::<ByteString>(value.clone()).ok()?;
        String::from_utf8(bytes.0).ok()
    };
    Ok(Some(
        data.into_iter()
            .flatten()
            .filter_map(|(key, value)| Some((key.clone(), text(value)?)))
            .collect(),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn random_values_have_their_length_and_differ() {
        let (one, two) = (random(32).unwrap(), random(32).unwrap());
        assert!(one.len() == 32 && one != two);
        assert!(one.bytes().all(|byte| byte.is_ascii_alphanumeric()));
        assert_eq!(random(1000).unwrap().len(), 1000);
        assert_eq!(random(0).unwrap(), "");
    }

    #[test]
    fn a_given_value_is_not_shown_for_debugging() {
        let shown = format!("{:?}", Wanted::Given("hunter2".into()));
        assert_eq!(shown, "Given(7 B)");
    }
}
