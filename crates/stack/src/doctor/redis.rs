//! Redis: whether it survives the loss of a server, and whether it has room.
//!
//! Must not write to it.

use kedactl_queue::{MasterView, Survey};

use super::Check;
use crate::Live;
use crate::status::in_full;

/// Bytes of changes that a replica may be behind, seconds that it may be silent.
const BEHIND: u64 = 8 << 20;
const SILENT_S: u64 = 10;

pub(super) async fn checks(live: &Live) -> Vec<Check> {
    let (code, title) = ("redis", "Redis");
    let survey = async {
        let reached = live.redis().await?;
        Ok::<_, crate::StackError>(kedactl_queue::survey(reached.config()).await?)
    };
    let survey = match survey.await {
        Ok(survey) => survey,
        Err(error) => {
            let cure = error.hint();
            let cure = cure
                .unwrap_or_else(|| "the pods of Redis must be ready: `kedactl status`".to_owned());
            return vec![Check::fail(code, title, in_full(&error), cure)];
        }
    };
    let wanted = live.record().config.redis.nodes;
    let mut checks = vec![sentinels(&survey)];
    match &survey.master {
        Ok(master) => checks.extend([replicas(master, wanted), lag(master), memory(master), disk(master)]),
        Err(reason) => checks.push(Check::fail(
            code,
            title,
            format!("no master: {reason}"),
            "during a fail-over this lasts seconds; else `kedactl status` shows which pods are missing",
        )),
    }
    checks
}

fn sentinels(survey: &Survey) -> Check {
    let (code, title) = ("sentinels", "Sentinels");
    let all = survey.sentinels.len();
    if all == 0 {
        return Check::warn(
            code,
            title,
            "there are none: a Redis that dies stays dead until its pod is back",
            "set redis.sentinels to 3 and redis.nodes to 3",
        );
    }
    let bad = survey
        .sentinels
        .iter()
        .find_map(|it| Some((it, it.quorum.as_ref().err()?)));
    match bad {
        None => Check::ok(code, title, format!("all {all} see a quorum")),
        Some((it, why)) if survey.quorum() => Check::warn(
            code,
            title,
            format!("{}: {why}", it.addr),
            "the others are enough for now; look at that pod",
        ),
        Some((it, why)) => Check::fail(
            code,
            title,
            format!("no quorum, {}: {why}", it.addr),
            "no fail-over can happen: bring the missing pods back",
        ),
    }
}

fn replicas(master: &MasterView, wanted: u32) -> Check {
    let (code, title) = ("redis-replicas", "replicas of Redis");
    let online = master.online();
    let detail = format!("master {}, {online} replicas online", master.addr);
    let least = master.min_replicas.unwrap_or(0) as usize;
    if online < least {
        return Check::fail(
            code,
            title,
            format!("{detail}, and it refuses writes below {least}"),
            "bring the replicas back; until then nothing can be enqueued",
        );
    }
    if online + 1 < wanted as usize {
        return Check::warn(
            code,
            title,
            format!("{detail} of {}", wanted - 1),
            "`kedactl status` shows the pod that is missing",
        );
    }
    Check::ok(code, title, detail)
}

fn lag(master: &MasterView) -> Check {
    let (code, title) = ("redis-lag", "replication of Redis");
    let late = master
        .replicas
        .iter()
        .find(|it| it.behind > BEHIND || it.silent_s > SILENT_S);
    match late {
        None => {
            let most = master.replicas.iter().map(|it| it.behind).max();
            let detail = format!("at most {} B behind", most.unwrap_or(0));
            Check::ok(code, title, detail)
        }
        Some(it) => Check::warn(
            code,
            title,
            format!(
                "{} is {} B and {} s behind",
                it.addr, it.behind, it.silent_s
            ),
            "look at that pod's CPU and network: a fail-over to it would lose what it lacks",
        ),
    }
}

fn memory(master: &MasterView) -> Check {
    let (code, title) = ("redis-memory", "memory of Redis");
    let used = master.memory >> 20;
    if master.max_memory == 0 {
        return Check::ok(code, title, format!("{used} MiB, no limit of its own"));
    }
    let detail = format!(
        "{used} of {} MiB, then {}",
        master.max_memory >> 20,
        master.at_the_limit
    );
    if master.at_the_limit != "noeviction" {
        return Check::fail(
            code,
            title,
            detail,
            "set maxmemory-policy to noeviction: any other one throws tasks away",
        );
    }
    if master.memory * 10 > master.max_memory * 8 {
        return Check::warn(
            code,
            title,
            detail,
            "raise maxmemory and the pod's limit, or drain the queue",
        );
    }
    Check::ok(code, title, detail)
}

fn disk(master: &MasterView) -> Check {
    let (code, title) = ("redis-aof", "append-only file of Redis");
    match (&master.append_only_error, master.append_only) {
        (Some(status), _) => Check::fail(
            code,
            title,
            format!("the last write failed ({status})"),
            "its volume may be full: `kubectl exec` into the pod and look at /data",
        ),
        (None, false) => Check::warn(
            code,
            title,
            "off: what all servers lose at once is gone",
            "set appendonly yes, with a volume",
        ),
        (None, true) => Check::ok(code, title, "on"),
    }
}

#[cfg(test)]
mod tests {
    use super::super::CheckStatus;
    use super::*;
    use kedactl_queue::{HostPort, ReplicaView, SentinelView};

    fn master() -> MasterView {
        let replica = |name: &str| ReplicaView {
            addr: HostPort::new(name, 6379),
            online: true,
            behind: 10,
            silent_s: 0,
        };
        MasterView {
            rewrite_error: None,
            snapshot_error: None,
            clients: 1,
            commands: 1,
            addr: HostPort::new("redis-node-0", 6379),
            version: "8.4.1".to_owned(),
            replicas: vec![replica("redis-node-1"), replica("redis-node-2")],
            min_replicas: Some(1),
            memory: 90 << 20,
            max_memory: 100 << 20,
            at_the_limit: "noeviction".to_owned(),
            append_only: true,
            append_only_error: None,
        }
    }

    #[test]
    fn writes_that_would_be_refused_are_a_failure_and_a_missing_replica_a_warning() {
        let mut it = master();
        assert_eq!(replicas(&it, 3).status, CheckStatus::Ok);
        it.replicas.truncate(1);
        assert_eq!(replicas(&it, 3).status, CheckStatus::Warn);
        it.replicas.clear();
        assert_eq!(
            replicas(&it, 3).detail,
            "master redis-node-0:6379, 0 replicas online, and it refuses writes below 1"
        );
    }

    #[test]
    fn memory_disk_and_lag_have_their_limits() {
        let mut it = master();
        assert_eq!(memory(&it).status, CheckStatus::Warn);
        it.at_the_limit = "allkeys-lru".to_owned();
        assert_eq!(memory(&it).status, CheckStatus::Fail);
        it.max_memory = 0;
        assert_eq!(memory(&it).status, CheckStatus::Ok);
        assert_eq!(
            (disk(&it).status, lag(&it).status),
            (CheckStatus::Ok, CheckStatus::Ok)
        );
        it.replicas[0].silent_s = 60;
        it.append_only_error = Some("err".to_owned());
        assert_eq!(
            (disk(&it).status, lag(&it).status),
            (CheckStatus::Fail, CheckStatus::Warn)
        );
    }

    #[test]
    fn one_blind_sentinel_is_a_warning_and_two_are_a_failure() {
        let sentinel = |able: bool| SentinelView {
            addr: HostPort::new("s", 26379),
            master: Ok(HostPort::new("m", 6379)),
            quorum: if able {
                Ok(())
            } else {
                Err("NOQUORUM".to_owned())
            },
        };
        let of = |able: [bool; 3]| {
            sentinels(&Survey {
                sentinels: able.map(sentinel).to_vec(),
                master: Ok(master()),
            })
            .status
        };
        assert_eq!(of([true; 3]), CheckStatus::Ok);
        assert_eq!(of([true, true, false]), CheckStatus::Warn);
        assert_eq!(of([true, false, false]), CheckStatus::Fail);
    }
}
