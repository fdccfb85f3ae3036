//! Objects that are scaled, the hand that moves their load, and the recorder beside them.
//!
//! It must not judge.

use std::fmt::Write as _;
use std::time::Duration;

use kedactl_cluster::{Target, controller_flags};
use kedactl_shadow::{HpaOptions, Options, Recorder, Report, options_of};
use kedactl_testkit::until;
use tokio::runtime::Runtime;

use crate::cluster::{Cluster, variable};
use crate::namespace::{Namespace, SAMPLE};

/// A namespace with a recorder.
pub(crate) struct Stage<'a> {
    namespace: &'a Namespace<'a>,
    runtime: Runtime,
    cluster: kedactl_cluster::Cluster,
    flags: HpaOptions,
    recorder: Option<Recorder>,
}

impl<'a> Stage<'a> {
    pub(crate) fn new(kubectl: &Cluster, namespace: &'a Namespace<'a>) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap();
        let context = kubectl.kubectl(&["config", "current-context"]);
        let target = Target::new(variable("KEDACTL_TEST_KUBECONFIG"), context.trim());
        let cluster = runtime
            .block_on(kedactl_cluster::Cluster::connect(&target))
            .unwrap();
        let flags = runtime.block_on(controller_flags(&cluster));
        let flags = options_of(&flags.expect("the controller's command line"));
        Self {
            namespace,
            runtime,
            cluster,
            flags,
            recorder: None,
        }
    }

    /// Flags of the cluster's HPA controller.
    pub(crate) fn flags(&self) -> HpaOptions {
        self.flags
    }

    pub(crate) fn record(&mut self) {
        let start = Recorder::start(&self.cluster, &self.namespace.name, Options::default());
        self.recorder = Some(self.runtime.block_on(start).unwrap());
    }

    /// Ends the recording. Where `KEDACTL_SHADOW_DIR` names a directory, the recording stays there.
    pub(crate) fn report(mut self) -> Report {
        let recorder = self.recorder.take().expect("a recording");
        let recording = self.runtime.block_on(recorder.stop());
        let keep = std::env::vars_os().find(|(name, _)| name == "KEDACTL_SHADOW_DIR");
        if let Some((_, directory)) = keep {
            let file =
                std::path::Path::new(&directory).join(format!("{}.jsonl", self.namespace.name));
            std::fs::write(file, recording.to_jsonl().unwrap()).unwrap();
        }
        recording.compare()
    }

    /// Two rounds of the HPA controller more than a quick one needs.
    fn patience(&self) -> Duration {
        Duration::from_secs(90 + 6 * u64::try_from(self.flags.sync_period).unwrap())
    }

    pub(crate) fn until_accepted(&self, objects: &[&str]) {
        for object in objects {
            let object = format!("scaledobject/{object}");
            self.namespace
                .kubectl(&["wait", "--for=condition=Ready", "--timeout=60s", &object]);
        }
    }

    /// Waits until a Deployment is asked for this many pods, and has them.
    pub(crate) fn until_size(&self, deployment: &str, pods: u64) {
        self.namespace
            .until_ready(deployment, pods, self.patience());
    }

    pub(crate) fn redis(&self, command: &[&str]) {
        let command = [&["redis-cli"], command].concat();
        self.namespace.inside("deploy/redis", &command).unwrap();
    }

    /// Gives lists a length, in one step.
    pub(crate) fn fill(&self, lists: &[&str], length: usize) {
        let script = "for i=1,#KEYS do redis.call('DEL', KEYS[i]) for n=1,tonumber(ARGV[1]) do redis.call('RPUSH', KEYS[i], n) end end";
        let (count, length) = (lists.len().to_string(), length.to_string());
        let command = [&["EVAL", script, &count], lists, &[&length]].concat();
        self.redis(&command);
    }

    /// Sets how hard the pods of [`busy`] work, from 0 to 9.
    pub(crate) fn burn(&self, tenths: u32) {
        self.redis(&["SET", "burn", &tenths.to_string()]);
        until("the new load", Duration::from_secs(10), || {
            let read = ["redis-cli", "GET", "burn"];
            let read = self.namespace.inside("deploy/redis", &read);
            read.is_ok_and(|text| text.trim() == tenths.to_string())
        });
    }
}

/// A Deployment of the sample image; `more` goes into its container.
fn deployment(name: &str, replicas: u32, command: &str, more: &str) -> String {
    format!(
        "apiVersion: apps/v1
kind: Deployment
metadata: {{name: {name}}}
spec:
  replicas: {replicas}
  selector: {{matchLabels: {{app: {name}}}}}
  template:
    metadata: {{labels: {{app: {name}}}}}
    spec:
      terminationGracePeriodSeconds: 0
      containers:
      - name: main
        image: {SAMPLE}
        command: {command}
{more}---
"
    )
}

/// A Redis without data.
pub(crate) fn redis() -> String {
    let probe = "        readinessProbe: {exec: {command: [redis-cli, ping]}, periodSeconds: 1}\n";
    let command = "[redis-server, --protected-mode, 'no', --save, '']";
    deployment("redis", 1, command, probe)
        + "apiVersion: v1
kind: Service
metadata: {name: redis}
spec:
  selector: {app: redis}
  ports: [{port: 6379}]
"
}

/// A Deployment that KEDA scales by the length of the list of its name.
pub(crate) struct Scaled<'a> {
    pub(crate) name: &'a str,
    pub(crate) address: &'a str,
    pub(crate) max: u32,
    /// Lines of `horizontalPodAutoscalerConfig`.
    pub(crate) config: &'a str,
    /// A line of `spec`.
    pub(crate) fallback: &'a str,
}

pub(crate) fn scaled(it: &Scaled<'_>) -> String {
    let Scaled {
        name,
        address,
        max,
        config,
        fallback,
    } = it;
    let mut text = deployment(name, 0, "[sleep, '1000000']", "");
    let _written = write!(
        text,
        "apiVersion: keda.sh/v1alpha1
kind: ScaledObject
metadata: {{name: {name}}}
spec:
  scaleTargetRef: {{name: {name}}}
  pollingInterval: 2
  cooldownPeriod: 6
  minReplicaCount: 0
  maxReplicaCount: {max}
  {fallback}
  advanced: {{horizontalPodAutoscalerConfig: {{{config}}}}}
  triggers:
  - type: redis
    metadata: {{address: '{address}', listName: {name}, listLength: '5'}}
"
    );
    text
}

/// A Deployment whose pods burn CPU as `burn` in Redis says, and an HPA on it.
pub(crate) fn busy(max: u32) -> String {
    let script = "while :; do n=$(redis-cli -h redis GET burn); for t in 1 2 3 4 5 6 7 8 9; do if [ $t -le ${n:-0} ]; then i=0; while [ $i -lt 4000 ]; do i=$((i+1)); done; fi; done; if [ ${n:-0} -gt 0 ]; then sleep 0.3; else sleep 1; fi; done";
    let more = "        resources: {requests: {cpu: 100m}}\n";
    let command = format!("[sh, -c, '{script}']");
    deployment("busy", 1, &command, more)
        + &format!(
            "apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata: {{name: busy}}
spec:
  scaleTargetRef: {{apiVersion: apps/v1, kind: Deployment, name: busy}}
  minReplicas: 1
  maxReplicas: {max}
  metrics:
  - type: Resource
    resource: {{name: cpu, target: {{type: Utilization, averageUtilization: 50}}}}
"
        )
}
