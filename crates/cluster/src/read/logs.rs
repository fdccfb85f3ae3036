//! Logs of several pods in one stream, surviving restarts of containers, pods and the API server.
//! Must not lose a line between two connections, nor tell one twice.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use tokio::sync::{Mutex, mpsc};
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::sleep;

use super::follow::{Source, follow};
use super::views::{PodView, pods};
use crate::connect::Cluster;
use crate::error::Error;
use crate::mask::Secrets;

/// One line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LogLine {
    /// The pod's component (`api`), or its name where it has none.
    pub component: String,
    /// The pod.
    pub pod: String,
    /// The container.
    pub container: String,
    /// When the runtime read it, RFC 3339 with nanoseconds.
    pub at: String,
    /// The line without its end, known secrets masked.
    pub text: String,
}

/// What to read.
#[derive(Debug, Clone, Default)]
pub struct LogOptions {
    /// Namespaces to look in.
    pub namespaces: Vec<String>,
    /// Label selector of the pods.
    pub selector: Option<String>,
    /// What to read; everything where there are none. A pod by its name, the pods of a component or whose names begin so
    /// (`redis` is `redis-node-0`), or containers by their name, which wins over a pod's beginning.
    pub components: Vec<String>,
    /// Lines from before, a container; all of them where it is absent.
    pub tail: Option<i64>,
    /// Only lines of the last so many seconds.
    pub since_s: Option<i64>,
    /// Also those of the instance of each container before this one; not with `follow`.
    pub previous: bool,
    /// Go on with what comes.
    pub follow: bool,
    /// Taken out of every line.
    pub secrets: Secrets,
}

impl LogOptions {
    fn chooses(&self, pod: &PodView, container: &str) -> bool {
        let all = self.components.is_empty();
        all || self.components.iter().any(|it| names(it, pod, container))
    }
}

/// Whether a word of the user's names this container of a pod.
fn names(word: &str, pod: &PodView, container: &str) -> bool {
    if pod.name == word || container == word {
        return true;
    }
    if pod.containers.iter().any(|it| it.name == word) {
        return false;
    }
    let rest = pod.name.strip_prefix(word);
    pod.component == word || rest.is_some_and(|rest| rest.starts_with('-'))
}

/// Sends lines until the receiver is dropped, or, without `follow`, until everything was read.
/// Without `follow` the lines come in order of time; with it, each container's in its order.
pub async fn follow_logs(
    cluster: &Cluster,
    options: LogOptions,
    lines: mpsc::Sender<LogLine>,
) -> Result<(), Error> {
    if !options.follow {
        return once(cluster, &options, lines).await;
    }
    let mut readers: HashMap<Source, Reader> = HashMap::new();
    let mut tasks = JoinSet::new();
    let mut first = true;
    loop {
        let found = match sources(cluster, &options).await {
            Ok(found) => found,
            // The streams that are open go on; the list is asked for again.
            Err(error) if !first && error.class() == crate::Class::Connection => Vec::new(),
            Err(error) => return Err(error),
        };
        for (source, ended) in found {
            let reader = readers.entry(source.clone()).or_default();
            if !reader.is_due(ended) {
                continue;
            }
            // What appears later is read from its beginning.
            let window = if first {
                (options.tail, options.since_s)
            } else {
                (None, None)
            };
            let last = Arc::clone(&reader.last);
            let output = (options.secrets.clone(), lines.clone());
            reader.task = Some(tasks.spawn(follow(cluster.clone(), source, window, last, output)));
        }
        first = false;
        tokio::select! {
            () = lines.closed() => return Ok(()),
            () = sleep(Duration::from_secs(1)) => {}
        }
        while tasks.try_join_next().is_some() {}
    }
}

/// One instance of a container, and how far it was read.
#[derive(Debug, Default)]
struct Reader {
    /// Time of the last line that was told.
    last: Arc<Mutex<String>>,
    task: Option<AbortHandle>,
    /// It was read once more after it ended.
    complete: bool,
}

impl Reader {
    /// Whether it must be read (again): a stream may end without the container ending, and a container
    /// may end while no stream is open.
    fn is_due(&mut self, ended: bool) -> bool {
        let idle = self.task.as_ref().is_none_or(AbortHandle::is_finished);
        if !idle || self.complete {
            return false;
        }
        self.complete = ended;
        true
    }
}

/// Every container that has a log, and whether it ended.
async fn sources(cluster: &Cluster, options: &LogOptions) -> Result<Vec<(Source, bool)>, Error> {
    let mut all = Vec::new();
    for namespace in &options.namespaces {
        let found = pods(cluster, namespace, options.selector.as_deref()).await?;
        for pod in &found {
            let chosen = pod.containers.iter();
            let chosen = chosen.filter(|it| options.chooses(pod, &it.name));
            for container in chosen.filter(|it| it.state != "waiting") {
                let ended = container.state == "terminated";
                all.push((Source::new(pod, container), ended));
            }
        }
    }
    Ok(all)
}

async fn once(
    cluster: &Cluster,
    options: &LogOptions,
    lines: mpsc::Sender<LogLine>,
) -> Result<(), Error> {
    let mut all = Vec::new();
    for (source, _) in sources(cluster, options).await? {
        let window = (options.tail, options.since_s);
        let before = source.before().filter(|_| options.previous);
        for it in before.iter().chain([&source]) {
            all.extend(it.read(cluster, window, &options.secrets).await?);
        }
    }
    all.sort_by(|a, b| a.at.cmp(&b.at));
    for line in all {
        if lines.send(line).await.is_err() {
            break;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::read::views::pod;
    use serde_json::json;

    #[test]
    fn a_word_names_a_pod_a_component_a_beginning_or_a_container() {
        let redis = pod(
            &json!({"metadata": {"name": "redis-node-0", "labels": {"app.kubernetes.io/component": "node"}},
            "status": {"containerStatuses": [{"name": "redis"}, {"name": "sentinel"}]}}),
        );
        let chosen = |words: &[&str]| {
            let options = LogOptions {
                components: words.iter().map(|it| (*it).to_owned()).collect(),
                ..LogOptions::default()
            };
            let names = redis.containers.iter().map(|it| it.name.clone());
            let names = names.filter(|it| options.chooses(&redis, it));
            names.collect::<Vec<_>>().join(" ")
        };
        assert_eq!(chosen(&[]), "redis sentinel");
        assert_eq!(chosen(&["redis"]), "redis");
        assert_eq!(chosen(&["sentinel"]), "sentinel");
        assert_eq!(chosen(&["node"]), "redis sentinel");
        assert_eq!(chosen(&["redis-node"]), "redis sentinel");
        assert_eq!(chosen(&["redis-node-0"]), "redis sentinel");
        assert_eq!(chosen(&["redis-n", "api"]), "");
    }

    #[tokio::test]
    async fn an_instance_is_read_until_it_ended_and_once_more() {
        let mut reader = Reader::default();
        assert!(reader.is_due(false), "new");
        let mut tasks = JoinSet::new();
        reader.task = Some(tasks.spawn(std::future::pending::<()>()));
        assert!(!reader.is_due(false), "its stream is open");
        tasks.abort_all();
        while tasks.join_next().await.is_some() {}
        assert!(reader.is_due(false), "its stream ended, it did not");
        assert!(reader.is_due(true), "it ended");
        assert!(!reader.is_due(true), "it was read to its end");
    }
}
