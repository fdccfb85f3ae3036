//! Up, up again, adoption, changes, and down.

use std::time::{Duration, SystemTime};

use kedactl_exec::Signal;
use kedactl_local::{LocalError, PodPhase, StackState};
use kedactl_plan::Discard;

use crate::fixture::Stack;

/// Every process of the stack but the supervisor, by name.
fn members(state: &StackState) -> Vec<(String, kedactl_exec::ProcId)> {
    let mut members = state.processes();
    members.sort();
    members
}

#[tokio::test]
async fn up_twice_changes_nothing_and_down_leaves_nothing() {
    let stack = Stack::new(&[]);
    assert!(stack.up().await.changed);
    let first = stack.state();
    assert_eq!(first.processes().len(), 3 + 3 + 1 + 1);
    assert_eq!(first.workloads["worker"].current, 0);
    assert!(stack.get("/").unwrap().starts_with("api-"));
    let begin = SystemTime::now();
    assert!(!stack.up().await.changed);
    assert!(begin.elapsed().unwrap() < Duration::from_secs(1));
    assert_eq!(members(&stack.state()), members(&first));
    assert_eq!(stack.down().await, 9);
    assert!(stack.processes().is_empty());
    assert!(kedactl_local::read_state(&stack.dir()).unwrap().is_none());
    assert!(std::net::TcpListener::bind(("127.0.0.1", stack.api)).is_ok());
    assert_eq!(stack.down().await, 0);
    // A stack of another version is refused, and can be removed all the same.
    let identity = stack.dir().join("identity.json");
    let text = std::fs::read_to_string(&identity).unwrap();
    std::fs::write(&identity, text.replace("\"version\": 1", "\"version\": 99")).unwrap();
    let error = stack.try_up().await.unwrap_err();
    assert!(
        matches!(error, LocalError::OtherVersion { found: 99, .. }),
        "{error}"
    );
    let purged = kedactl_local::down(&stack.dir(), true, &Discard)
        .await
        .unwrap();
    assert!(purged.changed && !stack.dir().exists());
}

#[tokio::test]
async fn a_killed_supervisor_is_replaced_and_everything_else_goes_on() {
    let stack = Stack::new(&[]);
    stack.up().await;
    let first = stack.state();
    first.supervisor.signal(Signal::KILL).unwrap();
    assert!(stack.get("/").is_some());
    stack.up().await;
    let second = stack.state();
    assert_ne!(second.supervisor, first.supervisor);
    assert_eq!(members(&second), members(&first));
    // Without `up`, the proxy's watchdog does the same; what died meanwhile is replaced.
    let pod = second.workloads["api"].pods[0].clone();
    second.supervisor.signal(Signal::KILL).unwrap();
    pod.process.unwrap().signal(Signal::KILL).unwrap();
    let third = stack
        .until("another supervisor and a ready pod", |state| {
            state.supervisor != second.supervisor
                && state.supervisor.alive()
                && state.workloads["api"].ready == 1
        })
        .await;
    let again = third.pod(&pod.name).unwrap();
    assert_ne!(again.process, pod.process);
    assert_eq!(
        third
            .redis
            .servers
            .iter()
            .map(|s| s.process)
            .collect::<Vec<_>>(),
        first
            .redis
            .servers
            .iter()
            .map(|s| s.process)
            .collect::<Vec<_>>()
    );
    stack.down().await;
    assert!(stack.processes().is_empty());
}

#[tokio::test]
async fn down_works_without_a_supervisor() {
    let stack = Stack::new(&[]);
    stack.up().await;
    let state = stack.state();
    // Each brings the other back; so both are halted before either dies.
    let proxy = state.proxy.unwrap().process.unwrap();
    for signal in [Signal::STOP, Signal::KILL] {
        proxy.signal(signal).unwrap();
        state.supervisor.signal(signal).unwrap();
    }
    assert_eq!(stack.down().await, 7);
    assert!(stack.processes().is_empty());
}

#[tokio::test]
async fn a_taken_port_is_an_error_with_its_owner() {
    let stack = Stack::new(&[]);
    let _taken = std::net::TcpListener::bind(("127.0.0.1", stack.api)).unwrap();
    let error = stack.try_up().await.unwrap_err();
    let LocalError::PortTaken { owner, setting, .. } = &error else {
        panic!("{error}");
    };
    assert!(
        owner
            .as_ref()
            .unwrap()
            .contains(&std::process::id().to_string())
    );
    assert_eq!(setting, "api.port");
    assert!(stack.processes().is_empty());
}

#[tokio::test]
async fn a_changed_template_is_rolled_out_while_the_service_answers() {
    let mut stack = Stack::new(&["api.autoscaling.minReplicas=2"]);
    stack.up().await;
    let first = stack.state();
    stack.sets.push("api.env.SOMETHING=else".to_owned());
    let up = tokio::spawn(async move {
        let outcome = stack.up().await;
        (stack, outcome)
    });
    let port = first
        .endpoints
        .api
        .rsplit(':')
        .next()
        .unwrap()
        .parse::<u16>()
        .unwrap();
    let mut answers = 0;
    while !up.is_finished() {
        let answered = tokio::task::spawn_blocking(move || Stack::ask(port, "/"))
            .await
            .unwrap();
        assert!(answered.is_some(), "no answer after {answers}");
        answers += 1;
    }
    let (stack, outcome) = up.await.unwrap();
    assert!(outcome.changed && answers > 0);
    let second = stack.state();
    assert_eq!(second.supervisor, first.supervisor);
    assert_eq!(
        second.redis.servers[0].process,
        first.redis.servers[0].process
    );
    let pods = second.workloads["api"].pods.iter();
    let mut staying = pods.filter(|pod| pod.phase != PodPhase::Terminating);
    assert!(staying.all(|pod| first.pod(&pod.name).is_none()));
    stack.down().await;
}

/// A proxy that stands still has an old idea of where connections go, and must find somebody there when it goes on.
#[tokio::test]
async fn a_pod_is_told_to_stop_only_when_the_proxy_hands_nothing_over_to_it() {
    let mut stack = Stack::new(&[]);
    stack.up().await;
    let first = stack.state();
    let proxy = first.proxy.as_ref().unwrap().process.unwrap();
    stack.sets.push("api.env.SOMETHING=else".to_owned());
    proxy.signal(Signal::STOP).unwrap();
    let looked = async {
        let leaving = |state: &StackState| {
            let pods = state.workloads["api"].pods.iter();
            let mut leaving = pods.filter(|pod| pod.phase == PodPhase::Terminating);
            leaving.next().cloned()
        };
        let state = stack.until("a pod on its way out", |it| leaving(it).is_some());
        let pod = leaving(&state.await).unwrap();
        let port = pod.ports["http"];
        // The autoscaler looks once a second: with its second look from here a second has passed.
        let syncs = stack.journalled("hpa-sync");
        stack
            .until("two looks of the autoscaler", |_| {
                stack.journalled("hpa-sync") >= syncs + 2
            })
            .await;
        let answered = tokio::task::spawn_blocking(move || Stack::ask(port, "/"));
        assert!(answered.await.unwrap().is_some(), "it is gone already");
        proxy.signal(Signal::CONT).unwrap();
        stack
            .until("the pod is gone", |state| state.pod(&pod.name).is_none())
            .await;
    };
    let (outcome, ()) = tokio::join!(stack.up(), looked);
    assert!(outcome.changed);
    assert!(stack.get("/").is_some());
    stack.down().await;
}

#[tokio::test]
async fn a_crashing_pod_backs_off_and_up_says_why() {
    let stack = Stack::new(&[
        "local.restart.initialBackoffMs=400",
        "local.restart.maxBackoffMs=800",
    ]);
    std::fs::create_dir_all(stack.dir()).unwrap();
    std::fs::write(stack.dir().join("crash"), "").unwrap();
    let waiting = async {
        stack
            .until("three restarts", |state| {
                state.workloads["api"]
                    .pods
                    .iter()
                    .any(|pod| pod.restarts >= 3)
            })
            .await
    };
    let up = stack.try_up();
    tokio::pin!(up);
    let state = tokio::select! {
        outcome = &mut up => panic!("{outcome:?}"),
        state = waiting => state,
    };
    let pod = &state.workloads["api"].pods[0];
    assert!(
        pod.last_exit.as_ref().unwrap().contains("exit code"),
        "{pod:?}"
    );
    std::fs::remove_file(stack.dir().join("crash")).unwrap();
    assert!(up.await.unwrap().changed);
    stack.down().await;
}

#[tokio::test]
async fn a_pod_that_fails_its_liveness_probe_is_restarted() {
    let stack = Stack::new(&[]);
    stack.up().await;
    let pod = stack.state().workloads["api"].pods[0].clone();
    let sick = stack.dir().join(format!("sick-{}", pod.name));
    std::fs::write(&sick, "").unwrap();
    stack
        .until("a restart", |state| {
            state.pod(&pod.name).is_some_and(|pod| pod.restarts == 1)
        })
        .await;
    std::fs::remove_file(sick).unwrap();
    let state = stack
        .until("ready again", |state| state.workloads["api"].ready == 1)
        .await;
    assert!(
        state
            .pod(&pod.name)
            .unwrap()
            .last_exit
            .as_ref()
            .unwrap()
            .contains("liveness")
    );
    stack.down().await;
}
