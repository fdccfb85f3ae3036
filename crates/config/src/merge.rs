//! Layers over each other: maps merge, lists and scalars replace, `null` deletes.
//! Keeps origins, also of what was deleted; checks nothing.

use std::collections::HashMap;

use crate::tree::{Entry, Node, Value};

/// Lays `over` on `base`. A deleted key stays as `null`, so that it can be said who deleted it.
pub(crate) fn merge(base: &mut Node, over: Node) {
    let Value::Map(entries) = over.value else {
        *base = over;
        return;
    };
    if !matches!(base.value, Value::Map(_)) {
        *base = Node {
            value: Value::Map(Vec::new()),
            origin: over.origin,
        };
    }
    let Value::Map(below) = &mut base.value else {
        return;
    };
    let mut index: HashMap<String, usize> = below
        .iter()
        .enumerate()
        .map(|(at, entry)| (entry.key.clone(), at))
        .collect();
    for entry in entries {
        if let Some(at) = index.get(&entry.key) {
            below[*at].origin = entry.origin;
            merge(&mut below[*at].node, entry.node);
        } else {
            index.insert(entry.key.clone(), below.len());
            below.push(Entry {
                key: entry.key,
                origin: entry.origin,
                node: entry.node,
            });
        }
    }
}

/// Lays a tree on another and keeps its order: what only `below` has comes after what it has itself.
pub(crate) fn merge_below(over: &mut Node, mut below: Node) {
    merge(&mut below, over.clone());
    sort(&mut below, over);
    *over = below;
}

/// Puts the keys of a tree, and those of the maps in it, into the order of another.
fn sort(node: &mut Node, like: &Node) {
    let (Value::Map(entries), Value::Map(known)) = (&mut node.value, &like.value) else {
        return;
    };
    let order: HashMap<&str, (usize, &Entry)> = known
        .iter()
        .enumerate()
        .map(|(at, entry)| (entry.key.as_str(), (at, entry)))
        .collect();
    entries.sort_by_key(|entry| {
        let known = order.get(entry.key.as_str());
        known.map_or(usize::MAX, |(at, _)| *at)
    });
    for entry in entries {
        if let Some((_, known)) = order.get(entry.key.as_str()) {
            sort(&mut entry.node, &known.node);
        }
    }
}
