//! `plan` and `diff`: what `up` would do, asked of the API server and of helm, with nothing written.
//! Must not write to the cluster; images are built, because their names are part of what would be applied.

use kedactl_cluster::{Action, Diff, Plan, Stack, stored_releases};
use kedactl_config::Config;
use kedactl_plan::{Shape, Sink, Step};
use kedactl_tools::{CancellationToken, ReleaseName};
use serde::Serialize;

use crate::images;
use crate::place::{self, Place};
use crate::releases::{self, Declared, ReleaseLook, Standing, Survey};
use crate::up::{Job, Request, Results, kept, objects};
use crate::{StackError, pins, programs};

/// What `up` would do.
#[derive(Debug, Clone, Serialize)]
pub struct Look {
    /// Context of the cluster.
    pub context: String,
    /// UID of the cluster; `None` where it would be made.
    pub cluster: Option<String>,
    /// Names of the images that would be used.
    pub images: Vec<String>,
    /// Every release.
    pub releases: Vec<ReleaseLook>,
    /// Every object; where the cluster would be made, each would be created.
    pub diff: Diff,
    /// What can be kept in a file and carried out later; `None` where the cluster would be made.
    #[serde(skip)]
    pub plan: Option<Plan>,
    /// The nodes of `up` and their order.
    #[serde(skip)]
    pub shape: Shape,
}

impl Look {
    /// Whether `up` would change anything, or be refused.
    pub fn has_changes(&self) -> bool {
        let releases = self.releases.iter();
        let mut releases =
            releases.filter(|it| !matches!(it.action.as_str(), "unchanged" | "left_alone"));
        self.cluster.is_none() || self.diff.has_changes() || releases.next().is_some()
    }

    /// How many objects there are of an action.
    pub fn count(&self, chosen: impl Fn(&Action) -> bool) -> usize {
        self.diff.count(chosen)
    }
}

/// Looks what `up` would do.
pub async fn look(
    request: &Request,
    sink: &dyn Sink,
    stop: &CancellationToken,
) -> Result<Look, StackError> {
    let job = Job::new(request)?;
    let shape = job.graph(&Results::default()).shape();
    let step = Step::start(sink, "look", "compare");
    let looked = tokio::select! {
        biased;
        () = stop.cancelled() => Err(StackError::Stopped),
        looked = Box::pin(compare(&job, shape, &step, stop)) => looked,
    };
    match &looked {
        Ok(look) => step.done(format!("{} objects", look.diff.objects.len()), false),
        Err(error) => step.failed(error, error.hint()),
    }
    looked
}

async fn compare(
    job: &Job<'_>,
    shape: Shape,
    step: &Step<'_>,
    stop: &CancellationToken,
) -> Result<Look, StackError> {
    let request = job.request;
    if request.bundle.is_none() {
        programs::to_build(&request.config)?;
    }
    step.waiting("images");
    let built = images::at_hand(request).await?;
    let names = built.images.iter().map(|it| it.reference.to_string());
    let names: Vec<String> = names.collect();
    step.waiting("the cluster");
    let context = job.record.context.clone();
    let Some(place) = place::visit(job, &built.config, stop).await? else {
        let declared = releases::declared(&built.config, &request.templates)?;
        return Ok(Look {
            context,
            cluster: None,
            images: names,
            releases: declared
                .iter()
                .map(|it| ReleaseLook {
                    name: it.name.clone(),
                    namespace: releases::namespace(&it.release, &built.config).to_owned(),
                    action: "install".to_owned(),
                    detail: it.release.chart.clone(),
                })
                .collect(),
            diff: place::all_new(&objects(&request.templates, &built.config)?)?,
            plan: None,
            shape,
        });
    };
    let stack = place.record.stack(&request.home)?;
    let mut objects = objects(&request.templates, &built.config)?;
    let kept = kept(&built.config);
    step.waiting("releases");
    let declared = releases::declared(&built.config, &request.templates)?;
    let survey = releases::survey(
        &place.cluster,
        &stack,
        &built.config,
        &declared,
        request.adopt,
    )
    .await?;
    job.all_inside(&place, &survey, stop).await?;
    let releases = look_at_releases(
        job,
        &place,
        &built.config,
        &stack,
        (&declared, &survey),
        stop,
    )
    .await?;
    let pins = pins::of(job, &place, &built, &survey, stop).await?;
    objects.extend(survey.namespaces);
    step.waiting("objects");
    let diff =
        kedactl_cluster::diff(&place.cluster, &stack, &objects, &kept, request.adopt).await?;
    let plan = Plan::of(&place.cluster, &stack, &diff, pins).ok();
    Ok(Look {
        context,
        cluster: Some(place.cluster.uid().to_owned()),
        images: names,
        releases,
        diff,
        plan,
        shape,
    })
}

async fn look_at_releases(
    job: &Job<'_>,
    place: &Place,
    config: &Config,
    stack: &Stack,
    (declared, survey): (&[Declared], &Survey),
    stop: &CancellationToken,
) -> Result<Vec<ReleaseLook>, StackError> {
    let helm = job.helm(place, declared, stop).await?;
    let mut all = Vec::new();
    for (it, (_, standing)) in declared.iter().zip(&survey.standings) {
        let (action, detail) = match standing {
            Standing::LeftAlone(found) => {
                let names: Vec<String> = found.iter().map(ToString::to_string).collect();
                (
                    "left_alone",
                    format!("the cluster has {}", names.join(", ")),
                )
            }
            Standing::Ours => {
                let looked = helm.look(&it.name, &it.release, stop).await?;
                (looked.word(), looked.chart)
            }
        };
        all.push(ReleaseLook {
            name: it.name.clone(),
            namespace: releases::namespace(&it.release, config).to_owned(),
            action: action.to_owned(),
            detail,
        });
    }
    for stored in stored_releases(&place.cluster, stack).await? {
        let known =
            |it: &ReleaseLook| it.name.as_str() == stored.name && it.namespace == stored.namespace;
        if !all.iter().any(known) {
            all.push(ReleaseLook {
                name: ReleaseName::new(stored.name)?,
                namespace: stored.namespace,
                action: "uninstall".to_owned(),
                detail: "no longer declared".to_owned(),
            });
        }
    }
    Ok(all)
}
