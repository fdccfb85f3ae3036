//! What follows from several layers together: namespaces of releases that name none, images that need not be made.
//! Changes the merged tree, so that what is shown is what holds, at the place of the value that decided.

use crate::model::BuiltImage;
use crate::tree::{Entry, Node, Value};

/// A release without a namespace lives in the stack's; KEDA serves the whole cluster and has one of its own.
pub(crate) fn namespaces(tree: &mut Node) {
    let stack = tree.at(&["namespace"]).cloned();
    let keda = tree.at(&["keda", "namespace"]).cloned();
    let Some(Value::Map(releases)) = tree.at_mut(&["releases"]).map(|node| &mut node.value) else {
        return;
    };
    for release in releases {
        let filled = if release.key == "keda" { &keda } else { &stack };
        let (Value::Map(entries), Some(namespace)) = (&mut release.node.value, filled) else {
            continue;
        };
        let named = entries.iter_mut().find(|entry| entry.key == "namespace");
        match named {
            Some(entry) if entry.node.value == Value::Null => entry.node = namespace.clone(),
            Some(_) => {}
            None => entries.push(Entry {
                key: "namespace".into(),
                origin: namespace.origin.clone(),
                node: namespace.clone(),
            }),
        }
    }
}

/// The images that a layer names, and does not want made at the same time.
pub(crate) fn named_images(layer: &Node) -> Vec<&'static str> {
    if layer.at(&["images", "build"]).is_some() {
        return Vec::new();
    }
    let sections =
        [BuiltImage::Api, BuiltImage::Worker, BuiltImage::Redis].map(BuiltImage::section);
    let named = |section: &&str| {
        let image = layer.at(&[section, "image"]);
        image.is_some_and(|image| image.value != Value::Null)
    };
    sections.into_iter().filter(named).collect()
}

/// An image that a user names is not made: the later layer wins, as it does between two values of one key.
pub(crate) fn do_not_make(tree: &mut Node, images: &[&str]) {
    let build = tree.at_mut(&["images", "build"]);
    if let Some(Value::List(items)) = build.map(|node| &mut node.value) {
        items.retain(|item| !images.iter().any(|image| item.is_text(image)));
    }
}
