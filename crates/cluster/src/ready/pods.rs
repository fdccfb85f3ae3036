//! What is wrong with one pod, from its own fields.
//! Must not call a state fatal that is on every pod's normal way.

use std::time::Duration;

use serde_json::Value as Json;

use super::failure::Failure;
use crate::object::{ObjectRef, condition, items, number, text};

/// A cause, and for how long it must be seen before it counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Trouble {
    pub(crate) failure: Failure,
    pub(crate) settle: Duration,
}

/// It does not pass by itself.
const NOW: Duration = Duration::ZERO;
/// It may be a race with an object that is made at the same time.
const SHORT: Duration = Duration::from_secs(4);

/// So many restarts are a loop.
const LOOP: i64 = 3;

/// The first thing that is wrong with the containers of a pod.
pub(crate) fn trouble(object: &ObjectRef, pod: &Json) -> Option<Trouble> {
    let init = items(pod, "/status/initContainerStatuses");
    let main = items(pod, "/status/containerStatuses");
    init.iter()
        .chain(main)
        .find_map(|it| container(object, pod, it))
}

fn container(object: &ObjectRef, pod: &Json, it: &Json) -> Option<Trouble> {
    if it["ready"] == true {
        return None;
    }
    let name = text(it, "/name");
    let waiting = text(it, "/state/waiting/reason");
    let message = text(it, "/state/waiting/message");
    let restarts = number(it, "/restartCount").unwrap_or(0);
    let ended = [
        it.pointer("/state/terminated"),
        it.pointer("/lastState/terminated"),
    ]
    .into_iter()
    .flatten()
    .next();
    let ended_by = ended.map_or("", |it| text(it, "/reason"));
    let found = |reason: &str, detail: String, cure: String, settle| {
        let mut failure = Failure::new(object, reason, detail).cured_by(cure);
        failure.pod = Some(text(pod, "/metadata/name").to_owned());
        failure.container = Some(name.to_owned());
        Some(Trouble { failure, settle })
    };
    if ended_by == "OOMKilled" {
        let limit = memory_limit(pod, name);
        let detail = format!(
            "it used more memory than its limit{}",
            limit.map(|it| format!(" of {it}")).unwrap_or_default()
        );
        let cure = format!(
            "raise resources.limits.memory of container {name}{}",
            limit.map(|it| format!(" above {it}")).unwrap_or_default()
        );
        return found("OOMKilled", detail, cure, NOW);
    }
    let image = text(it, "/image");
    match waiting {
        "CrashLoopBackOff" if restarts >= LOOP => {
            let detail = format!("restarted {restarts} times{}", ending(ended));
            found(waiting, detail, crash_cure(ended), NOW)
        }
        "InvalidImageName" => found(
            waiting,
            brief(message),
            format!("correct the image name {image}"),
            NOW,
        ),
        "ErrImageNeverPull" => {
            let cure =
                format!("load {image} onto the nodes: kedactl images load; or allow pulling it");
            found(waiting, brief(message), cure, NOW)
        }
        "ErrImagePull" if !permanent(message) => None,
        "ErrImagePull" | "ImagePullBackOff" => {
            let cure = format!(
                "check that {image} exists and that the nodes may pull it; a local image is loaded by kedactl images load"
            );
            found(waiting, brief(message), cure, NOW)
        }
        "CreateContainerConfigError" => found(
            waiting,
            brief(message),
            "create what it names, or correct the reference".into(),
            SHORT,
        ),
        "CreateContainerError" | "RunContainerError" | "StartError" => {
            let cure = format!("check command, mounts and security context of container {name}");
            found(waiting, brief(message), cure, SHORT)
        }
        _ => None,
    }
}

/// `, exit code 1` or `, exit code 127: exec not found`.
fn ending(ended: Option<&Json>) -> String {
    let Some(it) = ended else {
        return String::new();
    };
    let code = number(it, "/exitCode").unwrap_or(-1);
    let message = text(it, "/message");
    if message.is_empty() {
        format!(", exit code {code}")
    } else {
        format!(", exit code {code}: {}", brief(message))
    }
}

fn crash_cure(ended: Option<&Json>) -> String {
    let code = ended.and_then(|it| number(it, "/exitCode"));
    match code {
        Some(0) => "its program ends by itself: a service must keep running".into(),
        Some(126 | 127) => "its command cannot be run in this image: check command and args".into(),
        Some(137) => "it was killed: see its liveness probe, and memory".into(),
        Some(139) => "its program crashed (signal 11)".into(),
        _ => "its log says why it ends; correct its configuration and run the command again".into(),
    }
}

/// Words of registries and container runtimes for "it will not be there in a minute either".
fn permanent(message: &str) -> bool {
    let message = message.to_ascii_lowercase();
    [
        "not found",
        "manifest unknown",
        "denied",
        "unauthorized",
        "no such host",
        "does not exist",
        "invalid reference",
    ]
    .iter()
    .any(|word| message.contains(word))
}

fn memory_limit<'a>(pod: &'a Json, container: &str) -> Option<&'a str> {
    let all = items(pod, "/spec/containers")
        .iter()
        .chain(items(pod, "/spec/initContainers"));
    let spec = all.into_iter().find(|it| text(it, "/name") == container)?;
    spec.pointer("/resources/limits/memory")?.as_str()
}

/// Why the scheduler finds no node, in its own words.
pub(crate) fn unschedulable(pod: &Json) -> Option<&str> {
    let it = condition(pod, "PodScheduled")?;
    let stuck = text(it, "/status") == "False" && text(it, "/reason") == "Unschedulable";
    stuck.then(|| text(it, "/message"))
}

/// What the scheduler's words suggest.
pub(crate) fn scheduling_cure(message: &str) -> String {
    let cures = [
        (
            "Insufficient",
            "lower resources.requests, or add a node that has room",
        ),
        (
            "anti-affinity",
            "add nodes, or make the anti-affinity soft (on one node it must be)",
        ),
        (
            "topology spread",
            "add nodes, or allow the spread to be uneven",
        ),
        (
            "node affinity",
            "give a node the labels that it asks for, or change the node selector",
        ),
        (
            "untolerated taint",
            "add a toleration, or remove the taint from a node",
        ),
        ("PersistentVolumeClaim", "see why its claim is not bound"),
        (
            "free ports",
            "two pods want the same host port: use a Service instead",
        ),
    ];
    let found = cures.iter().find(|(word, _)| message.contains(word));
    found
        .map_or("see the scheduler's words above", |(_, cure)| cure)
        .to_owned()
}

/// One line of at most 300 characters.
pub(crate) fn brief(message: &str) -> String {
    let line = message.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(300) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    }
}

#[cfg(test)]
mod tests {
    #![expect(
        clippy::needless_pass_by_value,
        reason = "`json!` in the call reads better than a reference to it"
    )]

    use super::*;
    use serde_json::json;

    fn pod(status: Json) -> Json {
        json!({"metadata": {"name": "api-1"},
            "spec": {"containers": [{"name": "api", "resources": {"limits": {"memory": "64Mi"}}}]},
            "status": {"containerStatuses": [status]}})
    }

    fn waiting(reason: &str, message: &str, restarts: i64) -> Json {
        json!({"name": "api", "image": "api:1", "ready": false, "restartCount": restarts,
            "state": {"waiting": {"reason": reason, "message": message}},
            "lastState": {"terminated": {"exitCode": 1, "reason": "Error"}}})
    }

    fn judged(status: Json) -> Option<(String, Duration)> {
        let object = ObjectRef::new("apps/v1", "Deployment", Some("keda"), "api");
        trouble(&object, &pod(status)).map(|it| (it.failure.to_string(), it.settle))
    }

    #[test]
    fn reasons_that_do_not_pass_fail_at_once() {
        let cases = [
            (
                waiting("CrashLoopBackOff", "back-off", 3),
                "CrashLoopBackOff (restarted 3 times, exit code 1)",
            ),
            (
                waiting("ImagePullBackOff", "Back-off pulling image", 0),
                "ImagePullBackOff (Back-off pulling image)",
            ),
            (
                waiting("ErrImagePull", "manifest unknown", 0),
                "ErrImagePull (manifest unknown)",
            ),
            (
                waiting("ErrImageNeverPull", "not present", 0),
                "ErrImageNeverPull (not present)",
            ),
            (
                waiting("InvalidImageName", "bad", 0),
                "InvalidImageName (bad)",
            ),
        ];
        for (status, expected) in cases {
            let (told, settle) = judged(status).unwrap();
            assert_eq!(
                told,
                format!("Deployment keda/api, pod api-1, container api: {expected}")
            );
            assert_eq!(settle, NOW);
        }
    }

    #[test]
    fn reasons_that_may_be_a_race_must_last() {
        let (told, settle) = judged(waiting(
            "CreateContainerConfigError",
            "secret \"x\" not found",
            0,
        ))
        .unwrap();
        assert!(told.contains("secret \"x\" not found") && settle == SHORT);
    }

    #[test]
    fn what_may_pass_is_no_trouble() {
        for status in [
            waiting("ContainerCreating", "", 0),
            waiting("PodInitializing", "", 0),
            waiting("CrashLoopBackOff", "", 2),
            waiting("ErrImagePull", "connection reset by peer", 0),
            json!({"name": "api", "ready": true, "restartCount": 9, "state": {"running": {}},
                "lastState": {"terminated": {"reason": "OOMKilled", "exitCode": 137}}}),
        ] {
            assert_eq!(judged(status), None);
        }
    }

    #[test]
    fn out_of_memory_names_the_limit() {
        let mut status = waiting("CrashLoopBackOff", "", 1);
        status["lastState"]["terminated"] = json!({"reason": "OOMKilled", "exitCode": 137});
        let object = ObjectRef::new("apps/v1", "Deployment", Some("keda"), "api");
        let it = trouble(&object, &pod(status)).unwrap();
        assert_eq!(it.failure.reason, "OOMKilled");
        assert_eq!(
            it.failure.cure,
            "raise resources.limits.memory of container api above 64Mi"
        );
    }

    #[test]
    fn init_containers_come_first() {
        let mut pod = pod(waiting("PodInitializing", "", 0));
        let mut init = waiting("CrashLoopBackOff", "", 5);
        init["name"] = "wait-for".into();
        pod["status"]["initContainerStatuses"] = json!([init]);
        let object = ObjectRef::new("apps/v1", "Deployment", Some("keda"), "api");
        assert_eq!(
            trouble(&object, &pod).unwrap().failure.container.unwrap(),
            "wait-for"
        );
    }

    #[test]
    fn the_schedulers_words_lead_to_a_cure() {
        let stuck = json!({"status": {"conditions": [{"type": "PodScheduled", "status": "False", "reason": "Unschedulable",
            "message": "0/1 nodes are available: 1 Insufficient cpu."}]}});
        assert!(scheduling_cure(unschedulable(&stuck).unwrap()).contains("requests"));
        assert!(unschedulable(&json!({})).is_none());
    }
}
