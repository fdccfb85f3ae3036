//! Whether what is there already contains what is wanted.
//! Must err on the side of "no": a "no" costs one harmless request, a wrong "yes" hides a hand edit.

use serde_json::Value as Json;

/// Fields by which items of Kubernetes' keyed lists are told apart.
const KEYS: [&[&str]; 8] = [
    &["name"],
    &["containerPort", "protocol"],
    &["port", "protocol"],
    &["mountPath"],
    &["topologyKey", "whenUnsatisfiable"],
    &["type"],
    &["key"],
    &["ip"],
];

/// Whether every field of `wanted` is in `live` with the same value; `live` may hold more.
pub(crate) fn covers(live: &Json, wanted: &Json) -> bool {
    match (live, wanted) {
        (_, Json::Null) => true,
        (Json::Object(live), Json::Object(wanted)) => {
            wanted.iter().all(|(key, value)| match live.get(key) {
                Some(found) => covers(found, value),
                None => value.is_null(),
            })
        }
        (Json::Array(live), Json::Array(wanted)) => list(live, wanted),
        _ => live == wanted,
    }
}

fn list(live: &[Json], wanted: &[Json]) -> bool {
    if wanted.is_empty() {
        return live.is_empty();
    }
    let Some(keys) = KEYS.iter().find(|keys| distinct(wanted, keys)) else {
        let mut pairs = live.iter().zip(wanted);
        return live.len() == wanted.len() && pairs.all(|(live, wanted)| covers(live, wanted));
    };
    wanted.iter().all(|item| {
        let same = |other: &&Json| keys.iter().all(|key| item.get(*key) == other.get(*key));
        live.iter()
            .find(same)
            .is_some_and(|found| covers(found, item))
    })
}

/// Whether the fields are in every item and no two items share them.
fn distinct(items: &[Json], keys: &[&str]) -> bool {
    let mut seen = Vec::with_capacity(items.len());
    items.iter().all(|item| {
        let Some(key) = keys
            .iter()
            .map(|key| item.get(*key))
            .collect::<Option<Vec<_>>>()
        else {
            return false;
        };
        let fresh = !seen.contains(&key);
        seen.push(key);
        fresh
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    #[test]
    fn defaults_and_additions_of_others_do_not_count() {
        let wanted =
            json!({"spec": {"containers": [{"name": "api", "image": "a:1"}], "empty": null}});
        let live = json!({"spec": {"containers": [{"name": "sidecar"}, {"name": "api", "image": "a:1", "terminationMessagePath": "/x"}],
            "restartPolicy": "Always"}, "status": {}});
        assert!(covers(&live, &wanted));
    }

    #[test]
    fn a_changed_removed_or_reordered_value_counts() {
        let wanted =
            json!({"args": ["a", "b"], "labels": {"x": "1"}, "env": [{"name": "A", "value": "1"}]});
        for live in [
            json!({"args": ["b", "a"], "labels": {"x": "1"}, "env": [{"name": "A", "value": "1"}]}),
            json!({"args": ["a", "b", "c"], "labels": {"x": "1"}, "env": [{"name": "A", "value": "1"}]}),
            json!({"args": ["a", "b"], "labels": {}, "env": [{"name": "A", "value": "1"}]}),
            json!({"args": ["a", "b"], "labels": {"x": "1"}, "env": [{"name": "A", "value": "2"}]}),
            json!({"args": ["a", "b"], "labels": {"x": "1"}, "env": []}),
        ] {
            assert!(!covers(&live, &wanted), "{live}");
        }
    }

    fn json_value() -> impl Strategy<Value = Json> {
        let leaf = prop_oneof![
            Just(Json::Null),
            any::<bool>().prop_map(Json::from),
            (0..5_i64).prop_map(Json::from),
            "[a-c]{1,2}".prop_map(Json::from),
        ];
        leaf.prop_recursive(4, 32, 4, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..4).prop_map(Json::from),
                proptest::collection::btree_map("(name|key|a|b)", inner, 0..4)
                    .prop_map(|map| map.into_iter().collect()),
            ]
        })
    }

    proptest! {
        #[test]
        fn everything_covers_itself(value in json_value()) {
            prop_assert!(covers(&value, &value));
        }

        #[test]
        fn more_fields_still_cover_and_fewer_do_not(value in json_value(), extra in json_value()) {
            let wanted = json!({"it": value, "must": true});
            let mut live = wanted.clone();
            live["more"] = extra;
            prop_assert!(covers(&live, &wanted));
            live.as_object_mut().unwrap().remove("must");
            prop_assert!(!covers(&live, &wanted));
        }
    }
}
