//! Objects that are applied together, with what rules ask of them: pods, autoscalers, targets.
//! Finds; judges nothing.

use crate::Object;
use crate::pod::Pod;
use crate::view::At;

/// All objects, and the pods that they make.
#[derive(Debug)]
pub(crate) struct Set<'a> {
    pub(crate) objects: &'a [Object],
    pub(crate) pods: Vec<Pod<'a>>,
    pub(crate) scalers: Vec<Scaler<'a>>,
}

/// An `HorizontalPodAutoscaler` or a `ScaledObject`.
#[derive(Clone, Debug)]
pub(crate) struct Scaler<'a> {
    /// Place of the object.
    pub(crate) at: usize,
    pub(crate) object: &'a Object,
    pub(crate) keda: bool,
    pub(crate) spec: At<'a>,
}

impl<'a> Set<'a> {
    pub(crate) fn of(objects: &'a [Object]) -> Self {
        let pods = objects
            .iter()
            .enumerate()
            .filter_map(|(at, object)| Pod::of(at, object));
        let scalers = objects
            .iter()
            .enumerate()
            .filter_map(|(at, object)| Scaler::of(at, object));
        Self {
            objects,
            pods: pods.collect(),
            scalers: scalers.collect(),
        }
    }

    /// Objects of a group and kind, with their places.
    pub(crate) fn of_kind(
        &self,
        group: &str,
        kind: &str,
    ) -> impl Iterator<Item = (usize, &'a Object)> {
        self.objects
            .iter()
            .enumerate()
            .filter(move |(_, object)| object.is(group, kind))
    }

    /// The autoscalers of an object.
    pub(crate) fn scalers_of<'s>(
        &'s self,
        target: &'s Object,
    ) -> impl Iterator<Item = &'s Scaler<'a>> {
        self.scalers
            .iter()
            .filter(move |scaler| scaler.targets(target))
    }

    /// Pods at most that an object may have at a time; 1 where nothing is said.
    pub(crate) fn most_replicas(&self, owner: &Object) -> i64 {
        let own = owner.root().dig("spec.replicas").whole();
        let most = self.scalers_of(owner).map(Scaler::most).max();
        most.or(own).unwrap_or(1)
    }

    /// Pods at least that an object has while it runs.
    pub(crate) fn least_replicas(&self, owner: &Object) -> i64 {
        let own = owner.root().dig("spec.replicas").whole();
        let least = self.scalers_of(owner).map(Scaler::least).min();
        least.or(own).unwrap_or(1)
    }

    /// Whether any pod of the set may live beside an object.
    pub(crate) fn has_pods_beside(&self, object: &Object) -> bool {
        self.pods.iter().any(|pod| pod.owner.beside(object))
    }
}

impl<'a> Scaler<'a> {
    fn of(at: usize, object: &'a Object) -> Option<Self> {
        let keda = object.is("keda.sh", "ScaledObject");
        (keda || object.is("autoscaling", "HorizontalPodAutoscaler")).then(|| Self {
            at,
            object,
            keda,
            spec: object.root().key("spec"),
        })
    }

    /// The reference to its target.
    pub(crate) fn target(&self) -> At<'a> {
        self.spec.key("scaleTargetRef")
    }

    /// Kind of its target; KEDA takes a Deployment where none is named.
    pub(crate) fn target_kind(&self) -> &'a str {
        self.target().key("kind").text().unwrap_or("Deployment")
    }

    pub(crate) fn targets(&self, object: &Object) -> bool {
        self.target().key("name").text() == Some(object.name())
            && self.target_kind() == object.kind()
            && self.object.beside(object)
    }

    /// Pods at most.
    pub(crate) fn most(&self) -> i64 {
        let (key, default) = if self.keda {
            ("maxReplicaCount", 100)
        } else {
            ("maxReplicas", 1)
        };
        self.spec.key(key).whole().unwrap_or(default)
    }

    /// Pods at least.
    pub(crate) fn least(&self) -> i64 {
        let (key, default) = if self.keda {
            ("minReplicaCount", 0)
        } else {
            ("minReplicas", 1)
        };
        self.spec.key(key).whole().unwrap_or(default)
    }
}
