//! Redis: fail-over by order, by the death of the master, and a start from persisted data.

use kedactl_exec::Signal;
use redis::Commands as _;

use crate::fixture::Stack;

/// A connection to the present master.
fn master(stack: &Stack) -> redis::Connection {
    let state = stack.state();
    let name = state.redis.master.unwrap();
    let index: usize = name.strip_prefix("redis-").unwrap().parse().unwrap();
    let password = std::fs::read_to_string(&state.endpoints.redis_password_file).unwrap();
    let address = &state.endpoints.redis[index];
    redis::Client::open(format!("redis://:{password}@{address}"))
        .unwrap()
        .get_connection()
        .unwrap()
}

#[tokio::test]
async fn a_fail_over_by_order_makes_another_master() {
    let stack = Stack::new(&[]);
    stack.up().await;
    let before = stack.state().redis.master.unwrap();
    let outcome = kedactl_local::failover(&stack.dir()).await.unwrap();
    assert!(outcome.from.starts_with(&before));
    assert_ne!(outcome.from, outcome.to);
    let state = stack
        .until("two replicas of the new master", |state| {
            state.redis.master.as_ref() != Some(&before)
                && state.redis.replicas_online == 2
                && state.redis.servers.iter().all(|s| s.ready)
        })
        .await;
    assert_eq!(state.redis.failovers, 1);
    stack.down().await;
}

#[tokio::test]
async fn a_killed_master_comes_back_as_a_replica_and_loses_nothing() {
    let stack = Stack::new(&[]);
    stack.up().await;
    let state = stack.state();
    let before = state.redis.master.clone().unwrap();
    let mut connection = master(&stack);
    let _: () = connection.set("kept", "yes").unwrap();
    let acknowledged: i64 = redis::cmd("WAIT")
        .arg(1)
        .arg(2000)
        .query(&mut connection)
        .unwrap();
    assert!(acknowledged >= 1);
    let server = state
        .redis
        .servers
        .iter()
        .find(|server| server.name == before)
        .unwrap();
    server.process.unwrap().signal(Signal::KILL).unwrap();
    let state = stack
        .until("the old master as a replica of the new one", |state| {
            let old = state
                .redis
                .servers
                .iter()
                .find(|server| server.name == before)
                .unwrap();
            state.redis.master.as_ref() != Some(&before)
                && old.role == "replica"
                && old.ready
                && state.redis.replicas_online == 2
        })
        .await;
    assert_eq!(
        state
            .redis
            .servers
            .iter()
            .filter(|server| server.role == "master")
            .count(),
        1
    );
    let kept: String = master(&stack).get("kept").unwrap();
    assert_eq!(kept, "yes");
    // And the whole stack anew, as after a reboot: nothing runs, the data is there, another server is master.
    for process in stack.processes() {
        process.signal(Signal::KILL).unwrap();
    }
    stack
        .until("all gone", |_| stack.processes().is_empty())
        .await;
    let master_before = state.redis.master;
    stack.up().await;
    assert_eq!(stack.state().redis.master, master_before);
    let kept: String = master(&stack).get("kept").unwrap();
    assert_eq!(kept, "yes");
    stack.down().await;
    // After an orderly end as well.
    stack.up().await;
    let kept: String = master(&stack).get("kept").unwrap();
    assert_eq!(kept, "yes");
    stack.down().await;
}
