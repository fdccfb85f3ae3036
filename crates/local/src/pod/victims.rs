//! Which pods go when there are too many: the order of the `ReplicaSet` controller.
//! Must not know how busy a pod is; Kubernetes does not either.

/// What counts about one pod.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Candidate {
    pub(crate) name: String,
    /// Whether its process was started.
    pub(crate) running: bool,
    pub(crate) ready: bool,
    /// `controller.kubernetes.io/pod-deletion-cost`.
    pub(crate) cost: i64,
    /// Milliseconds since it became ready; 0 while it is not.
    pub(crate) ready_for_ms: u64,
    pub(crate) restarts: u32,
    /// Milliseconds since it was made.
    pub(crate) age_ms: u64,
}

impl Candidate {
    /// Smaller goes first.
    fn rank(&self) -> impl Ord + use<> {
        (
            self.running,
            self.ready,
            self.cost,
            // Ages are compared by their power of two in nanoseconds: small differences do not count.
            bucket(self.ready_for_ms),
            std::cmp::Reverse(self.restarts),
            bucket(self.age_ms),
            // Kubernetes takes the UID here, which is random; the suffix of the name is random as well.
            self.name.rsplit('-').next().unwrap_or_default().to_owned(),
        )
    }
}

fn bucket(ms: u64) -> u32 {
    (u128::from(ms) * 1_000_000)
        .checked_ilog2()
        .map_or(0, |log| log + 1)
}

/// The names of the pods to remove.
pub(crate) fn victims(mut candidates: Vec<Candidate>, count: usize) -> Vec<String> {
    candidates.sort_by_key(Candidate::rank);
    candidates
        .into_iter()
        .take(count)
        .map(|candidate| candidate.name)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pod(name: &str, change: impl FnOnce(&mut Candidate)) -> Candidate {
        let mut pod = Candidate {
            name: name.to_owned(),
            running: true,
            ready: true,
            cost: 0,
            ready_for_ms: 100_000,
            restarts: 0,
            age_ms: 100_000,
        };
        change(&mut pod);
        pod
    }

    #[test]
    fn the_order_is_that_of_the_replica_set_controller() {
        let pods = vec![
            pod("a-older", |pod| pod.ready_for_ms = 1_000_000),
            pod("a-plain", |_| ()),
            pod("a-crashed", |pod| pod.restarts = 3),
            pod("a-younger", |pod| pod.ready_for_ms = 10_000),
            pod("a-cheap", |pod| pod.cost = -5),
            pod("a-unready", |pod| pod.ready = false),
            pod("a-pending", |pod| {
                pod.running = false;
                pod.ready = false;
            }),
            pod("a-dear", |pod| pod.cost = 5),
        ];
        let order = victims(pods, 8);
        let expected = [
            "pending", "unready", "cheap", "younger", "crashed", "plain", "older", "dear",
        ];
        assert_eq!(order, expected.map(|name| format!("a-{name}")));
    }
}
