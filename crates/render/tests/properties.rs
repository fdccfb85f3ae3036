//! Any value that a user may write comes through the templates unchanged, and nothing panics.
//! No snapshots: what the manifests look like is `manifests`' business.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use kedactl_config::{Request, documents, load};
use kedactl_render::render;
use proptest::prelude::*;
use serde_json::{Value as Json, json};

fn rendered(layer: Json) -> Result<kedactl_render::Manifests, String> {
    let files = |_: &Path, _: u64| -> io::Result<Vec<u8>> { Err(io::ErrorKind::NotFound.into()) };
    let request = Request {
        env: "local".into(),
        provider: Some(layer),
        ..Request::default()
    };
    let loaded = load(&request, &files).map_err(|error| error.to_string())?;
    render(&loaded.config).map_err(|error| format!("RENDER {error}"))
}

fn text() -> impl Strategy<Value = String> {
    let awkward = [
        "yes", "on", "N", "1_000", "012", "~", "", " ", "a: b", "{{x}}", "- a", "\n", "\u{85}",
        "\u{2028}", "\u{feff}", "---", "${X}", "$(X)",
    ];
    prop_oneof![
        any::<String>().prop_map(|text| text.replace('\0', "")),
        "[-0-9a-zA-Z_.:,#&*!|>%@`'\"{}\\[\\] \n\t~?=]{0,16}",
        prop::sample::select(awkward.to_vec()).prop_map(str::to_owned),
    ]
}

fn env() -> impl Strategy<Value = BTreeMap<String, String>> {
    prop::collection::btree_map("[A-Z][A-Z0-9_]{0,8}_V", text(), 0..6)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn any_text_survives(env in env(), args in prop::collection::vec(text(), 0..4), note in text(), list in "[^\0]{1,40}") {
        let layer = json!({
            "queue": {"kind": "list", "listName": list},
            "annotations": {"example.com/note": note},
            "worker": {"env": env, "extraArgs": args, "podAnnotations": {"note": note}},
        });
        let manifests = rendered(layer).unwrap();
        let pod = manifests.deployment("worker").unwrap().spec.clone().unwrap().template;
        let container = &pod.spec.unwrap().containers[0];
        let found: BTreeMap<String, String> = container.env.iter().flatten()
            .filter(|variable| env.contains_key(&variable.name))
            .map(|variable| (variable.name.clone(), variable.value.clone().unwrap_or_default()))
            .collect();
        prop_assert_eq!(&found, &env);
        prop_assert_eq!(container.args.clone().unwrap_or_default(), args);
        prop_assert_eq!(&pod.metadata.unwrap().annotations.unwrap()["note"], &note);
        let trigger = &manifests.scaled_object("worker").unwrap().spec.triggers[0];
        prop_assert_eq!(&trigger.metadata["listName"], &list);
        // The text that leaves the program says the same as the typed objects.
        let read = documents(&manifests.to_yaml()).unwrap();
        let typed: Vec<Json> = manifests.objects.iter().map(|it| it.object.to_json()).collect();
        prop_assert_eq!(read, typed);
    }

    #[test]
    fn any_numbers_render_or_are_refused(
        replicas in (0u32..12, 0u32..12), idle in prop::option::of(0u32..2), port in any::<u16>(), metrics in any::<u16>(),
        nodes in 0u32..11, sentinels in 0u32..11, window in 0u32..5000, tls in any::<(bool, bool, bool)>(),
        fallback in prop::option::of((0u32..2000, 0u32..20000)), length in prop::option::of(0u32..3),
    ) {
        let layer = json!({
            "api": {"port": port, "metricsPort": metrics, "autoscaling": {"minReplicas": replicas.0, "maxReplicas": replicas.1}},
            "worker": {"autoscaling": {
                "minReplicas": replicas.0, "maxReplicas": replicas.1, "idleReplicas": idle, "listLength": length,
                "behavior": {"scaleDown": {"stabilizationWindowSeconds": window}},
                "fallback": fallback.map(|(failures, pods)| json!({"failureThreshold": failures, "replicas": pods})),
            }},
            "redis": {"nodes": nodes, "sentinels": sentinels,
                "tls": tls.0.then(|| json!({"secretName": "tls", "clientCertificate": tls.1, "insecureSkipVerify": tls.2}))},
        });
        match rendered(layer) {
            Ok(manifests) => prop_assert!(manifests.objects.len() == 17),
            Err(message) => prop_assert!(!message.starts_with("RENDER"), "{}", message),
        }
    }
}
