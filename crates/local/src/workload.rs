//! A Deployment's controller: as many pods as wanted, of the present template, new ones ready before old ones go.
//! Must not choose the number: autoscalers and manifests do.

use std::collections::HashMap;
use std::sync::Arc;

use serde_json::json;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::board::now_ms;
use crate::context::Context;
use crate::pod::runner::Runner;
use crate::pod::template::Template;
use crate::pod::victims::{Candidate, victims};
use crate::{PodPhase, PodState, StackState, WorkloadState, secrets};

/// Pods that may be made in one go.
const BURST: usize = 500;

/// One Deployment under control.
#[derive(Debug)]
pub(crate) struct Workload {
    context: Arc<Context>,
    name: String,
    template: watch::Receiver<Arc<Template>>,
    stop: CancellationToken,
    pods: HashMap<String, (CancellationToken, JoinHandle<()>)>,
    /// Templates that pods of the board were made from, by hash.
    templates: HashMap<String, Arc<Template>>,
}

/// What should be done to the pods.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Moves {
    pub(crate) create: u32,
    pub(crate) stop: Vec<String>,
}

impl Workload {
    pub(crate) fn new(
        context: Arc<Context>,
        template: watch::Receiver<Arc<Template>>,
        stop: CancellationToken,
    ) -> Self {
        let name = template.borrow().workload.clone();
        Self {
            context,
            name,
            template,
            stop,
            pods: HashMap::new(),
            templates: HashMap::new(),
        }
    }

    /// Controls the pods until stopped, then stops all of them and returns when they are gone.
    pub(crate) async fn control(mut self) {
        self.adopt();
        let mut board = self.context.board.watch();
        while !self.stop.is_cancelled() {
            board.mark_unchanged();
            self.reconcile();
            tokio::select! {
                () = self.stop.cancelled() => {}
                changed = board.changed() => if changed.is_err() { break },
                changed = self.template.changed() => if changed.is_err() { break },
            }
        }
        for (token, _) in self.pods.values() {
            token.cancel();
        }
        for (_, (_, task)) in self.pods.drain() {
            if let Err(error) = task.await {
                tracing::error!(%error, "pod task");
            }
        }
    }

    /// Takes over the pods that an earlier supervisor wrote down; those that ended meanwhile are started again.
    fn adopt(&mut self) {
        let present = self.present();
        let hash = present.hash();
        let found = self.read(|workload| workload.pods.clone());
        for pod in found {
            let runs = pod.process.is_some_and(kedactl_exec::ProcId::alive);
            if !runs && (pod.template != hash || pod.phase == PodPhase::Terminating) {
                self.write(|workload| workload.pods.retain(|other| other.name != pod.name));
                continue;
            }
            if !runs {
                self.context.board.update(|state| {
                    state.with_pod(&pod.name, |pod| {
                        pod.ready = false;
                        pod.process = None;
                        pod.last_exit =
                            Some("an unknown status (while no supervisor ran)".to_owned());
                    });
                });
            }
            let adopt = pod
                .process
                .filter(|_| runs)
                .map(|process| (process, pod.ports.clone()));
            // An older template is not kept anywhere; the present one has the grace period and signals of the same workload.
            self.run(&pod.name, Arc::clone(&present), adopt);
            if pod.phase == PodPhase::Terminating {
                self.stop_pod(&pod.name);
            }
        }
    }

    fn present(&mut self) -> Arc<Template> {
        let template = Arc::clone(&self.template.borrow_and_update());
        self.templates
            .insert(template.hash(), Arc::clone(&template));
        template
    }

    fn reconcile(&mut self) {
        self.pods.retain(|_, (_, task)| !task.is_finished());
        let template = self.present();
        let hash = template.hash();
        let now = now_ms();
        let moves = self.read(|workload| plan(workload, &template, &hash, now));
        for name in &moves.stop {
            self.stop_pod(name);
        }
        for _ in 0..moves.create {
            self.create(&template, &hash);
        }
        self.write(|workload| count(workload, &template, &hash));
    }

    fn create(&mut self, template: &Arc<Template>, hash: &str) {
        let name = format!("{}-{hash}-{}", self.name, secrets::random_suffix());
        let pod = PodState {
            name: name.clone(),
            template: hash.to_owned(),
            phase: PodPhase::Pending,
            ready: false,
            process: None,
            ports: std::collections::BTreeMap::new(),
            restarts: 0,
            created_at: now_ms(),
            started_at: None,
            ready_changed_at: None,
            last_exit: None,
            retry_at: None,
            note: "starting".to_owned(),
        };
        self.write(|workload| workload.pods.push(pod));
        self.run(&name, Arc::clone(template), None);
    }

    fn run(
        &mut self,
        name: &str,
        template: Arc<Template>,
        adopt: Option<(kedactl_exec::ProcId, crate::pod::materialize::Ports)>,
    ) {
        let stop = CancellationToken::new();
        let runner = Runner {
            context: Arc::clone(&self.context),
            template,
            name: name.to_owned(),
            adopt,
            stop: stop.clone(),
        };
        self.pods
            .insert(name.to_owned(), (stop, tokio::spawn(runner.run())));
    }

    fn stop_pod(&self, name: &str) {
        if let Some((token, _)) = self.pods.get(name)
            && !token.is_cancelled()
        {
            self.context.board.update(|state| {
                state.with_pod(name, |pod| {
                    pod.phase = PodPhase::Terminating;
                    pod.ready = false;
                    "scaled in".clone_into(&mut pod.note);
                });
            });
            self.context
                .board
                .record("pod_stopping", json!({"pod": name}));
            token.cancel();
        }
    }

    fn read<T>(&self, look: impl FnOnce(&WorkloadState) -> T) -> T {
        self.context
            .board
            .read(|state: &StackState| match state.workloads.get(&self.name) {
                Some(workload) => look(workload),
                None => look(&WorkloadState::default()),
            })
    }

    fn write(&self, change: impl FnOnce(&mut WorkloadState)) {
        self.context.board.update(|state| {
            if let Some(workload) = state.workloads.get_mut(&self.name) {
                change(workload);
            }
        });
    }
}

/// Counts a workload's pods against a template.
pub(crate) fn count(workload: &mut WorkloadState, template: &Template, hash: &str) {
    let there = || {
        workload
            .pods
            .iter()
            .filter(|pod| pod.phase != PodPhase::Terminating)
    };
    let current = there().count() as u32;
    let ready = there().filter(|pod| pod.ready).count() as u32;
    let updated = there().filter(|pod| pod.template == hash).count() as u32;
    workload.current = current;
    workload.ready = ready;
    workload.updated = updated;
    workload.image.clone_from(&template.image);
    workload.program.clone_from(&template.program);
}

/// What is missing and what is too much, from what is there.
fn plan(workload: &WorkloadState, template: &Template, hash: &str, now: u64) -> Moves {
    let there: Vec<&PodState> = workload
        .pods
        .iter()
        .filter(|pod| pod.phase != PodPhase::Terminating)
        .collect();
    let (new, old): (Vec<&PodState>, Vec<&PodState>) =
        there.iter().partition(|pod| pod.template == hash);
    let want = workload.desired;
    if old.is_empty() {
        let have = new.len() as u32;
        let surplus = have.saturating_sub(want);
        return Moves {
            create: want.saturating_sub(have).min(BURST as u32),
            stop: choose(&new, template, now, surplus),
        };
    }
    // A rolling update: at most `surge` pods more than wanted, at most `unavailable` ready ones fewer.
    let surge = template.surge.up(want);
    let unavailable = template.unavailable.down(want).max(u32::from(surge == 0));
    let room = (want + surge).saturating_sub(there.len() as u32);
    let create = want.saturating_sub(new.len() as u32).min(room);
    let ready = there.iter().filter(|pod| pod.ready).count() as u32;
    let spare = ready.saturating_sub(want.saturating_sub(unavailable));
    let broken = old.iter().filter(|pod| !pod.ready).count() as u32;
    let mut stop = choose(&old, template, now, (broken + spare).min(old.len() as u32));
    let too_many = (new.len() as u32).saturating_sub(want);
    stop.extend(choose(&new, template, now, too_many));
    Moves { create, stop }
}

fn choose(pods: &[&PodState], template: &Template, now: u64, how_many: u32) -> Vec<String> {
    let candidates = pods
        .iter()
        .map(|pod| Candidate {
            name: pod.name.clone(),
            running: pod.process.is_some(),
            ready: pod.ready,
            cost: template.deletion_cost,
            ready_for_ms: pod
                .ready_changed_at
                .filter(|_| pod.ready)
                .map_or(0, |at| now.saturating_sub(at)),
            restarts: pod.restarts,
            age_ms: now.saturating_sub(pod.created_at),
        })
        .collect();
    victims(candidates, how_many as usize)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::pod::template::Amount;

    fn pod(name: &str, template: &str, ready: bool) -> PodState {
        PodState {
            name: name.to_owned(),
            template: template.to_owned(),
            phase: PodPhase::Running,
            ready,
            process: None,
            ports: BTreeMap::new(),
            restarts: 0,
            created_at: 1,
            started_at: Some(1),
            ready_changed_at: Some(1),
            last_exit: None,
            retry_at: None,
            note: String::new(),
        }
    }

    fn moves(desired: u32, pods: Vec<PodState>) -> Moves {
        let template = Template {
            surge: Amount::Count(1),
            unavailable: Amount::Count(0),
            ..Template::default()
        };
        let workload = WorkloadState {
            desired,
            pods,
            ..WorkloadState::default()
        };
        plan(&workload, &template, "new", 1_000_000)
    }

    #[test]
    fn makes_what_lacks_and_takes_the_unready_first() {
        assert_eq!(moves(3, vec![pod("a", "new", true)]).create, 2);
        let too_many = moves(1, vec![pod("a", "new", true), pod("b", "new", false)]);
        assert_eq!((too_many.create, too_many.stop), (0, vec!["b".to_owned()]));
        let mut leaving = pod("a", "new", true);
        leaving.phase = PodPhase::Terminating;
        assert_eq!(moves(1, vec![leaving]).create, 1);
    }

    #[test]
    fn an_update_keeps_the_wanted_number_ready() {
        let old = || vec![pod("a", "old", true), pod("b", "old", true)];
        let first = moves(2, old());
        assert_eq!((first.create, first.stop.len()), (1, 0));
        let mut pods = old();
        pods.push(pod("c", "new", false));
        assert_eq!(moves(2, pods.clone()), Moves::default());
        pods[2].ready = true;
        let second = moves(2, pods);
        assert_eq!((second.create, second.stop.len()), (0, 1));
        // A pod of the old template that is not ready keeps nobody waiting.
        let broken = moves(1, vec![pod("a", "old", false)]);
        assert_eq!((broken.create, broken.stop), (1, vec!["a".to_owned()]));
    }
}
