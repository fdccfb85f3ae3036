//! Rules for KEDA's own chart.
//! Who serves its API is a rule for any chart.

use serde_json::json;

use crate::object::{images, title};
use crate::rule::rules;
use crate::{Around, Finding, Release};

rules! {
    PULLED "KC0301" "images that are on the nodes already are pulled again",
        why "`imagePullPolicy: Always` asks the registry before each start: without a way to it the pod does not start, though the node has the image.",
        issues "openebs/charts#131, canonical/k8s-snap#1563";
}

pub(super) fn check(releases: &[Release], around: &Around, out: &mut Vec<Finding>) {
    if !around.loaded_images {
        return;
    }
    for release in releases.iter().filter(|it| it.chart == "keda") {
        let pulled = images(release.objects()).find(|(_, it, _)| it["imagePullPolicy"] == "Always");
        if let Some((image, _, object)) = pulled {
            let message = format!("{}: {}:{}", title(object), image.repository, image.tag);
            let values = json!({"image": {"pullPolicy": "IfNotPresent"}});
            out.push(Finding::values(PULLED, &release.name, message, &values));
        }
    }
}
