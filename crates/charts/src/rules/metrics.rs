//! Rules for metrics-server.
//! Who serves its API is a rule for any chart.

use serde_json::{Value, json};

use crate::object::{containers, images, pod, text, title};
use crate::rule::rules;
use crate::{Around, Finding, Release};

rules! {
    UNTRUSTED "KC0401" "metrics-server does not trust the kubelets of this cluster",
        why "Kubelets of kind and minikube have certificates of their own making: every scrape fails with x509, and no autoscaler has CPU.",
        issues "kubernetes-sigs/metrics-server#196, kubernetes-sigs/metrics-server#1025, kubernetes-sigs/metrics-server#1282, kubernetes-sigs/metrics-server#1221";
    REPLACED "KC0402" "the arguments that metrics-server needs are replaced",
        why "`defaultArgs` holds its certificate folder, its port and the addresses of nodes; `args` is added to it.",
        issues "kubernetes-sigs/metrics-server#1025";
}

const FLAG: &str = "--kubelet-insecure-tls";

pub(super) fn check(releases: &[Release], around: &Around, out: &mut Vec<Finding>) {
    for release in releases.iter().filter(|it| it.chart == "metrics-server") {
        if let Some(Value::Array(given)) = release.given(&["defaultArgs"]) {
            let more: Vec<&Value> = given.iter().filter(|it| !is_own(text(it))).collect();
            let values = json!({"defaultArgs": null, "args": more});
            let message = "defaultArgs is given";
            out.push(Finding::values(REPLACED, &release.name, message, &values));
        }
        if !around.own_certificates {
            continue;
        }
        for (image, _, object) in images(release.objects()) {
            let trusted = pod(object).into_iter().flat_map(containers).any(|it| {
                let args = it["args"].as_array().into_iter().flatten();
                args.into_iter().any(|it| text(it).starts_with(FLAG))
            });
            if image.is("metrics-server") && !trusted {
                let given = release.given(&["args"]).and_then(Value::as_array);
                let mut args = given.cloned().unwrap_or_default();
                args.push(FLAG.into());
                let message = format!("{} runs without {FLAG}", title(object));
                let values = json!({"args": args});
                out.push(Finding::values(UNTRUSTED, &release.name, message, &values));
            }
        }
    }
}

/// The chart's own arguments.
fn is_own(arg: &str) -> bool {
    let own = [
        "--cert-dir",
        "--kubelet-preferred-address-types",
        "--kubelet-use-node-status-port",
        "--metric-resolution",
    ];
    own.iter().any(|it| arg.starts_with(it))
}
