//! What is found out before anything is written: where releases stand, whether helm is there, what the user may do.
//! Must not write to the cluster.

use std::collections::BTreeSet;

use kedactl_bundle::Certainty;
use kedactl_cluster::{ObjectRef, Right, may_everything, require};
use kedactl_config::{Config, Delivery};
use kedactl_plan::{Done, Run};
use kedactl_tools::CancellationToken;
use serde_json::Value as Json;

use super::nodes::{Ended, objects, place_of, put};
use super::secrets::kept;
use super::{Job, Results};
use crate::job::{plural, until_stopped};
use crate::place::Place;
use crate::releases::{self, Declared, Survey};
use crate::{StackError, images, tunnel};

/// What server-side apply and the reading before it need.
const APPLIED: [&str; 4] = ["get", "list", "create", "patch"];
/// What helm does with the objects of a release.
const BY_HELM: [&str; 3] = ["get", "create", "patch"];
/// What helm does with the Secrets that keep its releases.
const RECORDED: [&str; 5] = ["get", "list", "create", "update", "delete"];

impl Job<'_> {
    pub(super) async fn survey(&self, run: Run<'_>, done: &Results) -> Ended {
        let place = place_of(done)?;
        let looked = self.looked(&run, place);
        let (survey, note) = until_stopped(run.stop(), Box::pin(looked)).await?;
        put(&done.survey, survey);
        Ok(Done::unchanged(note, ()))
    }

    async fn looked(&self, run: &Run<'_>, place: &Place) -> Result<(Survey, String), StackError> {
        let request = self.request;
        let stack = place.record.stack(&request.home)?;
        let cluster = &place.cluster;
        let survey = releases::survey(
            cluster,
            &stack,
            &request.config,
            &self.declared,
            request.adopt,
        )
        .await?;
        let ours = self.declared.iter().filter(|it| survey.is_ours(&it.name));
        let ours: Vec<&Declared> = ours.collect();
        let note = plural(ours.len(), "release");
        let declared: Vec<Declared> = ours.iter().map(|it| (*it).clone()).collect();
        // A helm that is missing or too old is better known now.
        let helm = if ours.is_empty() {
            None
        } else {
            Some(self.helm(place, &declared, run.stop()).await?)
        };
        self.all_inside(place, &survey, run.stop()).await?;
        if may_everything(cluster).await? {
            return Ok((survey, format!("{note}, the user may do everything")));
        }
        let mut wanted = of_stack(&request.config, &self.objects_to_come(&survey)?);
        if let Some(helm) = &helm {
            for it in ours {
                let rendered = helm.render(&it.name, &it.release, run.stop()).await?;
                let namespace = releases::namespace(&it.release, &request.config);
                wanted.extend(of_release(namespace, &rendered.objects));
            }
        }
        let wanted: Vec<Right> = wanted.into_iter().collect();
        require(cluster, &wanted).await?;
        Ok((
            survey,
            format!("{note}, {} are there", plural(wanted.len(), "right")),
        ))
    }

    /// Refuses what would have to be pulled: the configuration may be another than the one that the bundle was made of.
    pub(crate) async fn all_inside(
        &self,
        place: &Place,
        survey: &Survey,
        stop: &CancellationToken,
    ) -> Result<(), StackError> {
        let request = self.request;
        let Some(bundle) = &request.bundle else {
            return Ok(());
        };
        // Under the names that the bundle knows, also where a registry has others.
        let mut config = images::named_by(bundle, &request.config, &Delivery::None)?;
        config.releases.retain(|name, _| survey.is_ours(name));
        let declared = self.declared.iter().filter(|it| survey.is_ours(&it.name));
        let declared: Vec<Declared> = declared.cloned().collect();
        let helm = if declared.is_empty() {
            None
        } else {
            Some(self.helm(place, &declared, stop).await?)
        };
        let objects =
            kedactl_bundle::rendered(&config, &request.templates, helm.as_ref(), stop).await?;
        let mut missing = kedactl_bundle::outside(bundle.contents(), &objects);
        missing.retain(|it| {
            it.certainty == Certainty::Certain && !request.outside.contains(&it.image)
        });
        match missing.first() {
            None => Ok(()),
            Some(first) => Err(StackError::Outside {
                image: first.image.to_string(),
                place: Box::new(first.place.clone()),
                more: missing.len() - 1,
            }),
        }
    }

    /// Their kinds and places; images have no names yet.
    fn objects_to_come(&self, survey: &Survey) -> Result<Vec<ObjectRef>, StackError> {
        let config = &self.request.config;
        let rendered = objects(&self.request.templates, config)?;
        let mut all = Vec::new();
        for object in rendered.iter().chain(&survey.namespaces) {
            all.push(ObjectRef::of(object)?);
        }
        all.extend(kept(config));
        Ok(all)
    }
}

/// Rights for the stack's own objects, for its lock and its inventory, and for the tunnel.
fn of_stack(config: &Config, objects: &[ObjectRef]) -> BTreeSet<Right> {
    let mut all = BTreeSet::new();
    let home = Some(config.namespace.as_str());
    for object in objects {
        let kind = (object.api_version.as_str(), object.kind.as_str());
        let namespace = object.namespace.as_deref();
        all.extend(APPLIED.map(|verb| right(verb, kind, "", namespace)));
    }
    let lease = ("coordination.k8s.io/v1", "Lease");
    all.extend(["get", "create", "update", "delete"].map(|verb| right(verb, lease, "", home)));
    let inventory = ("v1", "ConfigMap");
    all.extend(["get", "create", "patch"].map(|verb| right(verb, inventory, "", home)));
    // Releases of the stack are looked for everywhere.
    all.insert(right("list", ("v1", "Secret"), "", None));
    if tunnel::wanted(config) {
        all.insert(right("patch", ("v1", "Service"), "status", home));
    }
    all
}

/// Rights that helm needs for a release and its record.
fn of_release(namespace: &str, rendered: &[Json]) -> BTreeSet<Right> {
    let secret = ("v1", "Secret");
    let mut all: BTreeSet<Right> = RECORDED
        .map(|verb| right(verb, secret, "", Some(namespace)))
        .into();
    let tests = |it: &&Json| {
        let hook = it["metadata"]["annotations"]["helm.sh/hook"].as_str();
        hook.is_some_and(|hook| hook.contains("test"))
    };
    let lasting = rendered.iter().filter(|it| !tests(it));
    for object in lasting.filter_map(|it| ObjectRef::of(it).ok()) {
        let kind = (object.api_version.as_str(), object.kind.as_str());
        // An object that names no namespace lies in the release's; for those of the whole cluster it does not count.
        let place = object.namespace.as_deref().unwrap_or(namespace);
        all.extend(BY_HELM.map(|verb| right(verb, kind, "", Some(place))));
    }
    all
}

fn right(verb: &str, (api_version, kind): (&str, &str), part: &str, place: Option<&str>) -> Right {
    Right {
        verb: verb.to_owned(),
        api_version: api_version.to_owned(),
        kind: kind.to_owned(),
        part: part.to_owned(),
        namespace: place.map(str::to_owned),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_stack_needs_what_it_writes_and_reads() {
        let request = kedactl_config::Request::default();
        let none = |_: &std::path::Path, _: u64| Err(std::io::ErrorKind::NotFound.into());
        let config = kedactl_config::load(&request, &none).unwrap().config;
        let policy = ObjectRef::new("networking.k8s.io/v1", "NetworkPolicy", Some("keda"), "api");
        let all = of_stack(&config, &[policy]);
        let has = |verb: &str, kind: (&str, &str), part: &str, place: Option<&str>| {
            all.contains(&right(verb, kind, part, place))
        };
        let policy = ("networking.k8s.io/v1", "NetworkPolicy");
        assert!(
            APPLIED
                .iter()
                .all(|verb| has(verb, policy, "", Some("keda")))
        );
        assert!(has(
            "update",
            ("coordination.k8s.io/v1", "Lease"),
            "",
            Some("keda")
        ));
        assert!(has("patch", ("v1", "Service"), "status", Some("keda")));
        assert!(has("list", ("v1", "Secret"), "", None));
        assert!(!has("delete", policy, "", Some("keda")));
    }

    #[test]
    fn a_release_needs_its_kinds_and_its_record_but_no_test() {
        let rendered = [
            json!({"apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": {"name": "redis"}}),
            json!({"apiVersion": "v1", "kind": "Pod",
                "metadata": {"name": "t", "annotations": {"helm.sh/hook": "test"}}}),
        ];
        let all = of_release("keda", &rendered);
        assert!(all.contains(&right(
            "patch",
            ("apps/v1", "StatefulSet"),
            "",
            Some("keda")
        )));
        assert!(all.contains(&right("delete", ("v1", "Secret"), "", Some("keda"))));
        assert!(!all.iter().any(|it| it.kind == "Pod"));
    }
}
