//! Where a worker loses tasks when it is scaled in: signals, time to finish, and numbers that call busy workers idle.
//! What a trigger needs in order to work at all is `keda`'s; what every pod needs to stop is `availability`'s.

use crate::finding::Findings;
use crate::framework::{Framework, signal_name};
use crate::pod::{Container, Pod};
use crate::rule::rules;
use crate::set::{Scaler, Set};
use crate::view::At;

rules! {
    LOSES_TASKS "KL0826" Error "a worker loses its tasks at every scale-in",
        why "Its framework takes the signal that stops the container for an immediate stop (Huey: SIGTERM, which is Kubernetes' own; Celery: SIGQUIT), whatever the grace period is.",
        cure "make the two agree: Huey from 3.4 on with `--graceful-signal TERM`, an older one with `lifecycle.stopSignal: SIGINT`, or an image with STOPSIGNAL SIGINT and the reason at the object",
        peers "";
    SHORT_GRACE "KL0827" Note "a scaled worker has Kubernetes' default of 30 s to finish its tasks",
        why "Every scale-in stops workers; a task that takes longer than the grace period is cut off and starts again from the beginning, if its queue keeps it at all.",
        cure "set `terminationGracePeriodSeconds` to more than the longest task takes",
        peers "";
    HURRIED "KL0828" Error "a preStop hook begins the drain and does not wait for its end",
        why "The hook returns at once and Kubernetes' own signal follows within milliseconds; the framework takes the second one as an order to stop now. Huey lost every running task in each such run.",
        cure "let the hook wait until the process is gone (`kill -INT 1; while kill -0 1; do sleep 1; done`), or remove it and let the stop signal be the graceful one",
        peers "";
    CUT_OFF "KL0829" Error "a worker takes longer to stop than its pod has",
        why "The framework waits for running tasks as long as its own option says, and is killed by the end of the grace period before: what it would have handed back or recorded is lost.",
        cure "make `terminationGracePeriodSeconds` longer than the worker's own limit, with some seconds for the way out; for tasks of hours use a ScaledJob, which KEDA does not scale in",
        peers "";
    SHELL "KL0830" Error "a shell stands between Kubernetes and the worker",
        why "The signal goes to process 1, which is the shell: it does not pass it on, and as process 1 it does not even end. The worker is killed in the middle of its tasks when the grace period is over.",
        cure "write `exec` before the worker's command, or name the program itself in `command`",
        peers "";
    WAITING_ONLY "KL0831" Warning "busy workers count as idle",
        why "The framework takes a task out of the key that the trigger counts before it runs it. While the last tasks run the key is empty, and KEDA takes all workers away after `cooldownPeriod`, which is shorter than the time that they are given to finish.",
        cure "set `cooldownPeriod` and `behavior.scaleDown.stabilizationWindowSeconds` to at least the longest task's time, keep `minReplicaCount` above 0, or count a key that holds running tasks as well",
        peers "";
    RESTORED "KL0832" Warning "deleting the ScaledObject sets the number of workers back",
        why "With `restoreToOriginalReplicaCount` the target gets the number that it had before, at once and whatever the queue holds: running workers are stopped.",
        cure "remove `advanced.restoreToOriginalReplicaCount`",
        peers "";
    NERVOUS "KL0833" Warning "workers go at the first dip of the queue",
        why "Without a stabilization window for scaling down one low reading stops workers that the next one starts again; each time their tasks are interrupted.",
        cure "set `behavior.scaleDown.stabilizationWindowSeconds` to at least the time between two bursts; Kubernetes' default is 300",
        peers "";
    LEFT_BEHIND "KL0834" Warning "the last tasks of a queue wait for ever",
        why "An activation threshold above 0 keeps the workers at 0 while no more than so many tasks wait; they run only when others come.",
        cure "set the trigger's activation value to \"0\", or `minReplicaCount` to 1",
        peers "";
    NO_FALLBACK_PODS "KL0835" Warning "a fallback takes the workers away",
        why "With `fallback.replicas: 0` a trigger that cannot be read counts as an empty queue: an outage of Redis stops the workers in the middle of their tasks.",
        cure "set `fallback.replicas` to 1 or more and `behavior: currentReplicasIfHigher`",
        peers "";
    LONG_GRACE "KL0836" Note "workers may take more than an hour to stop",
        why "So long a rollout waits, and so long a node cannot be drained; cloud providers give up before and kill the pod.",
        cure "run such tasks by a ScaledJob: one Job a task, which scaling in does not touch",
        peers "";
    DEAF_AT_START "KL0837" Warning "a worker that is stopped while it starts does not hear of it",
        why "Its program is process 1, for which the kernel drops every signal that has no handler yet, and an interpreter takes seconds to get there. Stopped in that time, as after each short burst, the worker goes on taking tasks and is killed with them at the end of the grace period.",
        cure "set `shareProcessNamespace: true` (in kedactl's values `worker.shareProcessNamespace`), or start the worker by an init such as tini",
        peers "";
    WRONG_PROCESS "KL0838" Error "a preStop hook signals process 1, which is not the worker",
        why "With `shareProcessNamespace` process 1 is the pod's own, which the hook may not signal: the worker hears nothing of it and gets Kubernetes' signal alone.",
        cure "remove the hook and let the stop signal be the graceful one, let it find the worker by its name (`pkill -INT -o -f NAME`, then wait), or remove `shareProcessNamespace`",
        peers "";
}

/// Kubernetes' default.
const DEFAULT_GRACE: i64 = 30;
const HOUR: i64 = 3600;
/// Programs that are made to be process 1: they hear every signal from the beginning, and pass it on.
const INITS: &[&str] = &[
    "catatonit",
    "docker-init",
    "dumb-init",
    "init",
    "s6-svscan",
    "tini",
    "tini-static",
];
/// KEDA's default.
const DEFAULT_COOLDOWN: i64 = 300;

pub(super) fn check(set: &Set<'_>, out: &mut Findings<'_>) {
    for scaler in set.scalers.iter().filter(|scaler| scaler.keda) {
        speed(scaler, out);
        for trigger in scaler.spec.key("triggers").items() {
            activation(scaler, &trigger, out);
        }
        for pod in set.pods.iter().filter(|pod| scaler.targets(pod.owner)) {
            time(pod, out);
            for container in pod.regular() {
                stop(pod, container, out);
                idle(scaler, pod, container, out);
            }
        }
    }
}

/// What the `ScaledObject` says about taking workers away.
fn speed(scaler: &Scaler<'_>, out: &mut Findings<'_>) {
    let advanced = scaler.spec.key("advanced");
    let restore = advanced.key("restoreToOriginalReplicaCount");
    if restore.flag() == Some(true) {
        out.add(RESTORED, scaler.at, &restore, "it is on");
    }
    let window =
        advanced.dig("horizontalPodAutoscalerConfig.behavior.scaleDown.stabilizationWindowSeconds");
    if window.whole() == Some(0) {
        out.add(NERVOUS, scaler.at, &window, "the window is 0");
    }
    let fallback = scaler.spec.dig("fallback.replicas");
    if fallback.whole() == Some(0) {
        out.add(NO_FALLBACK_PODS, scaler.at, &fallback, "it is 0");
    }
}

fn activation(scaler: &Scaler<'_>, trigger: &At<'_>, out: &mut Findings<'_>) {
    if scaler.least() > 0 {
        return;
    }
    for (key, value) in trigger.key("metadata").entries() {
        let above = |it: f64| it > 0.0;
        if key.starts_with("activation") && value.shown().parse().is_ok_and(above) {
            let message = format!("up to {} may wait while there is no worker", value.shown());
            out.add(LEFT_BEHIND, scaler.at, &value, message);
        }
    }
}

fn time(pod: &Pod<'_>, out: &mut Findings<'_>) {
    let grace = pod.spec.key("terminationGracePeriodSeconds");
    match grace.whole() {
        None => out.add(SHORT_GRACE, pod.at, &grace, "it is not set"),
        Some(seconds) if seconds > HOUR => {
            out.add(LONG_GRACE, pod.at, &grace, format!("{seconds} s"));
        }
        Some(_) => {}
    }
}

/// How one container is stopped: who gets the signal, what it means there, and what time there is.
fn stop(pod: &Pod<'_>, container: &Container<'_>, out: &mut Findings<'_>) {
    let name = container.name();
    let by_a_shell = unpassed(container);
    if let Some(script) = &by_a_shell {
        let message = format!("container `{name}` runs its command by a shell, without `exec`");
        out.add(SHELL, pod.at, script, message);
    }
    let Some(framework) = Framework::of(container) else {
        return;
    };
    let lifecycle = container.spec.key("lifecycle");
    let signal = signal_name(lifecycle.key("stopSignal").text().unwrap_or("SIGTERM"));
    let hook = lifecycle.dig("preStop.exec.command");
    let shared = pod.spec.key("shareProcessNamespace").flag() == Some(true);
    let astray = shared && signals_the_first(&hook);
    if astray {
        let message = format!(
            "the hook of container `{name}` does not reach {}",
            framework.name
        );
        out.add(WRONG_PROCESS, pod.at, &hook, message);
    }
    // Without a command the image's entry point decides, which may be an init.
    let command = container.spec.key("command").items();
    let first = |it: &&At<'_>| !shared && by_a_shell.is_none() && !is_init(it);
    if let Some(program) = command.first().filter(first) {
        let message = format!("container `{name}` runs {} as process 1", framework.name);
        out.add(DEAF_AT_START, pod.at, program, message);
    }
    let sent = sent(&hook).filter(|sent| !astray && framework.finishes_at(sent, container));
    match sent {
        Some(_) if waits(&hook) => {}
        Some(sent) if framework.impatient || !framework.finishes_at(&signal, container) => {
            let message = format!("container `{name}` gets {sent} and, at once after it, {signal}");
            out.add(HURRIED, pod.at, &hook, message);
        }
        None if !framework.finishes_at(&signal, container) => {
            let (framework, cure) = (framework.name, framework.graceful_at_term());
            let message =
                format!("container `{name}` runs {framework} and is stopped by {signal}; {cure}");
            out.add(LOSES_TASKS, pod.at, &lifecycle, message);
        }
        _ => {}
    }
    let grace = pod.spec.key("terminationGracePeriodSeconds");
    let seconds = grace.whole().unwrap_or(DEFAULT_GRACE);
    for (takes, option) in [framework.drain(container), framework.limit(container)]
        .into_iter()
        .flatten()
    {
        if takes >= seconds {
            let message =
                format!("container `{name}` may take {takes} s ({option}) of {seconds} s");
            out.add(CUT_OFF, pod.at, &grace, message);
        }
    }
}

/// A trigger that counts what waits, and a cooldown that ends before the tasks do.
fn idle(scaler: &Scaler<'_>, pod: &Pod<'_>, container: &Container<'_>, out: &mut Findings<'_>) {
    let Some(framework) = Framework::of(container).filter(|_| scaler.least() == 0) else {
        return;
    };
    let cooldown = scaler.spec.key("cooldownPeriod");
    let seconds = cooldown.whole().unwrap_or(DEFAULT_COOLDOWN);
    let grace = pod.spec.key("terminationGracePeriodSeconds").whole();
    let grace = grace.unwrap_or(DEFAULT_GRACE);
    let triggers = scaler.spec.key("triggers").items();
    let counts_waiting = |it: &At<'_>| {
        let list = it.dig("metadata.listName").text();
        list.is_some_and(|list| list.starts_with(framework.waiting))
    };
    // One trigger that sees running tasks is enough: KEDA stops workers when none is active.
    if seconds < grace && !triggers.is_empty() && triggers.iter().all(counts_waiting) {
        let message =
            format!("{seconds} s without a waiting task end workers that have {grace} s to finish");
        out.add(WAITING_ONLY, scaler.at, &cooldown, message);
    }
}

/// The script of a shell that stays process 1 and has no way to pass a signal on.
fn unpassed<'a>(container: &Container<'a>) -> Option<At<'a>> {
    let argv = container.argv();
    let shell = argv.first()?.shown();
    let shell = shell.rsplit('/').next().unwrap_or_default();
    if !matches!(shell, "sh" | "bash" | "ash" | "dash") {
        return None;
    }
    let flag = argv.iter().skip(1).position(|word| {
        let word = word.shown();
        word.starts_with('-') && !word.starts_with("--") && word.ends_with('c')
    })?;
    let script = argv.get(flag + 2)?.clone();
    let text = script.shown();
    let mut commands = text.split([';', '&', '|', '(', ')', '{', '\n']);
    let passes = |command: &str| matches!(command.split_whitespace().next(), Some("exec" | "trap"));
    (!commands.any(passes)).then_some(script)
}

fn is_init(program: &At<'_>) -> bool {
    let program = program.shown();
    INITS.contains(&program.rsplit('/').next().unwrap_or_default())
}

/// Whether a hook has a `kill` for process 1.
fn signals_the_first(hook: &At<'_>) -> bool {
    let words: Vec<String> = hook.items().iter().map(At::shown).collect();
    let text = words.join(" ");
    let mut commands = text.split([';', '&', '|', '(', ')', '\n']);
    commands.any(|command| {
        let mut words = command.split_whitespace();
        let kills = words.any(|word| word.rsplit('/').next() == Some("kill"));
        kills && words.any(|word| word == "1")
    })
}

/// The signal that a hook sends with `kill`; TERM where it names none.
fn sent(hook: &At<'_>) -> Option<String> {
    let words = script(hook);
    let at = words
        .iter()
        .position(|word| matches!(word.rsplit('/').next(), Some("kill" | "pkill")))?;
    let next = words.get(at + 1).map(String::as_str).unwrap_or_default();
    Some(match next {
        "-s" => signal_name(words.get(at + 2).map(String::as_str).unwrap_or_default()),
        flag if flag.starts_with('-') => signal_name(flag),
        _ => "SIGTERM".to_owned(),
    })
}

/// Whether a hook goes on after it has sent its signal.
fn waits(hook: &At<'_>) -> bool {
    let words = script(hook);
    let waiting = |word: &String| {
        matches!(
            word.as_str(),
            "while" | "until" | "sleep" | "wait" | "tail" | "waitpid"
        )
    };
    words.iter().any(waiting)
}

fn script(hook: &At<'_>) -> Vec<String> {
    let texts = hook.items().into_iter().map(|it| it.shown());
    let parts = texts.flat_map(|text| {
        let words = text.split(|c: char| c.is_whitespace() || matches!(c, ';' | '&' | '|'));
        words
            .filter(|it| !it.is_empty())
            .map(str::to_owned)
            .collect::<Vec<_>>()
    });
    parts.collect()
}
