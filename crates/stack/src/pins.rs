//! What a plan rests on beside the cluster: digests of images, charts, values and rendered releases.
//! Must not hold a value: hashes say whether they are the same.

use std::collections::BTreeMap;

use kedactl_tools::CancellationToken;

use crate::StackError;
use crate::images::Built;
use crate::place::Place;
use crate::releases::{self, Survey};
use crate::up::Job;

/// The pins of a job, by names that people understand.
pub(crate) async fn of(
    job: &Job<'_>,
    place: &Place,
    built: &Built,
    survey: &Survey,
    stop: &CancellationToken,
) -> Result<BTreeMap<String, String>, StackError> {
    let mut pins: BTreeMap<String, String> = built.pins().collect();
    let mut declared = releases::declared(&built.config, &job.request.templates)?;
    // What the cluster has by other means is not ours to fetch.
    declared.retain(|it| survey.is_ours(&it.name));
    if declared.is_empty() {
        return Ok(pins);
    }
    let helm = job.helm(place, &declared, stop).await?;
    for it in &declared {
        let marks = helm.marks(&it.name, &it.release, stop).await?;
        pins.insert(format!("release {}", it.name), marks);
    }
    Ok(pins)
}
