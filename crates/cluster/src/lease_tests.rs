//! When a lock is free, and how its holder is told.

use super::*;

const NOW: i64 = 1_800_000_000_000_000;

fn holder(boot: &str, process: ProcId) -> Holder {
    Holder {
        who: "alice@box".into(),
        boot: boot.into(),
        process: Some(process),
    }
}

fn lease(by: &Holder, age_s: i64) -> Json {
    json!({"spec": spec(by, NOW - age_s * 1_000_000, 0)})
}

#[test]
fn identities_survive_the_way_through_a_lease() {
    let own = Holder::own("al/ice@box");
    assert_eq!(Holder::parse(&own.to_string()), Some(own.clone()));
    assert!(!own.is_dead_here(&own));
    assert_eq!(Holder::parse("somebody"), None);
}

#[test]
fn a_lock_is_free_when_old_ours_or_its_holder_is_dead_on_this_machine() {
    let own = Holder::own("alice@box");
    let alive = ProcId::own().unwrap();
    let dead = ProcId {
        start_time: alive.start_time + 1,
        ..alive
    };
    let cases = [
        (lease(&holder(&own.boot, dead), 1), true, "dead here"),
        (
            lease(&holder("another-boot", dead), 1),
            false,
            "alive elsewhere, for all we know",
        ),
        (lease(&holder("another-boot", dead), 16), true, "run out"),
        (
            lease(
                &holder(
                    &own.boot,
                    ProcId {
                        pid: 1,
                        ..ProcId::of(1).unwrap()
                    },
                ),
                1,
            ),
            false,
            "alive here",
        ),
        (lease(&own, 1), true, "our own"),
        (
            json!({"spec": {"holderIdentity": "", "renewTime": null}}),
            true,
            "released",
        ),
    ];
    for (lease, free, why) in cases {
        assert_eq!(view(&lease, &own, NOW) == View::Free, free, "{why}");
    }
}

#[test]
fn the_holder_is_named() {
    let stack = Stack::new("demo", "keda").unwrap();
    let by = holder(
        "b",
        ProcId {
            pid: 7,
            start_time: 9,
        },
    );
    let error = locked(&stack, &by.to_string(), 3_200_000);
    assert_eq!(
        error.to_string(),
        "another run holds stack demo: alice@box (process 7), renewed 3 s ago"
    );
    assert_eq!(error.class(), crate::Class::Locked);
}
