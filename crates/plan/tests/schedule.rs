//! The schedule in paused time: who starts when, who is skipped, and how a job ends early.

use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use kedactl_plan::{
    Collect, Control, Discard, Done, Event, Graph, GraphError, Kind, Outcome, Step,
};
use tokio::time::{Instant, sleep};

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
struct Broken(&'static str);

fn seconds(n: u64) -> Duration {
    Duration::from_secs(n)
}

fn add(graph: &mut Graph<'_, Broken>, id: &'static str, after: &[&'static str], took: u64) {
    graph.add(id, id, after.iter().copied(), move |_| async move {
        sleep(seconds(took)).await;
        Ok(Done::changed("there", ()))
    });
}

fn said(events: &[Event], step: &str) -> Vec<&'static str> {
    let name = |event: &Event| match event.kind {
        Kind::Started { .. } => "started",
        Kind::Progress { .. } => "progress",
        Kind::Waiting { .. } => "waiting",
        Kind::Done { .. } => "done",
        Kind::Failed { .. } => "failed",
        Kind::Skipped { .. } => "skipped",
    };
    let of = events.iter().filter(|event| event.step.0 == step);
    of.map(name).collect()
}

#[tokio::test(start_paused = true)]
async fn a_node_starts_when_its_own_dependencies_are_done_and_not_when_a_group_is() {
    let mut graph = Graph::new();
    add(&mut graph, "fast", &[], 1);
    add(&mut graph, "slow", &[], 10);
    add(&mut graph, "behind-fast", &["fast"], 1);
    add(&mut graph, "both", &["slow", "behind-fast"], 1);
    let (sink, began) = (Collect::default(), Instant::now());
    let watched = graph.run(&sink, &Control::default()).await.unwrap();
    assert_eq!(began.elapsed(), seconds(11), "the longest path");
    assert!(watched.complete() && watched.changed());
    let events = sink.take();
    let place = |step: &str, last: bool| {
        events
            .iter()
            .position(|e| e.step.0 == step && e.kind.is_last() == last)
    };
    assert!(
        place("behind-fast", true) < place("slow", true),
        "no barrier"
    );
    assert!(place("both", false) > place("slow", true));
}

#[tokio::test(start_paused = true)]
async fn the_limit_holds() {
    let mut graph = Graph::new().limit(NonZeroUsize::new(2).unwrap());
    for id in ["a", "b", "c", "d", "e"] {
        add(&mut graph, id, &[], 1);
    }
    let began = Instant::now();
    graph.run(&Discard, &Control::default()).await.unwrap();
    assert_eq!(began.elapsed(), seconds(3), "two at a time");
}

#[tokio::test(start_paused = true)]
async fn results_are_typed_and_there_for_those_that_depend_on_them() {
    let mut graph: Graph<'_, Broken> = Graph::new();
    let port = graph.add("api", "the api", [""; 0], |_| async {
        Ok(Done::unchanged("there", 8000_u16))
    });
    let seen = port.clone();
    let url = graph.add("url", "the url", [&port], |run| async move {
        run.waiting("the port");
        let port = seen.get().copied().ok_or(Broken("no port"))?;
        Ok(Done::changed("made", format!("http://127.0.0.1:{port}")))
    });
    assert_eq!(url.get(), None);
    let report = graph.run(&Discard, &Control::default()).await.unwrap();
    assert_eq!(url.get().map(String::as_str), Some("http://127.0.0.1:8000"));
    assert_eq!(
        report.outcome("api"),
        Some(&Outcome::Done { changed: false })
    );
}

#[tokio::test(start_paused = true)]
async fn a_failure_skips_what_depends_on_it_and_nothing_else() {
    let mut graph = Graph::new().hints(|error: &Broken| Some(format!("mend {error}")));
    add(&mut graph, "other", &[], 5);
    add(&mut graph, "behind-other", &["other"], 5);
    add(&mut graph, "app", &["redis", "other"], 1);
    add(&mut graph, "tunnel", &["app"], 1);
    graph.add("redis", "redis", [""; 0], |_| async {
        sleep(seconds(1)).await;
        Err::<Done<()>, _>(Broken("redis"))
    });
    let sink = Collect::default();
    let report = graph.run(&sink, &Control::default()).await.unwrap();
    let skipped = Outcome::Skipped {
        because: "redis".into(),
    };
    assert_eq!(report.outcome("app"), Some(&skipped));
    assert_eq!(report.outcome("tunnel"), Some(&skipped));
    assert_eq!(
        report.outcome("behind-other"),
        Some(&Outcome::Done { changed: true })
    );
    assert_eq!(
        report.sentence(),
        "done: other, behind-other; not done: app, tunnel, redis"
    );
    assert_eq!(report.into_error(), Some(Broken("redis")));
    let events = sink.take();
    assert_eq!(said(&events, "tunnel"), ["skipped"]);
    assert_eq!(said(&events, "redis"), ["started", "failed"]);
    let failed = events
        .iter()
        .find(|e| matches!(e.kind, Kind::Failed { .. }));
    assert_eq!(
        failed.unwrap().kind,
        Kind::Failed {
            error: "redis".to_owned(),
            hint: Some("mend redis".to_owned())
        }
    );
}

#[tokio::test]
async fn nothing_starts_when_the_graph_cannot_be_run() {
    let started = AtomicBool::new(false);
    let mut graph: Graph<'_, Broken> = Graph::new();
    graph.add("a", "a", [""; 0], |_| async {
        started.store(true, Ordering::Relaxed);
        Ok(Done::changed("there", ()))
    });
    add(&mut graph, "b", &["c"], 0);
    let sink = Collect::default();
    let error = graph.run(&sink, &Control::default()).await.unwrap_err();
    assert!(matches!(error, GraphError::Unknown { .. }));
    assert!(sink.take().is_empty() && !started.load(Ordering::Relaxed));
}

#[tokio::test(start_paused = true)]
async fn a_stop_starts_nothing_more_and_lets_running_nodes_end_by_themselves() {
    let control = Control::default();
    let mut graph: Graph<'_, Broken> = Graph::new();
    graph.add("obeys", "obeys", [""; 0], |run| async move {
        run.stop().cancelled().await;
        sleep(seconds(2)).await;
        Ok(Done::changed("brought to an end", ()))
    });
    add(&mut graph, "later", &["obeys"], 1);
    let (sink, began) = (Collect::default(), Instant::now());
    let (report, ()) = tokio::join!(graph.run(&sink, &control), async {
        sleep(seconds(1)).await;
        control.escalate();
    });
    let report = report.unwrap();
    assert_eq!(
        began.elapsed(),
        seconds(3),
        "the running node was waited for"
    );
    assert_eq!(
        report.outcome("obeys"),
        Some(&Outcome::Done { changed: true })
    );
    assert_eq!(report.outcome("later"), Some(&Outcome::NotStarted));
    assert_eq!(said(&sink.take(), "later"), ["skipped"]);
}

#[tokio::test(start_paused = true)]
async fn a_second_stop_drops_what_does_not_end() {
    struct Dropped<'a>(&'a AtomicBool);
    impl Drop for Dropped<'_> {
        fn drop(&mut self) {
            self.0.store(true, Ordering::Relaxed);
        }
    }
    let (control, dropped) = (Control::default(), AtomicBool::new(false));
    let mut graph: Graph<'_, Broken> = Graph::new();
    graph.add("deaf", "deaf", [""; 0], |_| async {
        let _held = Dropped(&dropped);
        std::future::pending::<()>().await;
        Ok(Done::changed("never", ()))
    });
    let sink = Collect::default();
    let (report, ()) = tokio::join!(graph.run(&sink, &control), async {
        control.escalate();
        sleep(seconds(60)).await;
        control.escalate();
    });
    assert_eq!(report.unwrap().outcome("deaf"), Some(&Outcome::Aborted));
    assert!(dropped.load(Ordering::Relaxed));
    assert_eq!(said(&sink.take(), "deaf"), ["started", "failed"]);
}

#[tokio::test(start_paused = true)]
async fn a_stop_before_the_start_runs_nothing() {
    let control = Control::default();
    control.escalate();
    let mut graph = Graph::new();
    add(&mut graph, "a", &[], 1);
    let report = graph.run(&Discard, &control).await.unwrap();
    assert_eq!(report.outcome("a"), Some(&Outcome::NotStarted));
}

#[tokio::test(start_paused = true)]
async fn a_library_that_speaks_in_steps_appears_below_its_node() {
    let mut graph: Graph<'_, Broken> = Graph::new();
    graph.add("app", "the app", [""; 0], |run| async move {
        Step::start(run.sink(), "pods", "pods").done("3", true);
        Ok(Done::changed("there", ()))
    });
    let sink = Collect::default();
    graph.run(&sink, &Control::default()).await.unwrap();
    assert_eq!(said(&sink.take(), "app/pods"), ["started", "done"]);
}
