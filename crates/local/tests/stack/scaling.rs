//! The autoscalers on a real queue key: from zero by KEDA's rule, up by the HPA, to zero after the cooldown.

use redis::Commands as _;

use crate::fixture::Stack;

#[tokio::test]
async fn workers_follow_the_number_of_tasks() {
    let stack = Stack::new(&[
        "worker.autoscaling.cooldownPeriod=2",
        "worker.autoscaling.maxReplicas=3",
        "worker.autoscaling.listLength=5",
        "worker.autoscaling.behavior.scaleDown.stabilizationWindowSeconds=0",
    ]);
    stack.up().await;
    let state = stack.state();
    let index: usize = state
        .redis
        .master
        .as_ref()
        .unwrap()
        .strip_prefix("redis-")
        .unwrap()
        .parse()
        .unwrap();
    let password = std::fs::read_to_string(&state.endpoints.redis_password_file).unwrap();
    let address = format!("redis://:{password}@{}", state.endpoints.redis[index]);
    let mut connection = redis::Client::open(address)
        .unwrap()
        .get_connection()
        .unwrap();
    let key = "kq:{default}:live";
    // All at once: a poll in between would read fewer.
    let tasks: Vec<(u32, &str)> = (0..15).map(|task| (task, "task")).collect();
    let _: () = connection.hset_multiple(key, &tasks).unwrap();
    let state = stack
        .until("three ready workers", |state| {
            state.workloads["worker"].ready == 3
        })
        .await;
    assert_eq!(
        state.workloads["worker"].scaled_by.as_deref(),
        Some("ScaledObject/worker")
    );
    assert_eq!(
        state.scalers["ScaledObject/worker"].metrics[0].value,
        Some(15.0)
    );
    let _: () = connection.del(key).unwrap();
    let state = stack
        .until("no worker", |state| {
            state.workloads["worker"].pods.is_empty()
        })
        .await;
    assert_eq!(state.workloads["worker"].desired, 0);
    assert!(
        state.scalers["ScaledObject/worker"]
            .last_active_at
            .is_some()
    );
    let journal = std::fs::read_to_string(stack.dir().join("journal.jsonl")).unwrap();
    for entry in [
        "keda-start",
        "keda-poll",
        "keda-serve",
        "hpa-start",
        "hpa-sync",
    ] {
        assert!(
            journal.contains(&format!("\"entry\":\"{entry}\"")),
            "{entry}"
        );
    }
    stack.down().await;
}
