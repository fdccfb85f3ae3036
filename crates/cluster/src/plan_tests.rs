//! Plan files, and what makes a plan stale.

use super::*;
use std::os::unix::fs::PermissionsExt as _;

fn planned(name: &str, hash: &str, version: &str, live: &str) -> Planned {
    Planned {
        object: ObjectRef::new("v1", "ConfigMap", Some("keda"), name),
        action: "change".into(),
        fields: vec![".data.a".into()],
        hash: Some(hash.into()),
        resource_version: Some(version.into()),
        live_hash: Some(live.into()),
    }
}

fn plan() -> Plan {
    Plan {
        format: FORMAT,
        stack: "demo".into(),
        namespace: "keda".into(),
        cluster: "uid-1".into(),
        made_at: "2026-01-01T00:00:00Z".into(),
        objects: vec![planned("a", "h", "1", "l")],
        pins: [("values".to_owned(), "v".to_owned())].into(),
    }
}

#[test]
fn a_plan_survives_its_file_which_is_private() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("plan.json");
    plan().save(&path).unwrap();
    plan().save(&path).unwrap();
    assert_eq!(Plan::load(&path).unwrap(), plan());
    assert_eq!(
        fs::metadata(&path).unwrap().permissions().mode() & 0o777,
        0o600
    );
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
}

#[test]
fn files_that_are_no_plan_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("plan.json");
    assert!(
        Plan::load(&path)
            .unwrap_err()
            .to_string()
            .contains("cannot be read")
    );
    fs::write(&path, "{}").unwrap();
    assert!(
        Plan::load(&path)
            .unwrap_err()
            .to_string()
            .contains("no plan of kedactl")
    );
    let other = Plan {
        format: 9,
        ..plan()
    };
    other.save(&path).unwrap();
    assert!(
        Plan::load(&path)
            .unwrap_err()
            .to_string()
            .contains("format 9")
    );
}

#[test]
fn what_changes_by_itself_does_not_make_it_stale_and_all_else_does() {
    let pins = plan().pins;
    let stale = |now: &[Planned]| plan().differences(now, &pins);
    assert!(stale(&[planned("a", "h", "1", "l")]).is_empty());
    assert!(
        stale(&[planned("a", "h", "2", "l")]).is_empty(),
        "only its status changed"
    );
    assert_eq!(
        stale(&[planned("a", "h", "2", "m")]),
        ["ConfigMap keda/a changed on the cluster"]
    );
    assert_eq!(
        stale(&[planned("a", "i", "1", "l")]),
        ["ConfigMap keda/a is rendered differently now"]
    );
    assert_eq!(stale(&[]), ["ConfigMap keda/a is no longer part of it"]);
    let more = [planned("a", "h", "1", "l"), planned("b", "h", "1", "l")];
    assert_eq!(stale(&more), ["ConfigMap keda/b was not part of it"]);
    let other = [("values".to_owned(), "w".to_owned())].into();
    assert_eq!(
        plan().differences(&[planned("a", "h", "1", "l")], &other),
        ["values is not what it was"]
    );
}

#[test]
fn a_plan_is_for_one_cluster_and_one_stack() {
    let stack = Stack::new("demo", "keda").unwrap();
    assert!(plan().identity("uid-1", &stack).is_empty());
    assert_eq!(plan().identity("uid-2", &stack).len(), 1);
    assert_eq!(
        plan()
            .identity("uid-1", &Stack::new("b", "keda").unwrap())
            .len(),
        1
    );
}
