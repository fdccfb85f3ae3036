//! What the supervisor knows of pods and autoscalers, in the words of kube-state-metrics and of KEDA's operator.
//! Must not invent a metric; names and labels are those of kube-state-metrics 2 and of KEDA 2.20 (prommetrics.go).

use std::fmt::Write as _;

use crate::{PodPhase, PodState, ScalerState, StackState, WorkloadState};

/// The whole answer, in Prometheus' text format.
pub(super) fn of(state: &StackState, namespace: &str) -> String {
    let mut page = Page {
        text: String::new(),
        namespace,
    };
    page.deployments(state);
    page.pods(state);
    page.autoscalers(state);
    page.keda(state);
    // Who plays KEDA's operator here.
    let version = concat!("kedactl-", env!("CARGO_PKG_VERSION"));
    page.text
        + &format!("# TYPE keda_build_info gauge\nkeda_build_info{{version=\"{version}\"}} 1\n")
}

struct Page<'a> {
    text: String,
    namespace: &'a str,
}

/// One series: its labels beside the namespace, and its value.
type Series = (Vec<(&'static str, String)>, f64);

/// What a metric of one object counts.
type Count<T> = fn(&T) -> u32;

impl Page<'_> {
    fn metric(&mut self, name: &str, kind: &str, series: impl IntoIterator<Item = Series>) {
        // Writing to a string does not fail.
        let _written = writeln!(self.text, "# TYPE {name} {kind}");
        for (labels, value) in series {
            let labels = labels.iter().fold(
                format!("namespace=\"{}\"", escaped(self.namespace)),
                |text, (key, value)| text + &format!(",{key}=\"{}\"", escaped(value)),
            );
            let _written = writeln!(self.text, "{name}{{{labels}}} {value}");
        }
    }

    fn deployments(&mut self, state: &StackState) {
        let gauges: [(&str, Count<WorkloadState>); 4] = [
            ("spec_replicas", |it| it.desired),
            ("status_replicas", |it| it.current),
            ("status_replicas_ready", |it| it.ready),
            ("status_replicas_updated", |it| it.updated),
        ];
        for (name, count) in gauges {
            let series = state
                .workloads
                .iter()
                .map(|(name, it)| (vec![("deployment", name.clone())], f64::from(count(it))));
            self.metric(&format!("kube_deployment_{name}"), "gauge", series);
        }
    }

    fn pods(&mut self, state: &StackState) {
        let pods = || {
            state
                .workloads
                .iter()
                .flat_map(|(name, it)| it.pods.iter().map(move |pod| (name, pod)))
        };
        let labels = |(workload, pod): (&String, &PodState)| {
            vec![("pod", pod.name.clone()), ("container", workload.clone())]
        };
        let restarts = pods().map(|it| (labels(it), f64::from(it.1.restarts)));
        self.metric(
            "kube_pod_container_status_restarts_total",
            "counter",
            restarts,
        );
        let waiting = pods().filter(|(_, pod)| pod.phase == PodPhase::BackOff);
        let waiting = waiting.map(|it| {
            let mut labels = labels(it);
            labels.push(("reason", "CrashLoopBackOff".to_owned()));
            (labels, 1.0)
        });
        self.metric("kube_pod_container_status_waiting_reason", "gauge", waiting);
    }

    fn autoscalers(&mut self, state: &StackState) {
        let hpas = || {
            state
                .scalers
                .values()
                .filter(|it| it.kind == "HorizontalPodAutoscaler")
        };
        let name = |it: &ScalerState| ("horizontalpodautoscaler", it.name.clone());
        let gauges: [(&str, Count<ScalerState>); 4] = [
            ("spec_min_replicas", |it| it.min),
            ("spec_max_replicas", |it| it.max),
            ("status_current_replicas", |it| it.current),
            ("status_desired_replicas", |it| it.desired),
        ];
        for (gauge, count) in gauges {
            let series = hpas().map(|it| (vec![name(it)], f64::from(count(it))));
            self.metric(
                &format!("kube_horizontalpodautoscaler_{gauge}"),
                "gauge",
                series,
            );
        }
        let conditions = hpas().flat_map(|it| {
            it.conditions.iter().flat_map(move |(condition, holds)| {
                // As kube-state-metrics has it: a series for each status, 1 for the one that is.
                [("true", *holds), ("false", !*holds), ("unknown", false)].map(|(status, is)| {
                    let labels = vec![
                        name(it),
                        ("condition", condition.clone()),
                        ("status", status.to_owned()),
                    ];
                    (labels, f64::from(u8::from(is)))
                })
            })
        });
        self.metric(
            "kube_horizontalpodautoscaler_status_condition",
            "gauge",
            conditions,
        );
    }

    fn keda(&mut self, state: &StackState) {
        let objects = || {
            state
                .scalers
                .values()
                .filter(|it| it.kind == "ScaledObject")
        };
        let triggers = || {
            objects().flat_map(|it| {
                it.metrics.iter().enumerate().map(move |(at, metric)| {
                    let labels = vec![
                        ("metric", metric.name.clone()),
                        ("scaledObject", it.name.clone()),
                        // KEDA's name for the scaler of `redis` and of `redis-sentinel`.
                        ("scaler", "redisScaler".to_owned()),
                        ("triggerIndex", at.to_string()),
                        ("type", "scaledobject".to_owned()),
                    ];
                    (it, metric, labels)
                })
            })
        };
        let values = triggers().filter_map(|(_, metric, labels)| Some((labels, metric.value?)));
        self.metric("keda_scaler_metrics_value", "gauge", values);
        let active = triggers()
            .map(|(it, _, labels)| (labels, f64::from(u8::from(it.active == Some(true)))));
        self.metric("keda_scaler_active", "gauge", active);
        // Polls that failed.
        let errors = triggers().map(|(it, _, labels)| (labels, it.errors as f64));
        self.metric("keda_scaler_detail_errors_total", "counter", errors);
        let object = |it: &ScalerState| vec![("scaledObject", it.name.clone())];
        let errors = objects().map(|it| (object(it), it.errors as f64));
        self.metric("keda_scaled_object_errors_total", "counter", errors);
        let paused = objects().map(|it| (object(it), f64::from(u8::from(it.paused))));
        self.metric("keda_scaled_object_paused", "gauge", paused);
    }
}

fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace('\n', "\\n")
}
