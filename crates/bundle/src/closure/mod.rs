//! Every image that objects lead to: what their pods run, and what is hidden in arguments, fields and texts.
//! Must not ask anybody: objects in, names out, in the order in which they stand there.

mod place;
mod walk;
mod words;

use std::collections::BTreeMap;

use kedactl_images::Requested;
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

pub use place::{Place, Reason};
use walk::Walk;

/// A rendered object and where it comes from.
#[derive(Debug, Clone, PartialEq)]
pub struct Sourced {
    /// `application`, `release keda`.
    pub source: String,
    /// The object, or a list of objects.
    pub object: Json,
}

/// How sure it is that a text is the name of an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Certainty {
    /// A container runtime will read it.
    Certain,
    /// It looks like one, and a program may hand it to a container runtime.
    Probable,
}

/// An image at one place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// Its name in full.
    pub image: Requested,
    /// Where it stands.
    pub place: Place,
    /// Whether it is one for sure.
    pub certainty: Certainty,
    /// Whether a node asks its registry each time, although it has the image.
    pub always: bool,
}

/// A text in the place of an image's name that is none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unreadable {
    /// The text.
    pub text: String,
    /// What is wrong with it.
    pub problem: String,
    /// Where it stands.
    pub place: Place,
}

/// What objects lead to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Closure {
    /// Images, one for each place.
    pub found: Vec<Found>,
    /// What should be one.
    pub unreadable: Vec<Unreadable>,
}

impl Closure {
    /// What these objects lead to.
    pub fn of(objects: &[Sourced]) -> Self {
        let mut closure = Self::default();
        for it in objects {
            for object in flat(&it.object) {
                Walk::new(&it.source, object, &mut closure).object(object);
            }
        }
        closure
    }

    /// The images, each once, with the places where it stands.
    pub fn images(&self) -> BTreeMap<&Requested, Vec<&Found>> {
        let mut images: BTreeMap<&Requested, Vec<&Found>> = BTreeMap::new();
        for found in &self.found {
            images.entry(&found.image).or_default().push(found);
        }
        images
    }
}

/// An object, or those in a list of them.
fn flat(object: &Json) -> Vec<&Json> {
    let list = object["kind"]
        .as_str()
        .is_some_and(|it| it.ends_with("List"));
    match object["items"].as_array() {
        Some(items) if list => items.iter().flat_map(flat).collect(),
        _ => vec![object],
    }
}
