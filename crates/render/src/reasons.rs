//! Written reasons at the objects where a reviewer's rule does not fit them: annotations that kube-score, checkov and
//! `kedactl lint` read. One reason a rule, only where the rule would speak; no rule is switched off for a whole stack.

use kedactl_config::{Config, ImagePullPolicy, ServiceType};

use crate::context::{Labels, annotations};

/// The annotations of a Deployment.
pub(crate) fn deployment(
    config: &Config,
    image: &str,
    pull: ImagePullPolicy,
    probed: bool,
) -> Labels {
    let mut reasons = Reasons::default();
    let by_digest = image.contains('@');
    if !by_digest {
        let reason = "the values name the image by its tag, and the tags that kedactl makes say what is in it";
        reasons.lint("KL0403", reason);
        reasons.checkov("CKV_K8S_43", reason);
    }
    if pull != ImagePullPolicy::Always {
        reasons.kube_score("container-image-pull-policy");
        if !by_digest {
            let reason = "images loaded into the nodes are in no registry to pull from";
            reasons.lint("KL0404", reason);
            reasons.checkov("CKV_K8S_15", reason);
        }
    }
    if !probed {
        let reason = "an image of the user's own queue library serves no probes";
        for rule in ["KL0311", "KL0312"] {
            reasons.lint(rule, reason);
        }
        for rule in ["CKV_K8S_8", "CKV_K8S_9"] {
            reasons.checkov(rule, reason);
        }
        reasons.kube_score("pod-probes");
    }
    reasons.over(config)
}

/// The annotations of the API's Service.
pub(crate) fn service(config: &Config) -> Labels {
    let mut reasons = Reasons::default();
    match config.api.service_type {
        ServiceType::ClusterIP => {}
        ServiceType::LoadBalancer => reasons.lint("KL0603", "the API is the way in"),
        ServiceType::NodePort => {
            reasons.lint("KL0603", "the API is the way in");
            reasons.kube_score("service-type");
        }
    }
    reasons.over(config)
}

/// The annotations of the API's `HorizontalPodAutoscaler`.
pub(crate) fn autoscaler(config: &Config) -> Labels {
    let mut reasons = Reasons::default();
    if config.api.autoscaling.min_replicas < 2 {
        let reason = "the values ask for one pod while load is low, as on a cluster of one node";
        reasons.lint("KL0808", reason);
        reasons.kube_score("horizontalpodautoscaler-replicas");
    }
    let scaling = &config.api.autoscaling;
    if scaling.min_replicas == scaling.max_replicas {
        reasons.lint("KL0807", "the values fix the number of pods");
    }
    reasons.over(config)
}

/// The annotations of the worker's `ScaledObject`.
pub(crate) fn scaled_object(config: &Config) -> Labels {
    let mut reasons = Reasons::default();
    if config.worker.autoscaling.fallback.is_none() {
        reasons.lint(
            "KL0821",
            "the values ask to hold while Redis cannot be read",
        );
    }
    reasons.over(config)
}

#[derive(Default)]
struct Reasons {
    lint: Vec<String>,
    checkov: Vec<String>,
    kube_score: Vec<&'static str>,
}

impl Reasons {
    fn lint(&mut self, rule: &str, reason: &str) {
        self.lint.push(format!("{rule} {reason}"));
    }

    fn checkov(&mut self, rule: &str, reason: &str) {
        self.checkov.push(format!("{rule}={reason}"));
    }

    fn kube_score(&mut self, rule: &'static str) {
        self.kube_score.push(rule);
    }

    /// The reasons under the annotations of the values, which win.
    fn over(self, config: &Config) -> Labels {
        let mut found = Labels::new();
        if !self.lint.is_empty() {
            let text = self.lint.join("; ");
            found.insert("lint.kedactl.io/ignore".into(), text.into());
        }
        for (at, text) in self.checkov.into_iter().enumerate() {
            found.insert(format!("checkov.io/skip{}", at + 1), text.into());
        }
        if !self.kube_score.is_empty() {
            let text = self.kube_score.join(",");
            found.insert("kube-score/ignore".into(), text.into());
        }
        found.extend(annotations(&config.annotations));
        found
    }
}
