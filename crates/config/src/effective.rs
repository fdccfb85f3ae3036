//! What follows from several layers together: namespaces of releases that name none, images that need not be made.
//! Changes the merged tree, so that what is shown is what holds, at the place of the value that decided.

use crate::model::BuiltImage;
use crate::tree::{Entry, Kind, Node, Scalar, Value};

/// Namespaces that follow from others: a release without one lives in the stack's, but KEDA, which serves the whole cluster,
/// in its own; the monitoring and its releases live beside the stack, so that two stacks do not share one.
pub(crate) fn namespaces(tree: &mut Node, of_monitoring: &[String]) {
    let stack = tree.at(&["namespace"]).cloned();
    if let Some(beside) = stack.as_ref().and_then(monitoring)
        && let Some(section) = tree.at_mut(&["monitoring"])
    {
        fill(section, "namespace", &beside);
    }
    let keda = tree.at(&["keda", "namespace"]).cloned();
    let watching = tree.at(&["monitoring", "namespace"]).cloned();
    let Some(Value::Map(releases)) = tree.at_mut(&["releases"]).map(|node| &mut node.value) else {
        return;
    };
    for release in releases {
        let filled = match release.key.as_str() {
            "keda" => &keda,
            name if of_monitoring.iter().any(|it| it == name) => &watching,
            _ => &stack,
        };
        if let Some(namespace) = filled {
            fill(&mut release.node, "namespace", namespace);
        }
    }
}

/// A port mapping leads to a port of the node that is known before the cluster is.
pub(crate) fn node_port(tree: &mut Node) {
    const FIXED: &str = "30800";
    let Some(mode) = tree.at(&["tunnel", "mode"]).cloned() else {
        return;
    };
    let mapped = matches!(&mode.value, Value::Scalar(it) if it.text == "port-mapping");
    if let Some(api) = tree.at_mut(&["api"]).filter(|_| mapped) {
        let port = Scalar {
            text: FIXED.to_owned(),
            kind: Kind::Int(30_800),
        };
        let port = Node {
            value: Value::Scalar(port),
            origin: mode.origin,
        };
        fill(api, "nodePort", &port);
    }
}

/// The releases that a layer declares.
pub(crate) fn releases_of(layer: &Node) -> Vec<String> {
    let Some(Value::Map(releases)) = layer.at(&["releases"]).map(|node| &node.value) else {
        return Vec::new();
    };
    releases.iter().map(|entry| entry.key.clone()).collect()
}

/// `releases: null` wants none of those below it. It is said of each, as what is shown must be a configuration with the same
/// meaning, and the releases are always there below it.
pub(crate) fn none_of_them(layer: &mut Node, below: &Node) {
    let Some(section) = layer
        .at_mut(&["releases"])
        .filter(|it| it.value == Value::Null)
    else {
        return;
    };
    let unwanted = |key: String| Entry {
        key,
        origin: section.origin.clone(),
        node: section.clone(),
    };
    section.value = Value::Map(releases_of(below).into_iter().map(unwanted).collect());
}

fn monitoring(stack: &Node) -> Option<Node> {
    let Value::Scalar(name) = &stack.value else {
        return None;
    };
    let beside = Scalar {
        text: format!("{}-monitoring", name.text),
        kind: Kind::Text,
    };
    Some(Node {
        value: Value::Scalar(beside),
        origin: stack.origin.clone(),
    })
}

/// Gives a map a key that it does not have, or has as `null`.
fn fill(map: &mut Node, key: &str, node: &Node) {
    let Value::Map(entries) = &mut map.value else {
        return;
    };
    let named = entries.iter_mut().find(|entry| entry.key == key);
    match named {
        Some(entry) if entry.node.value == Value::Null => entry.node = node.clone(),
        Some(_) => {}
        None => entries.push(Entry {
            key: key.into(),
            origin: node.origin.clone(),
            node: node.clone(),
        }),
    }
}

/// The images that a layer names, and does not want made at the same time.
pub(crate) fn named_images(layer: &Node) -> Vec<&'static str> {
    if layer.at(&["images", "build"]).is_some() {
        return Vec::new();
    }
    let named = |it: &BuiltImage| {
        let image = layer.at(it.key());
        image.is_some_and(|image| image.value != Value::Null)
    };
    let named = BuiltImage::ALL.into_iter().filter(named);
    named.map(BuiltImage::name).collect()
}

/// The webhook's image is not made where nothing is sent to it.
pub(crate) fn without_use(tree: &mut Node) {
    let routes = tree.at(&["webhook", "routes"]).map(|node| &node.value);
    let any = matches!(routes, Some(Value::Map(entries)) if entries.iter().any(|it| it.node.value != Value::Null));
    if !any {
        do_not_make(tree, &[BuiltImage::Webhook.name()]);
    }
}

/// An image that a user names is not made: the later layer wins, as it does between two values of one key.
pub(crate) fn do_not_make(tree: &mut Node, images: &[&str]) {
    let build = tree.at_mut(&["images", "build"]);
    if let Some(Value::List(items)) = build.map(|node| &mut node.value) {
        items.retain(|item| !images.iter().any(|image| item.is_text(image)));
    }
}
