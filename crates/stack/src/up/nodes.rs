//! What each node of `up` does.
//! Must not know when it runs: the graph does.

use kedactl_cluster::{
    Applied as ClusterApplied, LoadBalancer, Made, ObjectRef, Options, Phase, Policy, ReadyOptions,
    Run as ClusterRun, Stack, ensure_secret, forget_interrupted, phase, ready, release_settled,
    stored_releases,
};
use kedactl_config::{Config, ServiceType};
use kedactl_plan::{Control, Done, Run, Step};
use kedactl_tools::helm::{self, Applied, Helm, LeaseHeld};
use kedactl_tools::{CancellationToken, ReleaseName};
use serde_json::Value as Json;

use super::secrets::{kept, made_secrets, secrets, share_token};
use super::{Job, Results};
use crate::images::{self, Built};
use crate::job::{plural, told, until_stopped};
use crate::place::{self, Place};
use crate::releases::{self, Declared, Standing};
use crate::{Record, StackError, pins, tunnel};

pub(super) type Ended = Result<Done<()>, StackError>;

impl Job<'_> {
    pub(super) async fn cluster(&self, run: Run<'_>, done: &Results) -> Ended {
        if let (Some(node), Some(bundle)) = (&self.node_image, &self.request.bundle) {
            let step = Step::start(run.sink(), "node-image", "image of the nodes");
            let loaded = node.ensure(bundle, &self.request.config, &step);
            let loaded = until_stopped(run.stop(), loaded).await;
            told(step, loaded, |loaded| (node.name.to_string(), *loaded))?;
        }
        let step = Step::start(run.sink(), "connect", "connect");
        let way = &self.request.way;
        let (home, record) = (&self.request.home, self.record.clone());
        tunnel::ahead(home, &self.request.config).await?;
        let entered = place::enter(home, record, way.allow.clone(), &step, run.stop()).await;
        let place = told(step, entered, |place| {
            let uid = place.cluster.uid();
            (
                format!(
                    "{} ({}, Kubernetes {})",
                    place.cluster.context(),
                    uid.get(..8).unwrap_or(uid),
                    place.cluster.version().trim_start_matches('v')
                ),
                place.created,
            )
        })?;
        let ended = changed(place.cluster.context().to_owned(), place.created);
        put(&done.place, place);
        Ok(ended)
    }

    pub(super) async fn build(&self, run: Run<'_>, done: &Results) -> Ended {
        let built = until_stopped(run.stop(), images::at_hand(self.request)).await?;
        let names = built.images.iter().map(|it| it.reference.to_string());
        let names: Vec<String> = names.collect();
        let note = match (&self.request.bundle, names.len()) {
            (Some(_), number) => format!("{} of the bundle", plural(number, "image")),
            (None, 0) => "none to build".to_owned(),
            (None, _) => names.join(", "),
        };
        put(&done.built, built);
        Ok(Done::unchanged(note, ()))
    }

    pub(super) async fn load(&self, run: Run<'_>, done: &Results) -> Ended {
        let (place, built) = (place_of(done)?, built_of(done)?);
        let own = place.record.own();
        let delivered = images::deliver(
            built,
            &self.request.home,
            own.as_ref(),
            &self.request.credentials,
            run.sink(),
            run.stop(),
        );
        let delivered = until_stopped(run.stop(), delivered).await?;
        let note = format!(
            "{} on {} of them",
            plural(built.images.len(), "image"),
            plural(delivered.places, "place")
        );
        Ok(changed(note, delivered.changed))
    }

    /// Everything that comes is known from here on; nothing was written before.
    pub(super) async fn lock(&self, run: Run<'_>, done: &Results) -> Ended {
        let (place, built) = (place_of(done)?, built_of(done)?);
        let stack = place.record.stack(&self.request.home)?;
        let mut objects = objects(&self.request.templates, &built.config)?;
        let kept = kept(&built.config);
        let survey = done.survey.get().ok_or(StackError::Stopped)?;
        objects.extend(survey.namespaces.iter().cloned());
        if let Some(plan) = &self.request.plan {
            let pins = pins::of(self, place, built, survey, run.stop()).await?;
            let adopt = self.request.adopt;
            plan.verify(&place.cluster, &stack, &objects, &kept, adopt, &pins)
                .await?;
        }
        let mut options = Options::new(kedactl_cluster::Holder::own(&self.request.who));
        options.adopt = self.request.adopt;
        options.revert_edits = self.request.revert_edits;
        // It is not dropped when told to stop: a lock that it just took has to be given back.
        options.stop = run.stop().clone();
        let begun = ClusterRun::begin(&place.cluster, &stack, &objects, &kept, options).await?;
        put(&self.run, begun);
        // Now it is this run that is at work: what it was asked for counts, and what a killed one left has to end.
        let record = Record {
            config: built.config.clone(),
            ..place.record.clone()
        };
        record.write(&self.request.home)?;
        let lease = LeaseHeld::by(&self.request.who);
        let state = self.request.home.helm();
        let ended = until_stopped(run.stop(), async { Ok(helm::clear(&state, &lease).await?) });
        let ended = ended.await?;
        let mut note = format!("{} in the inventory", plural(objects.len(), "object"));
        if ended {
            note += "; a helm that a killed run left was ended";
        }
        Ok(Done::unchanged(note, ()))
    }

    pub(super) async fn namespaces(&self, run: Run<'_>, done: &Results) -> Ended {
        let (place, built) = (place_of(done)?, built_of(done)?);
        let applied = self
            .apply(&run, |it| phase_of(it) == Phase::Namespaces)
            .await?;
        let mut note = changes(&applied);
        let mut wrote = applied.iter().any(ClusterApplied::changed);
        let stack = place.record.stack(&self.request.home)?;
        let survey = done.survey.get().ok_or(StackError::Stopped)?;
        for secret in made_secrets(&built.config, &|name| survey.is_ours(name)) {
            let (namespace, name) = (&secret.namespace, &secret.name);
            let ensured =
                ensure_secret(&place.cluster, &stack, namespace, name, &secret.wanted).await?;
            wrote |= ensured.1 != Made::Unchanged;
            note = format!("{note}; Secret {name} {}", word(ensured.1));
        }
        wrote |= share_token(place, &built.config, &stack).await? != Made::Unchanged;
        Ok(changed(note, wrote))
    }

    pub(super) async fn release(&self, run: Run<'_>, done: &Results, it: &Declared) -> Ended {
        let (place, built) = (place_of(done)?, built_of(done)?);
        let stack = place.record.stack(&self.request.home)?;
        // Its values may name an image that was just built.
        let declared = releases::declared(&built.config, &self.request.templates)?;
        let declared = declared.into_iter().find(|known| known.name == it.name);
        let declared = declared.unwrap_or_else(|| it.clone());
        let namespace = releases::namespace(&declared.release, &built.config).to_owned();
        let standing = releases::standing(
            &place.cluster,
            &stack,
            &namespace,
            &declared,
            self.request.adopt,
        );
        let standing = Box::pin(until_stopped(run.stop(), standing)).await?;
        if let Standing::LeftAlone(found) = standing {
            self.wait_for(&run, place, &found).await?;
            if let Ok(mut all) = done.left_alone.lock() {
                all.insert(declared.name.to_string());
            }
            let names: Vec<String> = found.iter().map(ToString::to_string).collect();
            return Ok(Done::unchanged(
                format!("the cluster has it: {}", names.join(", ")),
                (),
            ));
        }
        self.begun()?.check()?;
        let one = std::slice::from_ref(&declared);
        let helm = self.helm(place, one, run.stop()).await?;
        let lease = LeaseHeld::by(&self.request.who);
        let step = Step::start(run.sink(), "helm", "helm");
        let name = declared.name.as_str();
        until_stopped(run.stop(), async {
            let (cluster, within) = (&place.cluster, self.rest());
            Ok(release_settled(cluster, &namespace, name, within, &step).await?)
        })
        .await?;
        let applied = applied(&helm, place, &declared, &lease, &step, run.stop()).await;
        let applied = told(step, applied, |it| {
            (format!("revision {}", it.revision), it.changed)
        })?;
        // Helm would say for good that one is at work which a killed run left.
        forget_interrupted(&place.cluster, &stack, &namespace, name).await?;
        let objects = releases::workloads(&applied.rendered.objects, &namespace);
        self.wait_for(&run, place, &objects).await?;
        Ok(changed(
            format!("revision {}", applied.revision),
            applied.changed,
        ))
    }

    pub(super) async fn app(&self, run: Run<'_>) -> Ended {
        let applied = self
            .apply(&run, |it| {
                let phase = phase_of(it);
                phase != Phase::Namespaces && phase < Phase::Around
            })
            .await?;
        let wrote = applied.iter().any(ClusterApplied::changed);
        Ok(changed(changes(&applied), wrote))
    }

    pub(super) async fn scaling(&self, run: Run<'_>) -> Ended {
        let applied = self.apply(&run, |it| phase_of(it) >= Phase::Around).await?;
        let wrote = applied.iter().any(ClusterApplied::changed);
        Ok(changed(changes(&applied), wrote))
    }

    pub(super) async fn ready(&self, run: Run<'_>, done: &Results) -> Ended {
        let objects: Vec<ObjectRef> = self.begun()?.objects().cloned().collect();
        self.wait_for(&run, place_of(done)?, &objects).await?;
        Ok(Done::unchanged(plural(objects.len(), "object"), ()))
    }

    pub(super) async fn tunnel(&self, run: Run<'_>, done: &Results) -> Ended {
        let place = place_of(done)?;
        let step = Step::start(run.sink(), "open", "open");
        if let Some(address) = tunnel::mapped(&self.request.config) {
            // A tunnel of an earlier configuration has nothing to do any more.
            tunnel::end(&self.request.home).await?;
            let answers = tunnel::answers(address, self.rest(), &step);
            let answers = until_stopped(run.stop(), answers).await;
            told(step, answers, |()| ("kind leads there".to_owned(), false))?;
            return Ok(Done::unchanged(format!("http://{address}"), ()));
        }
        let opened = tunnel::ensure(
            &self.request.home,
            &place.record,
            &self.request.helper,
            self.rest(),
            &step,
        );
        let opened = until_stopped(run.stop(), opened).await;
        let (status, opened) = told(step, opened, |(status, opened)| {
            (format!("pid {}", status.process.pid), *opened)
        })?;
        let url = tunnel::api_url(&self.request.config, Some(&status)).unwrap_or_default();
        put(&done.tunnel, status);
        Ok(changed(url, opened))
    }

    fn begun(&self) -> Result<&ClusterRun, StackError> {
        self.run.get().ok_or(StackError::Stopped)
    }

    async fn apply(
        &self,
        run: &Run<'_>,
        chosen: impl Fn(&ObjectRef) -> bool,
    ) -> Result<Vec<ClusterApplied>, StackError> {
        let step = Step::start(run.sink(), "apply", "apply");
        let applied = until_stopped(run.stop(), async {
            Ok(self.begun()?.apply(chosen, &step).await?)
        })
        .await;
        told(step, applied, |applied| {
            let wrote = applied.iter().any(ClusterApplied::changed);
            (changes(applied), wrote)
        })
    }

    async fn wait_for(
        &self,
        run: &Run<'_>,
        place: &Place,
        objects: &[ObjectRef],
    ) -> Result<(), StackError> {
        let config = &self.request.config;
        let options = ReadyOptions {
            within: self.rest(),
            policy: Policy {
                load_balancer: if tunnel::wanted(config) {
                    LoadBalancer::Tunnel
                } else if config.api.service_type == ServiceType::LoadBalancer {
                    LoadBalancer::Require
                } else {
                    LoadBalancer::Ignore
                },
                ..Policy::default()
            },
            secrets: secrets(place, config).await,
        };
        let step = Step::start(run.sink(), "wait", "wait");
        let waited = until_stopped(run.stop(), async {
            Ok(ready(&place.cluster, objects, &options, &step).await?)
        })
        .await;
        told(step, waited, |()| (plural(objects.len(), "object"), false))
    }

    pub(crate) async fn helm(
        &self,
        place: &Place,
        declared: &[Declared],
        stop: &CancellationToken,
    ) -> Result<Helm, StackError> {
        let (home, credentials) = (&self.request.home, &self.request.credentials);
        let (record, cluster) = (&place.record, &place.cluster);
        releases::open(home, record, cluster, credentials, declared, stop).await
    }
}

/// Brings a release to what is declared; one whose workloads somebody deleted is written again, though nothing of it changed.
async fn applied(
    helm: &Helm,
    place: &Place,
    declared: &Declared,
    lease: &LeaseHeld,
    step: &Step<'_>,
    stop: &CancellationToken,
) -> Result<Applied, StackError> {
    let (name, release) = (&declared.name, &declared.release);
    let applied = helm.apply(name, release, Some(lease), step, stop).await?;
    if applied.changed {
        return Ok(applied);
    }
    let namespace = releases::namespace(release, &place.record.config);
    for object in releases::workloads(&applied.rendered.objects, namespace) {
        if place.cluster.get(&object).await?.is_none() {
            step.progress(
                0,
                None,
                format!("{object} is gone: {name} is applied again"),
            );
            return Ok(helm
                .apply_again(name, release, Some(lease), step, stop)
                .await?);
        }
    }
    Ok(applied)
}

/// Removes releases and objects that the stack no longer has, and gives the lock back; how many went.
pub(super) async fn prune(
    job: &Job<'_>,
    results: &Results,
    run: ClusterRun,
    step: &Step<'_>,
    control: &Control,
) -> Result<usize, StackError> {
    let place = place_of(results)?;
    let stack = place.record.stack(&job.request.home)?;
    let pruned = async {
        let gone = surplus(job, place, &stack, step, &control.stop).await?;
        let prune = async { Ok(run.prune(step).await?) };
        let removed = until_stopped(&control.stop, prune).await?;
        Ok(gone + removed.iter().filter(|it| it.is_gone()).count())
    };
    let pruned = tokio::select! {
        biased;
        () = control.abort.cancelled() => Err(StackError::Stopped),
        pruned = pruned => pruned,
    };
    let released = run.abort().await;
    let pruned = pruned?;
    released?;
    Ok(pruned)
}

async fn surplus(
    job: &Job<'_>,
    place: &Place,
    stack: &Stack,
    step: &Step<'_>,
    stop: &CancellationToken,
) -> Result<usize, StackError> {
    let stored = stored_releases(&place.cluster, stack).await?;
    let config = &job.request.config;
    let wanted = |name: &str, namespace: &str| {
        job.declared.iter().any(|it| {
            it.name.as_str() == name && releases::namespace(&it.release, config) == namespace
        })
    };
    let mut gone = 0;
    for release in stored.iter().filter(|it| !wanted(&it.name, &it.namespace)) {
        step.progress(gone as u64, None, format!("release {}", release.name));
        let helm = job.helm(place, &[], stop).await?;
        let name = ReleaseName::new(release.name.clone())?;
        helm.uninstall(&name, &release.namespace, stop).await?;
        gone += 1;
    }
    Ok(gone)
}

/// The stack's objects as the templates make them.
pub(crate) fn objects(
    templates: &kedactl_render::Templates,
    config: &Config,
) -> Result<Vec<Json>, StackError> {
    let manifests = templates.render(config)?;
    let objects = manifests.objects.iter();
    Ok(objects.map(|it| it.object.to_json()).collect())
}

fn phase_of(object: &ObjectRef) -> Phase {
    phase(object.group(), &object.kind)
}

fn word(made: Made) -> &'static str {
    match made {
        Made::Created => "made",
        Made::Completed => "completed",
        Made::Unchanged => "unchanged",
    }
}

fn changes(applied: &[ClusterApplied]) -> String {
    let wrote = applied.iter().filter(|it| it.changed()).count();
    if wrote == 0 {
        format!("{} unchanged", plural(applied.len(), "object"))
    } else {
        format!("{wrote} of {} written", plural(applied.len(), "object"))
    }
}

fn changed(note: String, changed: bool) -> Done<()> {
    Done {
        value: (),
        note,
        changed,
    }
}

pub(super) fn put<T>(slot: &std::sync::OnceLock<T>, value: T) {
    // A node runs once, so the slot is empty.
    drop(slot.set(value));
}

pub(crate) fn place_of(done: &Results) -> Result<&Place, StackError> {
    done.place.get().ok_or(StackError::Stopped)
}

fn built_of(done: &Results) -> Result<&Built, StackError> {
    done.built.get().ok_or(StackError::Stopped)
}
