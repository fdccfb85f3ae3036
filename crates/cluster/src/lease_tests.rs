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

/// An API server with a lock that is free or that somebody else renews. It keeps what is written, and says stop while it writes.
fn api_server(
    free: bool,
    wrote: &Arc<std::sync::Mutex<Vec<http::Method>>>,
    stop: &CancellationToken,
) -> Cluster {
    let (wrote, stop) = (Arc::clone(wrote), stop.clone());
    let service = tower::service_fn(move |request: http::Request<kube::client::Body>| {
        let (wrote, stop) = (Arc::clone(&wrote), stop.clone());
        async move {
            let other = Holder {
                who: "bob@other".into(),
                boot: "another-boot".into(),
                process: ProcId::own(),
            };
            let now = Timestamp::now().as_microsecond();
            let missing =
                json!({"kind": "Status", "status": "Failure", "reason": "NotFound", "code": 404});
            let (code, body) = if request.method() != http::Method::GET {
                wrote.lock().unwrap().push(request.method().clone());
                stop.cancel();
                (200, json!({"metadata": {"resourceVersion": "1"}}))
            } else if free {
                (404, missing)
            } else {
                (200, json!({"spec": spec(&other, now, 0)}))
            };
            let body = kube::client::Body::from(body.to_string().into_bytes());
            http::Response::builder().status(code).body(body)
        }
    });
    Cluster::over(kube::Client::new(service, "default"))
}

#[tokio::test]
async fn who_is_told_to_stop_waits_for_no_lock_and_keeps_none() {
    let stack = Stack::new("demo", "keda").unwrap();
    let own = Holder::own("alice@box");
    let wrote = Arc::default();

    let stop = CancellationToken::new();
    let held = api_server(false, &wrote, &stop);
    let told = async {
        sleep(Duration::from_millis(100)).await;
        stop.cancel();
    };
    let (waited, ()) = tokio::join!(Held::acquire(&held, &stack, &own, &stop), told);
    assert!(matches!(waited, Err(Error::Stopped)), "{waited:?}");
    assert!(wrote.lock().unwrap().is_empty());

    // Told while the request is on its way: what it brought is given back.
    let stop = CancellationToken::new();
    let free = api_server(true, &wrote, &stop);
    let taken = Held::acquire(&free, &stack, &own, &stop).await;
    assert!(matches!(taken, Err(Error::Stopped)), "{taken:?}");
    let wrote = wrote.lock().unwrap();
    assert_eq!(*wrote, [http::Method::POST, http::Method::DELETE]);
}
