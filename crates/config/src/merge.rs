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
    let order: HashMap<String, usize> = match &over.value {
        Value::Map(entries) => entries
            .iter()
            .map(|entry| entry.key.clone())
            .zip(0..)
            .collect(),
        _ => HashMap::new(),
    };
    merge(&mut below, over.clone());
    if let Value::Map(entries) = &mut below.value {
        entries.sort_by_key(|entry| order.get(&entry.key).copied().unwrap_or(usize::MAX));
    }
    *over = below;
}
