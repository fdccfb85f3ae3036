//! `up`: one graph from nothing, or from whatever is there, to a stack that is ready.
//! Must not write before the lock is held and everything that comes is written down.

mod ahead;
mod nodes;
mod secrets;

pub(crate) use nodes::objects;
pub(crate) use secrets::kept;

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::OnceLock;
use std::time::Duration;

use kedactl_bundle::Bundle;
use kedactl_cluster::{Adopt, Plan, Run as ClusterRun};
use kedactl_config::{BuiltImage, Config, Delivery};
use kedactl_images::{Credentials, Requested};
use kedactl_plan::{Control, Graph, Report, Shape, Sink, Step};
use kedactl_render::Templates;
use kedactl_tunnel::Status as TunnelStatus;
use serde::Serialize;
use tokio::time::Instant;

use crate::images::Built;
use crate::node_image::NodeImage;
use crate::place::Place;
use crate::record::LastRun;
use crate::releases::{Declared, Survey};
use crate::{Home, Record, StackError, Way, programs, releases, tunnel};

/// What is asked for, and how to go about it.
#[derive(Debug, Clone)]
pub struct Request {
    /// Where the stack's files are.
    pub home: Home,
    /// What shall be there.
    pub config: Config,
    /// What manifests are made from.
    pub templates: Templates,
    /// Which cluster.
    pub way: Way,
    /// The file that a provider `context` falls back on; its current context is never taken.
    pub default_kubeconfig: Option<PathBuf>,
    /// What may be taken over.
    pub adopt: Adopt,
    /// Put fields back that a person changed by hand.
    pub revert_edits: bool,
    /// Logins at registries.
    pub credentials: Credentials,
    /// Program and first arguments of a detached tunnel.
    pub helper: Vec<OsString>,
    /// Who runs it, as others are told who wait for the lock.
    pub who: String,
    /// How long everything together may take to become ready.
    pub within: Duration,
    /// Carry out this plan and nothing else.
    pub plan: Option<Plan>,
    /// Take images out of this bundle, of which the configuration is, and make none.
    pub bundle: Option<Bundle>,
    /// Images that the bundle need not have.
    pub outside: Vec<Requested>,
}

impl Request {
    /// How images reach the pods.
    fn way(&self) -> Result<Delivery, StackError> {
        match self.bundle {
            Some(_) => crate::images::way(&self.config),
            None => crate::images::delivery(&self.config),
        }
    }
}

/// How the stack is now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Outcome {
    /// Whether anything was written, started or stopped.
    pub changed: bool,
    /// The context of the cluster.
    pub context: String,
    /// UID of the cluster.
    pub cluster: String,
    /// Where the API is reached from here; `None` without tunnel and Ingress.
    pub api_url: Option<String>,
    /// Releases that the cluster had by other means.
    pub left_alone: Vec<String>,
    /// Milliseconds that it took.
    pub took_ms: u64,
}

/// What the nodes of one run share.
pub(crate) struct Job<'r> {
    pub(crate) request: &'r Request,
    pub(crate) record: Record,
    /// Of a kind cluster that may have to be made, where a bundle has it.
    pub(crate) node_image: Option<NodeImage>,
    pub(crate) declared: Vec<Declared>,
    pub(crate) start: Instant,
    /// Filled by the node that takes the lock, taken out when the graph has ended.
    pub(crate) run: OnceLock<ClusterRun>,
}

impl<'r> Job<'r> {
    pub(crate) fn new(request: &'r Request) -> Result<Self, StackError> {
        let way = request.way()?;
        if let Some(bundle) = &request.bundle {
            crate::images::named_by(bundle, &request.config, &way)?;
        }
        let mut record = crate::place::record(
            &request.home,
            &request.config,
            &request.way,
            request.default_kubeconfig.as_deref(),
        )?;
        let bundle = request.bundle.as_ref();
        let node_image = bundle.map(|it| NodeImage::of(it, &request.config));
        let node_image = node_image.transpose()?.flatten();
        if let Some(node) = &node_image {
            record.config.kind.image = Some(node.name.to_string());
        }
        Ok(Self {
            record,
            node_image,
            declared: releases::declared(&request.config, &request.templates)?,
            request,
            start: Instant::now(),
            run: OnceLock::new(),
        })
    }

    pub(crate) fn rest(&self) -> Duration {
        self.request.within.saturating_sub(self.start.elapsed())
    }

    /// The nodes and their order.
    pub(crate) fn graph<'a>(&'a self, done: &'a Results) -> Graph<'a, StackError> {
        let mut graph = Graph::new().hints(StackError::hint);
        graph.add("cluster", "cluster", NONE, |run| self.cluster(run, done));
        graph.add("images/build", "image build", NONE, |run| {
            self.build(run, done)
        });
        graph.add("survey", "releases and rights", ["cluster"], |run| {
            self.survey(run, done)
        });
        let known = ["survey", "images/build"];
        graph.add("lock", "lock and inventory", known, |run| {
            self.lock(run, done)
        });
        graph.add("images/load", "image load", known, |run| {
            self.load(run, done)
        });
        graph.add("namespaces", "namespaces and secrets", ["lock"], |run| {
            self.namespaces(run, done)
        });
        for declared in &self.declared {
            let after = self.release_after(declared);
            let title = format!("release {}", declared.name);
            graph.add(release_id(declared.name.as_str()), title, after, |run| {
                self.release(run, done, declared)
            });
        }
        graph.add("app", "application", ["namespaces", "images/load"], |run| {
            self.app(run)
        });
        let after = self.with_releases(&["app"], |name| name == "keda" || name == "metrics-server");
        graph.add("scaling", "autoscalers", after, |run| self.scaling(run));
        let after = self.with_releases(&["scaling"], |_| true);
        graph.add("ready", "readiness", after, |run| self.ready(run, done));
        if tunnel::wanted(&self.request.config) {
            graph.add("tunnel", "tunnel", ["ready"], |run| self.tunnel(run, done));
        }
        graph
    }

    fn release_after(&self, declared: &Declared) -> Vec<String> {
        let depends = declared.release.depends_on.iter();
        let mut after: Vec<String> = depends.map(|it| release_id(it.as_str())).collect();
        after.push("namespaces".to_owned());
        let bundled = self.request.bundle.is_some();
        if bundled || self.runs_what_is_made(declared) {
            after.push("images/load".to_owned());
        }
        after
    }

    /// Whether pods of a release run images that are made here.
    fn runs_what_is_made(&self, declared: &Declared) -> bool {
        let images: &[BuiltImage] = match declared.name.as_str() {
            "redis" => &[BuiltImage::Redis],
            _ if declared.release.is_own_monitoring() => {
                &[BuiltImage::Prometheus, BuiltImage::Alertmanager]
            }
            _ => &[],
        };
        let build = &self.request.config.images.build;
        images.iter().any(|it| build.contains(it))
    }

    fn with_releases(&self, nodes: &[&str], chosen: impl Fn(&str) -> bool) -> Vec<String> {
        let releases = self.declared.iter().map(|it| it.name.as_str());
        let releases = releases.filter(|name| chosen(name)).map(release_id);
        let nodes = nodes.iter().map(|it| (*it).to_owned());
        nodes.chain(releases).collect()
    }
}

const NONE: [&str; 0] = [];

fn release_id(name: &str) -> String {
    format!("release/{name}")
}

/// What nodes leave for those that come after them.
#[derive(Debug, Default)]
pub(crate) struct Results {
    pub(crate) place: OnceLock<Place>,
    pub(crate) built: OnceLock<Built>,
    pub(crate) survey: OnceLock<Survey>,
    pub(crate) left_alone: std::sync::Mutex<BTreeSet<String>>,
    pub(crate) tunnel: OnceLock<TunnelStatus>,
}

/// The nodes of `up` and their order, without doing anything.
pub fn shape(request: &Request) -> Result<Shape, StackError> {
    let (job, results) = (Job::new(request)?, Results::default());
    let shape = job.graph(&results).shape();
    Ok(shape)
}

/// Brings a stack to what is asked for.
pub async fn up(
    request: &Request,
    sink: &dyn Sink,
    control: &Control,
) -> Result<Outcome, StackError> {
    let job = Job::new(request)?;
    if request.bundle.is_none() {
        programs::to_build(&request.config)?;
    }
    secrets::bot_token(&request.config)?;
    programs::to_deliver(&request.config, request.way()?)?;
    let results = Results::default();
    let report = Box::pin(job.graph(&results).run(sink, control)).await?;
    let locked = job.run.get().is_some();
    let ended = Box::pin(close(job, &results, report, sink, control)).await;
    if locked {
        note(request, &results, &ended);
    }
    ended
}

/// Prunes and unlocks where everything went well, unlocks alone where not.
async fn close(
    mut job: Job<'_>,
    results: &Results,
    report: Report<StackError>,
    sink: &dyn Sink,
    control: &Control,
) -> Result<Outcome, StackError> {
    let mut changed = report.changed();
    let complete = report.complete();
    if let Some(run) = job.run.take() {
        if complete {
            let step = Step::start(sink, "prune", "what is no longer wanted");
            match Box::pin(nodes::prune(&job, results, run, &step, control)).await {
                Ok(removed) => {
                    changed |= removed > 0;
                    step.done(format!("{removed} removed"), removed > 0);
                }
                Err(error) => {
                    step.failed(&error, error.hint());
                    return Err(if error.is_stop() {
                        let sentence = report.sentence();
                        let sentence = sentence.replace("not done: nothing", "not done: prune");
                        StackError::Interrupted { sentence }
                    } else {
                        error
                    });
                }
            }
        } else if let Err(error) = run.abort().await {
            tracing::warn!(%error, "the lock could not be given back; it runs out by itself");
        }
    }
    if !complete {
        return Err(failure(report, control));
    }
    let place = results.place.get();
    let record = place.map_or(&job.record, |it| &it.record);
    Ok(Outcome {
        changed,
        context: record.context.clone(),
        cluster: record.cluster.clone().unwrap_or_default(),
        api_url: tunnel::api_url(&request_config(results, &job), results.tunnel.get()),
        left_alone: results
            .left_alone
            .lock()
            .map(|it| it.iter().cloned().collect())
            .unwrap_or_default(),
        took_ms: job.start.elapsed().as_millis() as u64,
    })
}

fn request_config(results: &Results, job: &Job<'_>) -> Config {
    let built = results.built.get();
    built.map_or_else(|| job.request.config.clone(), |it| it.config.clone())
}

/// The error of a run that did not come to its end: a failure of its own before the order to stop.
fn failure(report: Report<StackError>, control: &Control) -> StackError {
    let sentence = report.sentence();
    let stopped = control.stop.is_cancelled();
    let mut errors = report.nodes.into_iter().filter_map(|(_, end)| match end {
        kedactl_plan::Outcome::Failed(error) => Some(error),
        _ => None,
    });
    let own = errors.find(|error| !error.is_stop());
    match own {
        Some(error) if !stopped => error,
        _ => StackError::Interrupted { sentence },
    }
}

/// Keeps how the run ended, and what was asked for, for `status`.
fn note(request: &Request, results: &Results, ended: &Result<Outcome, StackError>) {
    let Some(place) = results.place.get() else {
        return;
    };
    let mut record = place.record.clone();
    if let Some(built) = results.built.get() {
        record.config = built.config.clone();
    }
    record.last_run = Some(LastRun::now(
        "up",
        ended.as_ref().ok().map(|it| it.took_ms),
        ended
            .as_ref()
            .map_or_else(ToString::to_string, |_| "ready".to_owned()),
    ));
    if let Err(error) = record.write(&request.home) {
        tracing::warn!(%error, "the record of the run");
    }
}
