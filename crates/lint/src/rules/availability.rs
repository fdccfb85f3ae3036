//! What keeps a service up while nodes come and go: disruption budgets, spread, rollouts, time to stop.
//! Counts pods as the autoscalers of the set allow them.

use crate::Object;
use crate::finding::Findings;
use crate::pod::Pod;
use crate::rule::rules;
use crate::selector;
use crate::set::Set;
use crate::view::At;

rules! {
    NO_BUDGET "KL0701" Warning "no disruption budget holds for pods that may be several",
        why "Draining nodes for an upgrade may take all of them at once.",
        cure "add a PodDisruptionBudget with `maxUnavailable: 1` or some per cent",
        peers "kube-score deployment-has-poddisruptionbudget statefulset-has-poddisruptionbudget, polaris missingPodDisruptionBudget";
    BLOCKING_BUDGET "KL0702" Error "a disruption budget lets nothing be disrupted",
        why "Nodes can never be drained, and an upgrade of the cluster waits for ever or goes over it by force.",
        cure "let at least one pod be missing: `maxUnavailable: 1`",
        peers "kube-linter pdb-max-unavailable pdb-min-available";
    IDLE_BUDGET "KL0703" Warning "a disruption budget selects no pods",
        why "It protects nothing, and reads as if it did.",
        cure "make `selector` the labels of the pods",
        peers "";
    TWO_BUDGETS "KL0704" Error "two disruption budgets hold for one pod",
        why "The eviction API answers such pods with an error, so that their node cannot be drained.",
        cure "keep one of them",
        peers "";
    TOGETHER "KL0705" Warning "nothing keeps the pods on different nodes",
        why "All replicas may be on one node, and go with it.",
        cure "add a podAntiAffinity on `kubernetes.io/hostname`, preferred at least, or a topologySpreadConstraint",
        peers "kube-linter no-anti-affinity, kube-score deployment-has-host-podantiaffinity statefulset-has-host-podantiaffinity, polaris topologySpreadConstraint";
    ROLLOUT "KL0706" Warning "a rollout takes all pods down at once",
        why "Every change of the image or of a setting is an outage.",
        cure "use `type: RollingUpdate` with a `maxUnavailable` below the number of pods",
        peers "kube-score deployment-strategy";
    SINGLE "KL0707" Note "there is one pod, and no autoscaler",
        why "Its node's loss is an outage of minutes.",
        cure "set `replicas: 2` or more, where the program allows it",
        peers "kube-score deployment-replicas, polaris deploymentMissingReplicas";
    NO_GRACE "KL0708" Error "pods are killed without time to stop",
        why "With `terminationGracePeriodSeconds: 0` open requests are cut and tasks that run are lost.",
        cure "set it to the time of the longest request or task",
        peers "";
    SLOW_HOOK "KL0709" Error "the preStop hook takes the whole grace period",
        why "The grace period runs while the hook does: the program gets no time to stop and is killed.",
        cure "make `terminationGracePeriodSeconds` longer than the hook and the program's own stop together",
        peers "";
    EMPTY_BUDGET "KL0710" Error "a disruption budget says nothing",
        why "Without a number Kubernetes takes `minAvailable: 1`: of one pod none may go, of ten nine may.",
        cure "set `maxUnavailable` or `minAvailable`, one of them",
        peers "kube-score poddisruptionbudget-has-policy";
}

pub(super) fn check(set: &Set<'_>, out: &mut Findings<'_>) {
    for pod in &set.pods {
        time_to_stop(pod, out);
        if pod.replicated() {
            several(set, pod, out);
        }
    }
    for (at, object) in budgets(set) {
        budget(set, at, object, out);
    }
}

fn budgets<'s>(set: &'s Set<'_>) -> impl Iterator<Item = (usize, &'s Object)> {
    set.of_kind("policy", "PodDisruptionBudget")
}

fn several(set: &Set<'_>, pod: &Pod<'_>, out: &mut Findings<'_>) {
    let root = pod.owner.root();
    let (kind, most) = (pod.owner.kind(), set.most_replicas(pod.owner));
    if most < 2 {
        if kind == "Deployment" && most == 1 && set.scalers_of(pod.owner).next().is_none() {
            out.add(SINGLE, pod.at, &root.dig("spec.replicas"), "one pod");
        }
        return;
    }
    let strategy = root.dig("spec.strategy");
    let unavailable = strategy.dig("rollingUpdate.maxUnavailable");
    if kind == "Deployment" && strategy.key("type").text() == Some("Recreate") {
        out.add(ROLLOUT, pod.at, &strategy.key("type"), "it is Recreate");
    } else if unavailable.text() == Some("100%") {
        out.add(ROLLOUT, pod.at, &unavailable, "it is 100%");
    }
    let mine = |budget: &Object| selects(budget, pod);
    let held: Vec<&str> = budgets(set)
        .filter(|(_, it)| mine(it))
        .map(|(_, it)| it.name())
        .collect();
    let selector = root.dig("spec.selector");
    match held.as_slice() {
        [] => out.add(
            NO_BUDGET,
            pod.at,
            &selector,
            format!("up to {most} pods, and no budget"),
        ),
        [_] => {}
        several => {
            let message = format!("`{}` hold for its pods", several.join("` and `"));
            out.add(TWO_BUDGETS, pod.at, &selector, message);
        }
    }
    let apart = pod.spec.dig("affinity.podAntiAffinity");
    let spread = pod.spec.key("topologySpreadConstraints");
    if !apart.exists() && spread.items().is_empty() {
        out.add(
            TOGETHER,
            pod.at,
            &apart,
            format!("up to {most} pods may share a node"),
        );
    }
}

fn selects(budget: &Object, pod: &Pod<'_>) -> bool {
    let selector = budget.root().dig("spec.selector");
    let labels = pod.metadata.key("labels");
    budget.beside(pod.owner) && selector::fits(&selector, &labels)
}

fn budget(set: &Set<'_>, at: usize, object: &Object, out: &mut Findings<'_>) {
    let spec = object.root().key("spec");
    let held: Vec<&Pod<'_>> = set.pods.iter().filter(|pod| selects(object, pod)).collect();
    if held.is_empty() && set.has_pods_beside(object) {
        let selector = spec.key("selector");
        out.add(
            IDLE_BUDGET,
            at,
            &selector,
            "no pod of these objects has such labels",
        );
    }
    let missing = spec.key("maxUnavailable");
    if matches!(missing.shown().as_str(), "0" | "0%") {
        out.add(BLOCKING_BUDGET, at, &missing, "no pod may be missing");
    }
    let present = spec.key("minAvailable");
    if missing.exists() == present.exists() {
        out.add(
            EMPTY_BUDGET,
            at,
            &spec,
            "it must have one of the two numbers",
        );
    }
    if present.text() == Some("100%") {
        out.add(BLOCKING_BUDGET, at, &present, "every pod must be there");
    }
    let owners = held.iter().filter(|pod| pod.replicated());
    let least = owners.map(|pod| set.least_replicas(pod.owner)).min();
    if let (Some(wanted), Some(least)) = (present.whole(), least)
        && least > 0
        && wanted >= least
    {
        let message = format!("{wanted} must be there, and there may be {least}");
        out.add(BLOCKING_BUDGET, at, &present, message);
    }
}

fn time_to_stop(pod: &Pod<'_>, out: &mut Findings<'_>) {
    let grace = pod.spec.key("terminationGracePeriodSeconds");
    if grace.whole() == Some(0) {
        out.add(NO_GRACE, pod.at, &grace, "it is 0");
        return;
    }
    let grace = grace.whole().unwrap_or(30);
    for container in pod.regular() {
        let hook = container.spec.dig("lifecycle.preStop");
        let sleep = hook.dig("sleep.seconds");
        if let Some((at, seconds)) = sleep
            .whole()
            .map(|it| (sleep, it))
            .or_else(|| command(&hook))
            && seconds >= grace
        {
            let message = format!("the hook takes {seconds} s of {grace} s");
            out.add(SLOW_HOOK, pod.at, &at, message);
        }
    }
}

/// The seconds of a hook that is `sleep N`, alone or in a shell.
fn command<'a>(hook: &At<'a>) -> Option<(At<'a>, i64)> {
    let command = hook.dig("exec.command");
    let words: Vec<String> = command.items().iter().map(At::shown).collect();
    let line = words.join(" ");
    let line = line
        .trim_start_matches("/bin/")
        .trim_start_matches("sh -c ");
    let seconds = line.trim_start_matches("/bin/").strip_prefix("sleep ")?;
    Some((command, seconds.trim().parse().ok()?))
}
